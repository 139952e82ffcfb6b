"""Which project a directory is, on real Git repositories."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_manager.project import Project, canonical, identify
from memory_manager.repository import local_path, normalise_remote, remotes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

IDENTITY = {
    "GIT_AUTHOR_NAME": "t",
    "GIT_AUTHOR_EMAIL": "t@example.com",
    "GIT_COMMITTER_NAME": "t",
    "GIT_COMMITTER_EMAIL": "t@example.com",
}


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-c", "protocol.file.allow=always", "-C", str(folder), *words],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | IDENTITY,
    )
    return done.stdout.strip()


def make(folder: Path, remote: str = "") -> Path:
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    (folder / "src").mkdir()
    (folder / "src" / "app.py").write_text("print()\n")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", f"first of {folder}")
    if remote:
        git(folder, "remote", "add", "origin", remote)
    return folder


class Registry:
    """What the spool keeps: an alias keeps the group it was registered for first."""

    def __init__(self) -> None:
        self.groups: dict[str, str] = {}

    def known(self, aliases: Sequence[str]) -> str | None:
        return next((self.groups[alias] for alias in aliases if alias in self.groups), None)

    def identify(self, folder: Path, host: str = "h") -> Project:
        project = identify(str(folder), known=self.known, host=host)
        for alias in project.aliases:
            self.groups.setdefault(alias, project.group)
        return project


@pytest.mark.parametrize(
    "url",
    [
        "git@github.com:Owner/Repo.git",
        "github.com:Owner/Repo",
        "git@github.com:/Owner/Repo.git/",
        "ssh://git@github.com/Owner/Repo.git",
        "ssh://git@GitHub.com:22/Owner/Repo",
        "ssh://git@ssh.github.com:443/Owner/Repo.git",
        "[github.com:22]:Owner/Repo.git",
        "[git@github.com:22]:Owner/Repo.git",
        "https://github.com/Owner/Repo",
        "https://user:t0ken@GITHUB.com:443//Owner/Repo.git?x=1#y",
        "http://github.com/Owner/Repo.git/",
        "git://github.com/Owner/Repo.git",
    ],
)
def test_every_form_of_a_remote_is_one_spelling(url):
    assert normalise_remote(url) == "github.com/Owner/Repo"


def test_remotes_that_differ_stay_apart():
    urls = ["https://a.io/x/y", "https://a.io/x/Y", "https://b.io/x/y", "git@[::1]:x/y"]

    assert len({normalise_remote(url) for url in urls}) == len(urls)


@given(st.text(max_size=60))
def test_any_text_is_normalised_to_itself_or_something_stable(url):
    once = normalise_remote(url)

    assert isinstance(once, str)
    local_path(url)
    remotes(url)


def test_a_configuration_is_read_as_git_reads_it():
    config = (
        '[remote "up stream \\"x\\""]\n\turl = "https://a/b" ; why\n[REMOTE "origin"] URL = x:y \\\n'
        'z\n\turl = second\n[branch "m"]\n\turl = no\n[remote]\n url = none\n'
    )

    assert remotes(config) == {'up stream "x"': "https://a/b", "origin": "x:y z"}


def test_nested_directories_belong_to_the_repository_and_missing_ones_too(tmp_path):
    repo = make(tmp_path / "r", "https://github.com/o/r.git")
    outer = identify(str(repo))

    assert identify(str(repo / "src")) == outer
    assert identify(str(repo / "no" / "such")) == outer
    assert (outer.root, outer.name) == (str(repo), "r")
    assert outer.group.startswith("g_")


def test_worktrees_and_clones_share_a_memory(tmp_path):
    repo = make(tmp_path / "r")
    git(repo, "worktree", "add", "-q", str(tmp_path / "w"), "-b", "w")
    git(tmp_path, "clone", "-q", str(repo), str(tmp_path / "c"))
    git(tmp_path, "clone", "-q", "--bare", str(repo), str(tmp_path / "b.git"))
    git(tmp_path, "clone", "-q", f"file://{tmp_path}/b.git", str(tmp_path / "c2"))

    groups = {identify(str(tmp_path / name)).group for name in ("r", "w", "c", "c2", "b.git")}

    assert len(groups) == 1
    assert identify(str(tmp_path / "w")).root == str(tmp_path / "w")


def test_a_clone_of_a_clone_has_the_remote_of_the_first(tmp_path):
    repo = make(tmp_path / "r", "git@github.com:o/r.git")
    git(tmp_path, "clone", "-q", str(repo), str(tmp_path / "c"))
    other = make(tmp_path / "other", "https://github.com/o/r")

    assert identify(str(tmp_path / "c")).group == identify(str(repo)).group
    assert identify(str(other)).group == identify(str(repo)).group


def test_origin_goes_before_the_other_remotes_and_those_by_name(tmp_path):
    repo = make(tmp_path / "r")
    git(repo, "remote", "add", "zeta", "https://h/z")
    git(repo, "remote", "add", "alpha", "https://h/a")
    by_name = identify(str(repo)).aliases
    git(repo, "remote", "add", "origin", "https://h/o")

    assert by_name == ("remote:h/a",)
    assert identify(str(repo)).aliases == ("remote:h/o",)


def test_a_project_keeps_its_group_when_git_a_commit_and_a_remote_come_later(tmp_path):
    registry, folder = Registry(), tmp_path / "p"
    folder.mkdir()
    bare_folder = registry.identify(folder)
    git(folder, "init", "-q")
    unborn = registry.identify(folder)
    git(folder, "commit", "-q", "--allow-empty", "-m", "one")
    committed = registry.identify(folder)
    git(folder, "remote", "add", "origin", "https://github.com/o/p")
    remote = registry.identify(folder)
    again = registry.identify(folder)

    assert {bare_folder.group, unborn.group, committed.group, remote.group, again.group} == {
        bare_folder.group
    }


def test_forks_with_the_same_first_commit_stay_apart(tmp_path):
    registry = Registry()
    repo = make(tmp_path / "r", "https://github.com/one/r")
    shutil.copytree(repo, tmp_path / "fork")
    git(tmp_path / "fork", "remote", "set-url", "origin", "https://github.com/two/r")

    assert registry.identify(repo).group != registry.identify(tmp_path / "fork").group


def test_a_group_is_inherited_once_so_a_later_fork_stays_apart(tmp_path):
    registry = Registry()
    repo = make(tmp_path / "r")
    first = registry.identify(repo).group
    shutil.copytree(repo, tmp_path / "fork")
    git(repo, "remote", "add", "origin", "https://github.com/one/r")
    git(tmp_path / "fork", "remote", "add", "origin", "https://github.com/two/r")

    assert registry.identify(repo).group == first
    assert registry.identify(tmp_path / "fork").group != first
    assert registry.identify(repo).group == first


def test_the_same_place_on_two_hosts_is_two_projects_unless_it_is_one_repository(tmp_path):
    folder = tmp_path / "workspace"
    folder.mkdir()
    apart = {identify(str(folder), host=host).group for host in ("a", "b")}
    folder.rmdir()
    make(folder)
    together = {identify(str(folder), host=host).group for host in ("a", "b")}

    assert (len(apart), len(together)) == (2, 1)


def test_a_submodule_is_a_project_of_its_own(tmp_path):
    library = make(tmp_path / "lib", "https://github.com/o/lib")
    repo = make(tmp_path / "r", "https://github.com/o/r")
    git(repo, "submodule", "add", "-q", str(library), "vendor/lib")

    inner = identify(str(repo / "vendor" / "lib" / "src"))

    assert inner.root == str(repo / "vendor" / "lib")
    assert inner.group == identify(str(library)).group != identify(str(repo)).group


def test_an_override_is_one_project_wherever_it_is_said(tmp_path):
    repo = make(tmp_path / "r", "https://github.com/o/r")

    here, there = identify(str(repo / "src"), "shop"), identify("/", " shop ")

    assert here.group == there.group != identify(str(repo)).group
    assert (here.name, here.root, here.aliases) == ("shop", str(repo), ())


def test_a_shallow_clone_without_a_remote_is_known_by_its_place(tmp_path):
    repo = make(tmp_path / "r")
    git(repo, "commit", "-q", "--allow-empty", "-m", "two")
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{repo}", str(tmp_path / "s"))
    git(tmp_path / "s", "remote", "remove", "origin")

    assert identify(str(tmp_path / "s")).aliases[0].startswith("place:")


def test_git_is_asked_about_the_folder_and_not_about_the_caller_s_repository(tmp_path, monkeypatch):
    one, two = make(tmp_path / "one"), make(tmp_path / "two")
    plain = identify(str(one))
    monkeypatch.setenv("GIT_DIR", str(two / ".git"))

    assert identify(str(one)) == plain


def test_without_git_it_is_the_place(tmp_path, monkeypatch):
    repo = make(tmp_path / "r")
    monkeypatch.setenv("PATH", str(tmp_path))

    assert identify(str(repo)).aliases[0].startswith("place:")


@pytest.mark.parametrize(
    "break_it",
    [
        lambda git: shutil.rmtree(git) or git.write_text("nonsense"),
        lambda git: shutil.rmtree(git) or git.write_text("gitdir: /no/where"),
        lambda git: shutil.rmtree(git) or git.write_bytes(b"gitdir: \xff\x00"),
        lambda git: shutil.rmtree(git) or git.symlink_to(git),
        lambda git: shutil.rmtree(git) or git.mkdir(),
        lambda git: (git / "config").write_bytes(b"\xff[remote \x00"),
        lambda git: (git / "HEAD").unlink(),
        lambda git: shutil.rmtree(git / "objects"),
        lambda git: (git / "commondir").write_text("../nowhere"),
    ],
    ids=["nonsense", "gone", "bytes", "loop", "empty", "config", "head", "objects", "common"],
)
def test_a_broken_repository_is_a_place(tmp_path, break_it):
    repo = make(tmp_path / "r")
    break_it(repo / ".git")

    project = identify(str(repo / "src"))

    assert project.root == str(repo)
    assert canonical("src/app.py", project.root) == "src/app.py"


@pytest.mark.parametrize(
    "directory", ["", "/", "relative", "/no/such", "/a\0b", "\udcff", "x" * 9000]
)
def test_no_directory_makes_it_raise(directory):
    assert identify(directory).group.startswith("g_")


@given(st.text(max_size=80), st.text(max_size=20))
def test_no_path_makes_it_raise(path, directory):
    assert isinstance(canonical(path, "/tmp/x", directory), str)  # noqa: S108


def test_every_spelling_of_a_path_is_one(tmp_path):
    repo = make(tmp_path / "r")
    git(repo, "worktree", "add", "-q", str(tmp_path / "w"), "-b", "w")
    git(repo, "worktree", "add", "-q", str(repo / ".trees" / "v"), "-b", "v")
    (tmp_path / "link").symlink_to(repo)
    (repo / "alias.py").symlink_to("src/app.py")
    root = str(repo)
    spellings = {
        canonical(path, root, str(directory))
        for path, directory in [
            ("src/app.py", ""),
            ("./src/../src/app.py", repo),
            ("app.py", repo / "src"),
            ("../src/app.py", repo / "src"),
            (f"{repo}/src/app.py", "/"),
            (f"{tmp_path}/link/src/app.py", "/"),
            ("src/app.py", tmp_path / "link"),
            (f"{tmp_path}/w/src/app.py", repo),
            ("src/app.py", tmp_path / "w"),
            (f"{repo}/.trees/v/src/app.py", repo),
            ("alias.py", repo),
        ]
    }

    assert spellings == {"src/app.py"}


def test_paths_outside_and_new_ones_keep_their_sense(tmp_path):
    repo = make(tmp_path / "r")
    other = make(tmp_path / "o")

    assert canonical(str(other / "src" / "app.py"), str(repo)) == str(other / "src" / "app.py")
    assert canonical("new/deep/file.py", str(repo)) == "new/deep/file.py"
    assert canonical("", str(repo)) == ""
    assert canonical("../x.py", str(repo)) == str(tmp_path / "x.py")


def test_paths_in_a_question_are_meant_from_here_or_from_the_root(tmp_path):
    project = identify(str(make(tmp_path / "r")))

    found = project.paths_in("what of app.py and src/app.py?", str(tmp_path / "r" / "src"))

    assert {"app.py", "src/app.py"} <= set(found)

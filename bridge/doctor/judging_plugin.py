"""What to think of how the plugin is installed. Pure, like `judging`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.doctor.finding import Finding, fail, ok, skip, warn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.doctor.installed import Found

_INSTALL = "opencode-mem install"
#: Names that are told before "and N more".
_MOST = 5


def config(found: Found) -> Finding:
    """OpenCode's configuration files are what they should be."""
    name = "opencode config"
    if found.faults:
        return fail(name, "; ".join(found.faults[:_MOST]), "correct the file at that place")
    if not found.files:
        return skip(name, "none yet")
    return ok(name, f"{_some(found.files)} can be read")


def plugin(found: Found, ours: str) -> Finding:
    """The plugin is installed, its files are there, and it is of this version."""
    name = "plugin"
    loaded = [*found.everywhere, *(one for own in found.projects.values() for one in own)]
    if not loaded:
        return warn(name, "not installed", _INSTALL)
    for one in loaded:
        if one.fault:
            where = "" if one in found.everywhere else " --project (there)"
            return fail(name, f"{one.place}: {one.fault}", f"{_INSTALL}{where}")
    for one in loaded:
        if one.version not in {"", ours}:
            seen = f"{one.place}: {one.plugin} is version {one.version}, this command {ours}"
            return warn(name, seen, f"{_INSTALL}, by the command of the version that you want")
    if found.everywhere:
        return ok(name, f"everywhere, by {_some([one.place for one in found.everywhere])}")
    return ok(name, f"in {_some(list(found.projects))} only")


def projects(found: Found) -> Finding:
    """Every project and worktree that OpenCode knows loads it, or has opted out."""
    name = "plugin in projects"
    if found.unread:
        return skip(name, found.unread)
    if not found.known:
        return skip(name, "OpenCode knows no project yet")
    out = f"; switched off by {_some(found.opted_out)}" if found.opted_out else ""
    if found.without:
        seen = f"not loaded in {_some(found.without)}{out}"
        return warn(name, seen, f"{_INSTALL} (everywhere), or {_INSTALL} --project in each")
    return ok(name, f"loaded in all {len(found.known)}{out}")


def start(found: Found) -> Finding:
    """Nothing holds up OpenCode's start."""
    name = "opencode start"
    if not found.everywhere and not found.projects:
        return skip(name, "the plugin is not installed")
    if found.slow:
        seen = f"OpenCode installs a package of its own, before it loads plugins, in {_some(found.slow)}"
        return warn(
            name, seen, f"{_INSTALL} (--project in a project); or start OpenCode there once, online"
        )
    return ok(name, "nothing holds it up")


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return ", ".join(names[:_MOST]) + more

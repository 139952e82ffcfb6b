"""What the model is told, turn by turn, when all is well."""

from __future__ import annotations

import pytest

from bridge.bench.homes import git
from bridge.bench.scripted import BLOCK, Reply

pytestmark = [pytest.mark.engine, pytest.mark.timeout(400)]
ASKED = "What does app.py print, and which code?"


def written(desk, tools, code="ZEBRA-7"):
    """One chat in which app.py is written."""
    return desk.turn(
        "Make app.py print its code",
        Reply("I write it.", tools.writing(desk.project / "app.py", f"print('{code}')\n")),
        f"app.py prints {code} now.",
    )


def test_what_one_chat_wrote_the_next_one_knows(desk, tools):
    first = written(desk, tools)
    asked = desk.ask(ASKED)
    assert "ZEBRA-7" in asked.block
    assert not any(request.block for request in desk.model.chats(first))
    kept = desk.kept("file_edit")
    assert len(kept) == 1
    assert "app.py" in kept[0]["text"]
    assert "Memory plugin error" not in desk.log


def test_the_plugin_says_that_it_is_there_and_where_its_cache_is(desk):
    desk.ask("hello there, what is this project about?")
    assert "🧠 Graphiti Memory Plugin loaded" in desk.log
    assert "📦 Valkey cache connected at " in desk.opencode.log


def test_an_edit_takes_back_the_cached_answer_about_its_file_and_no_other(desk, tools):
    about = {
        "kiwi.py": ("def harvest_orchard():\n    return 'one'\n", "How does harvest_orchard work?"),
        "bank.py": ("def post_invoice():\n    return 'six'\n", "What is post_invoice like?"),
    }
    for name, (content, _) in about.items():
        desk.turn(
            f"Make {name}",
            Reply(calls=tools.writing(desk.project / name, content)),
            f"{name} is there.",
        )
    desk.flush()

    def ask(name):
        asked = desk.ask(f"{about[name][1]} It stands in {name}.")
        return desk.outcome(asked.session), asked.block

    for name in about:
        ask(name)
        assert ask(name)[0] == "cached"
    edit = {"filePath": str(desk.project / "kiwi.py"), "oldString": "one", "newString": "two"}
    desk.turn("Change kiwi.py", Reply(calls=[("edit", edit)]), "Changed.")
    assert ask("bank.py")[0] == "cached"
    assert ask("kiwi.py")[0] == "injected"
    desk.flush()
    outcome, block = ask("kiwi.py")
    assert outcome == "injected"
    assert "return 'two'" in block


def test_what_mended_a_failing_command_is_told_to_the_next_session(desk, tools):
    bad, good = "import frobnicate_x\n", "import json\nprint('fine')\n"
    path = desk.project / "check.py"
    path.write_text(bad)
    edit = {"filePath": str(path), "oldString": bad, "newString": good}
    desk.turn(
        "Run check.py and mend it",
        Reply(calls=tools.running("python3 check.py")),
        Reply(calls=[("read", {"filePath": str(path)})]),
        Reply(calls=[("edit", edit)]),
        Reply(calls=tools.running("python3 check.py")),
        "check.py works: it imports json instead of frobnicate_x.",
    )
    desk.flush()
    asked = desk.ask("python3 check.py fails: No module named 'frobnicate_x'. What fixed it?")
    assert "frobnicate_x" in asked.block
    assert "passes after editing check.py" in asked.block


def test_a_provider_error_is_one_error_however_often_it_was_retried(desk):
    desk.turn("Say one", Reply("QUARTZ-1 was refused", status=400))
    desk.turn(
        "Say two",
        Reply("QUARTZ-2 is overloaded", status=500),
        Reply("QUARTZ-2 is overloaded", status=500),
        "two",
    )
    errors = desk.texts("error")
    assert sum("QUARTZ-1" in text for text in errors) == 1
    assert sum("QUARTZ-2" in text for text in errors) == 1
    assert len(errors) == 2
    assert len([text for text in desk.texts("success") if "Say two" in text]) == 1


def test_a_full_context_is_summed_up_without_memory_and_goes_on_with_it(desk, tools):
    written(desk, tools)
    desk.store("pear_tax in pear.py returns CODE-PEAR")
    session = desk.ask(ASKED).session
    full = "This model's maximum context length is 128000 tokens, you sent 190000."
    desk.turn(
        "What does pear_tax in pear.py return?",
        Reply(full, status=400, code="context_length_exceeded"),
        "It returns CODE-PEAR.",
        session=session,
    )
    first, refused, again = desk.model.chats(session)
    assert "ZEBRA-7" in first.block
    assert "CODE-PEAR" in refused.block
    assert "CODE-PEAR" in again.block
    sums = [each for each in desk.model.of_kind("summary") if each.session == session]
    assert sums
    assert not any(BLOCK in each.whole for each in sums)


def test_after_an_automatic_compaction_memory_is_given_again(desk, tools):
    written(desk, tools)
    session = desk.turn(ASKED, Reply("It prints ZEBRA-7.", tokens=125_000), "I go on.")
    assert "ZEBRA-7" in desk.model.chats(session)[0].block
    sums = [each for each in desk.model.of_kind("summary") if each.session == session]
    assert sums
    assert not any(BLOCK in each.whole for each in sums)
    asked = desk.ask("Once more: " + ASKED, session=session)
    assert "ZEBRA-7" in asked.block


def test_titles_are_made_without_memory(desk, tools):
    written(desk, tools)
    asked = desk.ask(ASKED)
    titles = [each for each in desk.model.of_kind("title") if each.session == asked.session]
    assert titles
    assert not any(BLOCK in each.whole for each in titles)


def test_a_subagent_works_without_memory(desk, tools):
    written(desk, tools)
    task = {"description": "looks", "prompt": ASKED, "subagent_type": "general"}
    session = desk.turn(
        "Let somebody find out what app.py prints",
        Reply(calls=[("task", task)]),
        "It prints ZEBRA-7.",
        "They say ZEBRA-7.",
    )
    subs = [each for each in desk.model.of_kind("chat") if each.parent == session]
    assert subs
    assert not any(BLOCK in each.whole for each in subs)
    assert len(desk.texts("success")) == 2


def test_worktrees_share_a_memory_and_repositories_do_not(desk, tools):
    written(desk, tools)
    beside = desk.project.with_name("beside")
    git(desk.project, "worktree", "add", "-q", "-b", "beside", str(beside))
    assert "ZEBRA-7" in tools.Desk(desk.home, beside).ask(ASKED).block
    stranger = tools.Desk(desk.home)
    assert not stranger.ask(ASKED).block
    assert not any("ZEBRA-7" in text for text in stranger.texts())


def test_a_project_that_opted_out_is_neither_recorded_nor_told_anything(desk, tools):
    (desk.project / ".opencode-mem-off").touch()
    written(desk, tools)
    assert not desk.ask(ASKED).block
    assert desk.kept() == []
    (desk.project / ".opencode-mem-off").unlink()


def test_the_model_can_remember_and_recall_by_itself(desk):
    note = "Deployments happen on Tuesdays because of the LANTERN freeze"
    remember = {"tool": "remember", "args": {"text": note}}
    first = desk.turn("Remember that", Reply(calls=[("memory", remember)]), "I will.")
    assert "memory" in desk.model.chats(first)[0].tools
    recall = {"tool": "recall", "args": {"query": "when do deployments happen, LANTERN?"}}
    second = desk.turn("Look it up", Reply(calls=[("memory", recall)]), "On Tuesdays.")
    results = desk.model.chats(second)[-1].texts("tool")
    assert note in " ".join(results[-1])
    assert any(note in text for text in desk.texts())


def test_after_a_reload_memory_goes_on_where_it_was(desk, tools):
    written(desk, tools)
    session = desk.ask(ASKED).session
    before = desk.model.chats(session)[-1]
    desk.opencode.ask("POST", "/instance/dispose", directory=desk.project)
    after = desk.ask("And what was app.py for?", session=session)
    assert after.lines[: len(before.lines)] == before.lines
    assert "ZEBRA-7" in desk.ask(ASKED + " Tell me again.").block
    assert len(desk.kept("file_edit")) == 1

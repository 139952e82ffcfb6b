"""`opencode-mem open`: the address for the person, a private file for the browser."""

from __future__ import annotations

import json
import stat
import webbrowser

import pytest


def test_the_page_s_address_has_its_code_in_the_fragment_and_no_command_line_has_it(
    run, scripted, monkeypatch, tmp_path
):
    opened = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    scripted.answers["web"] = {"url": "http://127.0.0.1:4711/", "code": "abc", "token_file": "/t"}

    assert run("open")[1] == "http://127.0.0.1:4711/#code=abc\n"
    path = tmp_path / "open.html"
    assert opened == [path.as_uri()]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert 'content="0; url=http://127.0.0.1:4711/#code=abc"' in path.read_text()
    assert run("open", "--no-browser")[1] == "http://127.0.0.1:4711/#code=abc\n"
    assert json.loads(run("open", "--json")[1])["open"].endswith("#code=abc")
    assert len(opened) == 1
    path.chmod(0o644)
    scripted.answers["web"]["code"] = '">&<'
    run("open")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "#code=&quot;&gt;&amp;&lt;&quot;" not in path.read_text()
    assert 'url=http://127.0.0.1:4711/#code=&quot;&gt;&amp;&lt;">' in path.read_text()


def test_a_browser_that_can_t_be_led_to_the_page_is_one_line_after_the_address(
    run, scripted, monkeypatch
):
    monkeypatch.setattr(webbrowser, "open", pytest.fail)
    scripted.data = "/nowhere"
    scripted.answers["web"] = {"url": "http://127.0.0.1:4711", "code": "abc", "token_file": "/t"}

    status, out, err = run("open")

    assert (status, out) == (1, "http://127.0.0.1:4711/#code=abc\n")
    assert "/nowhere/open.html can't be written" in err

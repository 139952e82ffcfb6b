"""The operator's command against a bridge that answers by script."""

from __future__ import annotations

import pytest

from bridge.asking import Bridge
from bridge.cli import main


class Scripted:
    """Answers by method: a result, a fault to raise, or a list of them in turn."""

    def __init__(self):
        self.answers = {}
        self.asked_for = []

    def ask(self, method, params=None, *, deadline=30.0, start=False):
        self.asked_for.append((method, dict(params or {})))
        answer = self.answers[method]
        if isinstance(answer, list):
            answer = answer.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def asked(self, method, params=None, *, deadline=30.0, start=True):
        return self.ask(method, params)


@pytest.fixture
def scripted(monkeypatch, tmp_path):
    made = Scripted()
    made.data = str(tmp_path)
    monkeypatch.setattr(Bridge, "from_environment", lambda: made)
    return made


@pytest.fixture
def run(capsys):
    """`opencode-mem` with these words: status, stdout, stderr (of one line at most)."""

    def ran(*words):
        status = main(list(words))
        told = capsys.readouterr()
        assert told.err.count("\n") <= 1, told.err
        return status, told.out, told.err

    return ran

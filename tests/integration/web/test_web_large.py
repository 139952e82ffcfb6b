from __future__ import annotations

import threading

from bridge.web import app


async def test_a_large_answer_is_encoded_on_another_thread(site, monkeypatch):
    encoded, elsewhere = app.encoded_in_pieces, []

    def noted(value):
        elsewhere.append(threading.current_thread() is not threading.main_thread())
        return encoded(value)

    monkeypatch.setattr(app, "encoded_in_pieces", noted)
    for count in (500, 5):
        site.answers["projects"] = {"projects": [{"name": "x \ud800"}] * count}
        answer = (await site.client.get("/api/projects")).json()
        assert answer == site.answers["projects"]

    assert elsewhere == [True]


async def test_no_more_sessions_than_an_answer_should_hold_are_told_at_once(site):
    asked = [
        (await site.client.get("/api/raw-events/status", params={"limit": limit})).status_code
        for limit in (1000, 1001)
    ]

    assert asked == [200, 400]

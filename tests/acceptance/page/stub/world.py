"""The methods that the page's API is a thin caller of, over made-up data.

Memory, extraction, ranking, rendering, the live stream and the whole HTTP side are the product's
own; only spool, ledger, engines and numbers are made up.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from dataclasses import replace
from hashlib import blake2b

from numbers_shown import metrics, status

from bridge import showing
from bridge.context.render import block, fitting, squeezed, tokens
from bridge.timeline import Timeline
from memory_manager import contract
from memory_manager.embed import open_embedder
from memory_manager.errors import InvalidRequest, MemoryFault
from memory_manager.extract.batch import flushed
from memory_manager.extract.episodes import episode_of, worth_keeping
from memory_manager.memory import FakeMemory
from memory_manager.model import EventKind, Extraction, Query, RawEvent
from memory_manager.spool.events import ingested

_log = logging.getLogger(__name__)


class World:
    """Projects, their events, and what of them has been flushed."""

    def __init__(self) -> None:
        self.memory = FakeMemory(open_embedder("local"))
        self.timeline = Timeline(100_000, 64_000_000)
        self.projects: dict[str, dict] = {}
        self.events: dict[str, list[RawEvent]] = {}
        self.pending: dict[str, RawEvent] = {}
        self.said: dict[str, tuple[str, tuple[str, ...]]] = {}
        self.wrong: dict[tuple[str, str], dict] = {}
        self.ledger: list[dict] = []
        self.blocks: dict[tuple[str, str], str] = {}
        self.asked: set[tuple] = set()
        self.began = time.time()
        self._rows = 0

    # Made up

    def add_project(self, group, name, root, events=()) -> None:
        """Take in a project; nothing of it is in the graph yet."""
        self.projects[group] = {"group": group, "name": name, "root": root}
        self.events[group] = []
        for event in events:
            self.take(event, live=False)

    async def settle(self, group) -> None:
        """All of a project is in the graph, without facts: what counts is how much there is."""
        events = self.events[group]
        episodes = tuple(episode_of(event) for event in events if worth_keeping(event))
        await self.memory.store(Extraction(group=group, episodes=episodes))
        for event in events:
            self.pending.pop(event.event_id)

    def take(self, event: RawEvent, *, live: bool = True) -> bool:
        """A raw event arrives; False when it is known already."""
        if any(each.event_id == event.event_id for each in self.events[event.group][-500:]):
            return False
        self._rows += 1
        self.events[event.group].append(event)
        self.pending[event.event_id] = event
        if live:
            self.timeline.add(self._rows, event)
        return True

    async def flush_session(self, group, session) -> int:
        """What of a session waits goes into the graph, as the flush worker does it."""
        self.wrong.pop((group, session), None)
        batch = [e for e in self.pending.values() if e.group == group and e.session == session]
        if not batch:
            return 0
        done = flushed(group, batch, [e for e in self.events[group] if e.session == session])
        await self.memory.store(done.extraction)
        self.said[session] = (done.summary, done.tags)
        for event in batch:
            del self.pending[event.event_id]
        self.timeline.flushed(group, session, 0, self._rows)
        return len(done.extraction.episodes)

    async def inject(self, session, text, at, outcome) -> None:
        """A prompt in a session (group and name) was given something; in the ledger."""
        group, name = session
        if (group, text) not in self.blocks:
            answer = await self.memory.query(Query(group, text, limit=6))
            found = [replace(hit, text=squeezed(hit.text)) for hit in answer.hits]
            self.blocks[group, text] = block(found, 1500)
        told = self.blocks[group, text]
        self.ledger.append(
            {"session": name, "message": f"msg_<b>{len(self.ledger)}</b>", "group": group, "at": at, "outcome": outcome,
             "project": self.projects[group]["name"], "tokens": tokens(told), "block": told}
        )  # fmt: skip

    # The line protocol

    async def dispatch(self, method, params):
        """As the bridge's own: a result or an error object."""
        try:
            return await getattr(self, f"on_{method}")(params), None
        except InvalidRequest as fault:
            return None, {"code": contract.INVALID_PARAMS, "message": str(fault)}
        except MemoryFault as fault:
            return None, {"code": contract.NOT_AVAILABLE, "message": str(fault)}
        except Exception as fault:  # noqa: BLE001 - the boundary; the traceback is logged
            _log.exception("%s failed", method)
            return None, {"code": -32603, "message": str(fault)}

    async def on_projects(self, _params):
        def told(group):
            events = self.events[group]
            return {
                **self.projects[group], "events": len(events),
                "sessions": len({e.session for e in events}),
                "pending": sum(e.group == group for e in self.pending.values()),
                "last_at": max((e.at for e in events), default=0.0),
            }  # fmt: skip

        rows = [told(group) for group in self.projects]
        return {"projects": sorted(rows, key=lambda row: -row["last_at"])}

    def _sessions(self, group):
        found: dict[str, list[RawEvent]] = {}
        for event in self.events.get(group, ()):
            found.setdefault(event.session, []).append(event)
        return found

    async def on_sessions(self, params):
        text = (params.get("text") or "").lower()
        rows = []
        for session, events in self._sessions(params["group"]).items():
            prompt = next((e.content for e in events if e.kind is EventKind.PROMPT), "")
            summary, tags = self.said.get(session, ("", ()))
            waiting = sum(e.event_id in self.pending for e in events)
            if text in f"{prompt} {session}".lower():
                rows.append(
                    {"group": params["group"], "project": self.projects[params["group"]]["name"],
                     "session": session, "title": prompt.split("\n")[0][:200],
                     "first_at": events[0].at, "last_at": events[-1].at, "events": len(events),
                     "pending": waiting, "summary": summary, "tags": list(tags)}
                )  # fmt: skip
        rows.sort(key=lambda row: -row["last_at"])
        return _paged("sessions", rows, params, 50)

    async def on_episodes(self, params):
        asked = {name: params.get(name) for name in ("session", "path", "text", "before")}
        kind, limit = showing.kind(params.get("kind")), params.get("limit", 100)
        page = await self.memory.episodes(params["group"], kind=kind, limit=limit, **asked)
        listed = [showing.listed(each, pending=False) for each in page.episodes]
        if not asked["before"]:
            waiting = [
                showing.listed(each, pending=True)
                for each in map(episode_of, filter(worth_keeping, self._waiting(params)))
                if (kind is None or each.kind is kind)
                and (not asked["path"] or asked["path"] in each.paths)
                and (asked["text"] or "").lower() in each.content.lower()
            ]
            listed = sorted([*waiting, *listed], key=showing.newest_first)
        return {"episodes": listed, "next": page.next}

    def _waiting(self, params):
        session = params.get("session")
        return [
            event for event in self.pending.values()
            if event.group == params["group"] and session in {None, event.session}
        ]  # fmt: skip

    async def on_episode(self, params):
        found = await self.memory.episode(params["group"], params["uuid"])
        if found:
            episode, facts = found
            told = showing.whole(episode, pending=False)
            return {**told, "facts": [showing.fact(each) for each in facts]}
        for episode in map(episode_of, self._waiting(params)):
            if episode.uuid == params["uuid"]:
                return {**showing.whole(episode, pending=True), "facts": []}
        raise InvalidRequest(f"uuid: no episode {params['uuid'][:60]!r} in this project")

    async def on_explain(self, params):
        began = time.perf_counter()
        budget, limit = params.get("budget", 1500), params.get("limit", 20)
        query = Query(params["group"], params["text"], limit=limit, at=params.get("at"))
        answer = await self.memory.query(query)
        found = [replace(hit, text=squeezed(hit.text)) for hit in answer.hits]
        told, shown = block(found, budget), fitting(found, budget)
        known = (params["group"], params["text"], params.get("at"))
        outcome = "hit" if known in self.asked else "miss"
        self.asked.add(known)
        hits = [showing.explained(h, included=n < shown) for n, h in enumerate(found)]
        return {
            "cache": outcome, "complete": True, "ms": (time.perf_counter() - began) * 1000,
            "tokens": tokens(told), "budget": budget, "block": told, "hits": hits,
        }  # fmt: skip

    async def on_graph(self, params):
        found = await self.memory.neighbourhood(
            params["group"], center=params.get("center"), text=params.get("text") or "",
            types=tuple(params.get("types") or ()), at=params.get("at"),
            limit=params.get("limit", 150),
        )  # fmt: skip
        return {
            "nodes": [
                {"uuid": n.entity.uuid, "type": n.entity.type, "name": n.entity.name,
                 "degree": n.degree, "attributes": dict(n.entity.attributes)}
                for n in found.nodes
            ],
            "edges": [showing.fact(edge) for edge in found.edges],
            "first_at": found.first_at, "last_at": found.last_at, "truncated": found.truncated,
        }  # fmt: skip

    async def on_injections(self, params):
        rows = [
            row for row in self.ledger
            if params.get("group") in {None, row["group"]}
            and params.get("session") in {None, row["session"]}
        ]  # fmt: skip
        return _paged("injections", sorted(rows, key=lambda row: -row["at"]), params, 50)

    async def on_raw_events_status(self, _params):
        now, batches = time.time(), Counter({"completed": 61, "skipped": 7})
        sessions = []
        for group in self.projects:
            for session, events in self._sessions(group).items():
                waiting = [e for e in events if e.event_id in self.pending]
                wrong = self.wrong.get((group, session), {})
                own = {"completed": 1, **wrong.get("batches", {})}
                batches.update(wrong.get("batches", {}))
                if waiting or wrong or len(sessions) < 8:
                    title = next((e.content for e in events if e.kind is EventKind.PROMPT), "")
                    sessions.append(
                        {"group": group, "project": self.projects[group]["name"],
                         "session": session, "title": title[:200], "pending": len(waiting),
                         "oldest_age_s": now - min((e.at for e in waiting), default=now),
                         "cursor": len(events) - len(waiting), "batches": own,
                         "attempts": wrong.get("attempts", 0), "error": wrong.get("error"),
                         "retry_at": wrong.get("retry_at")}
                    )  # fmt: skip
        sessions.sort(key=lambda row: (not row["error"], -row["pending"]))
        oldest = max((now - e.at for e in self.pending.values()), default=0.0)
        return {
            "pending": len(self.pending), "oldest_age_s": oldest, "degradation": "live",
            "disk": "ok", "batches": dict(batches), "sessions": sessions, "more": 0,
        }  # fmt: skip

    async def on_raw_events_retry(self, params):
        states = {"error"} | ({"gave_up"} if params.get("gave_up") else set())
        retried = 0
        for (group, session), wrong in list(self.wrong.items()):
            if params.get("session") in {None, session} and states & wrong["batches"].keys():
                await self.flush_session(group, session)
                retried += sum(wrong["batches"].values())
        return {"retried": retried}

    async def on_flush(self, params):
        sessions = {(e.group, e.session) for e in self.pending.values()} - self.wrong.keys()
        wanted = [key for key in sessions if params.get("session") in {None, key[1]}]
        episodes = sum([await self.flush_session(*key) for key in wanted])
        return {
            "batches": len(wanted),
            "episodes": episodes,
            "skipped": 0,
            "failed": 0,
            "errors": [],
        }

    async def on_ingest(self, params):
        name = params.get("project") or ""
        group = params.get("group") or next(
            (g for g, about in self.projects.items() if about["name"] == name), None
        )
        if group is None:
            group = f"g_{blake2b(name.encode(), digest_size=6).hexdigest()}"
            self.add_project(group, name, f"/work/{name}")
        events = [ingested(item, group=group, now=time.time()) for item in params["events"]]
        kept = [event for event in events if event is not None]
        inserted = sum([self.take(event) for event in kept])
        return {"inserted": inserted, "received": len(events), "duplicates": len(kept) - inserted}

    async def on_metrics(self, _params):
        return metrics(self)

    async def on_status(self, _params):
        return status(self)


def _paged(name, rows, params, most):
    limit, start = params.get("limit", most), int(params.get("before") or 0)
    more = len(rows) > start + limit
    return {name: rows[start : start + limit], "next": str(start + limit) if more else None}

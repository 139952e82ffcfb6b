"""Who gets in over real HTTP: attacks by other sites, the cookie's way, and how often one may knock."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from bridge.web.keys import CODE_S, COOKIE_S
from bridge.web.limits import Bucket, Limits

EVENT = {"content": "a"}


def told(answer):
    return answer.status_code, answer.json()["error"]["code"]


@pytest.mark.parametrize(
    "path", ["/", "/healthz", "/api/status", "/api/openapi.json", "/static/js/main.js"]
)
@pytest.mark.parametrize(
    "host",
    [
        "evil.example:{port}",
        "evil.example",
        "127.0.0.1",
        "127.0.0.1:1",
        "0.0.0.0:{port}",
        "[::]:{port}",
    ],
)
async def test_a_name_that_was_rebound_to_us_is_told_nothing(site, path, host):
    answer = await site.client.get(path, headers={"host": host.format(port=site.port)})

    assert told(answer) == (403, "forbidden")
    assert site.asked == []


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "[::1]"])
async def test_every_name_of_this_machine_is_ours(site, name):
    here = f"{name}:{site.port}"
    headers = {"host": here, "origin": f"http://{here}"}

    assert (await site.client.get("/api/status", headers=headers)).status_code == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:3000"])
async def test_another_sites_page_is_refused_even_with_the_token(site, origin):
    for answer in (
        await site.client.post("/api/raw-events", json=EVENT, headers={"origin": origin}),
        await site.client.get("/api/status", headers={"origin": origin}),
        await site.stranger.post("/api/session", json={"code": "x"}, headers={"origin": origin}),
        await site.stranger.get("/healthz", headers={"origin": origin}),
    ):
        assert told(answer) == (403, "forbidden")
        assert "access-control-allow-origin" not in answer.headers
    assert site.asked == []


async def test_no_host_or_two_are_not_http(site):
    for request in (
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nHost: evil.example\r\n\r\n" % site.port,
        b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
    ):
        answer = await site.raw(request)
        assert answer.split(b" ")[1] in {b"400", b"403"}
        assert b'"error"' in answer
        assert b"content-security-policy" in answer


async def test_the_token_in_the_address_opens_nothing(site):
    answer = await site.stranger.get(f"/api/status?token={site.token}&access_token={site.token}")

    assert told(answer) == (401, "unauthorized")


async def test_a_code_is_exchanged_for_a_cookie_that_opens_everything(site):
    own = {"origin": site.url, "sec-fetch-site": "same-origin"}
    code = site.keys.invite(site.clock.at)

    answer = await site.stranger.post("/api/session", json={"code": code}, headers=own)

    assert answer.json() == {"expires_in_s": COOKIE_S}
    cookie = answer.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=Strict", "Path=/api"} <= {
        part.strip() for part in cookie.split(";")
    }
    assert site.token not in cookie
    assert (await site.stranger.get("/api/status")).status_code == 200
    assert (await site.stranger.post("/api/flush", json={}, headers=own)).status_code == 200
    # From another port of this machine, which the browser takes for the same site.
    other = {"sec-fetch-site": "same-site"}
    assert told(await site.stranger.get("/api/status", headers=other)) == (403, "forbidden")
    assert told(await site.stranger.post("/api/flush")) == (403, "forbidden")
    site.clock.at += COOKIE_S
    assert told(await site.stranger.get("/api/status")) == (401, "unauthorized")


async def test_a_code_that_is_used_old_or_made_up_opens_nothing(site):
    used, old = site.keys.invite(site.clock.at), site.keys.invite(site.clock.at)
    assert (await site.stranger.post("/api/session", json={"code": used})).status_code == 200
    site.stranger.cookies.clear()
    site.clock.at += CODE_S

    for code in (used, old, "made-up", "\\ud800"):
        answer = await site.stranger.post("/api/session", content=f'{{"code": "{code}"}}')
        assert told(answer) == (401, "unauthorized")
        assert "set-cookie" not in answer.headers
        assert code not in answer.text


@pytest.mark.parametrize("body", [b"", b"{}", b'{"code": 1}', b'{"code": " "}', b"[]", b"{", b'{"code": "a", "b": 1}'])  # fmt: skip
async def test_a_malformed_exchange_is_refused(site, body):
    answer = await site.stranger.post("/api/session", content=body)

    assert told(answer) == (400, "invalid_request")


async def test_wrong_tokens_are_slowed_and_the_right_one_is_not(make_site):
    site = await make_site(more={"limits": Limits(failed=Bucket(0.5, 3.0))})
    wrong = {"authorization": "Bearer wrong"}

    seen = [(await site.stranger.get("/api/status", headers=wrong)).status_code for _ in range(5)]
    answer = await site.stranger.get("/api/status", headers=wrong)
    with_code = await site.stranger.post("/api/session", json={"code": "wrong"})

    assert seen == [401, 401, 401, 429, 429]
    assert told(answer) == told(with_code) == (429, "too_many_requests")
    assert answer.headers["retry-after"] == "2"
    assert (await site.client.get("/api/status")).status_code == 200
    site.ticks.at += 2
    assert (await site.stranger.get("/api/status", headers=wrong)).status_code == 401


async def test_a_flood_by_strangers_does_not_slow_the_owner_and_the_owner_has_a_limit_too(
    make_site,
):
    limits = Limits(stranger=Bucket(1.0, 2.0), owner=Bucket(1.0, 2.0))
    site = await make_site(more={"limits": limits})

    seen = [(await site.stranger.get("/healthz")).status_code for _ in range(3)]
    own = [(await site.client.get("/api/status")).status_code for _ in range(3)]

    assert seen == own == [200, 200, 429]
    assert len(site.asked) == 2


async def test_the_page_comes_with_its_types_and_is_asked_for_anew(site):
    page = await site.stranger.get("/")
    script = await site.stranger.get("/static/js/main.js")

    assert page.text.startswith("<!doctype html>")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert script.headers["content-type"] == "text/javascript; charset=utf-8"
    assert page.headers["cache-control"] == "no-cache"
    again = await site.stranger.get("/", headers={"if-none-match": page.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    (site.page / "index.html").write_text("changed")
    again = await site.stranger.get("/", headers={"if-none-match": page.headers["etag"]})
    assert (again.status_code, again.text) == (200, "changed")


@pytest.mark.parametrize(
    "path",
    [
        "/static/../outside.js", "/static/js/../../outside.js", "/static/%2e%2e/outside.js",
        "/static/..%2foutside.js", "/static/..%5coutside.js", "/static//etc/passwd",
        "/static/%2fetc%2fpasswd.txt", "/static/link.js", "/static/.hidden.js", "/static/js",
        "/static/js/", "/static/", "/static/js/notes.secret", "/static/js/main.js/",
        "/static/js/main.js%00.js", "/static/js/none.js", "/static/" + "a/" * 50 + "b.js",
        "/static/" + "a" * 300 + ".js", "/static/file:main.js", "/static/~root/main.js",
        "/static/js/./main.js", "/static/%ff.js",
    ],
)  # fmt: skip
async def test_nothing_else_of_the_disk_is_a_file_of_the_page(site, path):
    answer = await site.raw(
        b"GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: close\r\n\r\n"
        % (path.encode(), site.port)
    )
    head, _, body = answer.partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 404 "), answer
    assert b'"not_found"' in body
    assert b"outside" not in body


async def test_a_page_that_is_not_there_is_a_plain_404(site):
    (site.page / "index.html").unlink()

    assert told(await site.stranger.get("/")) == (404, "not_found")


async def test_what_is_no_http_is_told_so_in_json(site):
    for request in (
        b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
        b"GET / HTTP/1.1\r\nA" + b"a" * 70_000,
    ):
        answer = await site.raw(request)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b'{"error":{"code":"invalid_request"' in answer
        assert b"x-content-type-options: nosniff" in answer


async def test_who_does_not_finish_its_headers_is_hung_up_on(site, monkeypatch):
    monkeypatch.setattr("bridge.web.serving._HEADERS_S", 0.05)

    for begun in (b"", b"GET / HTTP/1.1\r\nHost:"):
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(begun)
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        writer.close()
    await site.quiet()


async def test_an_idle_connection_stays_and_a_second_request_that_stalls_does_not(
    site, monkeypatch
):
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    whole = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % site.port
    writer.write(whole)
    assert (await reader.readuntil(b"}")).endswith(b'{"status":"live"}')
    monkeypatch.setattr("bridge.web.serving._HEADERS_S", 0.05)
    writer.write(whole[:20])

    await site.quiet()
    writer.close()


async def test_a_body_that_does_not_come_is_not_waited_for(site, monkeypatch):
    monkeypatch.setattr("bridge.web.app.PATIENCE_S", 0.05)
    answer = await site.raw(
        f"POST /api/flush HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\n"
        f"Authorization: Bearer {site.token}\r\nContent-Length: 10\r\n\r\n{{".encode()
    )

    assert answer.startswith(b"HTTP/1.1 408 ")


async def test_more_connections_than_are_kept_are_refused_in_words(site, monkeypatch):
    monkeypatch.setattr("bridge.web.serving.MOST_CONNECTIONS", 2)
    held = [await asyncio.open_connection("127.0.0.1", site.port) for _ in range(2)]
    await site.until(lambda: len(site.connections) == 2)

    answer = await site.raw(b"")

    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after" in answer
    for _, writer in held:
        writer.close()
    await site.quiet()
    assert (await site.stranger.get("/healthz")).status_code == 200

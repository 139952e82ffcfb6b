"""Who may ask over HTTP: every decision as a line of a table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.web import guard
from bridge.web.guard import Asked, asked_of, foreign, hosts, is_open, opened, with_headers
from bridge.web.keys import CODE_S, COOKIE_S, Keys
from bridge.web.limits import Bucket
from bridge.web.routes import ROUTES

TOKEN = "t" * 43
NOW = 1_800_000_000.0
OURS = hosts(4321)


def keys(token=TOKEN, port=4321):
    names = iter(range(1000))
    return Keys(token, lambda: f"code-{next(names)}", port)


def request(verb="GET", host=b"127.0.0.1:4321", **fields):
    return Asked(verb, "/api/status", host, **fields)


@pytest.mark.parametrize(
    ("host", "origin", "fine"),
    [
        (b"127.0.0.1:4321", b"", True),
        (b"localhost:4321", b"", True),
        (b"LOCALHOST:4321", b"", True),
        (b"[::1]:4321", b"", True),
        (b"127.0.0.1:4321", b"http://127.0.0.1:4321", True),
        (b"localhost:4321", b"http://localhost:4321", True),
        (b"[::1]:4321", b"http://[::1]:4321", True),
        # Another name that leads here: DNS rebinding.
        (b"evil.example:4321", b"", False),
        (b"evil.example:4321", b"http://evil.example:4321", False),
        (b"127.0.0.1.evil.example:4321", b"", False),
        (b"localhost.evil.example:4321", b"", False),
        # Another port, or none.
        (b"127.0.0.1:80", b"", False),
        (b"127.0.0.1", b"", False),
        (b"127.0.0.1:43210", b"", False),
        (b"", b"", False),
        (b"?", b"", False),
        (b"127.0.0.1:4321 ", b"", False),
        (b"127.0.0.1:4321, evil.example", b"", False),
        # Another site's page.
        (b"127.0.0.1:4321", b"http://evil.example", False),
        (b"127.0.0.1:4321", b"null", False),
        (b"127.0.0.1:4321", b"https://127.0.0.1:4321", False),
        (b"127.0.0.1:4321", b"http://127.0.0.1:3000", False),
        (b"127.0.0.1:4321", b"http://localhost:4321", False),
        (b"127.0.0.1:4321", b"http://127.0.0.1:4321.evil.example", False),
        (b"127.0.0.1:4321", b"file://", False),
    ],
)
def test_host_and_origin_are_our_own(host, origin, fine):
    refusal = foreign(Asked("GET", "/", host, origin), OURS)

    assert (refusal is None) is fine
    if refusal is not None:
        assert (refusal.status, refusal.code) == (403, "forbidden")


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (b"Bearer " + TOKEN.encode(), None),
        (b"bearer  " + TOKEN.encode() + b" ", None),
        (b"Bearer " + TOKEN.encode()[:-1], 401),
        (b"Bearer " + TOKEN.encode() + b"x", 401),
        (b"Bearer", 401),
        (b"Bearer ", 401),
        (b"Basic " + TOKEN.encode(), 401),
        (TOKEN.encode(), 401),
        (b"?", 401),
        (b"Bearer \xff\xfe", 401),
        (b"", 401),
    ],
)
def test_the_token_opens_and_nothing_else_does(authorization, status):
    refusal = opened(request("POST", authorization=authorization), keys(), NOW)

    assert (refusal and refusal.status) == status
    if refusal is not None:
        assert (b"www-authenticate", b"Bearer") in refusal.headers
        assert TOKEN not in refusal.message


def cookie_of(made, now=NOW):
    return made.cookie(now).partition(";")[0].encode()


@pytest.mark.parametrize(
    ("verb", "origin", "site", "status"),
    [
        ("GET", b"", b"", None),
        ("GET", b"", b"same-origin", None),
        ("GET", b"", b"none", None),
        ("HEAD", b"", b"same-origin", None),
        ("POST", b"http://127.0.0.1:4321", b"same-origin", None),
        ("POST", b"http://127.0.0.1:4321", b"", None),
        ("POST", b"", b"same-origin", None),
        # Another port of this machine is the same site to a browser, and not to us.
        ("GET", b"", b"same-site", 403),
        ("GET", b"", b"cross-site", 403),
        ("POST", b"", b"", 403),
        ("DELETE", b"", b"", 403),
    ],
)
def test_the_cookie_opens_for_our_own_page_only(verb, origin, site, status):
    made = keys()
    asked = request(verb, origin=origin, site=site, cookie=b"a=b; " + cookie_of(made) + b"; c=d")

    refusal = opened(asked, made, NOW)

    assert (refusal and refusal.status) == status


def test_a_wrong_token_is_not_saved_by_a_good_cookie():
    made = keys()
    asked = request(authorization=b"Bearer wrong", cookie=cookie_of(made))

    assert opened(asked, made, NOW).status == 401


def test_a_cookie_is_good_for_a_week_and_for_its_own_token():
    made = keys()
    good = cookie_of(made)

    assert made.signed_in(good, NOW + COOKIE_S - 1)
    assert not made.signed_in(good, NOW + COOKIE_S)
    assert not keys("u" * 43).signed_in(good, NOW)
    assert keys().signed_in(good, NOW)  # after a restart


@given(st.binary(max_size=60), st.integers(0, 2**70))
def test_a_forged_cookie_opens_nothing(noise, until):
    made = keys()
    for forged in (
        noise,
        b"opencode_mem_4321=" + noise,
        b"opencode_mem_4321=%d." % until + noise,
        b"opencode_mem_4321=%d" % until,
        cookie_of(made)[:-1],
        cookie_of(made) + b"0",
        b"x" + cookie_of(made),
    ):
        assert not made.signed_in(forged, NOW)


def test_two_bridges_on_one_machine_keep_their_own_cookies():
    one, other = keys("a" * 43, 4321), keys("b" * 43, 4322)
    jar = b"; ".join((cookie_of(one), cookie_of(other)))

    assert cookie_of(one).partition(b"=")[0] != cookie_of(other).partition(b"=")[0]
    assert one.signed_in(jar, NOW)
    assert other.signed_in(jar, NOW)


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites():
    attributes = {part.strip().lower() for part in keys().cookie(NOW).split(";")[1:]}

    assert {"httponly", "samesite=strict", "path=/api"} <= attributes
    assert TOKEN not in keys().cookie(NOW)


def test_a_code_is_good_once():
    made = keys()
    code = made.invite(NOW)

    assert not made.redeem("code-999", NOW)
    assert not made.redeem("", NOW)
    assert not made.redeem("\ud800", NOW)
    assert made.redeem(code, NOW + 1)
    assert not made.redeem(code, NOW + 1)


def test_a_code_is_good_for_a_minute():
    made = keys()
    first, second = made.invite(NOW), made.invite(NOW)

    assert made.redeem(first, NOW + CODE_S - 0.1)
    assert not made.redeem(second, NOW + CODE_S)


def test_codes_that_nobody_uses_do_not_pile_up():
    made = keys()
    codes = [made.invite(NOW) for _ in range(100)]

    assert [code for code in codes if made.redeem(code, NOW)] == codes[-16:]


def test_what_needs_no_token_is_listed_and_everything_else_needs_one():
    for path in ("/", "/favicon.ico", "/static/js/main.js", "/healthz", "/readyz"):
        assert is_open(path), path
    for path in ("/api/openapi.json", "/api/session"):
        assert is_open(path), path
    for route in ROUTES:
        assert is_open(route.path) is route.open, route.path
    for path in (
        "/api", "/api/", "/api/status", "/api/session/", "/API/session", "//", "/static",
        "/nothing", "/api/episodes/x", "/api/hooks/error", "/healthz/",
    ):  # fmt: skip
        assert not is_open(path), path


def test_a_header_that_comes_twice_counts_as_neither():
    asked = asked_of(
        "GET", "/", [(b"host", b"127.0.0.1:4321"), (b"host", b"evil.example"), (b"origin", b"x")]
    )

    assert foreign(asked, OURS).status == 403
    assert asked.origin == b"x"
    assert asked_of("GET", "/", []) == Asked("GET", "/")


def test_every_answer_has_the_strict_headers_and_is_not_kept_unless_it_says_so():
    names = dict(with_headers([(b"content-type", b"application/json")]))

    assert names[b"cache-control"] == b"no-store"
    assert names[b"content-security-policy"] == guard.CSP.encode()
    assert dict(with_headers([(b"cache-control", b"no-cache")]))[b"cache-control"] == b"no-cache"
    assert "unsafe" not in guard.CSP
    assert "*" not in guard.CSP


def test_a_bucket_gives_its_burst_at_once_and_then_its_rate():
    bucket = Bucket(10.0, 5.0)

    assert [bucket.wait(1000.0) for _ in range(5)] == [0.0] * 5
    assert bucket.wait(1000.0) == pytest.approx(0.1)
    assert bucket.wait(1000.1) == 0.0
    assert bucket.wait(1000.1) > 0.0
    assert [bucket.wait(2000.0) for _ in range(5)] == [0.0] * 5


@given(st.lists(st.floats(0, 1e6), max_size=200))
def test_a_bucket_never_gives_more_than_its_burst_and_rate(times):
    bucket = Bucket(2.0, 3.0)
    times = sorted(times)

    given_out = sum(not bucket.wait(at) for at in times)

    spread = times[-1] - times[0] if times else 0.0
    assert given_out <= 3.0 + 2.0 * spread + 1e-3

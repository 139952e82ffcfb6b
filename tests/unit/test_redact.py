from __future__ import annotations

import base64
import json
import random
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory_manager.spool import redact as redact_module
from memory_manager.spool.redact import Budget, redact, redacted_value, sensitive

# Built from pieces, so that no scanner takes this file for a leak.
B = "a1B2c3D4e5F6g7H8i9J0"
SECRETS = {
    "aws": "AKIA" + "IOSFODNN7EXAMPLE",
    "github": "ghp_" + B + B[:16],
    "github fine": "github_pat_" + B + B,
    "gitlab": "glpat-" + B,
    "slack": "xoxb-" + "123456789012-123456789012-" + B,
    "slack hook": "https://hooks.slack.com/services/T0" + "AAAA/B0BBBB/" + B,
    "stripe": "sk_live_" + B + B[:4],
    "openai": "sk-proj-" + B + B,
    "openai old": "sk-" + B + "T3BlbkFJ" + B,
    "anthropic": "sk-ant-api03-" + B + B,
    "google": "AIza" + B + B[:15],
    "npm": "npm_" + B + B[:16],
    "pypi": "pypi-" + "AgEIcHlwaS5vcmc" + B * 4,
    "sendgrid": "SG." + B + "ab." + B + B + "abc",
    "jwt": "eyJ" + "hbGciOiJIUzI1NiJ9" + ".eyJ" + "zdWIiOiIxMjM0In0" + "." + B,
    "twilio": "SK" + "0123456789abcdef" * 2,
    "azure": "AccountKey=" + B * 4 + "abcdef==",
    "artifactory": "AKC" + B,
    "telegram": "123456789:" + B + B[:15],
    "discord": "M" + B + "abc" + ".aBcDeF." + B + "a1b2c3d",
}


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("frame", ["{}", "x = '{}'", '"{}",', "see {} there", "a\n{}\nb", "\\n{}"])
def test_a_secret_is_replaced_wherever_it_stands(name, frame):
    clean, rules = redact(frame.format(SECRETS[name]))

    assert SECRETS[name] not in clean
    assert B not in clean
    assert "[REDACTED:" in clean
    assert sum(rules.values()) == 1


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ('password = "hunter2"', "hunter2"),
        ("password: 'hunter2'", "hunter2"),
        ('{"password": "hunter2"}', "hunter2"),
        ('{\\"password\\": \\"hunter2\\"}', "hunter2"),
        ('password: str = "hunter2"', "hunter2"),
        ('String password = "hun\\"ter2";', "ter2"),
        ("DB_PASSWORD=hunter", "hunter"),
        ("export API_TOKEN=abcDEF123456", "abcDEF123456"),
        ("password: hunter\nuser: bob", "hunter"),
        ("api_key = 'abcd1234efgh'", "abcd1234efgh"),
        ("apiKey: `abcd1234efgh`", "abcd1234efgh"),
        ('client_secret := "s3cr3t"', "s3cr3t"),
        ('conf["secret"] = "s3cr3t"', "s3cr3t"),
        ("Server=db;User Id=sa;Password=Pa55word;", "Pa55word"),
        ("postgres://bob:s3cr3t@db:5432/app", "s3cr3t"),
        ("https://x-access-token:abc123@github.com/a/b", "abc123"),
        ("?user=1&token=abcdef123456&x=1", "abcdef123456"),
        ("deploy --password hunter2 --force", "hunter2"),
        ("deploy --api-key=hunter2", "hunter2"),
        ("Authorization: Bearer abcdef123456xyz", "abcdef123456xyz"),
        ("curl -H 'Authorization: Basic dXNlcjpwYXNz'", "dXNlcjpwYXNz"),
        ("-H 'authorization: token 0123456789abcdef'", "0123456789abcdef"),
        ("Set-Cookie: session=abc; Path=/", "abc"),
        ("<password>hunter2</password>", "hunter2"),
        ("//registry.example.org/:_authToken=0123abcd-4567", "0123abcd-4567"),
        ("aws_secret_access_key = " + B + B, B),
        ("AWS key 'abcd" + B + "0123456789abcdef'", B),
        ("cloudant_password = '" + "0123456789abcdef" * 4 + "'", "0123456789abcdef"),
        ("softlayer_api_key=" + "0123456789abcdef" * 4, "0123456789abcdef"),
    ],
)
def test_a_secret_is_known_by_its_name(text, secret):
    clean, rules = redact(text)

    assert secret not in clean
    assert sum(rules.values()) == 1
    assert redact(clean)[0] == clean


def test_a_private_key_goes_with_its_body():
    body = "\n".join([B + B + B] * 20)
    key = f"-----BEGIN RSA PRIVATE KEY-----\n{body}\nab==\n-----END RSA PRIVATE KEY-----"

    assert redact(f"x\n{key}\ny")[0] == "x\n[REDACTED:keyblock]\ny"
    assert redact(json.dumps({"k": key}))[0] == '{"k": "[REDACTED:keyblock]"}'
    assert B not in redact(key[:-40])[0]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("a<private>b</private>c", "ac"),
        ("a<PRIVATE>b</Private>c", "ac"),
        ("a<private>b<private>c</private>d</private>e", "ae"),
        ("a<private>b", "a"),
        ("a<private>b<private>c</private>d", "a"),
        ("a</private>b", "b"),
        ("a<private>b</private>c</private>d", "d"),
        ("a<private reason='x'>b</private>c", "ac"),
        ("a<pri<private>x</private>vate>b</private>c", "c"),
        ("a&lt;private&gt;b&lt;/private&gt;c", "ac"),
        ("privateer <privately>", "privateer <privately>"),
    ],
)
def test_private_passages_disappear(text, left):
    clean, _ = redact(text)

    assert clean == left
    assert redact(clean)[0] == clean


@pytest.mark.parametrize(
    "text",
    [
        "commit 9fceb02d0ae598e95dc970b74767f19372d61af8",
        "id = 'f47ac10b-58cc-4372-a567-0e02b2c3d479'",
        "token = self.tokens[i]",
        "token = next(tokens)",
        "password = get_password(user)",
        "def login(user: str, password: str) -> Token:",
        "connect(user=user, password=password, token=token)",
        'password = os.environ["DB_PASSWORD"]',
        "secret: ${{ secrets.TOKEN }}",
        "PASSWORD=${PASSWORD}",
        "  password: string;",
        "max_tokens = 4096",
        'token_type = "bearer"',
        "if token == other.token:",
        "const token = await fetchToken();",
        "tokens: 1234, cost: 0.2",
        "--token TOKEN  the token to use",
        "basic authentication and bearer tokens are supported",
        "the secret of a good password is length",
        "src/auth/token_store.py:12: error: Name 'secret' is not defined",
        "sha512-" + B * 4 + "==",
        "data:image/png;base64," + B * 20,
        "AP" + "Iclient APDescriptionOfThings",
        'BEGIN = "-----BEGIN PRIVATE KEY-----"',
        "diff --git a/app.py b/app.py\nindex 83db48f..bf269f4 100644\n--- a/app.py",
        "git@github.com:owner/repo.git",
        "https://example.org:8080/path?x=1",
        "class: sk-folding-cube sk-circle-fade-dot-animation",
        '"resolved": "https://registry.example.org/x/-/x-1.0.0.tgz"',
    ],
)
def test_ordinary_code_stays_as_it_is(text):
    assert redact(text) == (text, {})


def test_our_own_sources_stay_readable():
    root = Path(redact_module.__file__).parents[1]
    texts = [path.read_text() for path in root.glob("*.py")]

    found = [rules for text in texts for rules in [redact(text)[1]] if rules]

    assert len(found) <= len(texts) / 20


PIECES = st.sampled_from(
    [*SECRETS.values(), "password", "token", "=", ":", " ", '"', "'", "\n", "\\", "[", "]", "://",
     "@", "--", "<private>", "</private>", "bearer ", "cookie: ", "[REDACTED:aws]", "hunter2",
     "-----BEGIN PRIVATE KEY-----", B, "_", "é", "漢", "<token>", "</", "api_key", "1", "str"]
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(PIECES, max_size=12).map("".join))
def test_redacting_twice_is_redacting_once(text):
    once, _ = redact(text)

    assert redact(once)[0] == once


@settings(max_examples=200, deadline=None)
@given(st.text())
def test_any_text_is_taken(text):
    redact(text)


def test_lone_surrogates_do_not_hide_a_secret():
    clean, _ = redact("\ud800 password='hunter2' \udfff")

    assert clean == "\ud800 password='[REDACTED:assignment]' \udfff"


def test_sensitive_fields_are_dropped_and_the_rest_is_redacted():
    value = {
        "password": "x",
        "Api-Key": ["x"],
        "githubToken": "x",
        "authorization": {"a": "b"},
        "tokens": 12,
        "token": 3,
        "path": "src/app.py",
        "env": [{"name": "DB_PASSWORD", "value": "x"}, {"name": "HOME", "value": "/root"}],
        "note": "password='hunter2'",
        "n": None,
        "secret": None,
    }

    rules = Counter()
    clean = redacted_value(value, rules, Budget())

    assert clean == {
        "tokens": 12,
        "token": 3,
        "path": "src/app.py",
        "env": [{"name": "DB_PASSWORD"}, {"name": "HOME", "value": "/root"}],
        "note": "password='[REDACTED:assignment]'",
        "n": None,
        "secret": None,
    }
    assert rules == {"field": 5, "assignment": 1}


@pytest.mark.parametrize("name", ["tokens", "path", "message_id", "key", "token_count", "author"])
def test_ordinary_fields_are_not_sensitive(name):
    assert not sensitive(name)


MEGABYTE = 1 << 20
NOISE = random.Random(1).randbytes(MEGABYTE)  # noqa: S311 - the same noise each time
SHAPES = {
    "one character": "a" * MEGABYTE,
    "base64": base64.b64encode(NOISE).decode()[:MEGABYTE],
    "url-safe base64": base64.urlsafe_b64encode(NOISE).decode()[:MEGABYTE],
    "hex": NOISE.hex()[:MEGABYTE],
    "every secret": (" ".join(SECRETS.values()) * 2000)[:MEGABYTE],
    "assignments": ("password='hunter2', " * 60000)[:MEGABYTE],
    "names": ("password=" * 120000)[:MEGABYTE],
    "tokens run together": (("eyJ" + SECRETS["aws"]) * 50000)[:MEGABYTE],
    "nested private": ("<private>" * 120000)[:MEGABYTE],
    "key beginnings": ("-----BEGIN PRIVATE KEY-----" * 40000)[:MEGABYTE],
    "soup": "".join(
        random.Random(2).choices(  # noqa: S311 - the same
            ["password", "AKIA", "ghp_", "sk-", "xoxb-", "eyJ", "://", "@", "=", ":", '"', "M", ".",
             "bearer ", "--", "<token>", "-", "_", "aws", "cookie: ", B[:7], B], k=200000,
        )
    )[:MEGABYTE],
}  # fmt: skip


def calls(text: str) -> int:
    """How many functions redacting calls, ours and built-in ones: its size, whatever the machine."""
    count = 0

    def note(_frame, what, _function):
        nonlocal count
        count += what in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        redact(text)
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize("shape", SHAPES)
def test_the_work_on_text_of_any_shape_is_bounded(shape):
    """What searches is re2 (linear by construction); what Python does beside it has a budget."""
    redact_module.warm()
    redact(SHAPES[shape])  # what is learnt once is not counted

    whole, twice = calls(SHAPES[shape]), calls(SHAPES[shape] * 2)

    assert whole < 40 * redact_module.BUDGET
    assert twice < 1.2 * whole + 1000

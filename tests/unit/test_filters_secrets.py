"""A secret of any rule, planted anywhere in a report, is nowhere in what would be stored."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory_manager.errors import InvalidRequest
from memory_manager.model import EventKind
from memory_manager.spool import patterns
from memory_manager.spool.events import ingested, raw_event
from memory_manager.spool.redact import Budget, redact, redacted_value, sensitive

# Built from pieces, so that no scanner takes this file for a leak.
B = "a1B2c3D4e5F6g7H8i9J0"
U, X = B.upper(), "0123456789abcdef"
#: Rule: how it is written, and what of it is secret.
PLANTED = {
    "age": ("{}", "AGE-SECRET-KEY-1" + (U * 3)[:58]),
    "anthropic": ("{}", "sk-ant-api03-" + B * 2),
    "artifactory": ("{}", "AKC" + B),
    "assignment": ("password = '{}'", "hunter2" + B),
    "auth": ("Authorization: Bearer {}", B + B),
    "aws": ("{}", "AKIA" + "IOSFODNN7EXAMPLE"),
    "azure": ("AccountKey={}", B * 4 + "abcdef=="),
    "cloudant": ("cloudant_password = '{}'", X * 4),
    "cookies": ("Cookie: {}", "sid=" + B),
    "databricks": ("{}", "dapi" + X * 2),
    "digitalocean": ("{}", "dop_v1_" + X * 4),
    "discord": ("{}", "M" + B + "abc" + ".aBcDeF." + B + "a1b2c3d"),
    "docker": ("{}", "dckr_pat_" + B),
    "element": ("<password>{}</password>", "hunter2" + B),
    "flag": ("deploy --password {} --force", "hunter2" + B),
    "fly": ("{}", "fo1_" + (B * 3)[:43]),
    "github": ("{}", "ghp_" + B + B[:16]),
    "gitlab": ("{}", "glpat-" + B),
    "google": ("{}", "AIza" + B + B[:15]),
    "grafana": ("{}", "glsa_" + B * 2),
    "groq": ("{}", "gsk_" + B * 2),
    "huggingface": ("{}", "hf_" + B * 2),
    "ibm": ("ibm_cloud_iam_api_key = '{}'", (B * 3)[:44]),
    "jwt": ("{}", "eyJ" + "hbGciOiJIUzI1NiJ9" + ".eyJ" + "zdWIiOiIxMjM0In0" + "." + B),
    "keyblock": ("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----", B * 3),
    "linear": ("{}", "lin_api_" + B * 2),
    "mailchimp": ("{}", X * 2 + "-us12"),
    "newrelic": ("{}", "NRAK-" + (U * 2)[:27]),
    "notion": ("{}", "ntn_" + B * 2),
    "npm": ("{}", "npm_" + B + B[:16]),
    "openai": ("{}", "sk-proj-" + B * 2),
    "pypi": ("{}", "pypi-" + "AgEIcHlwaS5vcmc" + B * 4),
    "sendgrid": ("{}", "SG." + B + "ab." + B + B + "abc"),
    "sentry": ("{}", "sntrys_" + B * 2),
    "shopify": ("{}", "shpat_" + X * 2),
    "slack": ("{}", "xoxb-" + "123456789012-123456789012-" + B),
    "softlayer": ("softlayer_api_key={}", X * 4),
    "square": ("{}", "sq0csp-" + (B * 3)[:43]),
    "stripe": ("{}", "sk_live_" + B + B[:4]),
    "supabase": ("{}", "sbp_" + B),
    "telegram": ("{}", "123456789:" + B + B[:15]),
    "terraform": ("{}", B[:14] + ".atlasv1." + B * 4),
    "twilio": ("{}", "SK" + X * 2),
    "url": ("postgres://bob:{}@db:5432/app", "hunter2" + B),
    "vault": ("{}", "hvs." + B * 2),
    "xai": ("{}", "xai-" + B * 4),
    "private": ("<private>{}</private>", "the plan of " + B),
}
RULES = {rule for table in (patterns.marked(), patterns.unmarked()) for rule, *_ in table}
RULES |= {rule for rule, _ in patterns.contexts()}
NOW = 1_800_000_000.0


def everything(event) -> str:
    """All that the disk would get of it."""
    fields = [event.event_id, event.session, event.content]
    return "\n".join([*fields, json.dumps(dict(event.metadata), ensure_ascii=False)])


def made(**changes):
    fields = {
        "event_id": "e", "group": "g", "session": "s", "kind": EventKind.NOTE, "at": NOW,
        "now": NOW, "content": "c",
    }  # fmt: skip
    return raw_event(**fields | changes)


def test_every_rule_that_we_have_is_planted_here():
    assert not RULES - PLANTED.keys()


@pytest.mark.parametrize("rule", PLANTED)
@pytest.mark.parametrize("kind", [EventKind.COMMAND, EventKind.PROMPT])
def test_a_planted_secret_is_in_no_field_and_counted_by_its_rule(rule, kind):
    form, secret = PLANTED[rule]
    text = f"see {form.format(secret)} there"
    nested = {"list": [1, {"inner": text}, [text]], text: "as a name"}
    counted = Counter()

    event = made(
        event_id=text, session=text, kind=kind, content=text, counted=counted,
        metadata={"command": text, "output": f"first\n{text}\nlast", "path": text, **nested},
    )  # fmt: skip

    assert secret not in everything(event)
    assert counted[rule] >= 6
    assert counted.total() == counted[rule] or rule not in {"github", "aws", "private"}


@pytest.mark.parametrize("rule", PLANTED)
def test_two_ids_with_secrets_in_them_stay_two_and_the_same_ones(rule):
    form, secret = PLANTED[rule]
    first, second = (form.format(f"{secret[:-1]}{end}") for end in "12")

    ids = {made(event_id=text).event_id for text in (first, second, first)}

    assert len(ids) == 2
    assert all(secret[:-1] not in known for known in ids)


@pytest.mark.parametrize(
    "name",
    [
        "password", "db_password", "Passwords", "token", "X-Auth-Token", "accessTokens", "cookie",
        "Set-Cookie", "private_key", "sshKey", "authorization", "Proxy-Authorization", "auth", "jwt",
        "client.secret", "spring.datasource.password", "API Key", "api_keys", "connection string",
        "AWS_SECRET_ACCESS_KEY", "bearer", "secret_value",
    ],
)  # fmt: skip
def test_a_field_that_is_named_like_a_secret_is_dropped_at_any_depth(name):
    counted = Counter()

    event = made(metadata={"a": [{"b": {name: "blue sky"}}], name: "blue sky"}, counted=counted)

    assert event.metadata == {"a": [{"b": {}}], "type": "note"}
    assert counted == {"field": 2}


@pytest.mark.parametrize(
    "name", ["tokens", "author", "keyboard", "passed", "path", "monkey", "oauth"]
)
def test_a_field_that_only_sounds_like_one_stays(name):
    assert not sensitive(name)
    assert made(metadata={name: "blue sky"}).metadata[name] == "blue sky"


@pytest.mark.parametrize(
    ("value", "left"),
    [
        (["mysql", "--password", "blue sky"], ["mysql", "--password", "[REDACTED:field]"]),
        (["-u", "bob", "--api-key", "blue"], ["-u", "bob", "--api-key", "[REDACTED:field]"]),
        ([["Authorization", "blue sky"]], [["Authorization", "[REDACTED:field]"]]),
        (["--password", "--force"], ["--password", "--force"]),
        (["secret", "garden", "party"], ["secret", "garden", "party"]),
        ([{"key": "API_TOKEN", "value": "blue"}], [{"key": "API_TOKEN"}]),
    ],
)
def test_what_an_argument_or_a_pair_names_is_no_secret_any_more(value, left):
    assert redacted_value(value, Counter(), Budget()) == left
    assert redacted_value(left, Counter(), Budget()) == left


PLACES = st.sampled_from(["event_id", "session", "content", "value", "name", "deep", "list"])
AROUND = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=6)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(PLANTED)), st.lists(PLACES, min_size=1), st.sampled_from(EventKind))
def test_wherever_a_secret_is_planted_it_is_stored_nowhere(rule, places, kind):
    form, secret = PLANTED[rule]
    text = f" {form.format(secret)} "
    item = {"event_id": "e", "session_id": "s", "content": "c", "metadata": {"tool": "x"}}
    item["metadata"] |= {name: text for name in ("output", "diff") if "value" in places}
    item["metadata"] |= {text: text} if "name" in places else {}
    item["metadata"] |= {"d": {"e": {"f": [text]}}} if "deep" in places else {}
    item["metadata"] |= {"l": [text, [text]]} if "list" in places else {}
    for place, field in (
        ("event_id", "event_id"),
        ("session", "session_id"),
        ("content", "content"),
    ):
        item[field] = text if place in places else item[field]

    try:
        event = ingested({**item, "kind": kind.value}, group="g", now=NOW)
    except InvalidRequest:
        assert kind is EventKind.SUMMARY
        return

    assert event is None or secret not in everything(event)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    | st.sampled_from(["<private>", "</private>", "\ud800", "\0", "[Memory Context]\n", "-p"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=20,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(JSON, JSON, st.sampled_from([*EventKind, "nonsense"]))
def test_any_json_is_an_event_or_a_precise_complaint_and_filtering_twice_is_once(
    content, metadata, kind
):
    item = {"id": "e", "content": content, "metadata": metadata, "kind": kind}
    try:
        event = ingested(item, group="g", now=NOW)
    except InvalidRequest:
        return
    if event is not None:
        again = ingested(
            {**item, "content": event.content, "metadata": dict(event.metadata)}, group="g", now=NOW
        )
        everything(event).encode()
        assert again is None or (again.content, again.metadata) == (event.content, event.metadata)


@settings(max_examples=200, deadline=None)
@given(
    AROUND, st.sampled_from(sorted(PLANTED)), st.sampled_from(["\ud800", "\0", "\x1b[0m", "\u200b"])
)
def test_control_characters_and_lone_surrogates_hide_no_secret(around, rule, odd):
    form, secret = PLANTED[rule]

    event = made(content=f"{around} {odd} {form.format(secret)} {odd}{around}")

    assert event is None or secret not in everything(event)


def test_a_summary_is_made_here_and_never_reported():
    with pytest.raises(InvalidRequest, match=r"^kind: 'summary' is unknown; one of ") as refused:
        ingested({"content": "x", "kind": "summary"}, group="g", now=NOW)

    assert "summary" not in str(refused.value).partition("one of")[2]


def test_redacting_a_whole_event_twice_counts_once():
    once, _ = redact(f"password='hunter2' <private>x</private> {PLANTED['github'][1]}")

    assert redact(once) == (once, {})

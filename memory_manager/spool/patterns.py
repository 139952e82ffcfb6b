r"""What secrets look like: tables only. Pure.

Token formats come from detect-secrets, taken as data (its scanner takes 34 ms for 3 KB), and from
our own table. They are compiled for google-re2, whose time is linear; so what re2 lacks goes:

- look-behind at the start of an assignment (`(?<=\W)`) is dropped: the pattern matches more;
- `(?!\w)` after a token is dropped: a greedy tail takes the rest of the word anyway;
- `{50,1024}` becomes `{50,}` (re2 counts to 1000);
- the neighbours of an Artifactory token are dropped;
- formats without a telling prefix get `\b`, else random base64 would need too many states.

Left out: `keyword` (look-ahead, back-references; `redact.py` has its own assignment rule), `npm` and
`basic_auth` (the assignment and URL rules cover more), `private_key` (ours takes whole blocks),
`jwt` (ours needs three parts), `openai` (its unbounded middle makes re2 look ahead
too far; ours is bounded), `ip_public` (an address is no secret), the high-entropy detectors
(hashes and identifiers must stay readable), Artifactory passwords (`AP…` is ordinary code).
"""

from __future__ import annotations

import re
from importlib import import_module

#: Formats of our own: rule, beginning, rest. A beginning is looked for first, in one small automaton
#: (all formats in one would have more states than re2 keeps); only there is the format tried.
TOKENS: tuple[tuple[str, str, str], ...] = (
    ("github", r"github_pat_", r"[A-Za-z0-9_]{22,}"),
    ("github", r"gh[pousr]_", r"[A-Za-z0-9]{36,}"),
    ("gitlab", r"gl(?:pat|dt|ft|soat|rt|ptt|agent|imt|cbt|oas|ffct)-", r"[A-Za-z0-9_.-]{20,}"),
    ("slack", r"xox[a-z](?:\.xox[a-z])?-", r"[A-Za-z0-9-]{10,}"),
    ("slack", r"xapp-\d-", r"[A-Za-z0-9-]{10,}"),
    ("stripe", r"[rsp]k_(?:live|test)_", r"[0-9A-Za-z]{16,}"),
    ("stripe", r"whsec_", r"[A-Za-z0-9+/=]{24,}"),
    ("anthropic", r"sk-ant-", r"[A-Za-z0-9_-]{16,}"),
    ("openai", r"\bsk-(?:proj|svcacct|admin|or|None)-", r"[A-Za-z0-9_-]{20,}"),
    ("openai", r"\bsk-[A-Za-z0-9]{20}", r"[A-Za-z0-9]*"),
    ("openai", r"\bsk-[a-z]{1,20}-", r"[A-Za-z0-9_-]{1,80}T3BlbkFJ[A-Za-z0-9]{20}"),
    ("google", r"AIza", r"[0-9A-Za-z_-]{35}"),
    ("google", r"\bya29\.", r"[0-9A-Za-z_-]{20,}"),
    ("google", r"GOCSPX-", r"[0-9A-Za-z_-]{20,}"),
    ("huggingface", r"\bhf_", r"[A-Za-z0-9]{30,}"),
    ("groq", r"\bgsk_", r"[A-Za-z0-9]{40,}"),
    ("xai", r"\bxai-", r"[A-Za-z0-9]{60,}"),
    ("npm", r"\bnpm_", r"[A-Za-z0-9]{36}"),
    ("pypi", r"pypi-A", r"[A-Za-z0-9_-]{70,}"),
    ("digitalocean", r"do[opr]_v1_", r"[a-f0-9]{64}"),
    ("shopify", r"shp(?:at|ca|pa|ss)_", r"[a-fA-F0-9]{32}"),
    ("linear", r"lin_(?:api|oauth)_", r"[A-Za-z0-9]{32,}"),
    ("notion", r"\bntn_", r"[A-Za-z0-9]{40,}"),
    ("vault", r"\bhv[sbr]\.", r"[A-Za-z0-9_-]{24,}"),
    ("age", r"AGE-SECRET-KEY-1", r"[0-9A-Z]{58}"),
    ("databricks", r"\bdapi[a-f0-9]", r"[a-f0-9]{31}"),
    ("supabase", r"\bsb(?:p|_secret)_", r"[A-Za-z0-9_]{20,}"),
    ("grafana", r"\bgl(?:c|sa)_", r"[A-Za-z0-9_+/=]{32,}"),
    ("fly", r"\bfo1_", r"[A-Za-z0-9_-]{43}"),
    ("fly", r"FlyV1 fm\d_", r"[A-Za-z0-9+/=,_-]{50,}"),
    ("docker", r"\bdckr_(?:pat|oat)_", r"[A-Za-z0-9_-]{20,}"),
    ("newrelic", r"\bNRAK-", r"[A-Z0-9]{27}"),
    ("sentry", r"\bsntry[su]_", r"[A-Za-z0-9+/=_-]{40,}"),
)

#: Detectors of detect-secrets whose formats have a telling beginning: module, rule, beginning.
_MARKED = (
    ("artifactory", "artifactory", r"\bAKC"),
    ("aws", "aws", r"A3T[A-Z0-9]|ABIA|ACCA|AKIA|ASIA"),
    ("azure_storage_key", "azure", r"AccountKey="),
    ("github_token", "github", r"gh[pousr]_"),
    ("gitlab_token", "gitlab", r"gl[a-z]{2,5}-|GR1348941"),
    ("pypi_token", "pypi", r"pypi-A"),
    ("sendgrid", "sendgrid", r"\bSG\."),
    ("slack", "slack", r"(?i:xox[a-z]-|https://hooks\.)"),
    ("square_oauth", "square", r"sq0csp-"),
    ("stripe", "stripe", r"[rs]k_live_"),
)
#: Those without: they are matched as they are, after a word's boundary.
_UNMARKED = (
    ("discord", "discord"),
    ("mailchimp", "mailchimp"),
    ("telegram_token", "telegram"),
    ("twilio", "twilio"),
)
#: Those that need context.
_CONTEXTS = (
    ("aws", "aws"),
    ("cloudant", "cloudant"),
    ("ibm_cloud_iam", "ibm"),
    ("ibm_cos_hmac", "ibm"),
    ("softlayer", "softlayer"),
)

_REWRITES = (
    (re.compile(r"\(\?:\(\?<=\\W\)\|\(\?<=\^\)\)|\(\?![^()]*\)"), ""),
    (re.compile(r"\{50,1024\}"), "{50,}"),
    (re.compile(re.escape(r'(?:\s|=|:|"|^)')), ""),
    (re.compile(re.escape(r'(?:\s|"|$)')), ""),
)
_GROUP = re.compile(r"(?<!\\)\((?!\?)")
_ORDINARY_CODE = r"AP[\dABCDEF]"


def marked() -> list[tuple[str, str, str]]:
    """Formats with a telling beginning: rule, beginning, whole format; ours and theirs.

    The first call of this and its siblings imports detect-secrets: 0.2 to 0.3 s, most of it
    `requests`, which its detectors import to try secrets out.
    """
    ours = [(rule, _begun(head), head.removeprefix(r"\b") + rest) for rule, head, rest in TOKENS]
    return ours + [
        (rule, _begun(head), _GROUP.sub("(?:", f"(?i:{text})" if rule == "slack" else text))
        for module, rule, head in _MARKED
        for text, any_case in _denylist(module)
        if rule == "slack" or not any_case
    ]


def unmarked() -> list[tuple[str, str]]:
    """Formats without a telling beginning: rule, format."""
    ours = [("terraform", _BEGINNING + r"[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_-]{60,}")]
    return ours + [
        (rule, _BEGINNING + _GROUP.sub("(?:", text))
        for module, rule in _UNMARKED
        for text, _ in _denylist(module)
    ]


def contexts() -> list[tuple[str, str]]:
    """Formats that are secret in their context: rule, pattern with one group for the secret."""
    return [
        (rule, f"(?i:{text})")
        for module, rule in _CONTEXTS
        for text, any_case in _denylist(module)
        if any_case
    ]


def _begun(head: str) -> str:
    return _BEGINNING + head.removeprefix(r"\b") if head.startswith(r"\b") else head


def _denylist(name: str) -> list[tuple[str, bool]]:
    """The detector's patterns in re2's language, and whether case does not matter."""
    module = import_module(f"detect_secrets.plugins.{name}")
    found: list[tuple[str, bool]] = []
    for value in vars(module).values():
        if not isinstance(value, type) or value.__module__ != module.__name__:
            continue
        for pattern in vars(value).get("denylist", ()):
            text = pattern.pattern
            for old, new in _REWRITES:
                text = old.sub(new, text)
            if _ORDINARY_CODE not in text:
                found.append((text, bool(pattern.flags & re.IGNORECASE)))
    return found


#: A word's beginning, also behind the escaped line end of a string in a string.
_BEGINNING = r"(?:\b|\\[nrt])"

#: What names a secret in an assignment, a flag or a tag; case does not matter.
NAMES = (
    r"pass(?:word|wd|phrase|code)|pwd|secret|token|credentials?|contrase(?:ñ|n)a|[_-]pass|"
    r"(?:api|access|auth|account|private|client|signing|encryption|master|service|db|database|"
    r"license|sas|ssh|session|app|webhook)[_-]?key|connection[_-]?string|[_-]auth"
)

#: Beginnings without which nothing in a text can match any rule; lower case.
HINTS = (
    r"(?i)pass|pwd|secret|token|credential|contrase|key|conn|[_-]auth|authoriz|bearer|basic|"
    r"cookie|private|eyj|://|github_|gh[pousr]_|gl\w{1,5}-|gl(?:c|sa)_|gr1348941|xox|xapp-|[rsp]k_|whsec|sk-|aiza|"
    r"ya29|gocspx|hf_|gsk_|xai-|npm_|pypi-|do[opr]_v1|shp|lin_|ntn_|hv[sbr]\.|dapi|sb[p_]|atlasv1|"
    r"fo1_|flyv1|dckr|nrak|sntry|akc|akia|asia|a3t|abia|acca|-us\d|sg\.|hooks\.|sq0|\d:|"
    r"[mno][\w-]{23,25}\.|(?:\b|\\[nrt])(?:ac|sk)[a-z0-9]{32}|cl(?:ou)?[_-]?(?:pw|api)|pw"
)

"""From the words of a command line to a request. Pure; nothing in a value is interpreted.

A request that can't be right is refused here (`InvalidRequest` names the argument and the mend),
before anything is connected or imported. Hand
written because `argparse` costs 8 ms of a 15 ms command, and guesses abbreviations.
"""

from memory_manager import contract, wire
from memory_manager.errors import InvalidRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

#: Of each command: options with a value, flags, fewest and most positional arguments.
COMMANDS: dict[str, tuple[tuple[str, ...], tuple[str, ...], int, int]] = {
    "store": (("group", "source", "at"), ("no-wait",), 1, 2),
    "query": (("limit", "group", "budget", "at"), ("json",), 1, 1000),
    "entities": (("group",), (), 0, 1),
    "export": (("group",), (), 0, 1),
    "hook": ((), (), 1, 1),
    "ingest": (("group",), ("opencode",), 0, 0),
    "ensure": ((), (), 0, 0),
    "serve": ((), (), 0, 0),
    "append": ((), (), 0, 0),  # ours: the way into the spool without a bridge
}

#: What is missing when a command has too few arguments.
_MISSING = {
    "store": "content: missing; give the text to store, or - to read it from stdin",
    "query": "text: missing; give the question in quotes",
    "hook": "name: missing; one of chat:start, file:write, error, completion, context:replay",
}

_VISIBLE = "store, query, entities, export, hook, ingest, ensure, serve"

HELP = """\
usage: python3 memory_manager.py <command> [arguments]

  store <content> [metadata_json]   store an episode; prints its name. - reads stdin
        --group G --source S --at TIME --no-wait
  query <text>                      search memory; prints what is relevant, or nothing
        --limit N (5) --group G --budget TOKENS --at TIME --json
  entities [type]                   list entities as JSON   --group G
  export [path]                     write graphiti_export_<timestamp>.json   --group G
  hook <name>                       one hook call: JSON on stdin, reply on stdout, status 0
  ingest                            raw events, NDJSON on stdin   --group G
        --opencode (lines are {"event", "at"} or {"hook", "payload", "at"})
  ensure                            start the bridge if none runs; prints how to reach it
  serve                             run the bridge in the foreground

Content that begins with a dash goes after `--`. TIME is ISO 8601 (UTC) or epoch seconds.
Exit status: 0 done, 1 failed, 2 malformed request, 3 memory unavailable.
"""

#: Options that hold a small whole number, and its range.
_NUMBERS = {"limit": (1, 100), "budget": (1, 1_000_000)}

#: Longest group, source or type, in characters.
_NAME_LIMIT = 512


def command_of(argv: list[str]) -> tuple[str, list[str], list[str]]:
    """The command, the words after it, and notes about what was corrected."""
    if not argv:
        raise InvalidRequest(f"command: missing; one of {_VISIBLE}")
    word, rest = argv[0], argv[1:]
    name = _plain(word)
    if name in COMMANDS:
        return name, rest, [f"taking {word} as {name}"] if name != word else []
    head, equals, first = word.partition("=")
    if equals and _plain(head) in COMMANDS:
        note = f"taking {head}= as {_plain(head)} and a space"
        return _plain(head), [first, *rest] if first else rest, [note]
    if name == "import":
        raise InvalidRequest("import: not available yet")
    if word.startswith("-"):
        raise InvalidRequest(f"{contract.one_line(word, 60)}: the command comes first: {_VISIBLE}")
    raise InvalidRequest(f"command: no {contract.one_line(word, 60)!r}; one of {_VISIBLE}")


def words_of(command: str, words: list[str]) -> tuple[list[str], dict[str, str | bool], list[str]]:
    """Positional arguments, options by name, and notes about what was corrected."""
    valued, flags, fewest, most = COMMANDS[command]
    positional: list[str] = []
    options: dict[str, str | bool] = {}
    notes: list[str] = []
    rest = iter(words)
    for word in rest:
        if word == "--":
            positional.extend(rest)
            break
        written, equals, value = word.partition("=")
        name = _plain(written)
        if not word.startswith("-") or word == "-":
            positional.append(word)
        elif name not in valued and name not in flags:
            # No option has white space in it: a list item, a diff or a signature is content.
            if not any(letter.isspace() for letter in written):
                raise InvalidRequest(_unknown(command, written, valued + flags))
            notes.append(f"taking {contract.one_line(word, 40)!r} as text; put -- before it")
            positional.append(word)
        elif name in options:
            raise InvalidRequest(f"--{name}: given twice")
        else:
            if written != f"--{name}" or equals:
                notes.append(f"taking {written}{equals} as --{name}")
            options[name] = _value(name, value if equals else None, rest, flag=name in flags)
    if len(positional) < fewest:
        raise InvalidRequest(_MISSING[command])
    if len(positional) > most:
        extra = contract.one_line(positional[most], 40)
        raise InvalidRequest(
            f"{extra!r}: one argument too many; put quotes around text with spaces"
        )
    return positional, options, notes


def store_params(content: str, metadata: str, options: dict[str, str | bool]) -> dict[str, object]:
    """What `store` sends: content, metadata, group, source, at, wait."""
    if not content.strip():
        raise InvalidRequest("content: empty; give the text to store")
    size = len(content.encode("utf-8", "replace")) + len(metadata.encode("utf-8", "replace"))
    if size > contract.BODY_LIMIT:
        raise InvalidRequest(
            f"content: {size} bytes, and {contract.BODY_LIMIT} are the most; store it in parts"
        )
    value: object = {}
    if metadata:
        value = _json("metadata_json", metadata)
        if not isinstance(value, dict):
            raise InvalidRequest(
                'metadata_json: not a JSON object such as {"type": "note"}; '
                "put quotes around content with spaces"
            )
    return {
        "content": content,
        "metadata": value,
        "group": _name(options, "group"),
        "source": _name(options, "source"),
        "at": _time(options),
        "wait": "no-wait" not in options,
    }


def query_params(words: list[str], options: dict[str, str | bool]) -> dict[str, object]:
    """What `query` sends: text, limit, group, budget, at, json."""
    text = " ".join(words)
    if not text.strip():
        raise InvalidRequest("text: empty; give the question in quotes")
    if len(text.encode("utf-8", "replace")) > contract.BODY_LIMIT:
        raise InvalidRequest(
            f"text: longer than {contract.BODY_LIMIT} bytes; ask a shorter question"
        )
    return {
        "text": text,
        "limit": _number(options, "limit") or 5,
        "group": _name(options, "group"),
        "budget": _number(options, "budget"),
        "at": _time(options),
        "json": "json" in options,
    }


def scope_params(options: dict[str, str | bool]) -> dict[str, object]:
    """What every other method sends: the group."""
    return {"group": _name(options, "group")}


def entities_params(words: list[str], options: dict[str, str | bool]) -> dict[str, object]:
    """What `entities` sends: type, group."""
    kind = words[0] if words else None
    if kind is not None and (not kind.strip() or len(kind) > _NAME_LIMIT):
        raise InvalidRequest("type: empty or too long; leave it out to list all")
    return {"type": kind, **scope_params(options)}


def export_path(words: list[str], cwd: str, stamp: str) -> str:
    """The absolute path of the export; a folder (`/` at its end) gets a file of the usual name."""
    named = words[0] if words else ""
    if "\0" in named:
        raise InvalidRequest("path: holds a NUL byte; give another one")
    path = named if named.startswith("/") else f"{cwd.rstrip('/')}/{named}"
    return f"{path}graphiti_export_{stamp}.json" if path.endswith("/") else path


def hook_name(word: str) -> tuple[str, str]:
    """The hook's name, and a note when the word is not one of its spellings as it stands."""
    spelling = word if word in contract.HOOKS else word.strip().lower()
    if spelling not in contract.HOOKS:
        known = ", ".join(dict.fromkeys(contract.HOOKS.values()))
        raise InvalidRequest(f"name: no hook {contract.one_line(word, 60)!r}; one of {known}")
    name = contract.HOOKS[spelling]
    return name, "" if spelling == word else f"taking {word} as {name}"


def hook_payload(text: str) -> dict[str, object]:
    """The payload of a hook: one JSON object."""
    if not text.strip():
        raise InvalidRequest("payload: empty; send one JSON object on stdin")
    payload = _json("payload", text)
    if not isinstance(payload, dict):
        raise InvalidRequest("payload: not a JSON object; send one on stdin")
    return payload


def ingest_events(text: str) -> list[dict[str, object]]:
    """The raw events of NDJSON, one object a line; empty lines don't count."""
    events: list[dict[str, object]] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        event = _json(f"line {number}", line)
        if not isinstance(event, dict):
            raise InvalidRequest(f"line {number}: not a JSON object; one event on each line")
        if len(line.encode("utf-8", "replace")) > contract.BODY_LIMIT:
            raise InvalidRequest(
                f"line {number}: longer than {contract.BODY_LIMIT} bytes; shorten it"
            )
        events.append(event)
    return events


def nameless(event: dict[str, object]) -> bool:
    """Whether a raw event brings nothing to identify it by, so that it needs an id of ours."""
    return not (event.get("event_id") or event.get("id"))


def _plain(word: str) -> str:
    return word.lstrip("-").lower().replace("_", "-")


def _value(name: str, given: str | None, rest: "Iterator[str]", *, flag: bool) -> str | bool:
    if flag:
        if given is not None:
            raise InvalidRequest(f"--{name}: takes no value")
        return True
    value = next(rest, None) if given is None else given
    if value is None or (given is None and value.startswith("--")):
        raise InvalidRequest(f"--{name}: its value is missing")
    return value


def _json(what: str, text: str) -> object:
    try:
        return wire.loads(text.removeprefix("\ufeff"))
    except ValueError as error:
        raise InvalidRequest(f"{what}: not JSON: {contract.one_line(str(error), 120)}") from error


def _unknown(command: str, written: str, known: tuple[str, ...]) -> str:
    takes = ", ".join(f"--{name}" for name in known) or "no options"
    hint = f"; {command} takes {takes}; text that begins with a dash goes after --"
    return f"{contract.one_line(written, 60)}: unknown option{hint}"


def _name(options: dict[str, str | bool], option: str) -> str | None:
    value = options.get(option)
    if value is None:
        return None
    name = str(value).strip()
    if not name or len(name) > _NAME_LIMIT or not name.isprintable():
        raise InvalidRequest(f"--{option}: 1 to {_NAME_LIMIT} printable characters")
    return name


def _number(options: dict[str, str | bool], option: str) -> int | None:
    value = options.get(option)
    if value is None:
        return None
    digits, (low, high) = str(value).strip(), _NUMBERS[option]
    if not (digits.isascii() and digits.isdigit() and low <= int(digits[:9]) <= high):
        shown = contract.one_line(digits, 40)
        raise InvalidRequest(f"--{option}: {shown!r} is not a whole number from {low} to {high}")
    return int(digits[:9])


def _time(options: dict[str, str | bool]) -> float | None:
    value = options.get("at")
    if value is None:
        return None
    from datetime import UTC, datetime  # noqa: PLC0415 - only where a time is given

    text = str(value).strip()
    try:
        if text.replace(".", "", 1).isdigit() and text.isascii() and len(text) != len("20261120"):
            moment = datetime.fromtimestamp(float(text), UTC)
        else:
            moment = datetime.fromisoformat(text)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return moment.timestamp()
    except (ValueError, OverflowError, OSError):
        shown = contract.one_line(text, 40)
        raise InvalidRequest(
            f"--at: {shown!r} is no time; write 2026-11-20T10:15:00Z or epoch seconds"
        ) from None

"""The command: words in, one request, one answer printed, an exit status.

Exactly the documented thing on stdout, everything else on stderr.
"""

import os
import time

from memory_manager import __version__, arguments, calling, contract, terminal, wire
from memory_manager.errors import InvalidRequest, MemoryFault, Rejected, Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

#: Values of OPENCODE_MEM_DISABLED that mean yes.
_YES = ("1", "true", "yes", "on", "t", "y")

#: Bytes of OpenCode's events, and characters and events of one request: as UTF-8 and JSON a
#: character may take six.
_MOST_STREAMED = 64 * 1024 * 1024
_MOST_OF_A_REQUEST, _MOST_EVENTS = 1024 * 1024, 2000

#: What the shell says of a command that Ctrl-C ended.
_INTERRUPTED = 130


def run(argv: list[str]) -> int:
    """Carry out one command line (without the program's name) and give the exit status."""
    # The bytes that were typed, read as UTF-8 whatever the locale made of them.
    words = [os.fsencode(word).decode("utf-8", "replace") for word in argv]
    try:
        return _command(words)
    except MemoryFault as error:
        return terminal.fail(str(error), _status(error))
    except KeyboardInterrupt:
        return _INTERRUPTED
    except Exception as error:  # noqa: BLE001 - a bug is told in one line too
        return terminal.fail(_bug(error), contract.FAILED)


def rendered(method: str, result: object) -> str:
    """What stdout gets for the bridge's answer to `method` (or "query --json"). Pure.

    Raises:
        Rejected: the answer is not of the agreed shape.
    """
    if not isinstance(result, dict):
        raise Rejected(f"the bridge's answer to {method} is no object")
    try:
        match method:
            case "store":
                text = str(result["name"])
            case "query":
                text = str(result["text"]).rstrip("\n")
            case "query --json":
                text = wire.readable(result["hits"])
            case "entities":
                text = wire.readable(result["entities"])
            case "export":
                text = _exported(result["path"], result.get("counts"))
            case "ingest":
                text = _chosen(result, "inserted", "received", "duplicates")
            case _:
                text = _chosen(result, "socket", "pid", "version", "url")
    except KeyError as error:
        raise Rejected(f"the bridge's answer to {method} lacks {error}") from error
    return text


def _exported(path: object, counts: object) -> str:
    parts = counts.items() if isinstance(counts, dict) else ()
    return f"Exported {', '.join(f'{number} {name}' for name, number in parts)} to {path}"


def _chosen(result: dict[str, object], *names: str) -> str:
    return wire.readable({name: result[name] for name in names})


def _command(words: list[str]) -> int:
    options = words[: words.index("--")] if "--" in words else words
    if options[:1] == ["help"] or "--help" in options or "-h" in options:
        return terminal.say(arguments.HELP.rstrip("\n"))
    if options[:1] == ["--version"]:
        return terminal.say(__version__)
    command, rest, notes = arguments.command_of(words)
    terminal.note(*notes)
    match command:
        case "hook":
            return _hook(rest)
        case "serve":
            from memory_manager import starting  # noqa: PLC0415 - heavy

            arguments.words_of(command, rest)
            return starting.serve()
        case "append":
            from memory_manager import append  # noqa: PLC0415 - heavy

            return terminal.say(append.appended(terminal.read(contract.LINE_LIMIT)))
        case _:
            return _asked(command, rest)


def _asked(command: str, words: list[str]) -> int:
    began = time.monotonic()
    positional, options, notes = arguments.words_of(command, words)
    terminal.note(*notes)
    method, shown = command, command
    match command:
        case "store":
            content = positional[0]
            if content == "-":
                content = terminal.read(contract.BODY_LIMIT)
            metadata = positional[1] if len(positional) > 1 else ""
            params = arguments.store_params(content, metadata, options)
            params["event_id"] = _event_id()
            params["at"] = params["at"] or time.time()
        case "query":
            params = arguments.query_params(positional, options)
            shown = "query --json" if params["json"] else "query"
            if len(positional) > 1:
                terminal.note("taking all words as one question; put quotes around it")
        case "entities":
            params = arguments.entities_params(positional, options)
        case "export":
            stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
            params = arguments.scope_params(options)
            params["path"] = arguments.export_path(positional, terminal.folder(), stamp)
        case "ingest" if "opencode" in options:
            return _overheard(arguments.scope_params(options))
        case "ingest":
            events = arguments.ingest_events(terminal.read(contract.LINE_LIMIT))
            for event in filter(arguments.nameless, events):
                event["event_id"] = _event_id()
            params = {"events": events, **arguments.scope_params(options)}
        case _:
            method, params = "ping", {}
    result, note = calling.call(method, params | _place(), began, contract.DEADLINES[method])
    text = rendered(shown, result)
    terminal.note(note, str(result.get("note") or "") if isinstance(result, dict) else "")
    return terminal.say(text)


def _overheard(scope: dict[str, object]) -> int:
    """OpenCode's events and hook calls, as many as there are, in requests of a size."""
    total = dict.fromkeys(("inserted", "received", "duplicates", "failed"), 0)
    rest = {"origin": "live", **scope, **_place()}
    for events in _pieces(terminal.read(_MOST_STREAMED)):
        params: dict[str, object] = {"events": events, **rest}
        answer, note = calling.call("event", params, time.monotonic(), contract.DEADLINES["event"])
        if not isinstance(answer, dict):
            raise Rejected("the bridge's answer to event is no object")
        terminal.note(note, str(answer.get("note") or ""))
        for name, told in zip(total, ("accepted", "received", "duplicates", "failed"), strict=True):
            total[name] += answer.get(told) or 0
    status = terminal.say(wire.readable(total))
    return contract.UNAVAILABLE if total["failed"] else status


def _pieces(text: str) -> "Iterator[list[object]]":
    """The lines' objects, in lists that a request can hold. A line that is none costs no other."""
    piece: list[object] = []
    size = bad = 0
    for line in text.split("\n"):
        try:
            entry = wire.loads(line) if line.strip() else None
        except ValueError:
            entry = None
        if not isinstance(entry, dict) or len(line) > _MOST_OF_A_REQUEST:
            bad += bool(line.strip())
            continue
        if piece and (size + len(line) > _MOST_OF_A_REQUEST or len(piece) >= _MOST_EVENTS):
            yield piece
            piece, size = [], 0
        piece.append(entry)
        size += len(line)
    if bad:
        terminal.note(f"{bad} lines are not JSON objects of a size that can be; left out")
    if piece:
        yield piece


def _hook(words: list[str]) -> int:
    """One hook call: a reply on stdout and exit status 0, whatever happens."""
    try:
        reply = _hook_reply(words)
    except MemoryFault as error:
        outcome = "invalid" if isinstance(error, InvalidRequest) else "failed"
        reply = {"outcome": outcome, "note": contract.one_line(str(error))}
    except KeyboardInterrupt:
        reply = {"outcome": "failed", "note": "interrupted"}
    except Exception as error:  # noqa: BLE001 - nothing that fails here may reach OpenCode
        reply = {"outcome": "failed", "note": _bug(error)}
    if reply.get("outcome") in ("invalid", "failed"):
        terminal.complain(str(reply.get("note") or reply))
    terminal.say(wire.dumps(reply))
    return contract.DONE


def _hook_reply(words: list[str]) -> dict[str, object]:
    began = time.monotonic()
    if os.environ.get("OPENCODE_MEM_DISABLED", "").strip().lower() in _YES:
        return {"outcome": "disabled"}
    positional, _, notes = arguments.words_of("hook", words)
    name, corrected = arguments.hook_name(positional[0])
    deadline, note = contract.hook_deadline(name, os.environ)
    terminal.note(*notes, corrected, note)
    text = terminal.read_until(began + deadline / 2, contract.LINE_LIMIT)
    params: dict[str, object] = {
        "name": name,
        "payload": arguments.hook_payload(text),
        "event_id": _event_id(),
        "at": time.time(),
        "group": None,
    }
    reply, note = calling.call("hook", params | _place(), began, deadline)
    terminal.note(note)
    if not isinstance(reply, dict):
        raise Rejected("the bridge's answer is no object")
    return reply


def _event_id() -> str:
    return contract.uuid7(time.time(), os.urandom(10))


def _place() -> dict[str, object]:
    """Where the caller stands, and what it says its project is."""
    project = os.environ.get("OPENCODE_MEM_PROJECT", "").strip()
    return {"cwd": terminal.folder(), "project": project or None}


def _status(error: MemoryFault) -> int:
    if isinstance(error, InvalidRequest):
        return contract.MALFORMED
    return contract.UNAVAILABLE if isinstance(error, Unavailable) else contract.FAILED


def _bug(error: Exception) -> str:
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    where = f"{at.tb_frame.f_code.co_filename}:{at.tb_lineno}" if at else "an unknown place"
    return contract.one_line(f"bug at {where}: {type(error).__name__}: {error}")

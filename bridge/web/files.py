"""The page's files, from the package: the right type, an ETag, and nothing else of the disk."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

from bridge.web.answers import Refusal
from bridge.web.reading import header

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.types import Receive, Scope, Send

#: What may be a file of the page, and its type. Anything else is not there.
_TYPES = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "ico": "image/vnd.microsoft.icon",
    "js": "text/javascript; charset=utf-8",
    "json": "application/json",
    "map": "application/json",
    "mjs": "text/javascript; charset=utf-8",
    "png": "image/png",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
    "webmanifest": "application/manifest+json",
    "woff2": "font/woff2",
}
_LONGEST, _DEEPEST = 200, 8
#: Kept by the browser, and asked for again each time: the page is always the bridge's own.
_REVALIDATED = (b"cache-control", b"no-cache")


def type_of(path: str) -> str:
    """The type of the file at this path below the page's folder, "" when it can't be one."""
    names = path.split("/")
    plain = all(
        name and not name.startswith(".") and name.isprintable() and not set(name) & set("\\:~")
        for name in names
    )
    if not plain or len(path) > _LONGEST or len(names) > _DEEPEST:
        return ""
    return _TYPES.get(names[-1].rpartition(".")[2].lower(), "") if "." in names[-1] else ""


@dataclass(frozen=True, slots=True)
class _File:
    body: bytes
    etag: bytes


class Files:
    """Serves `index.html` at the root and everything else below `/static/`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Send the file, or that the browser has it already."""
        path = str(scope.get("path_params", {}).get("path", "index.html"))
        type_ = type_of(path)
        file = await asyncio.to_thread(self._read, path) if type_ else None
        if file is None:
            raise Refusal(404, "no such file")
        same = file.etag.decode() in header(scope["headers"], b"if-none-match")
        headers = [(b"etag", file.etag), _REVALIDATED]
        if not same:
            headers += [
                (b"content-type", type_.encode()),
                (b"content-length", b"%d" % len(file.body)),
            ]
        status = 304 if same else 200
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if same else file.body})

    def _read(self, path: str) -> _File | None:
        found = self._folder.joinpath(*path.split("/"))
        try:
            # A link that leads out of the folder is no file of the page.
            if not found.resolve(strict=True).is_relative_to(self._folder.resolve()):
                return None
            body = found.read_bytes()
        except (OSError, ValueError):
            return None
        return _File(body, b'"%s"' % blake2b(body, digest_size=12).hexdigest().encode())

"""What opens the door: the token, the page's cookie that is derived from it, and one-time codes. Pure.

The cookie is the token's signature under a day: it can be checked after a restart without anything
having been kept, and ends with the token. A code is good once, for a minute.
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

#: The cookie's name, without the port that stands behind it.
COOKIE = "opencode_mem_"
#: Seconds that a cookie and a code are good.
COOKIE_S, CODE_S = 7 * 86_400, 60
#: Codes that may wait to be used; the oldest leave first.
_MOST_CODES = 16


class Keys:
    """Compares in constant time, and never shows what it compares with."""

    def __init__(self, token: str, fresh: Callable[[], str], port: int) -> None:
        """`fresh` gives an unguessable text; `port` is where the page is.

        A browser sends the cookies of 127.0.0.1 to every port: two bridges on one machine must not
        take each other's place, so the port is in the name.
        """
        self._token = token.encode()
        self._cookie = f"{COOKIE}{port}"
        self._fresh = fresh
        #: Code to the time at which it ends.
        self._codes: dict[str, float] = {}

    def bearer(self, authorization: bytes) -> bool:
        """Whether this `Authorization` header carries the token."""
        scheme, _, given = authorization.partition(b" ")
        return scheme.lower() == b"bearer" and hmac.compare_digest(given.strip(), self._token)

    def cookie(self, now: float) -> str:
        """The `Set-Cookie` header that opens the door from `now` on.

        It goes to `/api` only: a cookie of 127.0.0.1 reaches every port there, and what else
        listens on one has fewer reasons to be asked for that.
        """
        value = self._signed(int(now) + COOKIE_S)
        return f"{self._cookie}={value}; Path=/api; Max-Age={COOKIE_S}; HttpOnly; SameSite=Strict"

    def signed_in(self, header: bytes, now: float) -> bool:
        """Whether this `Cookie` header holds a cookie of ours that is still good."""
        for part in header.split(b";"):
            name, _, value = part.strip().partition(b"=")
            if name != self._cookie.encode():
                continue
            until = value.partition(b".")[0]
            if not until.isdigit() or len(until) > 15:  # noqa: PLR2004 - seconds have fewer digits
                return False
            good = hmac.compare_digest(value, self._signed(int(until)).encode())
            return good and int(until) > now
        return False

    def invite(self, now: float) -> str:
        """A new one-time code."""
        code = self._fresh()
        self._codes[code] = now + CODE_S
        while len(self._codes) > _MOST_CODES:
            del self._codes[next(iter(self._codes))]
        return code

    def redeem(self, given: str, now: float) -> bool:
        """Whether this is a code that is still good; it is not any more."""
        self._codes = {code: until for code, until in self._codes.items() if until > now}
        asked = given.encode("utf-8", "surrogatepass")
        found = [code for code in self._codes if hmac.compare_digest(code.encode(), asked)]
        for code in found:
            del self._codes[code]
        return bool(found)

    def _signed(self, until: int) -> str:
        signature = hmac.new(self._token, b"cookie:%d" % until, sha256).hexdigest()
        return f"{until}.{signature}"

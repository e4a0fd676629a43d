"""What a browser has in place of the token: a cookie that only this token can have made."""

import hashlib
import hmac
import re
import secrets

from collector.clock import Clock
from collector.host.secret import Secret

LASTS = 30 * 86_400  # seconds
MOST_ENDED = 1_000  # sessions that are remembered as ended

_COOKIE = re.compile(r"([0-9]{1,12})\.([0-9a-f]{32})\.([0-9a-f]{64})")


class Session:
    """Makes cookies and knows them again: over a restart, since nothing is kept, and not under another token."""

    seconds = LASTS

    def __init__(self, token: Secret, clock: Clock) -> None:
        self._token, self._clock = token.reveal().encode(), clock
        self._key = hashlib.sha256(b"collector session\0" + self._token).digest()
        # A browser sends a cookie to every port of this machine, where another collector may be.
        self.name = f"collector_{hashlib.sha256(self._key).hexdigest()[:8]}"
        self._ended: dict[str, None] = {}

    def is_token(self, given: str) -> bool:
        """Whether it is the token, whatever bytes it has, without telling by the time how much of it is right."""
        return hmac.compare_digest(given.encode(errors="surrogateescape"), self._token)

    def made(self) -> str:
        """The value of a new cookie."""
        body = f"{int(self._clock.wall()) + LASTS}.{secrets.token_hex(16)}"
        return f"{body}.{self._seal(body)}"

    def is_good(self, cookie: str) -> bool:
        """Whether it was made under this token, and has neither run out nor been ended."""
        found = _COOKIE.fullmatch(cookie)
        if found is None or not hmac.compare_digest(self._seal(f"{found[1]}.{found[2]}"), found[3]):
            return False
        return int(found[1]) > self._clock.wall() and found[2] not in self._ended

    def end(self, cookie: str) -> None:
        """It is good no longer; a restart forgets that, and the browser has forgotten it by then."""
        if self.is_good(cookie):
            self._ended[cookie.split(".")[1]] = None
            while len(self._ended) > MOST_ENDED:
                del self._ended[next(iter(self._ended))]

    def _seal(self, body: str) -> str:
        return hmac.new(self._key, body.encode(), hashlib.sha256).hexdigest()

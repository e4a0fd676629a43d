"""OAuth 2 client credentials (RFC 6749, 4.4): one token for all calls of a client, fetched and renewed in time."""

import asyncio
import base64
import math
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import quote_plus, urlencode

import msgspec
from yarl import URL

from collector.errors import RequestError
from collector.sources.answer import Answer
from collector.sources.mask import Mask
from collector.sources.unpack import ACCEPTED
from collector.sources.words import BROKEN, texts_of, words_of

REFUSED = "auth-refused"  # the reason where the client itself is refused: a person must mend it
HOLD, LONGEST_HOLD = 2.0, 60.0  # seconds from a fetch that failed to the next one, doubled each time
BELIEVED = 60.0  # seconds in which a 401 is taken to be about the ID, once a new token was refused like the old one
_EARLY, _MOST_EARLY = 0.1, 60.0  # how long before its end a token is renewed: a share of its life, and most seconds
_OTHER_WAY = (400, 401)
_MEND = "look at auth.id and auth.secret; after a change, `collector reload`"

# One POST of a form, as (url, headers, body) to (status, body). RequestError `connection` when no answer came.
Post: TypeAlias = Callable[[str, Mapping[str, str], bytes], Awaitable[tuple[int, bytes]]]
# One call to the API with a token.
Send: TypeAlias = Callable[[str], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Grant:
    """Who asks for tokens, and where; sources for which all of it is the same share their token."""

    url: str
    id: str
    secret: str
    scope: str | None
    agent: str = field(compare=False)

    def __repr__(self) -> str:
        return f"Grant({URL(self.url).origin()})"

    @property
    def basic(self) -> str:
        """The client in an Authorization header; id and secret are form-encoded first (RFC 6749, 2.3.1)."""
        return base64.b64encode(f"{quote_plus(self.id)}:{quote_plus(self.secret)}".encode()).decode()

    def request(self, *, in_body: bool) -> tuple[Mapping[str, str], bytes]:
        """Headers and body that ask for a token; the client stands in a header, or in the body."""
        form = {"grant_type": "client_credentials"} | ({"scope": self.scope} if self.scope else {})
        headers = {
            "User-Agent": self.agent,
            "Accept": "application/json",
            "Accept-Encoding": ACCEPTED,
            "Content-Type": "application/x-www-form-urlencoded",
        }
        if in_body:
            form |= {"client_id": self.id, "client_secret": self.secret}
        else:
            headers["Authorization"] = f"Basic {self.basic}"
        return headers, urlencode(form).encode()


@dataclass(slots=True, eq=False)
class _Token:
    """Kept in memory only; times are loop times."""

    text: str = field(repr=False)
    renew_at: float
    until: float
    worked: bool = False  # the API took it at least once


class Bearer:
    """The token of a grant, for all calls that need it."""

    def __init__(self, grant: Grant, post: Post, now: Callable[[], float]) -> None:
        self._grant, self._post, self._now = grant, post, now
        self._fetching = asyncio.Lock()
        self._token: _Token | None = None
        self._in_body = False  # how the endpoint takes the client
        self._failure: tuple[str, str] | None = None  # reason and detail
        self._failures = 0  # in a row
        self._again_at = -math.inf  # no fetch before
        self._believed_until = -math.inf

    async def carry(self, send: Send) -> Answer:
        """The answer to a call that is sent with a token; sent once more where the token has lost its force.

        RequestError when there is no token: REFUSED, or `connection`.
        """
        token = await self._current()
        answer = await send(token.text)
        if answer.status == 401 and (other := await self._instead_of(token)):
            token, answer = other, await send(other.text)
            if answer.status == 401:
                self._believed_until = self._now() + BELIEVED
        if answer.status < 400 or answer.status in (404, 410):
            token.worked = True
        return answer

    async def _instead_of(self, refused: _Token) -> _Token | None:
        """Another token after a 401; None where it was not the token's fault, as for one that never worked."""
        if refused is self._token:
            if not refused.worked or self._now() < self._believed_until:
                return None
            self._token = None
        return await self._current()

    async def _current(self) -> _Token:
        if (token := self._fresh()) is not None:
            return token
        async with self._fetching:
            if (token := self._fresh()) is not None:
                return token  # another call has fetched it meanwhile
            try:
                self._token = await self._fetch()
            except RequestError:
                if self._token is None or self._now() >= self._token.until:
                    raise
            return self._token

    def _fresh(self) -> _Token | None:
        return self._token if self._token and self._now() < self._token.renew_at else None

    async def _fetch(self) -> _Token:
        if self._failure is not None and self._now() < self._again_at:
            raise RequestError(*self._failure)
        try:
            token = await self._ask()
        except RequestError as error:
            self._failure, self._failures = (error.reason, error.detail), self._failures + 1
            self._again_at = self._now() + min(HOLD * 2.0 ** min(self._failures - 1, 10), LONGEST_HOLD)
            raise
        self._failure, self._failures = None, 0
        return token

    async def _ask(self) -> _Token:
        began = self._now()
        status, body = await self._post(self._grant.url, *self._grant.request(in_body=self._in_body))
        if status in _OTHER_WAY:
            status, body = await self._post(self._grant.url, *self._grant.request(in_body=not self._in_body))
            self._in_body ^= status < 300
        return _read(self._grant, status, body, began)


def _read(grant: Grant, status: int, body: bytes, began: float) -> _Token:
    """The token that an answer holds, or a RequestError that says why it holds none."""
    where = f"the token endpoint {URL(grant.url).with_query(None)}"
    if status == 408 or status == 429 or status >= 500:
        raise RequestError("connection", f"{where} answers {status}")
    if 300 <= status < 400:
        raise RequestError(REFUSED, f"{where} redirects, which is not followed: its last address belongs in auth.url")
    told = _table(body)
    if status >= 400 or ("access_token" not in told and texts_of(told)):
        raise RequestError(REFUSED, f"{where} refuses the client with {status} ({_said(grant, body)}): {_MEND}")
    text, kind = told.get("access_token"), told.get("token_type", "bearer")
    if not isinstance(text, str) or not re.fullmatch("[!-~]+", text):
        raise RequestError("connection", f"{where} answers {status} without a token that can be used")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise RequestError(REFUSED, f"{where} gives a token of another type than bearer")
    lasts = _seconds(told.get("expires_in"))
    return _Token(text, began + lasts - min(_MOST_EARLY, _EARLY * lasts), began + lasts)


def _said(grant: Grant, body: bytes) -> str:
    """The endpoint's words, without what it repeats of the client; masked before they are cut short, too."""
    mask = Mask((grant.id, grant.secret, grant.basic))
    return mask.masked(words_of(mask.masked(body)).encode()).decode()


def _table(body: bytes) -> dict[str, Any]:
    try:
        told = msgspec.json.decode(body)
    except BROKEN:
        return {}
    return told if isinstance(told, dict) else {}


def _seconds(told: Any) -> float:
    """How long a token lasts; for ever, that is until a 401, where nothing sensible is said."""
    try:
        seconds = float(told) if isinstance(told, str | int | float) and not isinstance(told, bool) else 0.0
    except (ValueError, OverflowError):
        return math.inf
    return seconds if seconds > 0 else math.inf

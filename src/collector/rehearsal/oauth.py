"""Tokens for clients: OAuth 2 client credentials (RFC 6749, 4.4)."""

from base64 import b64decode
from typing import Literal
from urllib.parse import parse_qs, unquote_plus

import msgspec

from collector.clock import Clock
from collector.rehearsal.reply import Reply
from collector.rehearsal.route import Ask, Route
from collector.rehearsal.seal import Seal

PATH = "/oauth2/token"


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """The one client that is known."""

    id: str = "collector"
    secret: str = "rehearsal"  # noqa: S105 - opens nothing but the stand-in
    way: Literal["basic", "body", "either"] = "either"  # how it may say who it is
    expires_in: float = 7_200.0  # seconds
    wanted: bool = False  # every other endpoint asks for a token from here


class _Grant(msgspec.Struct, frozen=True, array_like=True):
    serial: int  # wall time in ms, and no two alike
    expires: float


_GRANT = msgspec.msgpack.Decoder(_Grant)


class Grants:
    """Gives access tokens and knows them again, after a restart too; what is revoked is forgotten with the process."""

    def __init__(self, client: Client, seed: int, clock: Clock) -> None:
        self.client = client
        self.given: list[str] = []
        self._clock = clock
        self._seal = Seal(seed, "access")
        self._revoked: set[str] = set()
        self._last = self._all_revoked = 0

    def routes(self) -> tuple[Route, ...]:
        """Where a token is asked for."""
        return (Route(PATH, self._answer, lambda _: (), method="POST"),)

    def holds(self, authorization: str) -> bool:
        """True for a header with a token of ours that is still good."""
        kind, _, token = authorization.partition(" ")
        content = self._seal.open(token) if kind.lower() == "bearer" else None
        if content is None or token in self._revoked:
            return False
        grant = _GRANT.decode(content)
        return grant.serial > self._all_revoked and self._clock.wall() < grant.expires

    def revoke(self, token: str) -> None:
        """Refuse a token from now on."""
        self._revoked.add(token)

    def revoke_all(self) -> None:
        """Refuse all tokens given until now."""
        self._all_revoked = self._last = max(self._last, self._now())

    def _answer(self, ask: Ask) -> Reply:
        form = {name: values[0] for name, values in parse_qs(ask.body.decode(errors="replace")).items()}
        if "grant_type" not in form:
            return _error(400, "invalid_request", "grant_type is missing")
        if form["grant_type"] != "client_credentials":
            return _error(400, "unsupported_grant_type", "only client_credentials")
        if self._said(ask, form) != (self.client.id, self.client.secret):
            return _error(401, "invalid_client", "Client authentication failed")
        return self._granted()

    def _said(self, ask: Ask, form: dict[str, str]) -> tuple[str, str] | None:
        """Who the caller says it is, in a way that is taken."""
        kind, _, packed = ask.headers.get("Authorization", "").partition(" ")
        if kind.lower() == "basic" and self.client.way != "body":
            try:
                name, _, secret = b64decode(packed, validate=True).decode().partition(":")
            except ValueError:
                return None
            return unquote_plus(name), unquote_plus(secret)
        if self.client.way == "basic" or "client_id" not in form:
            return None
        return form["client_id"], form.get("client_secret", "")

    def _granted(self) -> Reply:
        self._last = max(self._last + 1, self._now())
        grant = _Grant(self._last, self._clock.wall() + self.client.expires_in)
        self.given.append(token := self._seal.close(msgspec.msgpack.encode(grant)))
        body = {"token_type": "bearer", "expires_in": int(self.client.expires_in), "access_token": token}
        return Reply(200, msgspec.json.encode(body), 0, {"Cache-Control": "no-store"})

    def _now(self) -> int:
        return int(self._clock.wall() * 1000)


def _error(status: int, error: str, description: str) -> Reply:
    headers = {"WWW-Authenticate": 'Basic realm="rehearsal"'} if status == 401 else {}
    return Reply(status, msgspec.json.encode({"error": error, "error_description": description}), 0, headers)

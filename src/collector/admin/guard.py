"""Who may ask: the open paths whoever is on this machine, all else who has the token, a page of another site nothing:
in a browser on this machine it could forge requests, or reach us by a name of its own (DNS rebinding)."""

import asyncio
import re
from dataclasses import dataclass, field
from urllib.parse import parse_qs

import msgspec
import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from collector.admin import reply
from collector.admin.reply import refusal
from collector.admin.session import Session

LOOPBACK = frozenset({"127.0.0.1", "[::1]", "localhost"})
OPEN = frozenset({"/status", "/healthz", "/metrics"})  # without the token, unless others than this machine may ask
LOGIN = "/login"
STATIC = "/static/"
DELAY = 0.5  # seconds that the answer to a wrong token takes
SILENCE = 10.0  # seconds for the body of a login
MOST_WRONG = 20  # wrong tokens waiting for their answer; more are told at once to come later

_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[^:\[\]]+)(?::[0-9]{1,5})?")

log = structlog.get_logger()


def is_ours(given: str | None, hosts: frozenset[str]) -> bool:
    """True when a Host header names this service: a loopback name or one of `hosts`, with any port, since a tunnel
    changes it; one of `hosts` that has a port is ours with that port only."""
    if given is None:
        return False
    host = given.lower()
    found = _HOST.fullmatch(host)
    return found is not None and (found["name"] in LOOPBACK | hosts or host in hosts)


@dataclass(slots=True)
class Guard:
    """The checks of every request; `hosts` are more names that are ours, `remote`: not only this machine may ask."""

    session: Session
    hosts: frozenset[str] = frozenset()
    remote: bool = False
    delay: float = DELAY
    _wrong: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.hosts = frozenset(host.lower() for host in self.hosts)

    def middleware(self) -> Middleware:
        """Answers 421 to whoever means another host, 403 to a page of another site, 401 to who has no token."""

        @web.middleware
        async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
            if refused := self._foreign(request):
                return refused
            if _is_login(request.path) or (request.path in OPEN and not self.remote) or self._is_known(request):
                return await handler(request)
            if hdrs.AUTHORIZATION in request.headers:
                return await self._wrong_token()
            return _unknown("this wants the token: send it as `Authorization: Bearer`, or log in")

        return check

    def routes(self) -> list[web.RouteDef]:
        """Their paths."""
        return [web.post(LOGIN, self.login), web.post("/logout", self.logout)]

    async def login(self, request: web.Request) -> web.Response:
        """Takes the token, as a form or as JSON, and gives a cookie in its place."""
        try:
            async with asyncio.timeout(SILENCE):
                body = await request.read()
        except TimeoutError:
            return refusal(408, "the token did not come in time", {hdrs.CONNECTION: "close"})
        given = _token_of(request.content_type, body)
        if given is None:
            return refusal(400, "send the token as `token`, in a form or as JSON")
        if not self.session.is_token(given):
            return await self._wrong_token()
        answer = _after(request, 200)
        secure = request.secure or request.headers.get("X-Forwarded-Proto") == "https"
        answer.set_cookie(
            self.session.name,
            self.session.made(),
            max_age=self.session.seconds,
            httponly=True,
            samesite="Strict",
            secure=secure,
        )
        return answer

    async def logout(self, request: web.Request) -> web.Response:
        """The cookie is no longer good for anything."""
        if cookie := request.cookies.get(self.session.name):
            self.session.end(cookie)
        answer = _after(request, 200)
        answer.del_cookie(self.session.name, httponly=True, samesite="Strict")
        return answer

    def _foreign(self, request: web.Request) -> web.Response | None:
        given = request.headers.getall(hdrs.HOST, [])
        whole = not request.raw_path.startswith("/")  # a URL, whose host counts more than the header
        meant = [*given, request.raw_path.partition("://")[2].partition("/")[0]] if whole else given
        if len(given) != 1 or not all(is_ours(host, self.hosts) for host in meant):
            return refusal(
                421,
                "this Host is not one of ours: ask by a loopback name, or add the name to `hosts` under [admin]",
            )
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is not None and not is_ours(origin.partition("://")[2], self.hosts):
            return refusal(403, "this Origin is not one of ours: a page of another site may not ask")
        if request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site") and not _follows_a_link(request):
            return refusal(403, "a page of another site, or of another port of this machine, may not ask")
        return None

    def _is_known(self, request: web.Request) -> bool:
        kind, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        if kind.lower() == "bearer":
            return self.session.is_token(token.strip())
        return self.session.is_good(request.cookies.get(self.session.name, ""))

    async def _wrong_token(self) -> web.Response:
        if self._wrong >= MOST_WRONG:
            return refusal(429, "too many wrong tokens at once: try again in a moment", {hdrs.RETRY_AFTER: "1"})
        self._wrong += 1
        try:
            await asyncio.sleep(self.delay)
        finally:
            self._wrong -= 1
        return _unknown("this is not the token of this service")


def _is_login(path: str) -> bool:
    """The form itself, and how it looks."""
    return path == LOGIN or path.startswith(STATIC)


def _token_of(kind: str, body: bytes) -> str | None:
    try:
        if kind == "application/json":
            return msgspec.json.decode(body, type=dict[str, str]).get("token")
        return parse_qs(body.decode(errors="surrogateescape")).get("token", [None])[0]
    except (msgspec.MsgspecError, ValueError):
        return None


def _after(request: web.Request, status: int) -> web.Response:
    """A browser that sent a form goes on to the page."""
    if "text/html" in request.headers.get(hdrs.ACCEPT, ""):
        return web.Response(status=303, headers={hdrs.LOCATION: "/"})
    return reply.json({"ok": True}, status)


def _follows_a_link(request: web.Request) -> bool:
    """Somebody who opens one of our pages from another site: a browser sends no cookie with that, and reads nothing."""
    mode, to = (request.headers.get(f"Sec-Fetch-{name}") for name in ("Mode", "Dest"))
    return request.method in (hdrs.METH_GET, hdrs.METH_HEAD) and (mode, to) == ("navigate", "document")


def _unknown(why: str) -> web.Response:
    return refusal(401, why, {hdrs.WWW_AUTHENTICATE: 'Bearer realm="collector"'})

"""A published contract as values, whether a request keeps it, and a server that refuses whatever does not."""

import json
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, unquote

from aiohttp import web

from collector.sources.request import Request

Asked: TypeAlias = Mapping[str, Sequence[str]]  # each parameter and place of the path, its members one by one
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
AGENT = {"User-Agent": r"(?!.*(?:aiohttp|[Pp]ython))[\w.:/-]+(?: \(.+\))?"}  # a name of its own, no library's


class Refused(Exception):
    """What of a request the contract does not allow."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status, self.why = status, why


@dataclass(frozen=True, slots=True)
class Value:
    """What one parameter may be."""

    fits: Callable[[str], object]
    expected: str
    required: bool = False
    joiner: str = ""  # between the members of a list in one value
    repeats: bool = False  # a list by naming the parameter again
    most: int = 1

    def members(self, name: str, values: Sequence[str]) -> list[str]:
        """One by one; Refused by the first thing that is wrong."""
        if len(values) > 1 and not self.repeats:
            raise Refused(400, f"{name} stands {len(values)} times")
        members = values[0].split(self.joiner) if self.joiner else list(values)
        if len(members) > self.most:
            raise Refused(400, f"{name} has {len(members)} members of at most {self.most}")
        for member in members:
            if not self.fits(member):
                raise Refused(400, f"{name} holds {member!r} in place of {self.expected}")
        return members


def text(pattern: str, *, required: bool = False) -> Value:
    return Value(re.compile(pattern).fullmatch, pattern, required)


def number(low: int, high: int) -> Value:
    return Value(lambda value: value.isascii() and value.isdigit() and low <= int(value) <= high, f"{low} to {high}")


def ids(pattern: str, most: int, joiner: str = ",") -> Value:
    """A required list of IDs; without a joiner the parameter repeats."""
    return Value(re.compile(pattern).fullmatch, pattern, True, joiner, not joiner, most)


def some_of(words: str, *, required: bool = False) -> Value:
    """A comma list of these words, which stand apart by blanks."""
    known = words.split()
    return Value(known.__contains__, f"one of {', '.join(known)}", required, ",", most=len(known))


@dataclass(frozen=True, slots=True)
class Contract:
    """One endpoint: all that it takes, and what it answers in the recorded shape."""

    document: str  # where it is published
    path: str  # each `{name}` is one segment, which `places` has
    answer: Callable[[Asked], Any]
    method: str = "GET"
    places: Mapping[str, Value] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)  # a pattern each; all are required
    query: Mapping[str, Value] = field(default_factory=dict)
    form: Mapping[str, Value] = field(default_factory=dict)
    body: Mapping[str, Value] = field(default_factory=dict)  # lists at the top of a JSON object
    status: int = 400  # of a refusal
    link: Callable[[Asked], str | None] = lambda _: None  # path and query of the next page

    def segments(self, path: str) -> dict[str, str] | None:
        """What stands in the places of the path; None where it is another path."""
        ours, theirs = self.path.split("/"), path.split("/")
        if len(ours) != len(theirs):
            return None
        pairs = [(mine, unquote(other)) for mine, other in zip(ours, theirs, strict=True)]
        found = {mine.strip("{}"): other for mine, other in pairs if mine.startswith("{")}
        return found if all(mine == other or mine.startswith("{") for mine, other in pairs) else None


def kept(contracts: Sequence[Contract], request: Request) -> tuple[Contract, Asked]:
    """The contract that a request keeps, and what it asks for; Refused where it keeps none."""
    for contract in contracts:
        places = contract.segments(request.url.raw_path)
        if places is None:
            continue
        try:
            return contract, _asked(contract, request, places)
        except Refused as refusal:
            raise Refused(contract.status if refusal.status == 400 else refusal.status, refusal.why) from refusal
    raise Refused(404, f"no endpoint {request.url.raw_path}")


def _asked(contract: Contract, request: Request, places: Mapping[str, str]) -> Asked:
    if request.method != contract.method:
        raise Refused(405, f"{request.method} in place of {contract.method}")
    body = FORM if contract.form else JSON if contract.body else {}
    for name, pattern in (AGENT | body | dict(contract.headers)).items():
        if not re.fullmatch(pattern, request.headers.get(name, "")):
            raise Refused(401 if name == "Authorization" else 403 if name == "User-Agent" else 400, f"header {name}")
    if bool(request.body) != bool(body):
        raise Refused(400, "a body where none belongs, or none where one does")
    query = parse_qsl(
        request.url.raw_query_string, keep_blank_values=True, strict_parsing=bool(request.url.raw_query_string)
    )
    asked = _members(contract.places, [(name, value) for name, value in places.items()])
    asked |= _members(contract.query, query)
    asked |= _members(
        contract.form, parse_qsl((request.body or b"").decode(), keep_blank_values=True) if contract.form else []
    )
    return asked | _members(contract.body, _top(request.body) if contract.body else [])


def _top(body: bytes | None) -> list[tuple[str, str]]:
    return [(name, member) for name, members in json.loads(body or b"{}").items() for member in members]


def _members(values: Mapping[str, Value], pairs: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    given: dict[str, list[str]] = {}
    for name, value in pairs:
        given.setdefault(name, []).append(value)
    if unknown := given.keys() - values.keys():
        raise Refused(400, f"unknown parameter {', '.join(sorted(unknown))}")
    if missing := {name for name, value in values.items() if value.required} - given.keys():
        raise Refused(400, f"missing parameter {', '.join(sorted(missing))}")
    return {name: values[name].members(name, members) for name, members in given.items()}


@dataclass
class Api:
    """A server of one API; `refusals` are the reasons that it gave."""

    contracts: Sequence[Contract]
    origin: str = ""
    refusals: list[str] = field(default_factory=list)

    async def take(self, wire: web.Request) -> web.Response:
        headers = {name.decode(): value.decode() for name, value in wire.raw_headers}  # as they were written
        request = Request(wire.method, str(wire.url), headers, await wire.read() or None)
        try:
            contract, asked = kept(self.contracts, request)
        except Refused as refusal:
            self.refusals.append(refusal.why)
            return web.json_response({"error": refusal.why}, status=refusal.status)
        following = contract.link(asked)
        told = {"Link": f'<{self.origin}{following}>; rel="next"'} if following else {}
        return web.json_response(contract.answer(asked), headers=told)


@asynccontextmanager
async def served(contracts: Sequence[Contract]) -> AsyncIterator[Api]:
    """The server, on loopback."""
    api = Api(contracts)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", api.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    api.origin = f"http://{host}:{port}"
    try:
        yield api
    finally:
        await runner.cleanup()

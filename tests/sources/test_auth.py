"""OAuth 2 client credentials, against a real token endpoint and a real API."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

import pytest
from aiohttp import web

from collector.errors import NoPermit, RequestError
from collector.host.secret import Secret
from collector.sources import auth
from collector.sources.answer import Answer, Denied, Good, read
from collector.sources.http import Client
from collector.sources.request import Endpoint
from collector.sources.spec import Spec
from tests.sources.wire import Permit, wire

ID, SECRET = "me:ü+&", "s3cr et/%=+"


@dataclass
class Api:
    """A token endpoint and the API behind it, which takes the tokens that it has not revoked."""

    in_body: bool = False  # how it takes the client
    lasts: object = 3600
    reply: Callable[[], web.Response] | None = None  # in place of a token
    origin: str = ""
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)  # Authorization and form
    calls: list[str] = field(default_factory=list)  # Authorization
    taken: set[str] = field(default_factory=set)  # tokens that are good
    refused: set[str] = field(default_factory=set)  # IDs that nobody may see
    gate: asyncio.Barrier | None = None  # calls wait for each other here
    issued: int = 0
    arrived: asyncio.Event = field(default_factory=asyncio.Event)  # a request for a token has come
    held: asyncio.Event | None = None  # until then it is not answered

    def revoke(self) -> None:
        self.taken.clear()

    async def token(self, request: web.Request) -> web.Response:
        form = dict(parse_qsl(await request.text(), keep_blank_values=True))
        self.asked.append((request.headers.get("Authorization", ""), form))
        self.arrived.set()
        if self.held:
            await self.held.wait()
        if self.reply:
            return self.reply()
        basic = base64.b64encode(b"me%3A%C3%BC%2B%26:s3cr+et%2F%25%3D%2B").decode()
        known = form.get("client_secret") == SECRET if self.in_body else self.asked[-1][0] == f"Basic {basic}"
        if not known:
            return web.json_response({"error": "invalid_client", "error_description": f"not {SECRET}"}, status=401)
        self.issued += 1
        self.taken.add(token := f"t0ken-{self.issued}")
        told = {"access_token": token, "token_type": "BEARER", "expires_in": self.lasts}
        return web.json_response({name: value for name, value in told.items() if value is not None})

    async def call(self, request: web.Request) -> web.Response:
        token = request.headers.get("Authorization", "")
        self.calls.append(token)
        if self.gate and len(self.calls) <= self.gate.parties:
            await self.gate.wait()
        key = request.query["id"]
        if token.removeprefix("Bearer ") not in self.taken or key in self.refused:
            return web.json_response({"detail": f"{token} is not good"}, status=401)
        return web.json_response({"id": key})

    def endpoint(self, secret: str = SECRET, **keys: Any) -> Endpoint:
        client = {"url": f"{self.origin}/token?v=2", "id": ID, "secret": "{secret.key}"}
        table = {"url": f"{self.origin}/v1", "params": {"id": "{id}"}, "auth": client, **keys}
        return Endpoint(Spec.model_validate(table), {"key": Secret(secret)})


@asynccontextmanager
async def api(**state: Any) -> AsyncIterator[tuple[Api, Client]]:
    serving = Api(**state)
    app = web.Application()
    app.router.add_post("/token", serving.token)
    app.router.add_get("/v1", serving.call)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    serving.origin = "http://{}:{}".format(*runner.addresses[0])
    try:
        async with Client() as client:
            yield serving, client
    finally:
        await runner.cleanup()


async def ask(client: Client, endpoint: Endpoint, key: str = "1", permit: Permit | None = None) -> Answer:
    return await client.ask(endpoint, (key,), permit or Permit())


async def failure(client: Client, endpoint: Endpoint) -> RequestError:
    permit = Permit()
    with pytest.raises(RequestError) as caught:
        await ask(client, endpoint, permit=permit)
    assert permit.spent == 0
    shown = f"{caught.value} {caught.value.__cause__}"
    assert not [secret for secret in (SECRET, "s3cr+et", "s3cr%20et", "t0ken") if secret in shown]
    return caught.value


@pytest.mark.parametrize("scope", [None, "read all"])
async def test_a_token_is_fetched_once_and_goes_with_every_call(scope: str | None) -> None:
    """The client is told by HTTP Basic, id and secret form-encoded first; no budget counts the fetch."""
    async with api() as (serving, client):
        endpoint = serving.endpoint()
        if scope:
            table = endpoint.spec.model_dump(exclude_unset=True)
            table["auth"]["scope"] = scope
            endpoint = Endpoint(Spec.model_validate(table), {"key": Secret(SECRET)})
        permit = Permit()
        assert [(await ask(client, endpoint, key, permit)).status for key in "123"] == [200, 200, 200]
    assert (permit.spent, serving.calls) == (3, ["Bearer t0ken-1"] * 3)
    told = base64.b64decode(serving.asked[0][0].removeprefix("Basic ")).decode()
    assert [unquote_plus(part) for part in told.split(":")] == [ID, SECRET]
    assert [form for _, form in serving.asked] == [
        {"grant_type": "client_credentials"} | ({"scope": scope} if scope else {})
    ]


async def test_a_client_that_is_not_taken_by_basic_goes_in_the_body() -> None:
    """Once the other way round is enough: what worked is remembered."""
    async with api(in_body=True, lasts=0.000001) as (serving, client):
        endpoint = serving.endpoint()
        assert [(await ask(client, endpoint)).status for _ in "12"] == [200, 200]
    assert [("Basic" in header, "client_id" in form) for header, form in serving.asked] == [
        (True, False), (False, True), (False, True)
    ]  # fmt: skip
    assert serving.asked[1][1] == {"grant_type": "client_credentials", "client_id": ID, "client_secret": SECRET}


@pytest.mark.parametrize("lasts", [None, "soon", -1, 0, True, "1e9", 1e400])
async def test_a_token_without_an_end_serves_until_it_is_refused(lasts: object) -> None:
    """Whatever stands there that is no time."""
    async with api(lasts=lasts if lasts != 1e400 else None) as (serving, client):
        endpoint = serving.endpoint()
        assert [(await ask(client, endpoint)).status for _ in "12"] == [200, 200]
        assert serving.issued == 1


async def test_a_token_is_renewed_when_its_time_is_over() -> None:
    """By the clock of the loop; as a text too."""
    async with api(lasts="0.000001") as (serving, client):
        endpoint = serving.endpoint()
        assert [(await ask(client, endpoint)).status for _ in "123"] == [200, 200, 200]
        assert serving.calls == ["Bearer t0ken-1", "Bearer t0ken-2", "Bearer t0ken-3"]


async def test_eight_calls_with_a_revoked_token_fetch_one() -> None:
    """All in the air at once: each is sent once more, with the one new token, and none is denied."""
    async with api() as (serving, client):
        endpoint = serving.endpoint()
        await ask(client, endpoint)
        serving.revoke()
        serving.calls.clear()
        serving.gate = asyncio.Barrier(8)
        permit = Permit()
        async with asyncio.TaskGroup() as group:
            calls = [group.create_task(ask(client, endpoint, str(number), permit)) for number in range(8)]
        readings = [read(endpoint.spec, (str(number),), call.result()) for number, call in enumerate(calls)]
    assert all(isinstance(reading, Good) for reading in readings)
    assert (serving.issued, permit.spent) == (2, 16)
    assert sorted(serving.calls) == ["Bearer t0ken-1"] * 8 + ["Bearer t0ken-2"] * 8


async def test_calls_that_begin_together_wait_for_one_token() -> None:
    """Also the very first ones."""
    async with api() as (serving, client):
        endpoint = serving.endpoint()
        async with asyncio.TaskGroup() as group:
            for number in range(8):
                group.create_task(ask(client, endpoint, str(number)))
    assert (serving.issued, len(serving.calls)) == (1, 8)


async def test_a_cancelled_fetch_leaves_the_next_call_to_fetch() -> None:
    """A stop of one call takes nothing from the others that wait for the token."""
    async with api() as (serving, client):
        endpoint = serving.endpoint()
        serving.held = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            first = group.create_task(ask(client, endpoint, "1"))
            second = group.create_task(ask(client, endpoint, "2"))
            await serving.arrived.wait()
            first.cancel()
            serving.held.set()
        assert first.cancelled()
        assert second.result().status == 200
        assert len(serving.asked) == 2


async def test_a_second_sending_needs_a_permit() -> None:
    """Without one the call is put off, as after a redirect."""
    async with api() as (serving, client):
        endpoint = serving.endpoint()
        await ask(client, endpoint)
        serving.revoke()
        with pytest.raises(NoPermit):
            await ask(client, endpoint, permit=Permit(1))
        assert serving.issued == 2


async def test_a_token_that_never_worked_is_not_renewed() -> None:
    """The API refuses the client: a person must see that."""
    async with api() as (serving, client):
        serving.refused = {"1"}
        endpoint = serving.endpoint()
        answer = await ask(client, endpoint)
        assert isinstance(read(endpoint.spec, ("1",), answer), Denied)
        assert (serving.issued, len(serving.calls)) == (1, 1)


async def test_an_id_that_nobody_may_see_does_not_fetch_tokens_again_and_again() -> None:
    """A new token that is refused like the old one says that a 401 is about the ID."""
    async with api() as (serving, client):
        serving.refused = {"2", "3", "4"}
        endpoint = serving.endpoint()
        assert [(await ask(client, endpoint, key)).status for key in "1213141"] == [200, 401, 200, 401, 200, 401, 200]
        assert serving.issued == 2


async def test_neither_token_nor_secret_is_told() -> None:
    """Not by an answer that repeats them, nor in any repr."""
    async with api() as (serving, client):
        serving.refused = {"1"}
        endpoint = serving.endpoint()
        answer = await ask(client, endpoint)
        assert json.loads(answer.body) == {"detail": "Bearer *** is not good"}
        told = endpoint.masked_words("not-t0ken-1", "t0ken-1 is bad")
        assert told == {"reason": "masked", "detail": "*** is bad"}
        assert "s3cr" not in f"{endpoint.grant} {endpoint!r} {vars(client)}"
        assert "t0ken" not in f"{vars(client)}"


@pytest.mark.parametrize("status", [400, 401])
async def test_a_client_that_is_refused_both_ways_is_refused(status: int) -> None:
    """The words of the endpoint are told, without the secret that they repeat."""
    async with api(reply=lambda: web.json_response({"error": f"no {SECRET}"}, status=status)) as (serving, client):
        error = await failure(client, serving.endpoint())
        assert error.reason == auth.REFUSED
        assert error.detail == (
            f"the token endpoint {serving.origin}/token refuses the client with {status} (no ***): "
            "look at auth.id and auth.secret; after a change, `collector reload`"
        )
        assert len(serving.asked) == 2


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (403, "", auth.REFUSED),
        (404, "", auth.REFUSED),
        (302, "", auth.REFUSED),
        (200, {"error": "bad_client"}, auth.REFUSED),
        (200, {"access_token": "t0ken", "token_type": "mac"}, auth.REFUSED),
        (500, "", "connection"),
        (429, "", "connection"),
        (200, "<html>", "connection"),
        (200, ["t0ken"], "connection"),
        (200, {"access_token": 7}, "connection"),
        (200, {"access_token": "t0ken\r\nX-Evil: 1"}, "connection"),
        (200, {"access_token": "t0ken", "junk": "x" * 70_000}, "connection"),
    ],
)
async def test_an_answer_without_a_token_says_whose_fault_it_is(status: int, body: object, reason: str) -> None:
    """The client's, which a person mends, or the endpoint's, which time mends; the API is not asked."""
    text = body if isinstance(body, str) else json.dumps(body)
    elsewhere = {"Location": "/v1"}
    async with api(reply=lambda: web.Response(status=status, text=text, headers=elsewhere)) as (serving, client):
        error = await failure(client, serving.endpoint())
        assert (error.reason, len(serving.asked), serving.calls) == (reason, 1, [])
        assert error.detail.startswith(f"the token endpoint {serving.origin}/token")


async def test_a_token_endpoint_that_is_away_is_a_broken_connection() -> None:
    """And so is one that breaks off, or speaks no HTTP."""
    async with wire(b"SSH-2.0-OpenSSH\r\n\r\n", close_after=True) as server:
        origin = f"http://127.0.0.1:{server.port}"
        async with Client() as client:
            assert (await failure(client, Api(origin=origin).endpoint())).reason == "connection"
    async with Client() as client:
        error = await failure(client, Api(origin=origin).endpoint())
    assert error.reason == "connection"
    assert error.detail.startswith(f"the token endpoint {origin}/token: cannot connect to 127.0.0.1:{server.port}")


class Hour:
    """A token endpoint beside a clock that the test turns."""

    def __init__(self, *answers: tuple[int, object]) -> None:
        self.now, self.answers, self.asked = 1_000.0, list(answers), 0
        self.bearer = auth.Bearer(
            auth.Grant("https://a.example/token", "me", "s3cret", None, "x"), self.post, self.clock
        )

    def clock(self) -> float:
        return self.now

    async def post(self, url: str, headers: Mapping[str, str], form: bytes) -> tuple[int, bytes]:
        status, body = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        return status, json.dumps(body).encode()

    async def token(self, after: float = 0.0) -> str:
        self.now += after
        sent: list[str] = []

        async def send(token: str) -> Answer:
            sent.append(token)
            return Answer(200, {}, b"{}", 0.1)

        try:
            await self.bearer.carry(send)
        except RequestError as error:
            return error.detail
        return sent[0]


def told(name: str, lasts: float | None = None) -> tuple[int, object]:
    return 200, {"access_token": name, "expires_in": lasts}


AWAY = "the token endpoint https://a.example/token answers 503"


async def test_a_failing_token_endpoint_is_asked_once_in_a_while() -> None:
    """All calls of that time hear the same; it is asked again after longer and longer waits."""
    hour = Hour((503, ""), (503, ""), told("a"))
    assert [await hour.token(after) for after in (0, 0, 1.9, 0.2, 3.9, 0.2)] == [AWAY] * 5 + ["a"]
    assert hour.asked == 3


async def test_the_waits_for_a_token_endpoint_have_an_end() -> None:
    """A minute at most, however long it is away."""
    hour = Hour((503, ""))
    for _ in range(2_000):
        await hour.token(auth.LONGEST_HOLD)
    assert hour.asked == 2_000


async def test_a_token_is_renewed_a_little_before_its_end() -> None:
    """A tenth of its life, and a minute at most."""
    hour = Hour(told("a", 100), told("b", 3_600), told("c"))
    assert [await hour.token(after) for after in (0, 89, 2, 3_539, 2, 1e9)] == ["a", "a", "b", "b", "c", "c"]


async def test_a_token_is_used_to_its_end_while_no_other_can_be_had() -> None:
    """An endpoint that is away for a moment stops nobody."""
    hour = Hour(told("a", 100), (503, ""))
    assert [await hour.token(after) for after in (0, 91, 0, 8, 2)] == ["a", "a", "a", "a", AWAY]
    assert hour.asked == 3


async def test_sources_of_one_client_share_their_token_and_others_do_not() -> None:
    """The same url, id, secret and scope: the same token."""
    async with api() as (serving, client):
        both = serving.endpoint(), serving.endpoint(params={"id": "{id}", "full": 1}, headers={"User-Agent": "x"})
        for endpoint in both:
            assert (await ask(client, endpoint)).status == 200
        assert serving.issued == 1
        with pytest.raises(RequestError):
            await ask(client, serving.endpoint("another-secret"))
        assert (await ask(client, both[0])).status == 200


@pytest.mark.parametrize(
    ("agent", "sent"),
    [("me/1 by a@b.example", "me/1 by a@b.example"), ("me {secret.key}", "collector/"), ("of {id}", "collector/")],
)
async def test_the_token_endpoint_hears_the_same_name(agent: str, sent: str) -> None:
    """Some APIs refuse those who do not name themselves; what is for the API alone stays there."""
    async with wire(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n") as server, Client() as client:
        endpoint = Api(origin=f"http://127.0.0.1:{server.port}").endpoint("plain-secret", headers={"User-Agent": agent})
        await failure(client, endpoint)
    assert f"User-Agent: {sent}" in server.heads[0]
    assert server.targets() == ["/token?v=2"]

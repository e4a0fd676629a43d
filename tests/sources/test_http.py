"""The client on the wire, against real loopback servers."""

import asyncio
import gzip
import json
import zlib
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector import __version__
from collector.errors import NoPermit, RequestError
from collector.sources.answer import Good, Unreadable, read
from tests.sources.wire import OK, Asker, Permit, Wire, ask, wire


@pytest.fixture(autouse=True, params=["pool", "session"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to ask keep what is promised here."""
    way = str(request.param)
    monkeypatch.setattr(Asker, "by_session", way == "session")
    return way


async def failure(client: Asker, permit: Permit | None = None, key: str = "1") -> RequestError:
    with pytest.raises(RequestError) as caught:
        await ask(client, key, permit=permit)
    assert "s3cret" not in f"{caught.value} {caught.value.__cause__}"
    return caught.value


def packed_body(body: bytes, encoding: str = "gzip", status: str = "200 OK", length: bool = True) -> bytes:
    size = f"Content-Length: {len(body)}\r\n" if length else ""
    return f"HTTP/1.1 {status}\r\nContent-Encoding: {encoding}\r\n{size}\r\n".encode() + body


async def test_an_answer_is_handed_over_whole_whatever_its_status() -> None:
    """Status, headers in any case, the bytes and the time; what we send names us and takes JSON."""
    async with wire(b"HTTP/1.1 404 Not Found\r\nX-Rate-Limit-Remaining: 3\r\nContent-Length: 2\r\n\r\n{}") as server:
        permit = Permit()
        answer = await ask(server.client(), permit=permit)
    assert (answer.status, answer.headers["x-rate-limit-remaining"], answer.body) == (404, "3", b"{}")
    assert answer.seconds > 0
    assert permit.spent == 1
    head = server.heads[0]
    assert head.startswith("GET /v1?id=1 HTTP/1.1\r\n")
    assert f"User-Agent: collector/{__version__}\r\n" in head
    assert "Accept: application/json\r\n" in head
    assert "Accept-Encoding: gzip, deflate\r\n" in head


async def test_a_body_goes_as_it_was_built() -> None:
    """A POST carries its JSON and says so."""
    async with wire(OK) as server:
        await ask(server.client(method="POST", params={}, json={"ids": "{ids}"}, pack=5), "1", "é")
    assert json.loads(server.bodies[0]) == {"ids": ["1", "é"]}
    assert "Content-Type: application/json\r\n" in server.heads[0]


async def test_cookies_are_neither_kept_nor_sent() -> None:
    """A call has nothing to do with the one before."""
    async with wire(OK.replace(b"\r\n", b"\r\nSet-Cookie: a=b\r\n", 1)) as server, server.client() as client:
        await client.ask(client.endpoint, ("1",), Permit())
        await client.ask(client.endpoint, ("2",), Permit())
    assert "cookie" not in server.heads[1].lower()


def dropping(number: int) -> bytes | None:
    return None if number == 2 else OK


async def test_a_silent_resend_spends_a_second_permit() -> None:
    """A GET that met a dropped keep-alive connection is sent again by aiohttp itself, and that is a wire request."""
    async with wire(dropping) as server, server.client() as client:
        await client.ask(client.endpoint, ("1",), Permit())
        permit = Permit()
        answer = await client.ask(client.endpoint, ("2",), permit)
    assert (answer.status, permit.spent, len(server.heads)) == (200, 2, 3)


async def test_a_resend_without_a_permit_breaks_the_call_off() -> None:
    """Nothing more goes on the wire when no permit is left."""
    async with wire(dropping) as server, server.client() as client:
        await client.ask(client.endpoint, ("1",), Permit())
        with pytest.raises(NoPermit):
            await client.ask(client.endpoint, ("2",), Permit(1))
    assert len(server.heads) == 2


async def test_a_redirect_on_the_same_origin_is_followed_and_counted() -> None:
    """Each step is a wire request of its own, with the same headers."""
    moved = b"HTTP/1.1 301 Moved\r\nLocation: /v2/%2F1?a=%2C\r\nContent-Length: 0\r\n\r\n"
    async with wire(lambda number: moved if number == 1 else OK) as server:
        permit = Permit()
        answer = await ask(server.client(headers={"Authorization": "Bearer {secret.key}"}), permit=permit)
    assert (answer.status, permit.spent) == (200, 2)
    assert server.targets() == ["/v1?id=1", "/v2/%2F1?a=%2C"]
    assert "Authorization: Bearer s3cret-key\r\n" in server.heads[1]


async def test_redirects_end_after_five() -> None:
    """A ring of redirects is a failed call of six requests."""
    moved = b"HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n"
    async with wire(moved) as server:
        permit = Permit()
        error = await failure(server.client(), permit)
    assert (error.reason, permit.spent, len(server.heads)) == ("redirect", 6, 6)


async def test_a_redirect_to_another_origin_is_not_followed() -> None:
    """Nothing at all is sent there, a secret least of all."""
    async with wire(OK) as other:
        away = f"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{other.port}/\r\nContent-Length: 0\r\n\r\n"
        async with wire(away.encode()) as server:
            error = await failure(server.client(params={"id": "{id}", "key": "{secret.key}"}))
    assert (error.reason, other.heads) == ("redirect", [])


async def test_the_deadline_covers_the_call_to_its_last_byte() -> None:
    """An answer that starts and never ends is a time-out."""
    async with wire(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{") as server:
        error = await failure(server.client(timeout="50ms"))
    assert (error.reason, error.detail) == ("timeout", "no whole answer within 0.05 s")


async def test_a_cancelled_call_is_cancelled() -> None:
    """Our own stop is no time-out."""
    asked = asyncio.Event()

    def silent(_: int) -> bytes:
        asked.set()
        return b""

    async with wire(silent) as server, asyncio.TaskGroup() as group:
        call = group.create_task(ask(server.client()))
        await asked.wait()
        call.cancel()
    assert call.cancelled()


@pytest.mark.parametrize(
    "answer",
    [
        b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"id":1}',
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n{"id":1}\r\n',
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 10_000_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X-Many: y\r\n" * 100_000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nbad header\x00: \xff\r\n\r\n",
        None,
    ],
    ids=["cut", "cut-chunked", "no-http", "huge-header", "many-headers", "bad-header", "hang-up"],
)
async def test_a_broken_answer_is_a_broken_connection(answer: bytes | None) -> None:
    """Whatever breaks on the wire ends as one error, whose words hold no secret."""
    async with wire(lambda _: answer, close_after=True) as server:
        error = await failure(server.client(params={"id": "{id}", "key": "{secret.key}"}))
    assert error.reason == "connection"


async def test_a_refused_connection_says_where() -> None:
    """The detail names host and port, and the secret in the URL stays out of it."""
    async with wire(OK) as server:
        pass
    permit = Permit()
    error = await failure(server.client(params={"id": "{id}", "key": "{secret.key}"}), permit=permit)
    assert permit.spent == 0
    assert error.reason == "connection"
    assert f"127.0.0.1:{server.port}" in error.detail


RAW = b'{"id": 1, "text": "' + b"a" * 50_000 + b'"}'


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(RAW, mtime=0)),
        ("X-GZIP", gzip.compress(RAW, mtime=0)),
        ("gzip", gzip.compress(RAW[:9], mtime=0) + gzip.compress(RAW[9:], mtime=0)),
        ("gzip", gzip.compress(RAW, mtime=0) + b"\0" * 20),
        ("deflate", zlib.compress(RAW)),
        ("deflate", zlib.compress(RAW)[2:-4]),
        ("identity", RAW),
    ],
)
async def test_a_compressed_body_is_unpacked(encoding: str, body: bytes) -> None:
    """gzip in one or more parts, padded or not, and deflate with or without its header."""
    async with wire(packed_body(body, encoding)) as server:
        assert (await ask(server.client())).body == RAW


@pytest.mark.parametrize("cut", [1, 9, 10, 30, -9, -1])
@pytest.mark.parametrize("length", [True, False])
async def test_a_compressed_body_that_was_cut_is_no_answer(cut: int, length: bool) -> None:
    """Not even where the sender believes that it sent everything."""
    async with wire(packed_body(gzip.compress(RAW, mtime=0)[:cut], length=length), close_after=True) as server:
        assert (await failure(server.client())).reason == "connection"


async def test_an_empty_body_that_claims_to_be_gzip_is_unreadable() -> None:
    """It is handed over as empty, and no ID is gone for it."""
    async with wire(packed_body(b"")) as server:
        client = server.client()
        answer = await ask(client)
    reading = read(client.endpoint.spec, ("1",), answer)
    assert isinstance(reading, Unreadable)
    assert reading.reason == "empty"


@pytest.mark.parametrize("encoding", ["br", "gzip"])
async def test_a_body_that_cannot_be_unpacked_is_no_answer(encoding: str) -> None:
    """An encoding that we did not ask for, or that is not what it says."""
    async with wire(packed_body(RAW, encoding)) as server:
        assert (await failure(server.client())).reason == "connection"


async def test_an_error_status_is_an_answer_though_its_body_is_broken() -> None:
    """A 429 holds a budget back whatever came behind its headers."""
    broken = packed_body(gzip.compress(RAW, mtime=0)[:30], status="429 Slow Down")
    async with wire(broken) as server:
        assert (await ask(server.client())).status == 429


async def test_a_failed_answer_that_echoes_a_secret_is_masked() -> None:
    """Its words are kept as a detail, and secrets are not."""
    body = b"Not found: /v1?id=1&key=s3cret-key"
    async with wire(b"HTTP/1.1 404 Nope\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)) as server:
        answer = await ask(server.client(params={"id": "{id}", "key": "{secret.key}"}))
    assert answer.body == b"Not found: /v1?id=1&key=***"


@pytest.mark.parametrize(
    "body",
    [gzip.compress(b"\0" * 50_000_000, mtime=0), b"".join([gzip.compress(b"", mtime=0)] * 20_000)],
    ids=["bomb", "many-parts"],
)
async def test_an_answer_above_the_cap_is_broken_off(body: bytes) -> None:
    """The cap holds for what comes out of the compression, and only so much is ever unpacked."""
    async with wire(packed_body(body)) as server:
        assert (await failure(server.client(max_bytes="1MB"))).reason == "too-large"


async def test_an_endless_answer_is_broken_off_at_the_cap() -> None:
    """Plain bytes count as well."""
    answer = b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1_000_001
    async with wire(answer, close_after=True) as server:
        assert (await failure(server.client(max_bytes="1MB"))).reason == "too-large"
    async with wire(answer[:-1], close_after=True) as server:
        assert len((await ask(server.client(max_bytes="1MB"))).body) == 1_000_000


async def test_a_malformed_id_sends_nothing_and_spends_nothing() -> None:
    """It is refused before the wire."""
    async with wire(OK) as server:
        permit = Permit()
        error = await failure(server.client(headers={"X-Id": "{id}"}), permit, "1\n")
    assert (error.reason, permit.spent, server.heads) == ("malformed", 0, [])


async def test_as_many_calls_as_wanted_are_in_the_air() -> None:
    """No call waits for a connection of the pool with its permit spent."""
    barrier = asyncio.Barrier(150)

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await barrier.wait()
        writer.write(OK)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(meet, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with Wire(lambda _: OK, port=port).client(parallel=150) as client, asyncio.TaskGroup() as group:
            calls = [group.create_task(client.ask(client.endpoint, (str(number),), Permit())) for number in range(150)]
    assert {call.result().status for call in calls} == {200}


async def test_an_answer_read_from_the_wire_finds_its_id() -> None:
    """Client and reading fit together."""
    async with wire(OK) as server:
        client = server.client()
        reading = read(client.endpoint.spec, ("1",), await ask(client))
    assert isinstance(reading, Good)
    assert set(reading.found) == {"1"}


HOSTILE = [
    "../..",
    "?a=b",
    "#",
    "%2e%2e",
    "/",
    "&x=1",
    "a\r\nHost: evil",
    "@evil.example/",
    "//evil.example",
    " ",
    "\0",
]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1) | st.sampled_from(HOSTILE), min_size=1, max_size=20))
def test_no_id_changes_where_a_call_goes(keys: list[str]) -> None:
    """What the server gets has its host, path and parameters, with the ID whole in its place."""
    asyncio.run(_ask_hostile([key for key in keys if key not in (".", "..")]))


async def _ask_hostile(keys: list[str]) -> None:
    async with wire(OK) as server:
        url = f"http://127.0.0.1:{server.port}/v1/{{id}}/posts?a=1"
        async with server.client(url=url, params={"p": "{id}", "q": "2"}) as client:
            for key in keys:
                await client.ask(client.endpoint, (key,), Permit())
        assert len(server.heads) == len(keys)
        for key, head, target in zip(keys, server.heads, server.targets(), strict=True):
            parts = urlsplit(target)
            assert [unquote(segment) for segment in parts.path.split("/")] == ["", "v1", key, "posts"]
            assert parse_qsl(parts.query) == [("a", "1"), ("p", key), ("q", "2")]
            hosts = [line for line in head.split("\r\n") if line.lower().startswith("host:")]
            assert hosts == [f"Host: 127.0.0.1:{server.port}"]


def linked(link: str, status: str = "200 OK") -> bytes:
    return f'HTTP/1.1 {status}\r\nLink: <{link}>; rel="next"\r\nContent-Length: 2\r\n\r\n[]'.encode()


async def test_a_link_is_followed_with_the_secret_that_it_repeats_or_leaves_out() -> None:
    """Between two pages the secret is nowhere but on the wire."""
    links = ["?max_id=7&key=s3cret%2Dkey", "/v2/x?max_id=5", ""]
    params = {"id": "{id}", "key": "{secret.key}"}
    async with (
        wire(lambda number: linked(links[number - 1]) if links[number - 1] else OK) as server,
        server.client(next="link", params=params) as client,
    ):
        cursor, cursors = None, []
        for _ in links:
            cursor = (await client.ask(client.endpoint, ("1",), Permit(), cursor)).link
            cursors.append(cursor)
    assert cursors == ["/v1?max_id=7&key={secret.key}", "/v2/x?max_id=5", None]
    assert server.targets() == [
        "/v1?id=1&key=s3cret-key",
        "/v1?max_id=7&key=s3cret-key",
        "/v2/x?max_id=5&key=s3cret-key",
    ]


async def test_a_link_counts_from_where_a_redirect_led() -> None:
    """A relative one is resolved against the address that gave the answer."""
    moved = b"HTTP/1.1 301 Moved\r\nLocation: /users/9/list?a=1\r\nContent-Length: 0\r\n\r\n"
    async with wire(lambda number: moved if number == 1 else linked("?page=2")) as server:
        assert (await ask(server.client(next="link"))).link == "/users/9/list?page=2"


async def test_several_link_headers_are_one_list() -> None:
    """As every header of that kind."""
    answer = linked("/b").replace(b"\r\n", b"\r\nLink: </a>; rel=prev\r\n", 1)
    async with wire(answer) as server:
        assert (await ask(server.client(next="link"))).link == "/b"
        assert (await ask(server.client())).link is None


async def test_only_a_good_answer_has_a_next_page() -> None:
    """A link elsewhere in an error's headers is no fault; where a rule reads it as a 200, it is."""
    async with wire(linked("http://evil.example/", "404 Not Found")) as server:
        assert (await ask(server.client(next="link"))).status == 404
        error = await failure(server.client(next="link", on=[{"status": 404, "do": "ok"}]))
    assert (error.reason, len(server.heads)) == ("redirect", 2)


async def test_a_cursor_that_is_no_link_sends_nothing() -> None:
    """As after a change of the source, or by somebody's hand."""
    async with wire(OK) as server, server.client(next="link") as client:
        with pytest.raises(RequestError) as caught:
            await client.ask(client.endpoint, ("1",), Permit(), "http://evil.example/")
    assert (caught.value.reason, server.heads) == ("cursor", [])


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 3 + OK,
        b'HTTP/1.0 200 OK\r\nContent-Length: 8\r\n\r\n{"id":1}',
        b'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 8\r\n\r\n{"id":1}',
        b'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 8\r\n\r\n{"id":1}',
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{"id\r\n4;a=b\r\n":1}\r\n0\r\nX-Trailer: a\r\n\r\n',
        b'HTTP/1.1 200\r\nContent-Length: 8\r\n\r\n{"id":1}',
        OK + b"\r\n",
        OK + OK.replace(b"1}", b"2}"),
    ],
    ids=["100", "103", "old", "old-kept", "last", "chunked", "no-reason", "newline-behind", "two-answers"],
)
async def test_an_answer_is_read_however_it_is_framed(answer: bytes) -> None:
    """And what comes before or behind it is nobody else's."""
    async with wire(answer) as server, server.client() as client:
        for _ in range(3):
            got = await client.ask(client.endpoint, ("1",), Permit(1))
            assert (got.status, got.body) == (200, b'{"id":1}')


@pytest.mark.parametrize("size", [60_000, 140_000, 250_000, 300_000, 900_000])
async def test_a_large_answer_leaves_the_connection_as_it_was(size: int) -> None:
    """Where reading was held up for it, that goes on for the next one."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (size, b"x" * size)
    async with wire(answer) as server, server.client() as client:
        for _ in range(5):
            assert len((await client.ask(client.endpoint, ("1",), Permit(1))).body) == size
        assert len(server.open) == 1


@pytest.mark.parametrize(
    "head",
    [b"204 No Content\r\n", b"304 Not Modified\r\n", b"304 Not Modified\r\nContent-Length: 8\r\n"],
    ids=["204", "304", "304-length"],
)
async def test_an_answer_that_has_no_body_ends_with_its_head(head: bytes) -> None:
    """Whatever length it tells."""
    async with wire(b"HTTP/1.1 " + head + b"\r\n") as server, server.client() as client:
        for _ in range(3):
            got = await client.ask(client.endpoint, ("1",), Permit(1))
            assert (got.status, got.body) == (int(head[:3]), b"")


@pytest.mark.parametrize("close_after", [1, 3, 7])
async def test_of_many_calls_to_a_server_that_closes_none_is_lost(close_after: int) -> None:
    """It closes a connection after some requests without a word; each of these costs one permit more at most."""
    served: dict[asyncio.StreamWriter, int] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            for _ in range(close_after):
                await reader.readuntil(b"\r\n\r\n")
                served[writer] = served.get(writer, 0) + 1
                writer.write(OK)
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    async def calls(client: Asker, most: int) -> int:
        spent = 0
        for number in range(most):
            permit = Permit(2)
            assert (await client.ask(client.endpoint, (str(number),), permit)).body == b'{"id":1}'
            spent += permit.spent
        return spent

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with Wire(lambda _: OK, port=port).client() as client, asyncio.TaskGroup() as group:
            tasks = [group.create_task(calls(client, 50)) for _ in range(8)]
    assert sum(served.values()) == 400
    assert 400 <= sum(task.result() for task in tasks) <= 400 + len(served)

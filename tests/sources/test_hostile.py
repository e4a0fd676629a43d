"""What hostile IDs, cursors and Link headers can do to a call: nothing.

Each is sent to a real server, which keeps the bytes that came. They hold the declared parameters, the ID in its place,
and nothing else.
"""

import asyncio
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, unquote, unquote_plus

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from collector.errors import RequestError
from collector.sources.answer import Answer
from tests.sources.wire import Asker, Permit, Wire, wire

HOSTILE = st.sampled_from(
    [
        *(
            "../..",
            "..",
            ".",
            "?a=b",
            "#",
            "%2e%2e",
            "%",
            "/",
            "\\..\\",
            "//evil.example",
            "@evil.example/",
            "&x=1",
            ";x=1",
        ),
        *(
            "=",
            "+",
            " ",
            ",",
            "|",
            "\0",
            "\x7f",
            "a\r\nHost: evil",
            "a\nX-Evil: 1",
            "é",
            "\u2028",
            "😀",
            '"',
            "{id}",
            "{ids}",
        ),
        *("{secret.key}", "https://evil.example/", "0", "null", "x" * 300),
    ]
)
TEXTS = st.lists(HOSTILE | st.text(st.characters(codec="utf-8"), min_size=1, max_size=8), min_size=1, max_size=3).map(
    "".join
)
KEYS = st.lists(TEXTS, min_size=1, max_size=4, unique=True)
BOUNDED = settings(max_examples=25, deadline=None)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

Pairs = list[tuple[str, str]]


class Came:
    """One request as the server got it."""

    def __init__(self, server: Wire) -> None:
        head, self.body, self.port = server.heads[-1], server.bodies[-1], server.port
        line, *rows = head.removesuffix("\r\n\r\n").split("\r\n")
        self.method, self.target, self.version = line.split(" ")
        self.headers = [(name.lower(), value) for name, value in (row.split(": ", 1) for row in rows)]
        assert self.version == "HTTP/1.1"
        assert self.target.isascii()
        assert self.target.isprintable()
        assert "#" not in self.target
        self.path, _, self.query = self.target.partition("?")

    def header(self, name: str) -> list[str]:
        return [value for header, value in self.headers if header == name]

    def pairs(self) -> Pairs:
        """The parameters, each part split where it stands on the wire and decoded afterwards."""
        return [_pair(part) for part in self.query.split("&")] if self.query else []

    def form(self) -> Pairs:
        return [_pair(part) for part in self.body.decode("ascii").split("&")]

    def segments(self) -> list[str]:
        return [unquote(segment, errors="strict") for segment in self.path.split("/")]


def _pair(part: str) -> tuple[str, str]:
    name, _, value = part.partition("=")
    assert "+" not in part  # a space is %20 everywhere, so that nobody takes it for a plus
    return unquote(name, errors="strict"), unquote(value, errors="strict")


async def came(server: Wire, client: Asker, keys: tuple[str, ...], cursor: str | None = None) -> Came | None:
    """What a call was on the wire, with what is always so of it; None where it was refused and nothing was sent."""
    before = len(server.heads)
    try:
        await client.ask(client.endpoint, keys, Permit(), cursor)
    except RequestError as error:
        assert error.reason in ("malformed", "cursor")  # noqa: PT017 - either this, or an answer
        assert len(server.heads) == before
        return None
    assert len(server.heads) == before + 1
    got = Came(server)
    declared = {"host", "user-agent", "accept", "accept-encoding", *map(str.lower, client.endpoint.spec.headers)}
    declared |= {"content-type", "content-length"} if got.body else set()
    assert sorted(name for name, _ in got.headers) == sorted(declared)
    assert got.header("host") == [f"127.0.0.1:{server.port}"]
    assert got.method == client.endpoint.spec.method
    return got


def over_the_wire(check: Callable[[Wire], Any]) -> None:
    async def run() -> None:
        async with wire(ANSWER) as server:
            await check(server)

    asyncio.run(run())


@BOUNDED
@given(st.lists(TEXTS, min_size=1, max_size=8))
def test_an_id_in_the_path_is_one_segment_or_a_part_of_one(keys: list[str]) -> None:
    """The path has as many segments as declared; an ID that would be dots of its own is not asked for."""

    async def check(server: Wire) -> None:
        url = f"http://127.0.0.1:{server.port}/v1/{{id}}/x{{id}}y/posts?a=1"
        async with server.client(url=url, params={"q": "2"}) as client:
            for key in keys:
                if (got := await came(server, client, (key,))) is None:
                    assert key in (".", "..")
                    continue
                assert got.segments() == ["", "v1", key, f"x{key}y", "posts"]
                assert got.pairs() == [("a", "1"), ("q", "2")]

    over_the_wire(check)


@BOUNDED
@given(st.lists(st.lists(TEXTS, min_size=1, max_size=3).map("/".join), min_size=1, max_size=8))
def test_an_id_of_several_segments_stays_between_those_declared(keys: list[str]) -> None:
    """`{id/}` keeps the `/` of an ID and nothing else of it: it is asked for below its place, or not at all."""

    async def check(server: Wire) -> None:
        url = f"http://127.0.0.1:{server.port}/v1/{{id/}}/posts?a=1"
        async with server.client(url=url, params={"q": "2"}) as client:
            for key in keys:
                if (got := await came(server, client, (key,))) is None:
                    assert {"", ".", ".."} & set(key.split("/"))
                    continue
                assert got.segments() == ["", "v1", *key.split("/"), "posts"]
                assert got.pairs() == [("a", "1"), ("q", "2")]

    over_the_wire(check)


@BOUNDED
@given(KEYS)
def test_ids_of_a_list_are_one_value(keys: list[str]) -> None:
    """Joined by commas or bars, in the url and in params: the parameters are those declared."""

    async def check(server: Wire) -> None:
        for joiner in (",", "|"):
            url = f"http://127.0.0.1:{server.port}/v1?of={{ids}}&a=1"
            async with server.client(
                url=url, params={"p": "x{ids}y", "q": "2"}, pack=9, join=joiner, each="[{id}]"
            ) as client:
                got = await came(server, client, tuple(keys))
            assert got is not None
            value = joiner.join(f"[{key}]" for key in keys)
            assert got.segments() == ["", "v1"]
            assert got.pairs() == [("of", value), ("a", "1"), ("p", f"x{value}y"), ("q", "2")]

    over_the_wire(check)


@BOUNDED
@given(KEYS)
def test_a_repeated_parameter_stands_once_for_each_id(keys: list[str]) -> None:
    """As many as there are IDs, each whole."""

    async def check(server: Wire) -> None:
        async with server.client(params={"id[]": "{ids}", "q": "2"}, pack=9, join="repeat") as client:
            got = await came(server, client, tuple(keys))
        assert got is not None
        assert got.pairs() == [*(("id[]", key) for key in keys), ("q", "2")]

    over_the_wire(check)


@BOUNDED
@given(KEYS, TEXTS)
def test_ids_of_a_body_stay_in_it(keys: list[str], cursor: str) -> None:
    """A form keeps its parameters apart and JSON its keys; neither url nor headers change."""

    async def check(server: Wire) -> None:
        form = {"id": "{ids}", "db": "x{ids}"}
        async with server.client(method="POST", params={}, form=form, pack=9, join="|") as client:
            got = await came(server, client, tuple(keys))
        assert got is not None
        assert (got.target, got.form()) == ("/v1", [("id", "|".join(keys)), ("db", "x" + "|".join(keys))])
        body = {"ids": "{ids}", "deep": [{"t": "of {ids}"}], "n": 1}
        async with server.client(method="POST", params={}, json=body, pack=9) as client:
            got = await came(server, client, tuple(keys))
        assert got is not None
        told = {"ids": keys, "deep": [{"t": f"of {','.join(keys)}"}], "n": 1}
        assert (got.target, json.loads(got.body)) == ("/v1", told)
        following = {"from": "n", "to": "c"}
        page = {"id": "{id}", "c": "first"}
        async with server.client(method="POST", params={}, json=page, next=following) as client:
            got = await came(server, client, (keys[0],), cursor)
        assert got is not None
        assert (got.target, json.loads(got.body)) == ("/v1", {"id": keys[0], "c": cursor})

    over_the_wire(check)


@BOUNDED
@given(st.lists(TEXTS, min_size=1, max_size=8))
def test_an_id_in_a_header_stays_on_its_line(keys: list[str]) -> None:
    """One that holds a control character is not asked for; all else arrives as it is."""

    async def check(server: Wire) -> None:
        async with server.client(params={"a": "b"}, headers={"X-Of": "<{id}>"}) as client:
            for key in keys:
                got = await came(server, client, (key,))
                controls = [sign for sign in key if ord(sign) < 32 or ord(sign) == 127]
                assert (got is None) == bool(controls)
                assert got is None or got.header("x-of") == [f"<{key}>".encode().decode("latin-1")]

    over_the_wire(check)


@BOUNDED
@given(TEXTS, st.lists(TEXTS, min_size=1, max_size=6))
def test_a_cursor_is_the_value_of_its_parameter(key: str, cursors: list[str]) -> None:
    """In the query or in a form, beside the ID; what a cursor says of places and secrets is text."""

    async def check(server: Wire) -> None:
        following = {"from": "n", "to": "c&"}
        asked: dict[str, Any] = {"params": {"id": "{id}", "c&": "first"}, "next": following}
        async with server.client(**asked) as client:
            for cursor in cursors:
                got = await came(server, client, (key,), cursor)
                assert got is not None
                assert (got.path, got.pairs()) == ("/v1", [("id", key), ("c&", cursor)])
        asked = {"method": "POST", "params": {}, "form": {"c&": 1, "id": "{id}"}, "next": following}
        async with server.client(**asked) as client:
            got = await came(server, client, (key,), cursors[0])
        assert got is not None
        assert (got.target, got.form()) == ("/v1", [("id", key), ("c&", cursors[0])])

    over_the_wire(check)


@BOUNDED
@given(st.lists(TEXTS | TEXTS.map(lambda text: f"/{text}"), min_size=1, max_size=10))
def test_a_link_that_somebody_tampered_with_stays_on_its_host(cursors: list[str]) -> None:
    """It is a path and a query of the source's own origin, with its own secret and no other, or is not asked for."""

    async def check(server: Wire) -> None:
        async with server.client(next="link", params={"id": "{id}", "k": "{secret.key}"}) as client:
            for cursor in cursors:
                if (got := await came(server, client, ("1",), cursor)) is None:
                    continue
                assert cursor.startswith("/")
                path, _, query = cursor.replace("{secret.key}", "s3cret-key").partition("?")
                left_out = "" if "k" in dict(parse_qsl(query, keep_blank_values=True)) else "k=s3cret-key"
                assert got.path == path
                assert got.query == "&".join(filter(None, (query, left_out)))

    over_the_wire(check)


TARGETS = st.lists(
    HOSTILE
    | st.sampled_from(
        ["/v2", "?page=2", "&k=s3cret-key", "http://127.0.0.1", ":1", "s3cret%2Dkey", "http:", "{secret.key}"]
    ),
    min_size=1,
    max_size=4,
).map("".join)


@BOUNDED
@example(["../..//evil.example"])
@given(st.lists(TARGETS, min_size=1, max_size=6))
def test_a_link_header_leads_to_the_same_host_or_nowhere(targets: list[str]) -> None:
    """What is kept of it shows no secret, and what is asked for by it goes to the source's own origin."""
    sent: list[str] = []

    def reply(number: int) -> bytes:
        target = sent[-1].replace("\r", "").replace("\n", "").replace("\0", "").encode()
        return b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nLink: <%s>; rel="next"\r\n\r\n[]' % target

    async def follow(server: Wire, client: Asker, target: str) -> None:
        sent.append(target)
        try:
            answer: Answer = await client.ask(client.endpoint, ("1",), Permit())
        except RequestError as error:
            assert error.reason in ("redirect", "connection")  # noqa: PT017 - either this, or an answer
            return
        if answer.link is None:
            return
        assert "s3cret" not in unquote_plus(answer.link)
        got = await came(server, client, ("1",), answer.link)
        assert got is not None
        assert got.path.startswith("/")
        assert "s3cret-key" in dict(parse_qsl(got.query, keep_blank_values=True)).get("k", "s3cret-key")

    async def run() -> None:
        async with (
            wire(reply) as server,
            server.client(next="link", params={"id": "{id}", "k": "{secret.key}"}) as client,
        ):
            for target in targets:
                await follow(server, client, target)

    asyncio.run(run())


@pytest.mark.parametrize("location", ["//evil.example/", "http://evil.example/", "http://127.0.0.1:1/", "https:/x"])
async def test_a_link_to_another_origin_ends_the_call(location: str) -> None:
    """One request, and none elsewhere."""
    link = f'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nLink: <{location}>; rel="next"\r\n\r\n[]'
    async with wire(link.encode()) as server, server.client(next="link") as client:
        with pytest.raises(RequestError) as caught:
            await client.ask(client.endpoint, ("1",), Permit())
    assert (caught.value.reason, len(server.heads)) == ("redirect", 1)

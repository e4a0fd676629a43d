"""The document of the interface says what is so."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from yarl import URL

from collector.admin.listen import listening
from collector.admin.openapi import OPERATIONS, document
from collector.model import Failed, Gone
from tests.admin.house import whole
from tests.admin.test_admin import ANY_PORT, BEARER
from tests.intake.house import house as housed
from tests.output.given import found, recorded, taken_in


def test_the_document_is_openapi() -> None:
    """As the standard has it."""
    validate(document())


async def test_every_route_is_in_the_document_and_no_other(tmp_path: Path) -> None:
    """What is not told nobody finds."""
    async with housed(tmp_path) as house:
        house.config.batches.mkdir()
        routes = {
            (route.method.lower(), route.resource.canonical)
            for route in whole(house).router.routes()
            if route.method != "HEAD" and route.resource is not None
        }
    assert routes == OPERATIONS.keys()


def holds(method: str, path: str, status: int, body: Any) -> None:
    """The answer is one that the document tells."""
    told = document()
    answer = told["paths"][path][method]["responses"].get(str(status))
    assert answer is not None, f"{method} {path} answered {status}, of which the document does not know: {body}"
    schema = answer["content"]["application/json"].get("schema", {})
    resolved = {"components": told["components"], **schema}
    Draft202012Validator(resolved).validate(body)


ASKED = [
    ("get", "/status", "/status"),
    ("get", "/status", "/status?format=xml"),
    ("get", "/healthz", "/healthz"),
    ("get", "/openapi.json", "/openapi.json"),
    ("get", "/batches", "/batches?limit=1"),
    ("get", "/batches", "/batches?before=x"),
    ("get", "/batches/{batch}", "/batches/1"),
    ("get", "/batches/{batch}", "/batches/9"),
    ("get", "/batches/{batch}/jobs", "/batches/1/jobs?limit=2"),
    ("get", "/batches/{batch}/jobs/{key}", "/batches/1/jobs/1"),
    ("get", "/batches/{batch}/jobs/{key}", "/batches/1/jobs/3"),
    ("get", "/batches/{batch}/jobs/{key}", "/batches/1/jobs/none"),
    ("get", "/batches/{batch}/found.csv", "/batches/9/found.csv"),
    ("post", "/batches", "/batches?source=none"),
    *(("post", f"/{verb}", f"/{verb}?to=1") for verb in ("pause", "resume", "retry", "priority", "cancel")),
    *(
        ("post", f"/sources/{{source}}/{verb}", f"/sources/posts/{verb}?to=1")
        for verb in ("pause", "resume", "retry", "priority", "cancel")
    ),
    *(
        ("post", f"/batches/{{batch}}/{verb}", f"/batches/1/{verb}?to=1")
        for verb in ("pause", "resume", "retry", "priority", "cancel")
    ),
    ("post", "/priority", "/priority"),
    ("post", "/sources/{source}/cancel", "/sources/nobody/cancel"),
    ("post", "/reload", "/reload"),
    ("post", "/login", "/login"),
    ("post", "/logout", "/logout"),
]


async def test_real_answers_are_those_of_the_document(tmp_path: Path) -> None:
    """Good ones and errors, with and without a token."""
    async with housed(tmp_path) as house:
        house.config.batches.mkdir()
        batch = (await taken_in(house.store, ["1", "2", "3", "4"])).id
        await recorded(house.store, batch, {"1": found("1"), "2": Gone("deleted", "it"), "3": Failed("http-500", "")})
        async with listening(whole(house), ANY_PORT) as address, aiohttp.ClientSession(address) as session:
            for method, path, sent in ASKED:
                for headers in (BEARER, {}):
                    async with session.request(method, sent, headers=headers) as answer:
                        holds(method, path, answer.status, await answer.json())


async def test_no_bytes_are_a_fault_of_ours(tmp_path: Path) -> None:
    """Whatever stands in a path, a query, a header or a body: an answer below 500, each with its sentence."""
    async with housed(tmp_path) as house:
        house.config.batches.mkdir()
        await taken_in(house.store, ["1", "2"])
        async with listening(whole(house), ANY_PORT) as address, aiohttp.ClientSession(address) as session:
            url = URL(address or "")
            # A service that drains refuses all IDs, so that comes last.
            examples = sorted(_examples(), key=lambda example: example[1] == "/drain")
            for method, path, odd, body in examples:
                status = await _raw(url, method, path, odd, body)
                assert status < 500 or path == "/reload", (method, path, odd, body, status)
            assert (await session.get("/healthz")).status == 200


def _examples() -> Any:
    found: list[tuple[str, str, bytes, bytes]] = []

    @settings(max_examples=150, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(sorted(OPERATIONS)), st.binary(max_size=20), st.binary(max_size=20), st.booleans())
    def collect(operation: tuple[str, str], odd: bytes, body: bytes, known: bool) -> None:
        method, path = operation
        found.append((method, path.replace("{batch}", "1") if known else path, odd, body))

    collect()
    return found


async def _raw(url: URL, method: str, path: str, odd: bytes, body: bytes) -> int:
    """The status of the answer to these bytes, which may be no HTTP at all."""
    quoted = "".join(f"%{byte:02X}" for byte in odd).encode()
    line = odd.replace(b" ", b"").replace(b"\n", b"").replace(b"\r", b"")
    filled = path.encode().replace(b"{batch}", quoted or b"1").replace(b"{key}", line or b"1")
    filled = filled.replace(b"{source}", quoted or b"posts")
    query = b"?" + b"&".join(name + b"=" + value for name in (b"reason", b"after", b"name") for value in (quoted, line))
    head = b"%s %s%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" % (method.upper().encode(), filled, query)
    head += b"Authorization: %s\r\nX-Odd: %s\r\nCookie: a=%s\r\n" % (BEARER["Authorization"].encode(), line, line)
    head += b"Content-Type: %s\r\n" % (b"multipart/form-data; boundary=b" if len(body) % 2 else b"application/json")
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    answer = await reader.read(64)
    writer.close()
    return int(answer.split()[1])

"""The HTTP interface over the wire."""

import asyncio
import logging
import os
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.admin import api
from collector.admin import app as admin_app
from collector.admin.app import application
from collector.admin.guard import Guard, is_ours
from collector.admin.listen import controlled, listening
from collector.admin.session import Session
from collector.clock import Clock
from collector.config import Admin
from collector.errors import CollectorError
from collector.host.secret import Secret
from collector.output.health import Health
from collector.output.snapshot import JobCounts, Snapshot

SNAPSHOT = Snapshot(
    state="running",
    version="0",
    started_at="2026-11-22T08:00:00.000Z",
    now="2026-11-22T08:01:00.000Z",
    finish_from=None,
    finish_at=None,
    finish_to=None,
    at_least=False,
    jobs=JobCounts(total=3, queued=1, found=2),
    calls_in_the_air=0,
    waiting=(),
    batches=(),
    budgets={},
    sources={},
    troubles=(),
)
WELL = Health(True)
TOKEN = "a-token-of-this-test"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
ANY_PORT = Admin(listen="127.0.0.1:0")


def guard(hosts: frozenset[str] = frozenset(), remote: bool = False, delay: float = 0.01) -> Guard:
    return Guard(Session(Secret(TOKEN), Clock()), hosts, remote, delay)


@asynccontextmanager
async def serving(
    health: Health = WELL,
    hosts: frozenset[str] = frozenset(),
    snapshot: Snapshot | None = SNAPSHOT,
    remote: bool = False,
    delay: float = 0.01,
) -> AsyncIterator[aiohttp.ClientSession]:
    def status() -> Snapshot:
        assert snapshot is not None, "a fault of ours"
        return snapshot

    app = application(status, lambda: health, guard(hosts, remote, delay))
    async with listening(app, ANY_PORT) as address, aiohttp.ClientSession(address) as session:
        yield session


async def raw(session: aiohttp.ClientSession, sent: bytes) -> bytes:
    """What the server answers to these very bytes until it closes."""
    url = session._base_url
    assert url is not None
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(sent)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


async def test_status_is_json_for_scripts() -> None:
    """Whoever asks for nothing else gets the snapshot as JSON, which nobody keeps."""
    async with serving() as session, session.get("/status") as answer:
        assert answer.status == 200
        assert answer.content_type == "application/json"
        assert answer.headers["Cache-Control"] == "no-store"
        assert msgspec.json.decode(await answer.read(), type=Snapshot) == SNAPSHOT


@pytest.mark.parametrize(
    ("path", "accept"), [("/status", "text/plain"), ("/status", "Text/Plain; q=0.9"), ("/status?format=text", "*/*")]
)
async def test_status_is_text_for_people(path: str, accept: str) -> None:
    """`Accept: text/plain` and `?format=text` bring the words."""
    async with serving() as session, session.get(path, headers={"Accept": accept}) as answer:
        assert answer.content_type == "text/plain"
        assert "3 IDs = 2 found" in await answer.text()


async def test_status_is_made_once_for_many_who_ask_and_anew_after_an_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is told is at most a moment old, and whoever ordered something sees it."""
    monkeypatch.setattr(api, "_SHARE", 1e-9)  # as if a snapshot took long
    monkeypatch.setattr(api, "_OLDEST", 60.0)
    made = count(1)
    app = application(
        lambda: msgspec.structs.replace(SNAPSHOT, calls_in_the_air=next(made)), lambda: Health(True), guard()
    )
    async with listening(app, ANY_PORT) as address, aiohttp.ClientSession(address, headers=BEARER) as session:

        async def told() -> int:
            async with session.get("/status") as answer:
                return int((await answer.json())["calls_in_the_air"])

        assert [await told() for _ in range(20)] == [1] * 20
        async with session.post("/logout"):
            pass
        assert await told() == 2


async def test_who_asks_too_often_waits_and_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop has calls to send: a flood takes its time instead of theirs."""
    monkeypatch.setattr(admin_app, "MOST_A_SECOND", 100)
    monkeypatch.setattr(admin_app, "_BURST", 5)
    async with serving() as session:
        began = asyncio.get_running_loop().time()
        answers = await asyncio.gather(*(session.get("/status") for _ in range(25)))
        assert asyncio.get_running_loop().time() - began >= 0.19
        assert {answer.status for answer in answers} == {200}
        for answer in answers:
            await answer.read()


async def test_another_format_is_refused() -> None:
    """A wrong word is told, not guessed at."""
    async with serving() as session, session.get("/status?format=xml") as answer:
        assert answer.status == 400
        assert "json or text" in (await answer.json())["error"]


async def test_health_is_200_or_503_with_the_reason() -> None:
    """A checker sees it by the status, a person by the words."""
    async with serving() as session, session.get("/healthz") as answer:
        assert (answer.status, await answer.json()) == (200, {"ok": True, "why": None})
    async with serving(Health(False, "the disk is full")) as session, session.get("/healthz") as answer:
        assert (answer.status, (await answer.json())["why"]) == (503, "the disk is full")


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nothing", 404), ("POST", "/status", 405)])
async def test_errors_are_json_with_a_sentence(method: str, path: str, status: int) -> None:
    """A path that is not there and a method that is not served say so, and no answer names aiohttp."""
    async with serving() as session, session.request(method, path, headers=BEARER) as answer:
        assert answer.status == status
        assert answer.headers["Server"] == "collector"
        assert len((await answer.json())["error"]) > 20
        assert (answer.headers.get("Allow") == "GET, HEAD") is (status == 405)


async def test_a_fault_of_ours_is_a_500_that_tells_nothing() -> None:
    """The log has the details, the answer has a sentence."""
    async with serving(snapshot=None) as session, session.get("/status") as answer:
        assert answer.status == 500
        assert "fault of ours" not in await answer.text()


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "a@localhost"])
async def test_a_foreign_host_is_refused(host: str) -> None:
    """A page of another site cannot read the status through a name of its own."""
    async with serving() as session, session.get("/status", headers={"Host": host}) as answer:
        assert answer.status == 421
        assert "`hosts` under [admin]" in (await answer.json())["error"]
        whole = f"GET http://{host}/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        assert (await raw(session, whole.encode())).split()[1] == b"421"
        ours = whole.replace(host, "localhost")
        assert (await raw(session, ours.encode())).split()[1] == b"200"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost.evil.example:8090"])
async def test_a_page_of_another_site_is_refused(origin: str) -> None:
    """Its Origin tells, whatever Host it asked for."""
    async with serving() as session, session.get("/status", headers={"Origin": origin}) as answer:
        assert answer.status == 403


async def test_a_page_of_our_own_is_served() -> None:
    """A browser names the Origin for requests of our own page too."""
    async with serving() as session, session.get("/status", headers={"Origin": "http://localhost:8090"}) as answer:
        assert answer.status == 200


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:9000", "[::1]:8090", "collector.example.org"])
async def test_our_hosts_are_served(host: str) -> None:
    """Loopback names with any port, as a tunnel has them, and the names of the configuration."""
    ours = frozenset({"Collector.example.org"})
    async with serving(hosts=ours) as session, session.get("/status", headers={"Host": host}) as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    "line", [b"Host: caf\xc3\xa9\r\n", b"Host: \xff\xfe\r\n", b"", b"Host: a\r\nHost: localhost\r\n"]
)
async def test_an_odd_host_is_never_a_500(line: bytes) -> None:
    """Bytes that are no ASCII, no Host at all and two of them are refused."""
    async with serving() as session:
        answer = await raw(session, b"GET /status HTTP/1.1\r\n" + line + b"Connection: close\r\n\r\n")
    assert answer.split()[1] in (b"421", b"400")
    assert b"aiohttp" not in answer


@given(st.text())
def test_any_text_as_host_has_an_answer(host: str) -> None:
    """The check never raises, and what it lets through begins with a name of ours."""
    if is_ours(host, frozenset()):
        assert host.lower().startswith(("127.0.0.1", "localhost", "[::1]"))


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET /status HTTP/9\r\n\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    ],
    ids=["tls", "version", "long line", "long header", "length"],
)
async def test_what_is_no_request_is_one_line_in_the_log(sent: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """No traceback, no name of the server's parts, and the connection is closed."""
    caplog.set_level(logging.DEBUG)
    async with serving() as session:
        answer = await raw(session, sent)
    assert answer.split()[1] == b"400"
    assert b"aiohttp" not in answer
    logged = [record for record in caplog.records if record.name == "collector.admin"]
    assert len(logged) == 1
    assert logged[0].exc_info is None
    assert "\n" not in logged[0].getMessage()


async def test_an_expectation_nobody_can_meet_is_refused_without_a_version() -> None:
    """Answers that never reach a handler have our name too."""
    async with serving() as session:
        sent = b"GET /status HTTP/1.1\r\nHost: localhost\r\nExpect: the-moon\r\nConnection: close\r\n\r\n"
        answer = await raw(session, sent)
    assert answer.split()[1] == b"417"
    assert b"aiohttp" not in answer


async def test_a_taken_port_is_told_in_plain_words() -> None:
    """The operator reads where, why and which key to change."""
    app = application(lambda: SNAPSHOT, lambda: WELL, guard())
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(CollectorError, match=rf"127\.0\.0\.1:{port}: another program .*\[admin\]"):
            async with listening(app, Admin(listen=f"127.0.0.1:{port}")):
                pass


async def test_nothing_listens_when_it_is_off() -> None:
    """`listen = "off"` yields no address."""
    app = application(lambda: SNAPSHOT, lambda: WELL, guard())
    async with listening(app, Admin(listen="off")) as address:
        assert address is None


async def asked(path: Path) -> Any:
    """The status by a socket file, by a short name."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        connector = aiohttp.UnixConnector(f"/proc/self/fd/{folder}/{path.name}")
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.get("http://whatever/status") as answer,
        ):
            return (await answer.json())["jobs"]["total"]
    finally:
        os.close(folder)


@pytest.mark.parametrize("depth", [0, 12])
async def test_the_control_socket_is_for_owner_and_group_at_any_depth(tmp_path: Path, depth: int) -> None:
    """It has mode 0660, checks no Host, replaces a stale one, and is gone afterwards."""
    root = tmp_path.joinpath(*["a-rather-long-name"] * depth)
    root.mkdir(parents=True, exist_ok=True)
    path = root / "control.sock"
    app = application(lambda: SNAPSHOT, lambda: WELL, None)
    async with controlled(app, path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert await asked(path) == 3
    assert not path.exists()


async def test_a_stale_socket_is_replaced_and_a_file_is_not(tmp_path: Path) -> None:
    """What a killed process left is taken over; a file that somebody put there is told."""
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    app = application(lambda: SNAPSHOT, lambda: WELL, None)
    async with controlled(app, path):
        assert await asked(path) == 3
    path.write_text("mine")
    with pytest.raises(CollectorError, match="is no socket"):
        async with controlled(application(lambda: SNAPSHOT, lambda: WELL, None), path):
            pass
    assert path.read_text() == "mine"


async def test_a_socket_file_that_answers_is_somebody_elses(tmp_path: Path) -> None:
    """`listen = "unix:…"` never takes the place of a running program."""
    path = tmp_path / "admin.sock"
    admin = Admin(listen=f"unix:{path}")
    async with listening(application(lambda: SNAPSHOT, lambda: WELL, guard()), admin):
        with pytest.raises(CollectorError, match="another program"):
            async with listening(application(lambda: SNAPSHOT, lambda: WELL, guard()), admin):
                pass
        assert path.exists()

"""IDs that come over HTTP."""

import asyncio
import errno
import gzip
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from collector.admin import upload
from collector.admin.app import application
from collector.admin.batches import Batches
from collector.admin.drafts import Drafts
from collector.admin.listen import listening
from collector.admin.orders import Orders
from collector.admin.upload import Uploads
from collector.clock import Clock
from collector.dispatch.controller import Controller
from collector.host.files import Part
from collector.intake import place
from collector.model import BatchId, BatchState, State, Trouble
from collector.output.health import Health
from collector.output.status import snapshot
from tests.admin.test_admin import ANY_PORT, BEARER, SNAPSHOT, TOKEN, guard
from tests.intake.house import HandClock, House
from tests.intake.house import house as housed
from tests.output.given import LIVE

IDS = "".join(f"{n}\n" for n in range(1_000, 1_100)).encode()


@asynccontextmanager
async def receiving(tmp_path: Path) -> AsyncIterator[tuple[House, aiohttp.ClientSession]]:
    """A service that takes in and asks nothing."""
    async with housed(tmp_path) as house:
        house.config.batches.mkdir(exist_ok=True)
        controller = Controller(house.store, lambda _: None, lambda _: None, lambda: None, Clock())
        batches = Batches(house.store, controller, lambda: SNAPSHOT, house.config.batches)
        uploads = Uploads(lambda: house.config, house.loader, house.watcher.load_now, batches)
        none = asyncio.get_running_loop().create_future()
        orders = Orders(dict, lambda _: False, lambda: none, controller, who="http")
        app = application(lambda: SNAPSHOT, lambda: Health(True), guard(), batches, uploads, orders)
        async with asyncio.TaskGroup() as group:
            watcher = group.create_task(house.watcher.run())
            await house.watcher.ready.wait()
            async with listening(app, ANY_PORT) as address, aiohttp.ClientSession(address, headers=BEARER) as session:
                yield house, session
            watcher.cancel()


async def sent(session: aiohttp.ClientSession, path: str, **what: Any) -> tuple[int, dict[str, Any]]:
    async with session.post(path, **what) as answer:
        return answer.status, await answer.json()


def left(house: House) -> list[str]:
    """What lies in `batches/` that is no batch's."""
    return [path.name for path in house.config.batches.iterdir() if upload.PREFIX in path.name]


async def parts(*blocks: bytes) -> AsyncIterator[bytes]:
    for block in blocks:
        yield block


@pytest.mark.parametrize(
    ("body", "file"),
    [
        (IDS, "text"),
        (b"name,id\nx,1000\ny,1001\n", "csv"),
        (b'["1000", "1001"]', "json"),
        (gzip.compress(IDS), "gzip"),
        (None, "form"),
        (None, "pasted"),
        (None, "chunks"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_ids_are_taken_in_as_from_a_dropped_file(tmp_path: Path, body: bytes | None, file: str) -> None:
    """202 with the batch that there is now, its place and its receipt; nothing else is left in `batches/`."""
    data: Any = body
    if file == "form":
        data = aiohttp.FormData()
        data.add_field("file", IDS, filename="march.csv")
        data.add_field("source", "posts")
        data.add_field("ids", "")
    elif file == "pasted":
        data = aiohttp.FormData(default_to_multipart=True)
        data.add_field("ids", IDS.decode())
    elif file == "chunks":
        data = parts(IDS[:7], IDS[7:300], IDS[300:])
    async with receiving(tmp_path) as (house, session):
        async with session.post("/batches?source=posts", data=data) as answer:
            told = await answer.json()
            assert (answer.status, answer.headers["Location"]) == (202, "/batches/1"), told
        ids = 2 if file in ("csv", "json") else 100
        assert (told["state"], told["receipt"]["ids"], told["receipt"]["complete"]) == ("open", ids, True)
        assert (told["origin"], told["name"]) == ("http", "march" if file == "form" else "ids")
        assert "estimate" in told["receipt"]["text"]
        batch = house.store.batches.get(BatchId(1))
        assert (house.folder(batch) / (batch.file or "")).is_file()
        assert left(house) == []


@pytest.mark.parametrize(
    ("path", "body", "status", "word"),
    [
        ("/batches?source=nobody", IDS, 400, "posts"),
        ("/batches?source=posts&name=a/b", IDS, 400, "name"),
        ("/batches?source=posts&then=posts", IDS, 400, "follow"),
        ("/batches?source=posts&hold=perhaps", IDS, 400, "hold"),
        ("/batches?source=posts", b"", 400, "0 bytes"),
        ("/batches?source=posts", b"PK\x03\x04" + bytes(500), 422, "nothing can be taken in"),
        ("/batches?source=posts&column=nine", b"a,b\n1,2\n", 422, "nine"),
    ],
)
async def test_what_cannot_be_taken_in_is_told_and_leaves_nothing(
    tmp_path: Path, path: str, body: bytes, status: int, word: str
) -> None:
    """No batch, no file, and a plain sentence."""
    async with receiving(tmp_path) as (house, session):
        answered, told = await sent(session, path, data=body)
        assert (answered, word in told["error"]) == (status, True), told
        assert house.store.batches.all() == []
        assert left(house) == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--b\r\n[]--b--\r\n",
        b"--b\r\nContent-Disposition: form-data\r\n\r\n1\r\n--b--\r\n",
        b"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\n1\r\n--c--\r\n--b--\r\n",
        b"--b\r\n" + b"X: " + b"x" * 100_000 + b"\r\n\r\n1\r\n--b--\r\n",
        b'--b\r\nContent-Disposition: form-data; name="then"\r\n\r\nx\r\n' * 1_000 + b"--b--\r\n",
        b'--b\r\nContent-Disposition: form-data; name="ids"\r\n\r\n1\r\n' * 1_000 + b"--b--\r\n",
        b'--b\r\nContent-Disposition: form-data; name="name"\r\n\r\n../x\r\n'
        b'--b\r\nContent-Disposition: form-data; name="ids"\r\n\r\n1\r\n--b--\r\n',
        b'--b\r\nContent-Disposition: form-data; name="ids"; filename="..\x01"\r\n\r\n1\r\n--b--\r\n',
    ],
    ids=lambda body: body[:30].decode(),
)
async def test_a_form_that_is_none_is_the_senders_fault(tmp_path: Path, body: bytes) -> None:
    """Whatever is wrong with it: 400, no batch, no file."""
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    async with receiving(tmp_path) as (house, session):
        status, told = await sent(session, "/batches?source=posts", data=body, headers=kind)
        assert status == 400, told
        assert house.store.batches.all() == []
        assert left(house) == []


@pytest.mark.parametrize("form", [False, True])
async def test_an_upload_that_is_cut_off_leaves_nothing(tmp_path: Path, form: bool) -> None:
    """Less came than was announced, or a form without its end: no batch of the half."""
    async with receiving(tmp_path) as (house, session):
        url = session._base_url
        assert url is not None
        reader, writer = await asyncio.open_connection(url.host, url.port)
        kind = "multipart/form-data; boundary=b" if form else "text/plain"
        head = f"POST /batches?source=posts HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n"
        body = b'--b\r\nContent-Disposition: form-data; name="ids"\r\n\r\n' * form + IDS
        length = len(body) if form else len(body) + 1
        writer.write(f"{head}Content-Type: {kind}\r\nContent-Length: {length}\r\n\r\n".encode() + body)
        writer.write_eof()
        await reader.read()
        writer.close()
        await writer.wait_closed()
        assert (await sent(session, "/batches?source=posts", data=b"1\n"))[0] == 202
        assert [house.store.books.of(batch.id).total for batch in house.store.batches.all()] == [1]
        assert left(house) == []


async def test_a_full_disk_is_a_507_in_plain_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was taken in, and nothing is left to fill it further."""

    def full(_: Part, __: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    async with receiving(tmp_path) as (house, session):
        monkeypatch.setattr(Part, "add", full)
        status, told = await sent(session, "/batches?source=posts", data=IDS)
        assert (status, "the disk is full" in told["error"]) == (507, True)
        assert left(house) == []


@pytest.mark.parametrize("form", [False, True])
async def test_an_upload_without_end_stops_where_the_room_does(tmp_path: Path, form: bool) -> None:
    """What the service needs to go on is left to it: a 503 that says so, and the disk is as before."""
    async with receiving(tmp_path) as (house, session):
        trouble = Trouble("disk", "less than 1 GB is free on /", "/", 0.0)

        async def endless() -> AsyncIterator[bytes]:
            if form:
                yield b'--b\r\nContent-Disposition: form-data; name="ids"\r\n\r\n'
            for number in range(10_000):
                yield b"1\n" * 32_768
                if number == 400:  # the handler reads by then
                    house.loader._room.tell(trouble)

        kind = {"Content-Type": "multipart/form-data; boundary=b"} if form else {}
        status, told = await sent(session, "/batches?source=posts", data=endless(), headers=kind)
        assert (status, told["error"]) == (503, "less than 1 GB is free on /; nothing was taken in")
        house.loader._room.tell(None)
        assert house.store.batches.all() == []
        assert left(house) == []


async def test_a_held_batch_waits_for_its_yes_and_counts_from_then_on(tmp_path: Path) -> None:
    """Loaded, not asked, in no total; `resume` is the yes and `cancel` the no."""
    async with receiving(tmp_path) as (house, session):
        for _ in range(2):
            status, told = await sent(session, "/batches?source=posts&hold=true", data=IDS)
            assert (status, told["state"]) == (202, "held")
        assert total(house) == 0
        await sent(session, "/batches/1/resume")
        await sent(session, "/batches/2/cancel")
        states = [batch.state for batch in house.store.batches.all()]
        assert states == [BatchState.OPEN, BatchState.CANCELLED]
        assert house.store.books.count(BatchId(1), State.QUEUED) == 100
        assert total(house) == 200


async def test_a_held_batch_that_nobody_wants_is_removed_after_a_day(tmp_path: Path) -> None:
    """With its rows and its folder; one that got its yes stays, and so does the latest until there is a later one."""
    clock = HandClock()
    async with receiving(tmp_path) as (house, session):
        for _ in range(4):
            await sent(session, "/batches?source=posts&hold=true", data=IDS)
        await sent(session, "/batches/2/resume")
        folders = [house.folder(batch) for batch in house.store.batches.all()]
        clock.now = Clock().wall() + 80_000
        drafts = Drafts(house.store, house.config.batches, clock)
        await drafts.look()
        assert len(house.store.batches.all()) == 4
        clock.pass_by(10_000)
        await drafts.look()
        assert [batch.id for batch in house.store.batches.all()] == [2, 4]
        assert await house.store._database.read("SELECT DISTINCT batch FROM jobs") == [(2,), (4,)]
        assert [folder.exists() for folder in folders] == [False, True, False, True]


def total(house: House) -> int:
    return snapshot(house.store, LIVE, house.config.sources, 0.0, house.clock).jobs.total


async def test_what_a_kill_left_of_an_upload_is_taken_in_or_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its batch it is loaded at the next start; without one it is gone."""
    async with receiving(tmp_path) as (house, _):
        there = house.config.batches / f"{upload.PREFIX}abc"
        there.write_bytes(IDS)
        with monkeypatch.context() as patch:
            patch.setattr(place, "move", lambda *_: there)  # as if it were killed before step two
            await house.loader.receive(there, "posts", "march.csv", column=None, follow=(), hold=False)
        half = house.config.batches / f".{upload.PREFIX}def.part"
        half.write_bytes(IDS)
    async with receiving(tmp_path) as (house, _):
        assert left(house) in ([there.name], [])
        house.watcher.load_now()
        await house.loader.loaded(BatchId(1))
        batch = house.store.batches.get(BatchId(1))
        assert (batch.state, house.store.books.of(batch.id).total) == (BatchState.OPEN, 100)
        assert (house.folder(batch) / "march.csv").read_bytes() == IDS
        assert left(house) == []


async def test_nothing_is_taken_in_while_somebody_drains(tmp_path: Path) -> None:
    """A 503 that says what ends it, before the body is read; after a resume of all it is taken."""
    async with receiving(tmp_path) as (house, session):
        assert (await sent(session, "/drain"))[0] == 200
        status, told = await sent(session, "/batches?source=posts", data=IDS)
        assert (status, told["error"].partition("; ")[2]) == (503, "`collector resume --all` ends that")
        assert (left(house), house.store.batches.all()) == ([], [])
        assert (await sent(session, "/resume"))[0] == 200
        assert (await sent(session, "/batches?source=posts", data=IDS))[0] == 202
        with closing(sqlite3.connect(house.config.database)) as db:
            assert db.execute("SELECT what, who FROM actions").fetchall() == [("drain", "http"), ("resume", "http")]

"""`POST /batches`: a body of any size goes to the disk as it comes, and is then taken in as a dropped file is."""

import asyncio
import errno
import secrets
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec
from aiohttp import BodyPartReader, hdrs, web
from aiohttp.http_exceptions import HttpProcessingError

from collector.admin import reply
from collector.admin.batches import Batches
from collector.config import Config
from collector.errors import UnreadableFile, UsageError
from collector.host import thread
from collector.host.files import Part
from collector.intake import files, lineage
from collector.intake.loader import Loader
from collector.store.batches import Batch

PREFIX = "upload-"  # of files in `batches/` that are no batch yet
PATIENCE = 10.0  # seconds for the loading, until the answer is given without its end
SILENCE = 30.0  # seconds without a byte; then it is cut off
_BLOCK = 1 << 20
_LONGEST = 1_000  # bytes of a field of a form
_LONGEST_NAME = 200  # bytes
_FULL = (errno.ENOSPC, errno.EDQUOT)
_CLOSE: dict[str, str] = {hdrs.CONNECTION: "close"}  # the rest of a body is not waited for
_FIELDS = ("source", "name", "column", "then", "hold")

T = TypeVar("T")


class _Rests(Exception):
    """Nothing is taken in any more, and why."""


class Wanted(msgspec.Struct, frozen=True):
    """What is asked for an upload."""

    source: str  # the root of its chain
    name: str
    column: str | int | None
    follow: tuple[str, ...]
    hold: bool


class Uploads:
    """The handler over intake; what an earlier process left half sent is removed."""

    def __init__(
        self, config: Callable[[], Config], loader: Loader, load_now: Callable[[], None], batches: Batches
    ) -> None:
        self._config, self._loader, self._load_now, self._batches = config, loader, load_now, batches
        _clear(config().batches, loader.holds)

    def routes(self) -> list[web.RouteDef]:
        """Its path."""
        return [web.post("/batches", self.post)]

    async def post(self, request: web.Request) -> web.Response:
        """202 with the batch, and its receipt where it was loaded soon; else nothing was taken in."""
        if request.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
            return reply.refusal(415, "send a gzip file as it is, without Content-Encoding")
        if why := self._loader.refuses():
            return reply.refusal(503, why)
        folder = self._config().batches
        if (request.content_length or 0) > shutil.disk_usage(folder).free:
            return reply.refusal(507, f"there is no room for it on the disk of {folder}: nothing was taken in")
        part = Part(folder / f"{PREFIX}{secrets.token_hex(8)}")
        try:
            return await self._taken(request, part)
        except (UnreadableFile, files.Left) as error:
            return reply.refusal(422, f"nothing can be taken in from it: {error}")
        except UsageError as error:
            return reply.refusal(400, str(error))
        except _Rests as error:
            return reply.refusal(503, f"{error}; nothing was taken in", _CLOSE)
        except TimeoutError:
            return reply.refusal(408, f"nothing came for {SILENCE:g} s: nothing was taken in", _CLOSE)
        except OSError as error:
            if isinstance(error, ConnectionError):
                raise
            status, why = (507, "the disk is full") if error.errno in _FULL else (500, error.strerror or str(error))
            return reply.refusal(status, f"it cannot be kept in {folder}: {why}; nothing was taken in", _CLOSE)
        finally:
            await thread.run(partial(_removed, part))

    async def _taken(self, request: web.Request, part: Part) -> web.Response:
        form = request.content_type == "multipart/form-data"
        fields = {name: request.query.getall(name, []) for name in _FIELDS}
        if not form:
            self._wanted(fields)  # told before a byte of it is read
        await thread.run(part.begin)
        if form:
            await _of_form(request, part, fields, self._watched)
        else:
            await _kept(self._watched(_body(request)), part)
        wanted = self._wanted(fields)
        await thread.run(part.settle)
        batch = await self._loader.receive(
            part.path, wanted.source, wanted.name, column=wanted.column, follow=wanted.follow, hold=wanted.hold
        )
        self._load_now()
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await self._loader.loaded(batch.id)
        return await self._told(batch)

    async def _watched(self, blocks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """A body may have no end, and the disk has one: the service wants what is left of it."""
        async for block in blocks:
            if why := self._loader.refuses():
                raise _Rests(why)
            yield block

    async def _told(self, batch: Batch) -> web.Response:
        now = self._batches.find(batch.id)
        if now is None:
            lost = "it broke off while it was read, and lies in rejected/ with the reason: nothing was taken in"
            return reply.refusal(422, lost)
        detail = await self._batches.detail(now)
        return reply.json(detail, 202, {hdrs.LOCATION: f"/batches/{batch.id}"})

    def _wanted(self, fields: dict[str, list[str]]) -> Wanted:
        config = self._config()
        source = _one(fields, "source") or config.default_source
        if source is None or source not in config.sources:
            given = "no source is given" if source is None else f"no source {source!r}"
            raise UsageError(f"{given}; `source` is one of {', '.join(config.sources)}")
        root, follow = lineage.asked(config.sources, source, [name for name in fields["then"] if name])
        column, hold = _one(fields, "column"), _one(fields, "hold").lower()
        if hold not in ("", "true", "false", "1", "0", "on"):
            raise UsageError("`hold` is true or false")
        number = column.isascii() and column.isdecimal() and len(column) < 7
        return Wanted(
            root,
            _name(_one(fields, "name") or "ids"),
            int(column) if number else column or None,
            follow,
            hold in ("true", "1", "on"),
        )


def _clear(folder: Path, holds: Callable[[files.Identity], bool]) -> None:
    with suppress(OSError):
        for path in (*folder.glob(f".{PREFIX}*.part"), *folder.glob(f"{PREFIX}*")):
            if not holds(files.identity(path.stat())):
                path.unlink()


async def _of_form(
    request: web.Request,
    part: Part,
    fields: dict[str, list[str]],
    watched: Callable[[AsyncIterator[bytes]], AsyncIterator[bytes]],
) -> None:
    """The file of a form, or the IDs that were pasted into it, and its other fields on top of those of the query."""
    sizes = []
    try:
        form = await request.multipart()
        while (field := await _soon(form.next())) is not None:
            if not isinstance(field, BodyPartReader):
                raise UsageError("the form holds another form: send fields only")
            if field.name in ("file", "ids"):
                name, size = field.filename, await _kept(watched(_chunks(field)), part, empty=True)
                sizes += [size] * (size > 0)
                if name and size and not any(fields["name"]):
                    fields["name"] = [name.replace("\\", "/").rpartition("/")[2]]
            elif field.name in _FIELDS:
                fields[field.name].append(await _text(field))
            else:
                raise UsageError(f"a form has file or ids, and {', '.join(_FIELDS)}; not {field.name!r}")
    except (ValueError, AssertionError, RuntimeError, HttpProcessingError) as error:
        raise UsageError("the form is broken or was cut off: nothing was taken in") from error
    if len(sizes) != 1:
        raise UsageError("a form has a file, or IDs in `ids`, and only one of them; nothing was taken in")


async def _text(field: BodyPartReader) -> str:
    data = b""
    async for block in _chunks(field):
        data += block
        if len(data) > _LONGEST:
            raise UsageError(f"{field.name} is longer than {_LONGEST} bytes")
    return data.decode(errors="replace")


async def _kept(blocks: AsyncIterator[bytes], part: Part, *, empty: bool = False) -> int:
    """Writes what comes, a large piece at a time; how much it was."""
    size, waiting = 0, bytearray()
    async for block in blocks:
        waiting += block
        size += len(block)
        if len(waiting) >= _BLOCK:
            await thread.run(partial(part.add, bytes(waiting)))
            waiting.clear()
    await thread.run(partial(part.add, bytes(waiting)))
    if not size and not empty:
        raise UsageError("0 bytes, no IDs in it: nothing was taken in")
    return size


async def _body(request: web.Request) -> AsyncIterator[bytes]:
    while data := await _soon(request.content.readany()):
        yield data


async def _chunks(field: BodyPartReader) -> AsyncIterator[bytes]:
    while data := await _soon(field.read_chunk(1 << 16)):
        yield bytes(data)


async def _soon(read: Awaitable[T]) -> T:
    async with asyncio.timeout(SILENCE):
        return await read


def _one(fields: dict[str, list[str]], name: str) -> str:
    return next((text for text in fields[name] if text), "")


def _name(name: str) -> str:
    if not name.isprintable() or "/" in name or len(name.encode()) > _LONGEST_NAME or files.is_unfinished(name):
        raise UsageError(f"{name[:_LONGEST_NAME]!r} cannot name a batch: give a plain file name as `name`")
    return name


def _removed(part: Part) -> None:
    part.discard()
    part.path.unlink(missing_ok=True)

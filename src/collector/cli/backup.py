"""`backup`: the database and the ledger as one file."""

from __future__ import annotations

import json
import os
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

import click

from collector.cli import option
from collector.errors import CollectorError, UsageError

if TYPE_CHECKING:
    from http.client import HTTPResponse

    from collector.config import Config
    from collector.host.files import Part

DATABASE, LEDGER = "collector.db", "budgets.log"
_BLOCK = 1 << 20


@click.command()
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace FILE where it is there.")
@option.config_file
@option.as_json
def backup(file: Path, force: bool, config_path: Path | None, as_json: bool) -> None:
    """Write the database and what the limits remember into a file.

    FILE is a tar, all of one moment, and appears whole or not at all. It does not matter whether the service runs.
    `restore` puts it back.
    """
    from collector.cli import control
    from collector.host import lock
    from collector.host.files import whole

    config = option.load(config_path, secrets=False)
    if os.path.lexists(file) and not (force and file.is_file()):
        raise UsageError(f"{file} is there already; name another file" + ("" if force else ", or give --force"))
    began = time.monotonic()
    running = lock.holder(config.root) is not None
    try:
        with private(), whole(file.absolute()) as part:
            add = _Archive(part)
            if running:
                with control.stream(config, "/backup") as answer:
                    _from_service(answer, add)
            else:
                _from_folder(config, add)
            add.end()
    except OSError as error:
        raise CollectorError(f"cannot write {file}: {error.strerror or error}; nothing was written") from error
    size = file.stat().st_size
    facts = {"file": str(file.absolute()), "bytes": size, "of": add.sizes, "service": running}
    facts["seconds"] = round(time.monotonic() - began, 3)
    how = "while the service runs" if running else "no service was running"
    option.say(as_json, facts, f"backed up {config.root} into {option.near(file.absolute())}: {size:,} bytes; {how}")


class _Archive:
    """The tar as it is written."""

    def __init__(self, part: Part) -> None:
        self.sizes: dict[str, int] = {}
        self._tar = tarfile.open(fileobj=cast("IO[bytes]", _Writable(part)), mode="w|", bufsize=_BLOCK)  # noqa: SIM115 # ended by `end`

    def add(self, name: str, size: int, stream: IO[bytes]) -> None:
        """One file of so many bytes; OSError where the stream has fewer."""
        info = tarfile.TarInfo(name)
        info.size, info.mode, info.mtime = size, 0o600, int(time.time())
        self._tar.addfile(info, stream)
        self.sizes[name] = size

    def end(self) -> None:
        """The end of the tar."""
        self._tar.close()


class _Writable:
    """A part as tarfile wants it."""

    def __init__(self, part: Part) -> None:
        self._part = part

    def write(self, data: bytes) -> int:
        """All of it."""
        self._part.add(data)
        return len(data)


@contextmanager
def private() -> Iterator[None]:
    """What is made is for its owner alone: the backup holds all that was collected."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def _from_service(answer: HTTPResponse, archive: _Archive) -> None:
    """What the running service sends."""
    if answer.status != 200:
        raise CollectorError(f"nothing was backed up: {_fact(answer.read()).get('error', answer.status)}")
    shown = _progress()
    while line := answer.readline():
        fact = _fact(line)
        if "error" in fact:
            raise CollectorError(f"nothing was backed up: {fact['error']}")
        if "end" in fact:
            return
        if "file" in fact:
            archive.add(str(fact["file"]), int(str(fact["size"])), cast("IO[bytes]", answer))
        else:
            shown(int(str(fact["done"])), int(str(fact["of"])))
    raise CollectorError("nothing was backed up: the service broke off; see its log")


def _fact(line: bytes) -> dict[str, object]:
    try:
        told = json.loads(line)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise CollectorError("the running service answers in words of another version: restart it")
    return told


def _from_folder(config: Config, archive: _Archive) -> None:
    """What lies in a state folder in which nobody works; it is held meanwhile."""
    from collector.host import lock
    from collector.store import backup as store

    database = config.root / DATABASE
    if not database.is_file():
        raise CollectorError(f"nothing to back up: there is no {database}")
    with lock.hold(config.root):
        aside = config.root / ".collector.db.copy"
        try:
            store.copy_alone(database, aside, _progress())
            for name, path in ((DATABASE, aside), (LEDGER, config.root / LEDGER)):
                if path.exists():
                    with path.open("rb") as file:
                        archive.add(name, os.fstat(file.fileno()).st_size, file)
        finally:
            aside.unlink(missing_ok=True)


def _progress() -> Callable[[int, int], None]:
    """Tells on a terminal how far it is."""
    if not sys.stderr.isatty():
        return lambda done, of: None
    told_at = [0.0]

    def tell(done: int, of: int) -> None:
        if time.monotonic() - told_at[0] > 0.2 or done == of:
            told_at[0] = time.monotonic()
            print(f"\rcopied {done / 1e6:,.0f} of {of / 1e6:,.0f} MB", end="\n" if done == of else "", file=sys.stderr)

    return tell

"""`add`: hand an ID file to the service through its watch folder, whether the service runs or not."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from collector.cli import option
from collector.errors import CollectorError, StoreError, UsageError

if TYPE_CHECKING:
    from collector.config import Config

_BLOCK = 1 << 20
_LONGEST = 200  # bytes of a name, so that the names made from it still fit into the 255 of a file system


@click.command()
@click.argument("file", metavar="FILE")
@option.of_source("The source to ask; else the default_source of the configuration.")
@click.option("--column", metavar="C", help="The column that holds the IDs: its header, or its number from 1.")
@option.then("A source that is to follow, with the items' IDs; as often as wanted.")
@click.option("--name", metavar="N", help="Another name for the batch; needed where FILE is -, standard input.")
@option.config_file
@option.as_json
def add(
    file: str,
    source: str | None,
    column: str | None,
    then: tuple[str, ...],
    name: str | None,
    config_path: Path | None,
    as_json: bool,
) -> None:
    """Copy an ID file into the watch folder.

    It arrives whole or not at all, and FILE stays where it is. It does not matter whether the service runs.
    """
    from collector.host import lock
    from collector.intake import lineage

    config = option.load(config_path, secrets=False)
    chosen = option.source(config, source)
    root, follow = lineage.asked(config.sources, chosen, then)
    options = {"column": option.column(column), "then": then}
    wanted = _name(file, name)
    with _opened(file) as stream:
        place, size = _copy(stream, config.watch / chosen, wanted, {key: kept for key, kept in options.items() if kept})
    holder = lock.holder(config.root)
    facts = {"file": str(place), "bytes": size, "source": root, "column": options["column"], "then": follow}
    taking = _taking(config, holder)
    whose = ", then ".join((root, *follow))
    option.say(
        as_json, facts | {"service": holder}, f"added {option.near(place)} ({size:,} bytes) for {whose}; {taking}"
    )


def _taking(config: Config, holder: str | None) -> str:
    """What becomes of the file; whatever ails the database, it was added."""
    from collector.store.look import seen

    with suppress(StoreError):
        if seen(config.database, lambda look: look.drains()):
            return "it stays in watch/ until `collector resume --all`, since somebody drains the service"
    return (
        f"the running service takes it in ({holder})"
        if holder
        else f"no service is running: `{option.hint('run', config.path)}` takes it in"
    )


def _name(file: str, given: str | None) -> str:
    from collector.intake import files

    if file == "-" and given is None:
        raise UsageError("standard input has no name: give one with --name")
    name = given or Path(file).name
    if not name or not name.isprintable() or "/" in name or len(name.encode(errors="replace")) > _LONGEST:
        raise UsageError(f"{name!r} cannot name a batch: give a plain file name with --name")
    if files.is_unfinished(name) or name.endswith(files.WHY):
        raise UsageError(f"{name!r} would be left alone in the watch folder: give another with --name")
    return name


def _opened(file: str) -> BinaryIO:
    if file != "-" and Path(file).exists() and not Path(file).is_file():
        raise UsageError(f"cannot add {file}: it is no regular file")
    try:
        return sys.stdin.buffer if file == "-" else Path(file).open("rb")
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from error


def _copy(stream: BinaryIO, folder: Path, wanted: str, options: dict[str, Any]) -> tuple[Path, int]:
    """The file under a name of its own, and its size. It appears by one rename, after its options are noted beside
    it."""
    from collector.host.files import sync, write
    from collector.intake.files import options_of

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _reserved(folder, wanted) as (fd, place):
            with open(fd, "wb", closefd=False) as part:
                shutil.copyfileobj(stream, part, _BLOCK)
            size = os.fstat(fd).st_size
            if not size:
                raise UsageError(f"{wanted}: 0 bytes, no IDs in it; nothing was added")
            os.fsync(fd)
            if os.path.lexists(place):
                raise CollectorError(f"{place} has appeared meanwhile; nothing was added: try again")
            if options:
                write(options_of(place), json.dumps(options))
            _part(place).rename(place)
            sync(folder)
    except OSError as error:
        raise CollectorError(f"cannot add {wanted} to {folder}: {error.strerror}; nothing was added") from error
    return place, size


@contextmanager
def _reserved(folder: Path, wanted: str) -> Iterator[tuple[int, Path]]:
    """An open, empty part file whose name keeps a free name for us against every other `add`."""
    place = folder / wanted
    stem, suffix = (place.stem, place.suffix) if place.stem else (place.name, "")
    number = 1
    while (fd := _reserve(place)) is None:
        number += 1
        place = folder / f"{stem}-{number}{suffix}"
    try:
        yield fd, place
    finally:
        os.close(fd)
        with suppress(FileNotFoundError):  # renamed, unless the copy failed
            _part(place).unlink()


def _reserve(place: Path) -> int | None:
    from collector.intake.files import options_of

    try:
        # Readable for the group: the service may be another user, and shares the group of the watch folder.
        fd = os.open(_part(place), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
    except FileExistsError:
        return None
    # Looked at after the reservation, for nobody else can take the name now. Options without their file are those of
    # one that is being taken in at this moment, and will be removed with it.
    if os.path.lexists(place) or os.path.lexists(options_of(place)):
        os.close(fd)
        _part(place).unlink()
        return None
    return fd


def _part(place: Path) -> Path:
    return place.with_name(f".{place.name}.part")

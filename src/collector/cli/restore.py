"""`restore`: a backup is put in the place of the database and the ledger, which are set aside."""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import click

from collector.cli import option
from collector.cli.backup import DATABASE, LEDGER, private
from collector.errors import CollectorError, UsageError

_BLOCK = 1 << 20
_UNPACKED = ".restore"  # in the state folder until it is checked


@click.command()
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@option.config_file
@option.as_json
def restore(file: Path, config_path: Path | None, as_json: bool) -> None:
    """Put a backup in the place of the present database.

    No service may be running. FILE is checked first, and what was there is set aside in a folder of its own.
    """
    from collector.host import lock
    from collector.host.files import sync
    from collector.store import backup as store

    config = option.load(config_path, secrets=False)
    with lock.hold(config.root), _unpacked(file, config.root) as folder:
        try:
            version = store.check(folder / DATABASE)
        except CollectorError as error:
            raise CollectorError(f"{file}: {error}; nothing was changed") from error
        try:
            ledger = _ledger(folder, config.root)
            for name in (DATABASE, LEDGER):
                _as_before(folder / name, config.root / name)
            aside = _set_aside(config.root)
            # The ledger first: broken off in between, it knows of more calls than the database, never of fewer.
            if (folder / LEDGER).exists():
                os.replace(folder / LEDGER, config.root / LEDGER)
            os.replace(folder / DATABASE, config.root / DATABASE)
            sync(config.root)
        except OSError as error:
            raise CollectorError(
                f"cannot put {file} into {config.root}: {error.strerror or error}; mend it and do it again"
            ) from error
    facts = {"file": str(file), "root": str(config.root), "schema": version, "ledger": ledger}
    facts["aside"] = str(aside) if aside else None
    kept = f"; what was there is in {option.near(aside)}" if aside else "; there was none before"
    run = option.hint("run", config.path)
    text = (
        f"restored {config.root} from {option.near(file.absolute())} ({_SAID[ledger]}){kept}; `{run}` goes on with it"
    )
    option.say(as_json, facts, text)


_SAID = {
    "backup": "with the calls that the backup remembers",
    "present": "with the calls remembered here, which are later than those of the backup",
    "both": "with the calls that the backup and the database before remember",
    "none": "no calls are remembered",
}


@contextmanager
def _unpacked(file: Path, root: Path) -> Iterator[Path]:
    folder = root / _UNPACKED
    shutil.rmtree(folder, ignore_errors=True)
    try:
        with private(), tarfile.open(file, "r|") as tar:
            folder.mkdir()
            names = {_unpack(tar, member, folder) for member in tar}
        if DATABASE not in names:
            raise UsageError(f"{file} is no backup of collector: there is no {DATABASE} in it; nothing was changed")
        yield folder
    except tarfile.TarError as error:
        raise UsageError(f"{file} is no whole backup ({error}); nothing was changed") from error
    except OSError as error:
        raise CollectorError(
            f"cannot unpack {file} in {root}: {error.strerror or error}; nothing was changed"
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unpack(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> str:
    """Only the two files that we know, under their own names: whatever else is in there is nobody's."""
    stream: IO[bytes] | None = tar.extractfile(member) if member.isreg() else None
    if stream is None or member.name not in (DATABASE, LEDGER):
        return ""
    with (folder / member.name).open("wb") as target:
        shutil.copyfileobj(stream, target, _BLOCK)
        target.flush()
        os.fsync(target.fileno())
        if target.tell() != member.size:
            raise tarfile.ReadError("it is cut short")
    return member.name


def _ledger(folder: Path, root: Path) -> str:
    """Makes the ledger that is put back: calls that were sent after the backup are not to be forgotten.

    Budgets are named by a key of the database. With the same key both ledgers are of one history, and the later one
    knows all of it; else they are of two, and both are kept.
    """
    from collector.budget.journal import latest
    from collector.host.files import whole
    from collector.store import backup as store

    new, there = folder / LEDGER, root / LEDGER
    if not there.is_file():
        return "backup" if new.exists() else "none"
    old, ours = there.read_bytes(), new.read_bytes() if new.exists() else b""
    if store.hash_key(folder / DATABASE) == store.hash_key(root / DATABASE):
        later = (latest(old.split(b"\n")) or 0.0) >= (latest(ours.split(b"\n")) or 0.0)
        told, data = ("present", old) if later else ("backup", ours)
    else:
        told, data = "both", ours.rstrip(b"\n") + b"\n" + old
    with private(), whole(new) as part:
        part.add(data)
    return told


def _as_before(new: Path, there: Path) -> None:
    """Who restores may be root, and the service another user."""
    if new.exists():
        like = there.stat() if there.exists() else there.parent.stat()
        new.chmod(stat.S_IMODE(like.st_mode) if there.exists() else 0o640)
        if os.geteuid() == 0:
            os.chown(new, like.st_uid, like.st_gid)


def _set_aside(root: Path) -> Path | None:
    """The folder that holds what was there. At each moment a start finds the old database or the new one."""
    from collector.store import backup as store

    database = root / DATABASE
    there = [path for path in (database, root / LEDGER) if path.exists()]
    if not there:
        return None
    whole = not database.exists() or store.settle(database)
    aside = root / f"before-restore-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
    number = 1
    while aside.exists():
        number += 1
        aside = aside.with_name(f"{aside.name.partition('.')[0]}.{number}")
    aside.mkdir(mode=0o700)
    for path in there:
        os.link(path, aside / path.name)
    if not whole:
        for path in store.beside_of(database):
            if path.exists():
                path.rename(aside / path.name)
    return aside

"""`doctor`: what is well on this machine, what to look at, what is wrong, and what to do."""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from collector.cli import option
from collector.errors import NOT_YOURS, CollectorError, ConfigError, StoreBusy, escaped
from collector.quantity import sized, spoken, things

if TYPE_CHECKING:
    from collector.config import Config

_PATIENCE = 3.0  # seconds for one host
_LITTLE = 1_000_000_000  # bytes that are free
_YEARS = range(2025, 2100)  # others are those of a clock that nobody has set
_AHEAD = 60.0  # seconds by which a stamp may be later than now
_MENDED = (3, 51, 3)  # the first SQLite without the WAL-reset bug (sqlite.org/wal.html)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; where it is not well, `text` says what to do."""

    grade: Literal["ok", "look", "wrong"]
    what: str
    text: str


@click.command()
@option.config_file
@option.as_json
def doctor(config_path: Path | None, as_json: bool) -> None:
    """Look at the configuration, the folders and the machine.

    One line for each finding: ok, look or wrong, and what to do. No request is sent: each API, and the webhook of
    `notify`, is connected to, and that is all. Exit 1 when something is wrong.
    """
    findings: list[Finding] = []
    try:
        config = option.load(config_path, secrets=False)
    except ConfigError as error:
        findings += [Finding("wrong", "configuration", f"{error.where}: {problem}") for problem in error.problems]
        findings += [*_sqlite(), *_year()]
    else:
        for look in _LOOKS:
            findings += _seen(look, config)
    if as_json:
        option.say(True, {"findings": [asdict(finding) for finding in findings]}, "")
    else:
        click.echo("\n".join(f"{found.grade:5}  {found.what}: {escaped(found.text)}" for found in findings))
    if any(found.grade == "wrong" for found in findings):
        raise click.exceptions.Exit(1)


def _seen(look: Callable[[Any], Iterator[Finding]], config: Config) -> Iterator[Finding]:
    """What a look finds, up to where this user may not go."""
    try:
        yield from look(config)
    except OSError as error:
        yield Finding("wrong", "not seen", f"{error.filename}: {error.strerror}; {NOT_YOURS}")
    except CollectorError as error:
        yield Finding("wrong", "not seen", str(error))


def _configuration(config: Config) -> Iterator[Finding]:
    yield Finding("ok", "configuration", f"{config.path}, {things(len(config.sources), 'source')}")


def _secrets(config: Config) -> Iterator[Finding]:
    """Where each secret is kept; only the service itself has its environment and its credentials."""
    import tomllib

    from collector import config as configs

    for name, table in tomllib.loads(configs.read(config.path).decode("utf-8-sig")).get("secret", {}).items():
        place = configs.SecretPlace.model_validate(table)
        what = f"secret {name}"
        if place.file is not None:
            yield _secret_file(what, config.path.parent / place.file)
        elif place.credential is not None and "CREDENTIALS_DIRECTORY" not in os.environ:
            yield Finding("ok", what, f"a systemd credential, {place.credential}: only the unit can look at it")
        else:
            try:
                place.fetch(config.path.parent)
                yield Finding("ok", what, "it is there")
            except LookupError as error:
                text = f"not here: expected {error.args[0]}; the service has to be started with it"
                yield Finding("look", what, text)


def _secret_file(what: str, path: Path) -> Finding:
    from collector.host import secret

    try:
        secret.from_file(path)
    except LookupError as error:
        return Finding("wrong", what, f"expected {error.args[0]}")
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o007:
        return Finding("wrong", what, f"everybody on this machine may use {path} (mode {mode:04o}): `chmod 600 {path}`")
    return Finding("ok", what, f"{path}, mode {mode:04o}")


def _folders(config: Config) -> Iterator[Finding]:
    if not config.root.is_dir():
        there = next(above for above in config.root.parents if above.exists())
        if os.access(there, os.W_OK | os.X_OK):
            yield Finding("look", "state folder", f"{config.root} is not there yet: `collector run` makes it")
        else:
            yield Finding("wrong", "state folder", f"{config.root} cannot be made: make {there} writable, or make it")
        return
    mode = stat.S_IMODE(config.root.stat().st_mode)
    if mode & 0o002 and not mode & stat.S_ISVTX:
        text = f"everybody may replace what is in {config.root} (mode {mode:04o}): `chmod o-w {config.root}`"
        yield Finding("wrong", "state folder", text)
    else:
        yield _writable("state folder", config.root)
    for folder in (config.watch, *(config.watch / name for name in config.sources), config.batches, config.rejected):
        if not folder.is_dir():
            text = f"{folder} is {'no folder: move it away' if folder.exists() else 'not there: a start makes it'}"
            yield Finding("wrong" if folder.exists() else "look", "folder", text)
        elif (found := _writable("folder", folder)).grade != "ok" or folder == config.watch:
            yield found
    for file in (config.database, config.ledger):
        if file.exists() and not os.access(file, os.R_OK | os.W_OK):
            yield Finding("wrong", "file", f"{file} cannot be written by this user: give it to the service's user")


def _writable(what: str, folder: Path) -> Finding:
    mode = stat.S_IMODE(folder.stat().st_mode)
    if os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return Finding("ok", what, f"{folder}, mode {mode:04o}")
    text = f"this user cannot write into {folder} (mode {mode:04o}): if the service runs as this user, `chown` it"
    return Finding("wrong", what, text)


def _disk(config: Config) -> Iterator[Finding]:
    from collector.host.disk import room_of
    from collector.model import Space

    there = next(folder for folder in (config.root, *config.root.parents) if folder.exists())
    free, floor = shutil.disk_usage(there).free, config.service.min_free
    database = config.database
    size = database.stat().st_size if database.exists() else 0
    spare = _spare(config) if free < floor else 0
    inside = f", {sized(spare)} of it unused" if spare else ""
    text = f"{sized(free)} are free in {there}, collector.db has {sized(size)}{inside}"
    if room_of(Space(str(there), free, spare)) < floor:
        least = f"with less than `min_free`, {sized(floor)}, nothing is asked"
        yield Finding("wrong", "disk", f"{text}; {least}: make room, as by `collector prune`, or lower it")
    elif (then := _forecast(config)) and then - size > max(free - floor, 0):
        grown = f"it will have about {sized(then)} when all that is open is done, and that does not fit"
        yield Finding("look", "disk", f"{text}; {grown}: make room before it pauses")
    elif free < max(_LITTLE, size):
        yield Finding("look", "disk", f"{text}: make room, a backup and large results want as much again")
    else:
        yield Finding("ok", "disk", text)


def _spare(config: Config) -> int:
    """Bytes inside the database that what was removed has left; 0 where nobody can look."""
    from collector.store.look import looking

    with suppress(CollectorError), looking(config.database) as look:
        return look.spare() if look else 0
    return 0


def _forecast(config: Config) -> int | None:
    """How large the database will be, where a service runs that can tell."""
    import json

    from collector.cli import control

    try:
        disk = json.loads(control.ask(config, "/status")).get("disk") or {}
    except CollectorError:
        return None
    size: int | None = disk.get("forecast")
    return size


def _sqlite(_: Config | None = None) -> Iterator[Finding]:
    import sqlite3

    from collector.store.database import OLDEST_SQLITE

    text = f"version {sqlite3.sqlite_version}"
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        yield Finding(
            "wrong", "SQLite", f"{text}, at least {'.'.join(map(str, OLDEST_SQLITE))} is needed: renew Python"
        )
    elif sqlite3.sqlite_version_info < _MENDED:
        text += "; up to 3.51.2 two programs that write at once can damage the file: let no other one write to it"
        yield Finding("ok", "SQLite", text)
    else:
        yield Finding("ok", "SQLite", text)


def _database(config: Config) -> Iterator[Finding]:
    from collector.store.database import newest
    from collector.store.look import looking

    try:
        with looking(config.database) as look:
            schema = look and look.schema()
    except CollectorError as error:
        yield Finding("look" if isinstance(error, StoreBusy) else "wrong", "database", str(error))
        return
    if schema == newest():
        yield Finding("ok", "database", f"schema {schema}")
    elif schema:
        text = f"schema {schema}: the next start brings it to {newest()}, which the version before cannot read"
        yield Finding("look", "database", f"{text}; `{option.hint('backup FILE', config.path)}` keeps it as it is")


def _year() -> Iterator[Finding]:
    now = time.gmtime()
    shown = time.strftime("%Y-%m-%d %H:%M:%S UTC", now)
    if now.tm_year in _YEARS:
        yield Finding("ok", "clock", shown)
    else:
        yield Finding("wrong", "clock", f"{shown}: set it, or let a time service do it")


def _clock(config: Config) -> Iterator[Finding]:
    from collector.budget.journal import latest

    yield from _year()
    try:
        last = latest(config.ledger.read_bytes().split(b"\n"))
    except OSError:
        return
    if last is not None and (ahead := last - time.time()) > _AHEAD:
        text = f"the last call that is remembered lies {spoken(ahead)} ahead: the clock was set back; set it right"
        yield Finding("look", "clock", f"{text}, until then those calls count as sent now")


def _service(config: Config) -> Iterator[Finding]:
    from collector.cli import control
    from collector.host import lock

    if (holder := lock.holder(config.root)) is None:
        yield Finding("look", "service", f"not running: `{option.hint('run', config.path)}` starts it")
        return
    try:
        control.ask(config, "/healthz")
        yield Finding("ok", "service", f"running and well, {holder}")
    except CollectorError as error:
        yield Finding("wrong", "service", f"{holder}: {error}; see `{option.hint('status', config.path)}`")


def _leftovers(config: Config) -> Iterator[Finding]:
    left = sorted(config.watch.rglob("*.why.txt")) if config.watch.is_dir() else []
    for why in left:
        yield Finding("look", "left in watch", f"{why.with_name(why.name.removesuffix('.why.txt'))}: {why} says why")
    rejected = sorted(config.rejected.iterdir()) if config.rejected.is_dir() else []
    if files := [path for path in rejected if not path.name.endswith(".why.txt")]:
        text = f"{things(len(files), 'file')} in {config.rejected}: read NAME.why.txt beside each, mend it and drop it"
        yield Finding("look", "rejected", f"{text} again, or remove both")
    for aside in sorted(config.root.glob("before-restore-*")):
        yield Finding("look", "set aside", f"{aside}: remove it once the restored database is right")
    if not left and not files:
        yield Finding("ok", "left over", "no file waits in watch/ or rejected/")


def _command(config: Config) -> Iterator[Finding]:
    """The one that notices go to."""
    notify = config.service.notify
    if notify and notify.command:
        found = shutil.which(notify.command[0])
        text = f"{found}, not run now" if found else f"{notify.command[0]} is not there: install it, or mend `notify`"
        yield Finding("ok" if found else "wrong", "notify command", text)


def _hosts(config: Config) -> Iterator[Finding]:
    import asyncio

    yield from asyncio.run(_reached(config))


async def _reached(config: Config) -> list[Finding]:
    import asyncio
    from urllib.parse import urlsplit

    urls = {spec.url: "API" for spec in config.sources.values()}
    urls |= {spec.auth.url: "API" for spec in config.sources.values() if spec.auth}
    if config.service.notify and config.service.notify.url:
        urls[config.service.notify.url] = "webhook"
    hosts = {
        (parts.scheme, parts.hostname, parts.port or (443 if parts.scheme == "https" else 80), what): None
        for parts, what in ((urlsplit(url), what) for url, what in urls.items())
        if parts.hostname and "{" not in parts.netloc
    }
    async with asyncio.TaskGroup() as group:
        looks = [group.create_task(_reach(*host)) for host in hosts]
    return [look.result() for look in looks]


async def _reach(scheme: str, host: Any, port: int, called: str) -> Finding:
    """A connection, with TLS where the other side has it, and nothing more."""
    import asyncio

    what, began = f"{called} {host}:{port}", time.monotonic()
    try:
        async with asyncio.timeout(_PATIENCE):
            _, writer = await asyncio.open_connection(host, port, ssl=scheme == "https")
    except TimeoutError:
        return Finding("wrong", what, f"no connection within {_PATIENCE:g} s: is a firewall or a proxy in the way?")
    except OSError as error:
        why = getattr(error, "verify_message", None) or error.strerror or str(error)
        return Finding("wrong", what, f"cannot be reached ({why}): look at the url, the network, DNS and the clock")
    writer.transport.abort()
    took = spoken(round(time.monotonic() - began, 3))
    return Finding("ok", what, f"{'connected with TLS' if scheme == 'https' else 'connected'} in {took}")


_LOOKS: tuple[Callable[[Any], Iterator[Finding]], ...] = (
    *(_configuration, _secrets, _folders, _disk, _sqlite, _database, _clock, _service, _leftovers, _command, _hosts),
)

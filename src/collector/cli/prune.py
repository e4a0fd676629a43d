"""`prune`: batches that ended long ago are removed from the database, once somebody has seen which."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from collector.cli import option
from collector.errors import CollectorError, UsageError
from collector.quantity import things

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from collector.config import Config

_LEAST = 3600.0  # seconds: what is younger may have an answer in the air


@click.command()
@click.option(
    "--older-than",
    "age",
    metavar="AGE",
    required=True,
    help='Batches that ended longer ago than that, as "90d" or "24h".',
)
@click.option("--yes", is_flag=True, help="Do it; else it is only shown what would go.")
@click.option("--force", is_flag=True, help="Also where the results are not in the folder; no service may be running.")
@option.config_file
@option.as_json
def prune(age: str, yes: bool, force: bool, config_path: Path | None, as_json: bool) -> None:
    """Remove old batches from the database.

    A batch goes with all that follow it, when the last of them has ended. What a later batch has not asked again stays
    for it. Folders in batches/ stay as they are.
    """
    from collector import quantity
    from collector.host import lock

    try:
        seconds = quantity.seconds(age)
    except ValueError as error:
        raise UsageError(f"--older-than {age!r}: expected {error}") from error
    if seconds < _LEAST:
        raise UsageError(f"--older-than {age!r}: expected an hour or more")
    config = option.load(config_path, secrets=False)
    before = time.time() - seconds
    running = lock.holder(config.root) is not None
    if running and force:
        raise UsageError("--force is for a stopped service: a running one may be writing those results now")
    lines = _by_service(config, before, yes) if running else _alone(config, before, yes, force)
    old: list[dict[str, Any]] = []
    removed: Counter[str] = Counter()
    for line in lines:
        old += line.get("old", [])
        removed.update(line.get("removed", {}))
    facts = {"batches": old, "done": yes, "removed": {key: removed[key] for key in ("jobs", "items", "kept")}}
    option.say(as_json, facts, "\n".join(_told(old, removed, age, done=yes)))


def _by_service(config: Config, before: float, yes: bool) -> Iterator[dict[str, Any]]:
    from collector.cli import control

    with control.stream(config, f"/prune?before={before}&yes={int(yes)}") as answer:
        while line := answer.readline():
            fact = json.loads(line)
            if "error" in fact:
                raise CollectorError(f"not all was removed: {fact['error']}; do it again to go on")
            if "end" in fact:
                return
            yield fact
    raise CollectorError("not all was removed: the service broke off; see its log, and do it again to go on")


def _alone(config: Config, before: float, yes: bool, force: bool) -> Iterator[dict[str, Any]]:
    """The same without a service; the folder is held meanwhile."""
    import asyncio

    from collector.host import lock

    if not config.database.is_file():
        raise CollectorError(f"nothing to prune: there is no {config.root / 'collector.db'}")
    with lock.hold(config.root):
        yield from asyncio.run(_all(_lines(config, before, yes, force)))


async def _all(lines: AsyncIterator[dict[str, Any]]) -> list[dict[str, Any]]:
    return [line async for line in lines]


async def _lines(config: Config, before: float, yes: bool, force: bool) -> AsyncIterator[dict[str, Any]]:
    import msgspec

    from collector.admin.care import pruned
    from collector.clock import Clock
    from collector.store import store as stores

    async with stores.opened(config.database, Clock()) as store:
        old = store.prune.old(before, unwritten=force)
        yield {"old": msgspec.to_builtins(old)}
        if yes:
            async for removed in pruned(store, old, before):
                yield {"removed": msgspec.to_builtins(removed)}


def _told(old: list[dict[str, Any]], removed: Counter[str], age: str, *, done: bool) -> Iterator[str]:
    going = [family for family in old if family["stays"] is None]
    for family in old:
        names = ", ".join(family["folders"])
        if family["stays"]:
            yield f"stays    {names}: {family['stays']}"
        else:
            size = f"{things(family['jobs'], 'ID')}, {things(family['items'], 'item')}"
            yield f"{'removed ' if done else 'would go'} {names}: {size}"
    folders = sum(len(family["folders"]) for family in going)
    if not done:
        what = "`--yes` removes them" if going else "nothing to remove"
        ended = f"{things(folders, 'batch')} ended more than {age} ago and may go; {what}"
        yield ended if going else what
        return
    kept = f"; {things(removed['kept'], 'item')} stay, which later batches name as theirs" if removed["kept"] else ""
    size = f"{things(removed['jobs'], 'ID')}, {things(removed['items'], 'item')}"
    yield f"removed {things(folders, 'batch')}, {size}{kept}"
    if going:
        yield "their folders in batches/ are still there; collector.db keeps its size and uses the room again"

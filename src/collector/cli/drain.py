"""`drain`: nothing new is taken in, and what is open is finished."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from collector.cli import option, orders
from collector.errors import CollectorError
from collector.quantity import things

if TYPE_CHECKING:
    from collector.config import Config
    from collector.output.snapshot import BatchStatus, Snapshot

_UNTIL = "nothing new is taken in until `collector resume --all`"
_LISTED = 50  # batches of a snapshot, those that go on first


@click.command()
@click.option("--wait", is_flag=True, help="Come back when all that is open has ended and its files are written.")
@option.config_file
@option.as_json
def drain(wait: bool, config_path: Path | None, as_json: bool) -> None:
    """Take nothing new in, and finish what is open.

    Files stay in watch/, over restarts too, until `collector resume --all`. The service itself goes on; to stop it when
    it has nothing left to do, as before it is moved or upgraded:

    \b
      collector drain --wait && sudo systemctl stop collector
    """
    told = orders.ordered(config_path, "/drain")
    if wait and told["batches"]:
        if not as_json:
            click.echo(_said(told))
        _wait(option.load(config_path, secrets=False), as_json)
        told |= {"batches": 0, "open": 0}
    option.say(as_json, told, _said(told))


def _said(told: dict[str, Any]) -> str:
    if not told["batches"]:
        return f"drained: nothing is open, and {_UNTIL}"
    before = "" if told["changed"] else " already"
    return (
        f"draining{before}: {things(told['open'], 'ID')} of {things(told['batches'], 'batch')} are open, and {_UNTIL}"
    )


def _wait(config: Config, as_json: bool) -> None:
    """Until nothing is left; CollectorError where what is left waits for somebody."""
    from collector.cli import screen, status

    shown = nullcontext(_nothing) if as_json else screen.shown(whole=True)
    last = status.follow(config, lambda snapshot: not _going(snapshot), shown)
    if resting := _left(last):
        ways = ", ".join(f"{batch.folder} is {batch.state} (`collector resume {batch.id}`)" for batch in resting)
        raise CollectorError(f"nothing more ends by itself: {ways}; {_UNTIL}")


def _nothing(snapshot: Snapshot, away: str = "") -> None:
    """Programs are told the end alone."""


def _left(snapshot: Snapshot) -> list[BatchStatus]:
    return [batch for batch in snapshot.batches if batch.written_at is None]


def _going(snapshot: Snapshot) -> bool:
    """Whether any is left that ends without somebody's doing."""
    left = _left(snapshot)
    return len(left) >= _LISTED or any(batch.state not in ("paused", "held") for batch in left)

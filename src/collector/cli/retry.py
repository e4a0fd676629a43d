"""`retry`: what has ended without being found is asked again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import click

from collector.cli import option, orders
from collector.errors import CollectorError, UsageError

_MORE = "what is asked again so far stays so; the same command goes on with the rest"


@click.command()
@option.batches
@option.of_source("Every batch of a source.")
@click.option("--all", "every", is_flag=True, help="Every batch.")
@click.option("--failed", is_flag=True, help="IDs whose tries are spent; these where nothing is chosen.")
@click.option("--gone", is_flag=True, help="IDs that the API says are not there.")
@click.option("--absent", is_flag=True, help="Of the gone ones those that it left out without a word.")
@click.option("--invalid", is_flag=True, help="IDs that the API refused.")
@click.option("--reason", metavar="R", help="Only IDs that ended for this reason, in whatever state, as `deleted`.")
@option.config_file
@option.as_json
def retry(
    batches: tuple[str, ...],
    source: str | None,
    every: bool,
    failed: bool,
    gone: bool,
    absent: bool,
    invalid: bool,
    reason: str | None,
    config_path: Path | None,
    as_json: bool,
) -> None:
    """Ask again for IDs that failed, or are gone or invalid.

    BATCH is its number, or the name of its folder; what follows it is meant too. A batch that has finished is open
    again, and its files are written anew at its end. A cancelled one is not asked again.

    \b
      collector retry 7
      collector retry --source posts --failed --gone
      collector retry --all --reason http-500
    """
    orders.one_target("is to be asked again", batches, source, every)
    states = [name for name, chosen in (("failed", failed), ("gone", gone), ("invalid", invalid)) if chosen]
    if absent and (states or reason is not None):
        raise UsageError("--absent is a choice of its own: it stands for --gone --reason absent")
    query = _query(["gone"] if absent else states, "absent" if absent else reason)
    done: list[dict[str, Any]] = []
    for path in orders.paths("retry", batches, source):
        with orders.also_told(done):
            told = _ordered(config_path, path + query)
        done += told["batches"]
        if not as_json:
            click.echo("\n".join(again(told["batches"])))
    if as_json:
        option.say(True, {"retried": sum(batch["retried"] for batch in done), "batches": done}, "")


def again(batches: Sequence[dict[str, Any]]) -> Iterator[str]:
    """A line for each batch of which something is asked again, and for the first one otherwise too."""
    if not batches:
        yield "nothing is asked again: no ID ended so"
    for place, batch in enumerate(batches):
        count, folder, state = batch["retried"], batch["folder"], batch["state"]
        if count:
            rest = "" if state == "open" else f"; it is {state}: `collector resume {batch['id']}`"
            yield f"asked again: {count:,} of {batch['total']:,} IDs of {folder}{rest}"
        elif state == "cancelled":
            yield (
                f"{folder} was cancelled, and is not asked again; to ask for its IDs after all, "
                "add its failed.csv with --column id"
            )
        elif not place:
            yield f"{folder}: nothing is asked again, no ID ended so"


def _query(states: Sequence[str], reason: str | None) -> str:
    words = {"state": ",".join(states), "reason": reason}
    given = {name: word for name, word in words.items() if word}
    return f"?{urlencode(given, quote_via=quote, safe=',')}" if given else ""


def _ordered(config_path: Path | None, path: str) -> dict[str, Any]:
    from collector.cli import control

    try:
        return orders.ordered(config_path, path, control.LONG_PATIENCE)
    except (control.NotRunning, UsageError):
        raise
    except CollectorError as error:
        raise CollectorError(f"{error}; {_MORE}") from error

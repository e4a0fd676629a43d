"""`pause`, `resume`, `cancel`, `priority` and `reload`: what the running service is told to do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from collector.cli import complete, option
from collector.errors import CollectorError, ConfigError, Problem, UsageError
from collector.host import lock
from collector.quantity import things

_DONE = {"pause": "paused", "resume": "resumed", "cancel": "cancelled"}
_TODO = {verb: verb for verb in _DONE} | {"priority": "put first or last"}

_every = click.option("--all", "every", is_flag=True, help="Everything.")


@click.command()
@option.batches
@option.of_source("All of a source, batches that come later too.")
@_every
@option.config_file
@option.as_json
def pause(batches: tuple[str, ...], source: str | None, every: bool, config_path: Path | None, as_json: bool) -> None:
    """Ask no more of a batch, a source, or at all, until `resume`.

    What follows a batch is paused with it.

    BATCH is its number, or the name of its folder.
    """
    one_target("is to be paused", batches, source, every)
    _order_any(config_path, "pause", batches, source, _paused, as_json)


@click.command()
@option.batches
@option.of_source("A source that is paused, or has stopped, once what it names is mended.")
@click.option("--all", "every", is_flag=True, help="Every source that is paused or stopped; ends a drain.")
@option.config_file
@option.as_json
def resume(batches: tuple[str, ...], source: str | None, every: bool, config_path: Path | None, as_json: bool) -> None:
    """Let a batch or a source go on that is paused or stopped.

    BATCH is its number, or the name of its folder. All that follow it go on with it. For one that is held this is the
    yes that it waits for.
    """
    one_target("is to go on", batches, source, every)
    _order_any(config_path, "resume", batches, source, _resumed, as_json)


@click.command()
@option.batches
@option.of_source("Every batch of a source that has not ended.")
@_every
@option.config_file
@option.as_json
def cancel(batches: tuple[str, ...], source: str | None, every: bool, config_path: Path | None, as_json: bool) -> None:
    """End a batch and what follows it; what was found is kept.

    BATCH is its number, or the name of its folder.
    """
    one_target("is to be cancelled", batches, source, every)
    _order(config_path, "cancel", paths("cancel", batches, source), as_json)


@click.command(context_settings={"ignore_unknown_options": True})  # -5 is a number
@click.argument("words", metavar="[BATCH…] N", nargs=-1, shell_complete=complete.batches)
@option.of_source("Every batch of a source that has not ended.")
@_every
@option.config_file
@option.as_json
def priority(words: tuple[str, ...], source: str | None, every: bool, config_path: Path | None, as_json: bool) -> None:
    """Let a batch go before others of its source.

    BATCH is its number, or the name of its folder; what follows it goes with it. N is a whole number: the
    higher goes first, all begin with 0, and batches of one priority share.
    """
    if not words or not re.fullmatch("-?[0-9]{1,6}", words[-1]):
        raise UsageError("which priority? Give a whole number of six digits at most as the last word, as 5 or -1")
    *batches, to = words
    one_target("is to have it", batches, source, every)
    _order(config_path, "priority", (f"{path}?to={to}" for path in paths("priority", batches, source)), as_json)


@click.command()
@option.config_file
@option.as_json
def reload(config_path: Path | None, as_json: bool) -> None:
    """Let the running service read its configuration again.

    One with problems is refused whole, and all of them are told.
    """
    status, told = _ordered(config_path, "/reload")
    _expect(status, told, 200, 422)
    if told["problems"]:
        refused = ConfigError(told["path"], [Problem(**problem) for problem in told["problems"]])
        error = UsageError(f"{refused}\nrefused: the running service goes on as it was")
        error.facts = refused.facts
        raise error
    option.say(as_json, told, _reloaded(told))


def one_target(question: str, batches: Sequence[str], source: str | None, every: bool) -> None:
    """UsageError where an order is for nothing, or for several kinds of things."""
    if (bool(batches), source is not None, every).count(True) != 1:
        raise UsageError(f"what {question}? Give a BATCH, --source S, or --all")


def _order_any(
    config_path: Path | None,
    verb: str,
    batches: Sequence[str],
    source: str | None,
    in_words: Callable[[dict[str, Any]], str],
    as_json: bool,
) -> None:
    """An order for batches, or for a source or every one, which stand for themselves and not for their batches."""
    if batches:
        _order(config_path, verb, paths(verb, batches, None), as_json)
        return
    [path] = paths(verb, (), source)
    told = ordered(config_path, path)
    option.say(as_json, told, in_words(told))


def _order(config_path: Path | None, verb: str, posts: Iterable[str], as_json: bool) -> None:
    """One order after the other; where one is refused, those before it were carried out and are told."""
    done: list[dict[str, Any]] = []
    for path in posts:
        with also_told(done):
            told = ordered(config_path, path)
        done += told["batches"]
        if not as_json:
            click.echo("\n".join(stood(verb, told["batches"])))
    if as_json:
        option.say(True, {"batches": done}, "")


@contextmanager
def also_told(done: Sequence[dict[str, Any]]) -> Iterator[None]:
    """An error tells programs the batches that were done before it."""
    try:
        yield
    except CollectorError as error:
        error.facts = {**error.facts, "batches": done}
        raise


def stood(verb: str, family: Sequence[dict[str, Any]]) -> Iterator[str]:
    """A line for the first batch, and one for each other."""
    if not family:
        yield f"nothing to {_TODO[verb]}: no batch is concerned"
        return
    first, *others = family
    below = [batch for batch in others if batch["parent"] is not None]
    changed = sum(batch["changed"] for batch in below)
    also = f"; {things(changed, 'batch')} below it too" if first["changed"] and changed else ""
    yield f"{_outcome(verb, first)}{also if below == others else ''}"
    yield from (f"{'  ' if batch in below else ''}{_outcome(verb, batch)}" for batch in others)


def _outcome(verb: str, batch: dict[str, Any]) -> str:
    folder, state = batch["folder"], batch["state"]
    if verb == "priority" and state not in ("finished", "cancelled"):
        return f"{folder} has priority {batch['priority']}{'' if batch['changed'] else ' already'}"
    were = "were" if verb == "cancel" else "are"
    open_ones = f"{batch['open']:,} of {batch['total']:,} IDs {were} open"
    if batch["changed"] and state == "loading":
        then = "is paused as soon as it is taken in" if batch["pause_wanted"] else "is asked as soon as it is taken in"
        return f"{_DONE[verb]} {folder}: it {then}"
    if batch["changed"]:
        return f"{_DONE[verb]} {folder}: {open_ones}"
    if state in ("finished", "cancelled"):
        ended = "was cancelled before" if state == "cancelled" else "has finished"
        return f"{folder} {ended}: there is nothing to {_TODO[verb]}"
    if state == "loading":
        return f"{folder} {'waits for its pause' if batch['pause_wanted'] else 'is being taken in'} already"
    held = f": it waits for a yes, `collector resume {batch['id']}`" if state == "held" else ""
    return f"{folder} is {state} already{held}"


def paths(verb: str, batches: Sequence[str], source: str | None) -> Iterator[str]:
    """Where an order is posted: once for each batch, or for a source, or for everything."""
    for batch in batches:
        named = Path(batch).name  # the folder's path, as a shell completes it
        yield f"/batches/{quote(named, safe='')}/{verb}"
    if not batches:
        yield f"/{verb}" if source is None else f"/sources/{quote(source, safe='')}/{verb}"


def ordered(config_path: Path | None, path: str, patience: float | None = None) -> dict[str, Any]:
    """What came of an order; UsageError where it names a batch or a source that there is not."""
    status, told = _ordered(config_path, path, patience)
    if status == 404 and ("sources" in told or "batches" in told):
        raise UsageError(told["error"])
    _expect(status, told, 200)
    return told


def _ordered(config_path: Path | None, path: str, patience: float | None = None) -> tuple[int, dict[str, Any]]:
    """The answer of the running service, or where none runs that of this process in its place."""
    from collector.cli import control

    config = option.load(config_path, secrets=False)
    try:
        return control.order(config, path, patience or control.PATIENCE)
    except control.NotRunning:
        # What was never collected has nothing to be ordered, and a reload is of a service.
        if path == "/reload" or not config.database.exists() or lock.holder(config.root):
            raise
    from collector.cli import alone

    status, told = alone.order(config, path)
    if status == 200:
        click.echo("no service is running: this was done in the database, and holds at the next start", err=True)
    return status, told


def _expect(status: int, told: dict[str, Any], *good: int) -> None:
    if status not in good:
        raise CollectorError(f"the running service answered {status}: {told.get('error', told)}")


def _paused(told: dict[str, Any]) -> str:
    before = ", ".join(told["paused_before"])
    if not told["paused"]:
        return f"paused already: {before}"
    return f"paused {', '.join(told['paused'])}" + (f" ({before} before)" if before else "")


def _resumed(told: dict[str, Any]) -> str:
    others = told["not_stopped"]
    states = ", ".join(f"{name} is {live['state']}{_still(live)}" for name, live in others.items())
    if told.get("drain"):
        also = f"; resumed {', '.join(told['resumed'])}" if told["resumed"] else ""
        return f"the drain has ended, new files are taken in again{also}"
    if not told["resumed"]:
        return (
            f"nothing to resume: {states}"
            if len(others) == 1
            else f"nothing to resume, no source is stopped or paused: {states}"
        )
    return f"resumed {', '.join(told['resumed'])}" + (f" ({states})" if others else "")


def _still(live: dict[str, Any]) -> str:
    return f", since {live['why']}" if live["state"] == "paused" else ""


def _reloaded(told: dict[str, Any]) -> str:
    name = option.near(Path(told["path"]))
    said = f"reloaded {name}: {'; '.join(told['changed']) or 'nothing has changed'}"
    restart = ", ".join(told["restart"])
    return f"{said}; a restart is needed for {restart}" if restart else said

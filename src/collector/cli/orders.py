"""`pause`, `resume`, `cancel` and `reload`: what the running service is told to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from collector.cli import option
from collector.errors import CollectorError, ConfigError, Problem, UsageError

_DONE = {"pause": "paused", "resume": "resumed", "cancel": "cancelled"}

_batches = click.argument("batches", metavar="BATCH…", nargs=-1, required=True)


@click.command()
@_batches
@option.config_file
@option.as_json
def pause(batches: tuple[str, ...], config_path: Path | None, as_json: bool) -> None:
    """Ask no more of a batch and what follows it, until `resume`.

    BATCH is its number, or the name of its folder.
    """
    _order(config_path, "pause", batches, as_json)


@click.command()
@click.argument("batches", metavar="[BATCH…]", nargs=-1)
@click.option("--source", metavar="S", help="A source that has stopped, once what it names is mended.")
@click.option("--all", "every", is_flag=True, help="Every source that is stopped.")
@option.config_file
@option.as_json
def resume(batches: tuple[str, ...], source: str | None, every: bool, config_path: Path | None, as_json: bool) -> None:
    """Let a paused batch go on, or a source that has stopped.

    BATCH is its number, or the name of its folder. All that follow it go on with it. For one that is held this is the
    yes that it waits for.
    """
    if (bool(batches), source is not None, every).count(True) != 1:
        raise UsageError("what is to go on? Give a BATCH, --source S, or --all")
    if batches:
        _order(config_path, "resume", batches, as_json)
        return
    [path] = paths("resume", (), source)
    told = ordered(config_path, path)
    option.say(as_json, told, _resumed(told))


@click.command()
@_batches
@option.config_file
@option.as_json
def cancel(batches: tuple[str, ...], config_path: Path | None, as_json: bool) -> None:
    """End a batch and what follows it; what was found is kept.

    BATCH is its number, or the name of its folder.
    """
    _order(config_path, "cancel", batches, as_json)


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
        raise UsageError(f"{refused}\nrefused: the running service goes on as it was")
    option.say(as_json, told, _reloaded(told))


def _order(config_path: Path | None, verb: str, batches: Sequence[str], as_json: bool) -> None:
    """One order after the other; where one is refused, those before it were carried out and are told."""
    done: list[dict[str, Any]] = []
    try:
        for path in paths(verb, batches, None):
            told = ordered(config_path, path)
            done += told["batches"]
            if not as_json:
                click.echo("\n".join(stood(verb, told["batches"])))
    finally:
        if as_json and done:
            option.say(True, {"batches": done}, "")


def stood(verb: str, family: Sequence[dict[str, Any]]) -> Iterator[str]:
    """A line for the batch, and one for each below it."""
    first, *below = family
    changed = sum(batch["changed"] for batch in below)
    also = f"; {changed} {'batch' if changed == 1 else 'batches'} below it too" if first["changed"] and changed else ""
    yield f"{_outcome(verb, first)}{also}"
    yield from (f"  {_outcome(verb, batch)}" for batch in below)


def _outcome(verb: str, batch: dict[str, Any]) -> str:
    folder, state = batch["folder"], batch["state"]
    were = "were" if verb == "cancel" else "are"
    open_ones = f"{batch['open']:,} of {batch['total']:,} IDs {were} open"
    if batch["changed"] and state == "loading":
        then = "is paused as soon as it is taken in" if batch["pause_wanted"] else "is asked as soon as it is taken in"
        return f"{_DONE[verb]} {folder}: it {then}"
    if batch["changed"]:
        return f"{_DONE[verb]} {folder}: {open_ones}"
    if state in ("finished", "cancelled"):
        ended = "was cancelled before" if state == "cancelled" else "has finished"
        return f"{folder} {ended}: there is nothing to {verb}"
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
    from collector.cli import control

    return control.order(option.load(config_path, secrets=False), path, patience or control.PATIENCE)


def _expect(status: int, told: dict[str, Any], *good: int) -> None:
    if status not in good:
        raise CollectorError(f"the running service answered {status}: {told.get('error', told)}")


def _resumed(told: dict[str, Any]) -> str:
    others = told["not_stopped"]
    states = ", ".join(f"{name} is {live['state']}" for name, live in others.items())
    if not told["resumed"]:
        return (
            f"nothing to resume: {states}" if len(others) == 1 else f"nothing to resume, no source is stopped: {states}"
        )
    return f"resumed {', '.join(told['resumed'])}" + (f" ({states})" if others else "")


def _reloaded(told: dict[str, Any]) -> str:
    name = option.near(Path(told["path"]))
    said = f"reloaded {name}: {'; '.join(told['changed']) or 'nothing has changed'}"
    restart = ", ".join(told["restart"])
    return f"{said}; a restart is needed for {restart}" if restart else said

"""`status`: what the running service does, once or again and again."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from collector.cli import option
from collector.errors import CollectorError

if TYPE_CHECKING:
    from collector.cli.screen import Show
    from collector.config import Config
    from collector.output.snapshot import Snapshot

_EVERY = 1.0  # seconds from one look to the next
_ZONE = 4  # characters by which the name of a zone is longer than Z


@click.command()
@click.option("--watch", is_flag=True, help="Go on showing it, until Ctrl-C; over restarts of the service too.")
@option.config_file
@option.as_json
def status(watch: bool, config_path: Path | None, as_json: bool) -> None:
    """Show what is done, what it waits for and when it ends.

    Counts, batches, budgets and troubles of the running service; a line that begins with ! wants to be read.
    """
    config = option.load(config_path, secrets=False)
    if watch:
        with suppress(KeyboardInterrupt):  # its ordinary end
            if as_json:
                _repeat(config)
            else:
                from collector.cli import screen

                follow(config, lambda _: False, screen.shown(whole=True))
    elif as_json:
        click.echo(_document(config))
    else:
        from collector.cli.screen import local
        from collector.output.text import text

        width = min(max(shutil.get_terminal_size().columns, 60), 120) - _ZONE
        click.echo(local(text(_snapshot(config), width)), nl=False)


def _repeat(config: Config) -> None:
    told = _document(config)  # before anything is said: when no service runs, that alone is
    while True:
        click.echo(told)
        time.sleep(_EVERY)
        try:
            told = _document(config)
        except CollectorError as error:
            told = json.dumps({"error": str(error)})


def follow(config: Config, done: Callable[[Snapshot], bool], shown: AbstractContextManager[Show]) -> Snapshot:
    """Shows the service until it is done, over its restarts too; the last that was seen of it."""
    snapshot, away = _snapshot(config), ""  # before anything is drawn: when no service runs, that alone is said
    with shown as show:
        while True:
            show(snapshot, away)
            if not away and done(snapshot):
                return snapshot
            time.sleep(_EVERY)
            try:
                snapshot, away = _snapshot(config), ""
            except _OtherWords:
                raise
            except CollectorError as error:
                away = str(error)


class _OtherWords(CollectorError):
    """The answer is one of another version."""


def _document(config: Config) -> str:
    from collector.cli import control

    return control.ask(config, "/status").decode().strip()


def _snapshot(config: Config) -> Snapshot:
    import msgspec

    from collector.cli import control
    from collector.output.snapshot import Snapshot

    try:
        return msgspec.json.decode(control.ask(config, "/status"), type=Snapshot)
    except msgspec.MsgspecError as error:
        raise _OtherWords(
            f"the running service answers in words of another version ({error}): restart it, or use `--json`"
        ) from error

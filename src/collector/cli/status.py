"""`status`: what the running service does, once or again and again."""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from collector.cli import option
from collector.errors import CollectorError

if TYPE_CHECKING:
    from collector.config import Config
    from collector.output.snapshot import Snapshot

_EVERY = 1.0  # seconds from one look to the next
_ZONE = 4  # characters by which the name of a zone is longer than Z


@click.command()
@click.option("--watch", is_flag=True, help="Go on showing it, until Ctrl-C.")
@option.config_file
@option.as_json
def status(watch: bool, config_path: Path | None, as_json: bool) -> None:
    """Show counts, budgets, what is waited for and when it will be done."""
    config = option.load(config_path, secrets=False)
    if watch:
        with suppress(KeyboardInterrupt):  # its ordinary end
            (_repeat if as_json else _follow)(config)
    elif as_json:
        click.echo(_document(config))
    else:
        from collector.cli.screen import local
        from collector.output.text import text

        width = min(max(shutil.get_terminal_size().columns, 60), 120) - _ZONE
        click.echo(local(text(_snapshot(config), width)), nl=False)


def _repeat(config: Config) -> None:
    while True:
        click.echo(_document(config))
        time.sleep(_EVERY)


def _follow(config: Config) -> None:
    from collector.cli import screen

    snapshot = _snapshot(config)  # before anything is drawn: when no service runs, that alone is said
    with screen.shown() as show:
        while True:
            show(snapshot)
            time.sleep(_EVERY)
            snapshot = _snapshot(config)


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
        raise CollectorError(
            f"the running service answers in words of another version ({error}): restart it, or use `--json`"
        ) from error

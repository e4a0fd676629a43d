"""The options that commands share, and what stands behind them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from collector.cli import complete
from collector.errors import CollectorError, ConfigError, Problem, UsageError

if TYPE_CHECKING:
    from collector.config import Config

VARIABLE = "COLLECTOR_CONFIG"
PLACES = ("collector.toml", "/etc/collector/collector.toml")  # looked at in this order, after --config and the variable

config_file = click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The configuration; else $COLLECTOR_CONFIG, ./collector.toml or /etc/collector/collector.toml.",
)
batch = click.argument("batch", metavar="BATCH", shell_complete=complete.batches)
batches = click.argument("batches", metavar="[BATCH…]", nargs=-1, shell_complete=complete.batches)
as_json = click.option("--json", "as_json", is_flag=True, help="One JSON document for programs.")


def of_source(meaning: str) -> Callable[[Any], Any]:
    """`--source S`, with what it means for a command."""
    return click.option("--source", metavar="S", shell_complete=complete.sources, help=meaning)


def then(meaning: str) -> Callable[[Any], Any]:
    """`--then S`, the same."""
    return click.option("--then", metavar="S", multiple=True, shell_complete=complete.sources, help=meaning)


def find(given: Path | None) -> Path:
    """The configuration file to use: the given one, else $COLLECTOR_CONFIG, else the first of PLACES that exists."""
    named = given or (Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None)
    if named:
        return named.absolute()
    for place in PLACES:
        if Path(place).exists():
            return Path(place).absolute()
    expected = f"a configuration at {' or '.join(PLACES)}; `collector init` writes one"
    text = (
        f"there is no configuration at {' or '.join(PLACES)}: `collector init` writes one, --config FILE names another"
    )
    raise ConfigError("no configuration", [Problem("--config", "(not given)", expected)], text)


def load(config_path: Path | None, *, secrets: bool = True) -> Config:
    """The configuration that a command works with; ConfigError holds every problem."""
    from collector import config  # pydantic takes longer to import than help may take

    return config.load(find(config_path), secrets=secrets)


def source(config: Config, given: str | None) -> str:
    """The source that `--source` names, else the default or the only one."""
    declared = ", ".join(config.sources)
    if given is not None and given not in config.sources:
        raise UsageError(f"no source {given!r} in {config.path}; declared: {declared}")
    only = next(iter(config.sources)) if len(config.sources) == 1 else None
    chosen = given or config.default_source or only
    if chosen is None:
        raise UsageError(f"which source? Give --source, one of: {declared} (or set default_source in {config.path})")
    return chosen


def column(given: str | None) -> str | int | None:
    """The column that `--column` names: its header, or its number from 1."""
    if given is not None and (not given.strip() or (given.lstrip("+-").isdecimal() and int(given) < 1)):
        raise UsageError(f"--column {given!r}: expected the column's header, or its number from 1")
    return int(given) if given and given.isascii() and given.isdigit() else given


def say(as_json: bool, facts: dict[str, Any], text: str, *, beside: bool = False) -> None:
    """What a command did: the facts for a program, else the text; on standard error where its results go out."""
    try:
        click.echo(json.dumps(facts, ensure_ascii=False) if as_json else text, err=beside)
    except BrokenPipeError:
        raise
    except OSError as error:
        failed = CollectorError(f"it was done, but standard output cannot be written: {error.strerror or error}")
        failed.beside = True
        raise failed from error


def near(path: Path) -> str:
    """A path as somebody in this folder would type it, where that is shorter."""
    relative = os.path.relpath(path)
    return relative if len(relative) < len(str(path)) else str(path)


def hint(command: str, config_path: Path) -> str:
    """A command as it is to be typed here, with `--config` only where it would not be found without."""
    try:
        found = find(None) == config_path
    except ConfigError:
        found = False
    return f"collector {command}" if found else f"collector {command} --config {near(config_path)}"

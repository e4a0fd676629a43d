"""The options that commands share, and what stands behind them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from collector.errors import ConfigError

if TYPE_CHECKING:
    from collector.config import Config

config_file = click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The configuration; else $COLLECTOR_CONFIG, ./collector.toml or /etc/collector/collector.toml.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="One JSON document for programs.")


def load(config_path: Path | None, *, secrets: bool = True) -> Config:
    """The configuration that a command works with; ConfigError holds every problem."""
    from collector import config  # pydantic takes longer to import than help may take

    return config.load(config.find(config_path), secrets=secrets)


def say(as_json: bool, facts: dict[str, Any], text: str) -> None:
    """What a command did: the facts for a program, else the text."""
    click.echo(json.dumps(facts, ensure_ascii=False) if as_json else text)


def near(path: Path) -> str:
    """A path as somebody in this folder would type it, where that is shorter."""
    relative = os.path.relpath(path)
    return relative if len(relative) < len(str(path)) else str(path)


def hint(command: str, config_path: Path) -> str:
    """A command as it is to be typed here, with `--config` only where it would not be found without."""
    from collector import config

    try:
        found = config.find(None) == config_path
    except ConfigError:
        found = False
    return f"collector {command}" if found else f"collector {command} --config {near(config_path)}"

"""`resume` and `reload`: what the running service is told to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from collector.cli import option
from collector.errors import CollectorError, ConfigError, Problem, UsageError


@click.command()
@click.option("--source", metavar="S", help="The source that is to go on.")
@click.option("--all", "every", is_flag=True, help="Every source that is stopped.")
@option.config_file
@option.as_json
def resume(source: str | None, every: bool, config_path: Path | None, as_json: bool) -> None:
    """Let a source go on that has stopped, once what it names is mended."""
    if (source is None) is not every:
        raise UsageError("which source? Give --source S, or --all")
    path = "/resume" if source is None else f"/sources/{quote(source, safe='')}/resume"
    status, told = _ordered(config_path, path)
    if status == 404 and "sources" in told:
        raise UsageError(told["error"])
    _expect(status, told, 200)
    option.say(as_json, told, _resumed(told))


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


def _ordered(config_path: Path | None, path: str) -> tuple[int, dict[str, Any]]:
    from collector.cli import control

    return control.order(option.load(config_path, secrets=False), path)


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

"""`completion`, and the words that a shell may complete: quick, and silent where they cannot be known."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

_MOST = 200  # batches offered, the latest
_HEADING = re.compile(r"^\[([a-z_]+)\]$", re.MULTILINE)
_PLAIN = re.compile(r"[\w.+@%=-]+")  # what no shell takes for anything else
Words = Callable[[click.Context, click.Parameter, str], list[str]]


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]), metavar="SHELL")
@click.option("--json", "as_json", is_flag=True, help="One JSON document for programs.")
@click.pass_context
def completion(context: click.Context, shell: str, as_json: bool) -> None:
    """Print what lets a shell complete words; bash, zsh or fish.

    Batches, sources and presets are completed as well as commands and options. For the shell that is open:

    \b
      eval "$(collector completion bash)"
      eval "$(collector completion zsh)"
      collector completion fish | source

    For all to come write it into a file, which is, for this user alone:

    \b
      ~/.local/share/bash-completion/completions/collector
      _collector in a folder of zsh's $fpath
      ~/.config/fish/completions/collector.fish
    """
    from click.shell_completion import get_completion_class

    from collector.cli import option

    kind = get_completion_class(shell)
    assert kind
    script = kind(context.find_root().command, {}, "collector", "_COLLECTOR_COMPLETE").source()
    option.say(as_json, {"shell": shell, "script": script}, script.rstrip("\n"))


def _silent(words: Callable[[click.Context], Iterable[str]]) -> Words:
    """A completion breaks no command line, whatever the configuration holds."""

    def complete(context: click.Context, _: click.Parameter, begun: str) -> list[str]:
        with suppress(Exception):
            return [word for word in words(context) if word.startswith(begun)]
        return []

    return complete


@_silent
def sources(context: click.Context) -> Iterable[str]:
    """The sources of the configuration; nobody has checked their names."""
    return [name for name in _configured(context)[1]["source"] if _PLAIN.fullmatch(name)]


@_silent
def presets(_: click.Context) -> Iterable[str]:
    """The presets that ship with collector, by the headings of their files: to read them whole takes longer."""
    files = sorted((Path(__file__).parents[1] / "sources/presets").glob("*.toml"))
    return [f"{file.stem}/{name}" for file in files for name in _HEADING.findall(file.read_text(encoding="utf-8"))]


@_silent
def batches(context: click.Context) -> Iterable[str]:
    """The folders in batches/, the latest first; by its number where a shell would not take the name as it is."""
    path, table = _configured(context)
    names = [entry.name for entry in os.scandir(path.parent / table.get("root", ".") / "batches")]
    numbered = [(int(number), name) for name in names if (number := name.partition("-")[0]).isdecimal()]
    latest = [name for _, name in sorted(numbered, reverse=True)]
    return [name if _PLAIN.fullmatch(name) else name.partition("-")[0] for name in latest[:_MOST]]


def _configured(context: click.Context) -> tuple[Path, dict[str, Any]]:
    """The configuration as it stands, unchecked: to check it takes longer than a word may take."""
    import tomllib

    from collector.cli import option

    path = option.find(context.params.get("config_path"))
    return path, tomllib.loads(path.read_text(encoding="utf-8-sig"))

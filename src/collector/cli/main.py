"""The command line: its commands, and how each error ends it.

Exit 0 done · 1 failed · 2 wrong usage or configuration · 130 broken off with Ctrl-C.
"""

import json
import os
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import IO, Any, NoReturn

import click

from collector import __version__
from collector.cli import (
    add,
    backup,
    complete,
    demo,
    doctor,
    drain,
    export,
    orders,
    plan,
    prune,
    report,
    restore,
    retry,
    serve,
    setup,
    sources,
    status,
    trying,
)
from collector.errors import CollectorError, UsageError

_JSON = "collector.json"  # in the context: the answer is for a program
_BROKEN_OFF = "broken off with Ctrl-C"


class _Failed(click.ClickException):
    """An error as its own words, without a prefix or a usage line."""

    exit_code = 1
    facts: Mapping[str, object] = MappingProxyType({})
    beside = False

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(self.message, file=file, err=file is None, nl=bool(self.message))


class _Misused(_Failed):
    exit_code = 2


class _BrokenOff(_Failed):
    exit_code = 130


class _Commands(click.Group):
    """Turns every error of a command into plain words, or JSON, and an exit code; here and nowhere else."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        # As it was typed: where the words are wrong, nobody has parsed the option.
        as_json = "--json" in args
        with _told(as_json):
            context = super().make_context(info_name, args, parent, **extra)
        context.meta[_JSON] = as_json
        return context

    def invoke(self, ctx: click.Context) -> Any:
        with _told(ctx.meta[_JSON]):
            try:
                return super().invoke(ctx)
            except (click.ClickException, click.exceptions.Exit):
                raise  # click's own
            except (KeyboardInterrupt, click.Abort) as error:
                raise _BrokenOff(_BROKEN_OFF if ctx.meta[_JSON] else "") from error
            except Exception as error:
                _end(error)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)  # in the order in which people meet them


@contextmanager
def _told(as_json: bool) -> Iterator[None]:
    """An error is the one JSON document on standard output, or beside it, where that is asked for."""
    try:
        yield
    except click.ClickException as error:
        if not as_json:
            raise
        facts = {"error": error.format_message(), **getattr(error, "facts", {})}
        click.echo(json.dumps(facts, ensure_ascii=False), err=getattr(error, "beside", False))
        raise click.exceptions.Exit(error.exit_code) from error


def _first(error: Exception) -> Exception:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


def _end(error: Exception) -> NoReturn:
    first = _first(error)
    if isinstance(first, BrokenPipeError):
        raise first  # whoever read our output went away; click ends quietly with 1
    if isinstance(first, CollectorError):
        kind = _Misused if isinstance(first, UsageError) else _Failed
        failed = kind(str(first))
        failed.facts, failed.beside = first.facts, first.beside
        raise failed from error
    text = f"{type(first).__name__}: {first}; this is a fault of collector"
    if os.environ.get("COLLECTOR_DEBUG") == "1":
        text = f"{''.join(traceback.format_exception(error))}{text}"
    else:
        text += " (COLLECTOR_DEBUG=1 shows where)"
    raise _Failed(text) from error


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="collector", message="%(prog)s %(version)s")
def cli() -> None:
    """Drop a list of IDs in a folder; read what an API says of each, within its limits, across crashes."""


for command in (
    *(setup.init, setup.check, sources.sources, trying.try_source, serve.run, plan.plan, add.add, status.status),
    *(orders.pause, orders.resume, orders.cancel, retry.retry, orders.priority, drain.drain, orders.reload),
    *(report.report, export.export, backup.backup, restore.restore, prune.prune, doctor.doctor),
    *(complete.completion, demo.demo),
):
    cli.add_command(command)


def main() -> None:
    """The `collector` command."""
    cli(prog_name="collector")

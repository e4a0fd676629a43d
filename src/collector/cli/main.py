"""The command line: its commands, and how each error ends it.

Exit 0 done · 1 failed · 2 wrong usage or configuration · 130 broken off with Ctrl-C.
"""

import os
import traceback
from typing import IO, Any, NoReturn

import click

from collector import __version__
from collector.cli import (
    add,
    backup,
    demo,
    doctor,
    drain,
    export,
    orders,
    plan,
    prune,
    restore,
    retry,
    serve,
    setup,
    sources,
    status,
    trying,
)
from collector.errors import CollectorError, UsageError


class _Failed(click.ClickException):
    """An error as its own words, without a prefix or a usage line."""

    exit_code = 1

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(self.message, file=file, err=file is None)


class _Misused(_Failed):
    exit_code = 2


class _Commands(click.Group):
    """Turns every error of a command into plain words and an exit code; here and nowhere else."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit):
            raise  # click's own
        except (KeyboardInterrupt, click.Abort):
            ctx.exit(130)
        except Exception as error:
            _end(error)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)  # in the order in which people meet them


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
        raise kind(str(first)) from error
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
    *(
        orders.pause,
        orders.resume,
        orders.cancel,
        retry.retry,
        orders.priority,
        drain.drain,
        orders.reload,
        export.export,
    ),
    *(backup.backup, restore.restore, prune.prune, doctor.doctor, demo.demo),
):
    cli.add_command(command)


def main() -> None:
    """The `collector` command."""
    cli(prog_name="collector")

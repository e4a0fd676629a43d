"""`export`: what a batch has found, as one file or to standard output, whether the service runs or not."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from collector.cli import option
from collector.errors import CollectorError, UsageError, shortened
from collector.quantity import things

if TYPE_CHECKING:
    from collector.config import Config
    from collector.output.table import Table
    from collector.store.look import BatchSeen, Look

Add: TypeAlias = Callable[[bytes], object]

_BATCH = re.compile(r"([0-9]{1,18})(?:-.*)?", re.DOTALL)
_TOLD = 10  # batches that are named where a wrong one was asked for


@click.command()
@option.batch
@click.option(
    "--format",
    "form",
    type=click.Choice(["jsonl", "csv"]),
    default="jsonl",
    show_default=True,
    help="jsonl: as found.jsonl; csv: the `columns` of the source.",
)
@click.option("--output", metavar="FILE", help="Where to write; it appears whole. Else standard output.")
@option.config_file
@option.as_json
def export(batch: str, form: str, output: str | None, config_path: Path | None, as_json: bool) -> None:
    """Write what a batch has found so far as JSON lines or CSV.

    BATCH is its number or the name of its folder. It does not matter whether the service runs.
    """
    config = option.load(config_path, secrets=False)
    seen, table = known(config, batch), None
    if form == "csv":
        table = _table(config, seen)
    target = _target(output)
    with _written(target) as add:
        items = _items(config, seen, table, add)
    facts = {
        "batch": seen.id,
        "folder": seen.folder,
        "source": seen.source,
        "state": seen.state.value,
        "format": form,
        "file": None if target is None else str(target),
        "items": items,
        "jobs": seen.jobs,
        "columns": table and list(table.columns),
        "unfit": table.unfit if table else 0,
    }
    _say(as_json, facts, seen, target)


def known(config: Config, text: str) -> BatchSeen:
    """The batch that is meant; UsageError names those there are."""
    from collector.store.look import seen

    name = Path(text).name  # of batches/0007-ids/ too
    given = _BATCH.fullmatch(name)

    def look_up(look: Look) -> tuple[BatchSeen | None, list[str]]:
        return look.batch(int(given[1])) if given else None, look.batches(_TOLD)

    found, folders = seen(config.database, look_up)
    if found is None or ("-" in name and name != found.folder):
        latest = ", ".join(map(shortened, folders)) or "none"
        raise UsageError(
            f"no batch {shortened(text)!r}; give its number or the name of its folder (the latest: {latest})"
        )
    return found


def _table(config: Config, known: BatchSeen) -> Table:
    from collector.output.table import Table

    spec = config.sources.get(known.source)
    return Table(spec.columns if spec else {}, spec.key if spec else "")


def _target(output: str | None) -> Path | None:
    """The file itself, behind links; UsageError where it cannot be one."""
    if output is None:
        return None
    target = Path(output).resolve()
    if target.exists() and not target.is_file():
        raise UsageError(f"cannot write {output}: it is no regular file; leave --output away for standard output")
    return target


@contextmanager
def _written(target: Path | None) -> Iterator[Add]:
    from collector.host.files import whole

    try:
        if target is None:
            yield sys.stdout.buffer.write
            sys.stdout.buffer.flush()
        else:
            with whole(target) as part:
                yield part.add
    except BrokenPipeError:
        raise
    except OSError as error:
        where = "standard output" if target is None else str(target)
        failed = CollectorError(f"cannot write {where}: {error.strerror or error}; nothing else was changed")
        failed.beside = target is None
        raise failed from error
    except CollectorError as error:
        error.beside = target is None
        raise


def _items(config: Config, known: BatchSeen, table: Table | None, add: Add) -> int:
    """Writes them; their number."""
    from collector.output.export import found_lines
    from collector.store.look import found

    written = 0
    if table is not None:
        add(table.head())
    for page in found(config.database, known.id, table.paths if table else ()):
        add(found_lines(page) if table is None else table.lines(page))
        written += len(page)
    return written


def _say(as_json: bool, facts: dict[str, Any], known: BatchSeen, target: Path | None) -> None:
    """Where the items went to standard output, what was done is said beside it."""
    jobs, items = known.jobs, facts["items"]
    of_ids = f"{jobs.get('found', 0):,} of {sum(jobs.values()):,} IDs found, the batch is {known.state}"
    where = "standard output" if target is None else option.near(target)
    said = f"wrote {things(items, 'item')} of {known.folder} to {where} ({of_ids})"
    if unfit := facts["unfit"]:
        said += f"; {unfit:,} cell{' is' if unfit == 1 else 's are'} empty, since the path did not fit the item"
    option.say(as_json, facts, said, beside=target is None)

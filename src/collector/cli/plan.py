"""`plan`: what a file would take, before anything is spent."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from collector.cli import option
from collector.errors import CollectorError, StoreError, UsageError
from collector.quantity import things

if TYPE_CHECKING:
    from collector.config import Config
    from collector.intake.preview import Preview
    from collector.sources.plan import Change, Plan, Terms

_QUIET = 2.0  # seconds until progress is shown, and from one line to the next


class _Known:
    """What the database knows of a source, or why it could not be asked."""

    def __init__(self) -> None:
        self.open = 0  # jobs of the source that are still owed
        self.trouble: str | None = None


@dataclass(frozen=True)
class _Answer:
    """All that is told."""

    source: str
    then: tuple[str, ...]  # the sources that follow: nobody knows before how many IDs they get
    partners: list[str]  # sources that share its budget
    path: Path
    read: Preview
    known: _Known
    terms: Terms
    plan: Plan
    changes: tuple[Change, ...]


@click.command()
@click.argument("file", metavar="FILE")
@option.of_source("The source to ask; else the default_source of the configuration.")
@click.option("--column", metavar="C", help="The column that holds the IDs: its header, or its number from 1.")
@option.then("A source that is to follow, as for `add`.")
@option.config_file
@option.as_json
def plan(
    file: str,
    source: str | None,
    column: str | None,
    then: tuple[str, ...],
    config_path: Path | None,
    as_json: bool,
) -> None:
    """Tell what a file would take: calls, windows, time and price.

    Nothing is sent, moved or written, and no service need run.
    """
    from collector.intake import lineage

    config = option.load(config_path, secrets=False)
    chosen, follow = lineage.asked(config.sources, option.source(config, source), then)
    path = _readable(file)
    read, known = _read(config, chosen, path, option.column(column))
    answer = _answer(config, chosen, follow, path, read, known)
    click.echo(json.dumps(_facts(answer), ensure_ascii=False) if as_json else _text(answer), nl=as_json)


def _readable(file: str) -> Path:
    """The file itself, behind links; UsageError where there is none to read."""
    if file == "-":
        raise UsageError("plan reads a file twice, so it cannot read standard input: save it as a file first")
    path = Path(file)
    try:
        if path.exists() and not path.is_file():
            raise UsageError(f"cannot plan {file}: it is no regular file")
        with path.open("rb"):
            return path.resolve()
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from error


def _read(config: Config, source: str, path: Path, column: str | int | None) -> tuple[Preview, _Known]:
    """The file, and what is known of its IDs; without the latter where the database cannot be read."""
    from collector.clock import stamp
    from collector.sources.rules import fresh_since
    from collector.store.look import looking

    known = _Known()
    try:
        with looking(config.database) as look:
            if look is None:
                return _previewed(config, source, path, column, None), known
            known.open = look.open_jobs(source)
            since = fresh_since(config.sources[source].recollect, time.time())
            reused = since is not None and look.has_items(source)
            collected = (lambda keys: look.collected(source, keys, stamp(since or 0.0))) if reused else None
            return _previewed(config, source, path, column, collected), known
    except StoreError as error:
        known.trouble = str(error)
    return _previewed(config, source, path, column, None), known


def _previewed(
    config: Config,
    source: str,
    path: Path,
    column: str | int | None,
    collected: Callable[[list[str]], Iterable[str]] | None,
) -> Preview:
    from collector.errors import UnreadableFile
    from collector.intake.preview import preview
    from collector.output.text import plain

    spec, progress = config.sources[source], _Progress()
    try:
        named = spec.column if column is None else column
        return preview(path, spec.match, named, collected or (lambda _: ()), progress)
    except UnreadableFile as error:
        raise CollectorError(f"{plain(path.name)} would be rejected: {error}") from error
    except OSError as error:
        where = error.filename or path
        raise CollectorError(f"cannot read {plain(str(where))}: {error.strerror or error}") from error
    finally:
        progress.end()


class _Progress:
    """Lines read so far, on a terminal, when it takes long."""

    def __init__(self) -> None:
        self._next = time.monotonic() + _QUIET
        self._shown = False

    def __call__(self, lines: int) -> None:
        now = time.monotonic()
        if now >= self._next and sys.stderr.isatty():
            self._next, self._shown = now + _QUIET, True
            click.echo(f"\r{lines:,} lines read …", err=True, nl=False)

    def end(self) -> None:
        if self._shown:
            click.echo("\r\x1b[K", err=True, nl=False)


def _answer(config: Config, source: str, then: tuple[str, ...], path: Path, read: Preview, known: _Known) -> _Answer:
    from collector.output import estimate
    from collector.sources import identity
    from collector.sources import plan as plans

    terms = estimate.terms(config, source, read.sample)
    made = plans.plan(read.ids - read.collected, terms)
    [group] = [group for group in identity.sharing(config.sources, config.secrets) if source in group]
    partners = [name for name in group if name != source]
    return _Answer(source, then, partners, path, read, known, terms, made, plans.changes(made, terms))


def _text(answer: _Answer) -> str:
    from collector.intake import receipt
    from collector.output import estimate

    parts = [receipt.warned(warning) + "\n" for warning in answer.read.warnings]
    parts += [_of_file(answer), _of_work(answer), receipt.row("open already", *_open_already(answer))]
    if answer.read.first:
        more = answer.read.refused - len(answer.read.first)
        parts.append("\n" + receipt.refusals(answer.read.first) + (f"  and {more:,} more\n" if more else ""))
    if table := estimate.changes(answer.changes, answer.plan, answer.terms.spec):
        parts.append("\n" + "".join(f"{line}\n" for line in table))
    return "".join(parts)


def _of_file(answer: _Answer) -> str:
    from collector.intake import receipt
    from collector.output.text import plain

    read = answer.read
    rows = {"file": plain(answer.path.name), "source": answer.source}
    if answer.then:
        rows["then"] = f"{', '.join(answer.then)}; what is told here is for {answer.source} alone"
    rows |= {
        "recognised as": read.layout,
        "lines": receipt.lines(read.lines, read.headers, read.blank),
        "IDs": f"{read.ids:,}",
        "repeats": f"{read.repeats:,}",
        "refused lines": f"{read.refused:,}",
    }
    if answer.known.trouble:
        rows["collected"] = f"not known: {answer.known.trouble}"
    elif read.collected:
        left = read.ids - read.collected
        rows["collected"] = f"{read.collected:,} of the IDs, which are not asked for again; {left:,} are"
    return "".join(receipt.row(name, value) for name, value in rows.items())


def _of_work(answer: _Answer) -> str:
    from collector.intake.receipt import row
    from collector.output import estimate

    made, terms = answer.plan, answer.terms
    first = answer.then[0] if answer.then else None
    more = [f"at least: how many IDs {answer.source} brings for {first} nobody knows before"] if first else []
    parts = [row("requests", estimate.requests(made, terms), *more)]
    if made.calls:
        shared = f"shared with {', '.join(answer.partners)}: the strictest limits hold"
        limits = [*(estimate.windows(made) or ["none is declared"]), *([shared] if answer.partners else [])]
        parts += [
            row("limits", *limits),
            row("time", estimate.time(made)),
            row("finish", *_finish(made)),
            row("it pauses", *estimate.pauses(made, time.time(), _moment)),
            row("price", *estimate.price(made, terms.spec)),
        ]
    return "".join(parts)


def _finish(made: Plan) -> list[str]:
    if not made.taken:
        return []
    now = time.time()
    likely, latest = _moment(now + made.span.likely), _moment(now + made.span.latest)
    return [f"about {likely} if it began now" + ("" if likely == latest else f", {latest} at the latest")]


def _open_already(answer: _Answer) -> list[str]:
    """What else of this source is to be asked, with the same limits."""
    from collector.output.estimate import about
    from collector.sources.plan import plan

    if not (others := answer.known.open):
        return []
    both = plan(answer.plan.ids + others, answer.terms)
    ids = f"{things(others, 'ID')} of {answer.source}"
    return [f"{ids}, from the same limits: with {'it' if others == 1 else 'them'} {about(both.span.likely)}"]


def _moment(wall: float) -> str:
    from collector.cli.screen import clock_time
    from collector.clock import BEYOND, told

    stamped = told(wall)
    return clock_time(stamped) if stamped else BEYOND


def _facts(answer: _Answer) -> dict[str, Any]:
    read, known = answer.read, answer.known
    return {
        "file": os.fsencode(answer.path).decode(errors="backslashreplace"),
        "source": answer.source,
        "then": list(answer.then),
        "at_least": bool(answer.then),
        "shares_with": answer.partners,
        "recognised_as": read.layout,
        "lines": read.lines,
        "headers": read.headers,
        "blank": read.blank,
        "ids": read.ids,
        "repeats": read.repeats,
        "refused": read.refused,
        "refused_first": [{"line": one.line, "text": one.text, "why": one.why} for one in read.first],
        "warnings": list(read.warnings),
        "collected": None if known.trouble else read.collected,
        "open_already": None if known.trouble else known.open,
        "trouble": known.trouble,
        **_figures(answer.plan),
        "changes": [
            {"pack": other.pack, "limit": other.limit and str(other.limit), **_figures(other.plan)}
            for other in answer.changes
        ],
    }


def _figures(made: Plan) -> dict[str, Any]:
    from collector.clock import told

    now, span, money = time.time(), made.span, made.price
    seconds = {"earliest": span.earliest, "likely": span.likely, "latest": span.latest}
    return {
        "to_ask": made.ids,
        "requests": made.calls,
        "items_at_most": made.items,
        "units": made.units,
        "limits": [
            {
                "limit": str(taken.limit),
                "budget": taken.budget,
                "taken_at_most": taken.most,
                "windows": taken.windows,
                "ids_in_the_first": taken.first,
            }
            for taken in made.taken
        ],
        "seconds": seconds,
        "finish": {name: told(now + after) for name, after in seconds.items()},
        "price": money and {"least": money.least, "most": money.most, "currency": money.currency},
    }

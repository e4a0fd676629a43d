"""A snapshot on a terminal: bars that move, or now and then one plain line where there is none."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from collector import quantity
from collector.output.text import ends, in_families, percent, plain, why

if TYPE_CHECKING:
    from collector.output.snapshot import BatchStatus, Snapshot, WindowStatus

_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)(\s+)(\d\d:\d\d:\d\dZ)")  # a text may be wrapped inside of one
_ROWS = 12  # batches shown at least where there is room for no more; the rest are counted
_TROUBLES = 5  # shown at most
_EVERY = 2.0  # seconds between two plain lines


class Show(Protocol):
    """Shows a snapshot; `away`: why there is none since then."""

    def __call__(self, snapshot: Snapshot, away: str = "") -> None: ...


@contextmanager
def shown(*, whole: bool = False) -> Iterator[Show]:
    """Something to call with each new snapshot while the context is entered. `whole`: on all of the terminal, which
    has its text back at the end, with the last picture below it."""
    console = Console()
    last: RenderableType = ""
    if not console.is_terminal:
        yield _plain()
        return

    def show(snapshot: Snapshot, away: str = "") -> None:
        nonlocal last
        last = screen(snapshot, away, console if whole else None)
        live.update(last, refresh=True)

    try:
        with Live(console=console, auto_refresh=False, screen=whole, vertical_overflow="crop") as live:
            yield show
    finally:
        if whole:
            console.print(last)


def _plain() -> Show:
    told, next_at = "", 0.0

    def show(snapshot: Snapshot, away: str = "") -> None:
        nonlocal told, next_at
        said, now = away or line(snapshot), time.monotonic()
        if said != told and now >= next_at:
            told, next_at = said, now + _EVERY
            click.echo(said)

    return show


def line(snapshot: Snapshot) -> str:
    """The whole service in one line."""
    jobs = snapshot.jobs
    said = f"{snapshot.does}: {jobs.settled:,} of {jobs.total:,} IDs done"
    said += f" ({jobs.found:,} found, {jobs.gone:,} gone, {jobs.invalid + jobs.failed:,} failed), {jobs.open:,} open"
    if snapshot.waiting and snapshot.waiting[0].until:
        said += f"; waits for {snapshot.waiting[0].budget} until {clock_time(snapshot.waiting[0].until)}"
    return said


def screen(snapshot: Snapshot, away: str = "", fit: Console | None = None) -> RenderableType:
    """The whole service as a picture; `away`: why it is an old one. It has as many batches as fit on a terminal."""
    head, tail = _head(snapshot, away), _tail(snapshot)
    listed = len(snapshot.batches)
    rows = _ROWS
    if fit is not None:
        others = sum(len(fit.render_lines(part, pad=False)) for part in (*head, *tail))
        rows = max(fit.height - others - 1 - (listed + others + 1 > fit.height), 3)
    more = [Text(f"… and {listed - rows} more batches")] if listed > rows else []
    return Group(*head, _table(snapshot, rows), *more, *tail)


def _head(snapshot: Snapshot, away: str) -> list[RenderableType]:
    jobs = snapshot.jobs
    head = Text.assemble(("collector ", "bold"), snapshot.version, " is ", (plain(snapshot.does), "bold"))
    head.append(f" · calls in the air: {snapshot.calls_in_the_air}")
    parts: list[RenderableType] = [head]
    if away:
        parts.append(Text(plain(f"! as it was at {clock_time(snapshot.now)}: {away}"), "red"))
    parts.append(Text(f"{jobs.settled:,} of {jobs.total:,} IDs done, {percent(jobs).strip()}; {jobs.open:,} open"))
    if said := ends(snapshot, snapshot.now, clock_time):
        parts.append(Text(f"done {said}"))
    return parts


def _tail(snapshot: Snapshot) -> list[RenderableType]:
    parts = [_budget(name, window) for name, windows in snapshot.budgets.items() for window in windows]
    for wait in snapshot.waiting:
        until = f" until {clock_time(wait.until)}" if wait.until else ""
        parts.append(Text(plain(f"waits: {wait.jobs:,} IDs for {wait.budget}{until} ({why(wait)})"), "yellow"))
    troubles = snapshot.troubles
    parts += [Text(plain(f"! {trouble.where}: {trouble.what}"), "red") for trouble in troubles[:_TROUBLES]]
    if len(troubles) > _TROUBLES:
        parts.append(Text(f"! and {len(troubles) - _TROUBLES} more: `collector status` tells all", "red"))
    return parts


def local(text: str) -> str:
    """A text with its UTC times told in the time of this machine, with the zone's name."""
    return _MOMENT.sub(_here, text)


def _here(found: re.Match[str]) -> str:
    day, space, hour = found.groups()
    moment = datetime.fromisoformat(f"{day} {hour}").astimezone()
    return f"{moment:%Y-%m-%d}{space}{moment:%H:%M:%S %Z}"


def clock_time(stamped: str) -> str:
    """A stamp in the time of this machine, with the zone's name; the day only where it is another one."""
    moment, today = datetime.fromisoformat(stamped).astimezone(), datetime.now(UTC).astimezone()
    return f"{moment:%H:%M:%S %Z}" if moment.date() == today.date() else f"{moment:%Y-%m-%d %H:%M %Z}"


def _table(snapshot: Snapshot, rows: int) -> Table:
    table = Table(box=None, padding=(0, 1), pad_edge=False, expand=True)
    table.add_column("batch", no_wrap=True, ratio=3)
    table.add_column("", ratio=2, min_width=8)
    for name in ("found", "gone", "failed", "open"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for depth, batch in in_families(snapshot.batches)[:rows]:
        table.add_row(*_row(batch, depth))
    return table


def _row(batch: BatchStatus, depth: int) -> tuple[RenderableType, ...]:
    jobs = batch.jobs
    lost = jobs.invalid + jobs.failed + jobs.cancelled
    numbers = [Text(f"{number:,}") for number in (jobs.found, jobs.gone, lost, jobs.open)]
    state = f"line {batch.line:,}" if batch.state == "loading" else batch.state
    if batch.state == "open" and batch.finish_at:
        state = clock_time(batch.finish_at)
    bar = ProgressBar(total=max(jobs.total, 1), completed=jobs.settled, complete_style="cyan")
    return (Text(f"{'  ' * depth}{plain(batch.folder)}"), bar, *numbers, Text(plain(state)))


def _budget(name: str, window: WindowStatus) -> RenderableType:
    row = Table.grid(padding=(0, 1))
    said = f"{window.used:,} of {window.limit:,} {window.unit} in {quantity.spoken(window.window_s)}"
    if window.next_at:
        said += f", the next {clock_time(window.next_at)}"
    bar = ProgressBar(
        total=max(window.limit, 1),
        completed=min(window.used, window.limit),
        width=20,
        complete_style="blue",
        finished_style="blue",
    )
    row.add_row(Text(plain(f"budget {name}")), bar, Text(said))
    return row

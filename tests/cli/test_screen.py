"""The picture of a snapshot on a terminal."""

import re
import time
from collections.abc import Iterator

import msgspec
import pytest
from rich.console import Console

from collector.cli import screen
from collector.output.snapshot import (
    BatchStatus,
    JobCounts,
    Snapshot,
    SourceStatus,
    TroubleStatus,
    Waiting,
    WindowStatus,
)

JOBS = JobCounts(total=1000, queued=300, running=100, found=500, gone=90, failed=10)
BATCH = BatchStatus(
    id=7,
    name="ids",
    source="posts",
    state="open",
    jobs=JOBS,
    items=500,
    finish_from="2026-11-22T08:25:00.000Z",
    finish_at="2026-11-22T08:30:00.000Z",
    finish_to="2026-11-22T08:40:00.000Z",
    folder="0007-ids",
    warnings=(),
    created_at="2026-11-22T08:00:00.000Z",
    finished_at=None,
    line=1000,
    lines=1000,
    refused=0,
    reasons={},
)
SNAPSHOT = Snapshot(
    state="running",
    version="0.1.0",
    started_at="2026-11-22T08:00:00.000Z",
    now="2026-11-22T08:10:00.000Z",
    finish_from="2026-11-22T08:25:00.000Z",
    finish_at="2026-11-22T08:30:00.000Z",
    finish_to="2026-11-22T08:40:00.000Z",
    at_least=False,
    jobs=JOBS,
    calls_in_the_air=4,
    waiting=(Waiting("posts", "2026-11-22T08:15:00.000Z", 40, "window spent", "900 calls in 15 min", ("posts",)),),
    batches=(BATCH,),
    budgets={
        "posts": (WindowStatus(900, 900, 900, 0, "2026-11-22T08:16:00.000Z", "calls", "2026-11-22T08:15:00.000Z", ""),)
    },
    sources={"posts": SourceStatus("waiting", None)},
    troubles=(TroubleStatus("warning", "what [bold]was\x1b[2J said", "0007-ids", None),),
)


@pytest.fixture(autouse=True)
def _somewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine an hour and a half east, in a zone with a name."""
    monkeypatch.setenv("TZ", "EAST-1:30")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def drawn(snapshot: Snapshot, width: int = 100) -> str:
    console = Console(width=width, color_system=None, force_terminal=False)
    with console.capture() as capture:
        console.print(screen.screen(snapshot))
    return capture.get()


def test_the_picture_tells_counts_budgets_waits_and_troubles() -> None:
    """Each number that an operator asks for, and the finish in the zone of the machine."""
    seen = drawn(SNAPSHOT)
    for words in ("0007-ids", "500", "90", "10", "400", "900 of 900 calls in 15 min", "40 IDs for posts", "in 20 min"):
        assert words in seen
    assert "10:00" in seen
    assert "EAST" in seen
    assert "what [bold]was?[2J said" in seen


@pytest.mark.parametrize("width", [20, 60, 200])
def test_a_picture_of_any_width_can_be_drawn(width: int) -> None:
    """Nothing is wider than the terminal."""
    assert max(map(len, drawn(SNAPSHOT, width).splitlines())) <= width


def test_more_batches_than_fit_are_counted() -> None:
    """The rest is told as a number."""
    many = msgspec.structs.replace(SNAPSHOT, batches=(BATCH,) * 50)
    assert "… and 38 more batches" in drawn(many)


@pytest.mark.parametrize(("height", "shown"), [(24, 7), (70, 50)])
def test_a_picture_on_the_whole_terminal_fits_it(height: int, shown: int) -> None:
    """With as many batches as there is room for, and what is waited for below them; of troubles only the first."""
    many = msgspec.structs.replace(SNAPSHOT, batches=(BATCH,) * 50, troubles=SNAPSHOT.troubles * 9)
    console = Console(width=80, height=height, color_system=None, force_terminal=False)
    with console.capture() as capture:
        console.print(screen.screen(many, "no service is running", console))
    lines = capture.get().splitlines()
    assert len(lines) <= height
    assert re.match(r"! as it was at .*09:40.* EAST: no service", lines[1])
    assert lines[-1].startswith("! and 4 more")
    assert sum("0007-ids" in line and "!" not in line for line in lines) == shown


def test_one_line_tells_the_whole() -> None:
    """For logs and pipes."""
    said = screen.line(SNAPSHOT)
    assert said.startswith("running: 600 of 1,000 IDs done (500 found, 90 gone, 10 failed), 400 open; waits for posts")
    assert re.search(r"until .*09:45.* EAST$", said)


def test_the_times_of_a_text_become_local_ones() -> None:
    """A time that is wrapped over two lines too; days follow the zone."""
    said = screen.local("since 2026-11-22 23:00:00Z, free 2026-11-22\n  08:00:00Z; ids 2026-11-22")
    assert said == "since 2026-11-23 00:30:00 EAST, free 2026-11-22\n  09:30:00 EAST; ids 2026-11-22"

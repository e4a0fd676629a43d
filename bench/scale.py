"""A start over very many rows, and whether calls and `/status` are as quick over them as over ten thousand."""

import json
import shutil
import signal
import sqlite3
import statistics
import tempfile
import time
from contextlib import closing
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from bench import built, start
from bench.answering import Server
from bench.carried import started, until
from bench.cost import Cost, cpu, rss
from bench.given import Given
from bench.loops import costlier, faster, medians
from bench.results import Figure, Section, Wanted
from collector import config
from collector.cli import control

FEW = 10_000  # rows
CALLS = 8_000  # of each run, one ID each
REQUESTS = 500
LOOK_EVERY = 0.01  # seconds
QUIET = 0.25  # seconds without another job found, after a pause
PATIENCE = 120.0  # seconds
SOON = Wanted(most=4.0)  # seconds
SAME = Wanted(0.9, 1.1)
STARTS = """\
A start over a database of {rows:,} rows that were written into it at once: from the start of the process to READY \
(by the socket that systemd would have) and to the first call at a server on loopback, the same after a kill -9, and \
the processor's seconds until READY. The found ones have no items."""
SPEEDS = """\
One ID a call, 16 at once, {calls:,} calls from the resume on, and {requests} times `GET /status` over the control \
socket while it is paused, in turns over {few:,} and {many:,} rows: all queued, or all found but those that are asked \
for."""
CONFIG = """\
root = "state"
[service]
consumers = 16
[admin]
listen = "off"
[source.posts]
url = "{url}/items/{{id}}"
parallel = 16
"""
State = str  # of the rows: queued or found


class Seen(NamedTuple):
    """One run over one database."""

    cost: Cost
    status: float  # seconds, the median


def sections(given: Given, server: Server) -> list[Section]:
    """Each large database is built once, and serves for both."""
    starts: dict[State, list[tuple[float, ...]]] = {}
    speeds: dict[tuple[State, int], list[Seen]] = {}
    asked = given.rounds * 2 * CALLS  # some more than CALLS leave before the pause and after the last that is timed
    with start.answering() as (port, told):
        for state in ("queued", "found"):
            with tempfile.TemporaryDirectory() as name:
                large, small = Path(name) / "large", Path(name) / "small"
                found = {"queued": 0, "found": given.scale_rows}[state]
                built.jobs(large, given.scale_rows + asked, found)
                for _ in range(given.rounds):
                    starts.setdefault(state, []).append(begun(large, port, told))
                    few = {"queued": 0, "found": FEW}[state]
                    built.jobs(small, FEW + few, few)
                    speeds.setdefault((state, FEW), []).append(called(small, server.url))
                    shutil.rmtree(small)
                    speeds.setdefault((state, given.scale_rows), []).append(called(large, server.url))
    return [_starts(starts, given), _speeds(speeds, given)]


def begun(folder: Path, port: int, told: "Connection[None, float]") -> tuple[float, ...]:
    """READY, first call and the processor's seconds of a start and of one after kill -9; and memory, in MB."""
    run = start.Run(folder, port, told)
    found: list[float] = []
    for end in (signal.SIGKILL, signal.SIGTERM):
        try:
            ready, first = run.start()
            found += [ready, float("nan") if first is None else first, run.spent]
            held = run.rss()
        finally:
            run.end(end)
    return *found, held


def called(folder: Path, url: str) -> Seen:
    """Paused, asked for its status, resumed, and timed until so many more are found."""
    (folder / "collector.toml").write_text(CONFIG.format(url=url))
    with started(folder) as process:
        assert process.stderr is not None
        until(process.stderr, "ready")
        known = config.load(folder / "collector.toml")
        control.order(known, "/pause")
        with closing(sqlite3.connect(f"file:{known.database}?mode=ro", uri=True)) as connection:
            before = quiet(connection)
            status = asked(known)
            used, began = cpu(process.pid), time.perf_counter()
            control.order(known, "/resume")
            while (done := found_till_now(connection) - before) < CALLS:
                if time.perf_counter() - began > PATIENCE:
                    raise RuntimeError(f"{done} of {CALLS} calls after {PATIENCE:g} s")
                time.sleep(LOOK_EVERY)
            seconds = time.perf_counter() - began
            return Seen(Cost(done / seconds, (cpu(process.pid) - used) / done, rss(process.pid)), status)


def found_till_now(connection: sqlite3.Connection) -> int:
    """IDs whose answer is recorded."""
    [(jobs,)] = connection.execute("SELECT jobs FROM counts WHERE batch = 1 AND state = 'found'")
    return int(jobs)


def quiet(connection: sqlite3.Connection) -> int:
    """The IDs that are found once no more come: calls in the air at a pause are recorded after it."""
    now, since = found_till_now(connection), time.monotonic()
    while time.monotonic() - since < QUIET:
        time.sleep(LOOK_EVERY)
        if (later := found_till_now(connection)) != now:
            now, since = later, time.monotonic()
    return now


def asked(known: config.Config) -> float:
    """The median time of `GET /status`."""
    took = []
    for _ in range(REQUESTS):
        began = time.perf_counter()
        json.loads(control.ask(known, "/status"))
        took.append(time.perf_counter() - began)
    return statistics.median(took)


def _starts(starts: dict[State, list[tuple[float, ...]]], given: Given) -> Section:
    heads = ("rows are", "READY", "first call", "CPU s", "READY after kill -9", "first call", "CPU s", "resident")
    rows: list[tuple[str, ...]] = []
    figures = []
    for state, found in starts.items():
        *times, held = (statistics.median(column) for column in zip(*found, strict=True))
        rows.append((state, *(f"{seconds:.2f} s" for seconds in times), f"{held:.0f} MB"))
        names = ("READY", "first call", "", "READY after kill -9", "first call after kill -9", "")
        figures += [Figure(f"{what}, {state}", at, SOON) for what, at in zip(names, times, strict=True) if what]
    return Section("start", STARTS.format(rows=given.scale_rows), heads, rows, figures)


def _speeds(speeds: dict[tuple[State, int], list[Seen]], given: Given) -> Section:
    heads = ("rows", "calls/s", "CPU s per 1,000 calls", "peak memory", "GET /status")
    rows: list[tuple[str, ...]] = []
    for (state, count), found in speeds.items():
        cost, status = medians([seen.cost for seen in found]), statistics.median(seen.status for seen in found)
        cells = (f"{cost.speed:,.0f}", f"{cost.cpu * 1000:.3f}", f"{cost.rss / 1e6:.0f} MB", f"{status * 1000:.2f} ms")
        rows.append((f"{count:,} {state}", *cells))
    figures = []
    for state in ("queued", "found"):
        few, many = speeds[state, FEW], speeds[state, given.scale_rows]
        ours, base = [seen.cost for seen in many], [seen.cost for seen in few]
        later = statistics.median(one.status / other.status for one, other in zip(many, few, strict=True))
        figures.append(Figure(f"calls/s, {state}, in times those over few", faster(ours, base), SAME))
        figures.append(Figure(f"CPU of a call, {state}, likewise", costlier(ours, base), SAME))
        figures.append(Figure(f"time of GET /status, {state}, likewise", later, SAME))
    how = SPEEDS.format(calls=CALLS, requests=REQUESTS, few=FEW, many=given.scale_rows)
    return Section("scale", how, heads, rows, figures)

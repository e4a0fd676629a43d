"""The service's speed against bare loops that keep nothing: both in turns, medians of the rounds.

    python -m bench.speed [--only one-16,packed] [--rounds 3] [--jobs 10000] [--reference bare.py] [--profile FOLDER]

Told are IDs a second, seconds of processor for 1,000 IDs and peak memory of each side, and the ratio of the speeds.
Only ratios say something on a machine that others use. All scenarios together go to bench/RESULTS.md too.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from bench import intake
from bench.answering import PACK, Server, answering
from bench.carried import Run, carried
from bench.cost import Cost

RESULTS = Path(__file__).with_name("RESULTS.md")


class Scenario(NamedTuple):
    """A source, and the bare loop that it is held against."""

    name: str
    what: str
    source: str  # the rest of its table; {url} is the server's
    bare: tuple[str, str]  # the kind of loop, and where it asks
    at_once: int
    pack: int = 1
    times: int = 1  # as many jobs as of the others, since each is quick


SCENARIOS = (
    Scenario("one-8", "one ID a call, 8 at once", 'url = "{url}/items/{{id}}"\n', ("http", "/items/"), 8),
    Scenario("one-16", "one ID a call, 16 at once", 'url = "{url}/items/{{id}}"\n', ("http", "/items/"), 16),
    Scenario(
        "packed",
        f"{PACK} IDs a call, 16 at once",
        f'url = "{{url}}/packs/{{{{ids}}}}"\npack = {PACK}\nitems = "data"\n',
        ("packed", "/packs/"),
        16,
        PACK,
        5,
    ),
    Scenario(
        "python-async", "an async function that does nothing", 'call = "doing:waits"\n', ("update", ""), 16, times=3
    ),
    Scenario(
        "python-plain", "a plain function that does nothing", 'call = "doing:plain"\n', ("update", ""), 16, times=3
    ),
)


class Measured(NamedTuple):
    """One side of a scenario."""

    scenario: str
    side: str
    speed: float
    cpu: float
    rss: int


def compare(scenario: Scenario, server: Server, given: argparse.Namespace) -> list[Measured]:
    """All sides in turns."""
    costs: dict[str, list[Cost]] = {}
    jobs = given.jobs * scenario.times // PACK * PACK
    kind, path = scenario.bare
    units, prefix = (str(jobs // scenario.pack), server.url + path) if path else ("-", str(jobs))
    run = Run(scenario.source.format(url=server.url), jobs, scenario.at_once)
    profile = given.profile and Path(given.profile) / f"{scenario.name}.prof"
    for _ in range(given.rounds):
        costs.setdefault("bare", []).append(bare(kind, prefix, units, str(scenario.at_once)))
        if given.reference and path:
            costs.setdefault("reference", []).append(
                reference(given.reference, kind, prefix, units, str(scenario.at_once))
            )
        with tempfile.TemporaryDirectory(dir=given.folder) as folder:
            costs.setdefault("collector", []).append(carried(Path(folder), run, profile))
    return [Measured(scenario.name, side, *medians(found)) for side, found in costs.items()]


def medians(found: Sequence[Cost]) -> tuple[float, float, int]:
    """Of speed and processor the median, of memory the most."""
    speed, cpu, _ = (statistics.median(column) for column in zip(*found, strict=True))
    return speed, cpu, max(cost.rss for cost in found)


def bare(*words: str) -> Cost:
    """A loop of ours, in a process of its own."""
    command = [sys.executable, "-m", "bench.bare", *words]
    done = subprocess.run(command, cwd=RESULTS.parents[1], stdout=subprocess.PIPE, check=True)
    return Cost(*json.loads(done.stdout))


def reference(program: str, *words: str) -> Cost:
    """Somebody else's loop of the same kind, which tells its speed alone."""
    done = subprocess.run([sys.executable, program, *words], stdout=subprocess.PIPE, check=True)
    return Cost(float(done.stdout), 0.0, 0)


def table(measured: Sequence[Measured]) -> str:
    """A row for each side; ratios are to the bare loop of the same scenario."""
    rows = [
        "| scenario | side | IDs/s | speed | CPU s per 1,000 IDs | CPU | peak memory |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    first: dict[str, Measured] = {}
    for one in measured:
        base = first.setdefault(one.scenario, one)
        speed, cpu = one.speed / base.speed, f"{one.cpu * 1000:.3f} | {one.cpu / base.cpu:.2f}" if one.cpu else " | "
        rows.append(
            f"| {one.scenario} | {one.side} | {one.speed:,.0f} | {speed:.2f} | {cpu} | {one.rss / 1e6:.0f} MB |"
        )
    return "\n".join(rows)


def taken_in(given: argparse.Namespace, *, shuffled: bool) -> list[Measured]:
    """Both sides of the intake."""
    sides = intake.measured(given.rows, given.rounds, shuffled, given.folder)
    name = "intake-random" if shuffled else "intake-asc"
    return [
        Measured(
            name,
            side,
            given.rows / statistics.median(run["seconds"] for run in runs),
            statistics.median(run["cpu"] for run in runs) / given.rows,
            int(max(run["rss"] for run in runs)),
        )
        for side, runs in sides
    ]


def machine() -> str:
    """What all this was measured on."""
    model = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line), "")
    name = model.partition(":")[2].strip() or platform.machine()
    return f"{os.cpu_count()} x {name}, {platform.system()} {platform.release()}, Python {platform.python_version()}"


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="scenarios, with commas between them")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--rows", type=int, default=1_000_000, help="IDs that are taken in")
    parser.add_argument("--folder", help="where to work; the disk counts")
    parser.add_argument("--reference", help="a program with the same loops, to be told beside ours")
    parser.add_argument("--profile", help="a folder for cProfile's files of the service; its speed says nothing then")
    given = parser.parse_args()
    names = [scenario.name for scenario in SCENARIOS] + ["intake-asc", "intake-random"]
    wanted = given.only.split(",") if given.only else names
    if unknown := set(wanted) - set(names):
        parser.error(f"no scenario {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    measured: list[Measured] = []
    with tempfile.TemporaryDirectory() as folder, answering(Path(folder)) as server:
        for scenario in SCENARIOS:
            if scenario.name in wanted:
                measured += compare(scenario, server, given)
        told = f"{machine()}; answers by {server.name}; medians of {given.rounds} rounds in turns"
    for name, shuffled in (("intake-asc", False), ("intake-random", True)):
        if name in wanted:
            measured += taken_in(given, shuffled=shuffled)
    print(f"{told}\n\n{table(measured)}")
    if not given.only:
        RESULTS.write_text(f"# Measured on {datetime.now(UTC):%Y-%m-%d}\n\n{told}.\n\n{table(measured)}\n")


if __name__ == "__main__":
    main()

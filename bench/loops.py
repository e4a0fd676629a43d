"""The service against bare loops that keep nothing, or the least: the same calls, in turns."""

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bench.answering import PACK, Server
from bench.carried import Run, carried
from bench.cost import Cost
from bench.given import Given
from bench.results import Figure, Section, Wanted

ROOT = Path(__file__).parents[1]
HEADS = ("side", "IDs/s", "speed", "CPU s per 1,000 IDs", "CPU", "peak memory")
FAST = Wanted(least=0.75)
FRUGAL = Wanted(most=1.5)
AGREED = Wanted(0.85, 1.15)
HOW = "IDs are taken in while the service is paused, and the clock runs from the resume to the last ID's end. "


class Scenario(NamedTuple):
    """A source, and the bare loop that it is held against."""

    name: str
    what: str
    source: str  # the rest of its table; {url} is the server's
    bare: tuple[str, str]  # the kind of loop, and where it asks
    at_once: int = 16
    pack: int = 1
    times: int = 1  # as many jobs as of the others, since each is quick
    judged: bool = True  # a loop that calls nothing is no measure for a service that does

    def run(self, url: str, jobs: int) -> Run:
        """So many of its jobs."""
        return Run(self.source.format(url=url), jobs * self.times // self.pack * self.pack, self.at_once)


ONE = 'url = "{url}/items/{{id}}"\n'
PACKED = f'url = "{{url}}/packs/{{{{ids}}}}"\npack = {PACK}\nitems = "data"\n'
KEEPS_NOTHING = "GET and read by a bare aiohttp loop that keeps nothing"
UPDATES = "the bare loop only makes the jobs found, 2,000 a commit, and calls nothing"
SCENARIOS = (
    Scenario("one-8", f"one ID a call, 8 at once; {KEEPS_NOTHING}", ONE, ("http", "/items/"), 8),
    Scenario("one-16", f"one ID a call, 16 at once; {KEEPS_NOTHING}", ONE, ("http", "/items/")),
    Scenario(
        "packed",
        f"{PACK} IDs a call, 16 at once; the bare loop parses each answer and inserts its items in one commit",
        PACKED,
        ("packed", "/packs/"),
        pack=PACK,
        times=5,
    ),
    Scenario(
        "python-async",
        f"an async function that does nothing; {UPDATES}",
        'call = "doing:waits"\n',
        ("update", ""),
        times=3,
        judged=False,
    ),
    Scenario(
        "python-plain",
        f"a plain function that does nothing; {UPDATES}",
        'call = "doing:plain"\n',
        ("update", ""),
        times=3,
        judged=False,
    ),
)


def named(name: str) -> Scenario:
    """One of them."""
    return next(scenario for scenario in SCENARIOS if scenario.name == name)


def compare(scenario: Scenario, given: Given, server: Server) -> Section:
    """All sides in turns."""
    costs: dict[str, list[Cost]] = {}
    kind, path = scenario.bare
    run = scenario.run(server.url, given.jobs)
    units, prefix = (str(run.jobs // scenario.pack), server.url + path) if path else ("-", str(run.jobs))
    words = (kind, prefix, units, str(scenario.at_once))
    for _ in range(given.rounds):
        costs.setdefault("bare", []).append(bare(*words))
        if given.reference and path:
            costs.setdefault("reference", []).append(reference(given.reference, *words))
        costs.setdefault("collector", []).append(served(run))
    sides = {side: medians(found) for side, found in costs.items()}
    return Section(
        scenario.name, f"{run.jobs:,} IDs, {scenario.what}. {HOW}", HEADS, rows(sides), judged(scenario, sides)
    )


def served(run: Run) -> Cost:
    """The service, once, in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        return carried(Path(folder), run)


def judged(scenario: Scenario, sides: dict[str, Cost]) -> list[Figure]:
    """What counts of a scenario."""
    ours, base = sides["collector"], sides["bare"]
    figures = []
    if scenario.judged:
        figures.append(Figure("speed against the bare loop", ours.speed / base.speed, FAST))
        figures.append(Figure("CPU against the bare loop", ours.cpu / base.cpu, FRUGAL))
    return [*figures, *agreement(sides)]


def agreement(sides: dict[str, Cost]) -> list[Figure]:
    """Whether our bare loop is as quick as somebody else's, where there is one."""
    if "reference" not in sides:
        return []
    return [Figure("our bare loop against the reference's", sides["bare"].speed / sides["reference"].speed, AGREED)]


def medians(found: Sequence[Cost]) -> Cost:
    """Of speed and processor the median, of memory the most."""
    speed, cpu, _ = (statistics.median(column) for column in zip(*found, strict=True))
    return Cost(speed, cpu, max(cost.rss for cost in found))


def bare(*words: str) -> Cost:
    """A loop of ours, in a process of its own."""
    command = [sys.executable, "-m", "bench.bare", *words]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    return Cost(*json.loads(done.stdout))


def reference(program: str, *words: str) -> Cost:
    """Somebody else's loop of the same kind, which tells its speed alone."""
    done = subprocess.run([sys.executable, program, *words], stdout=subprocess.PIPE, check=True)
    return Cost(float(done.stdout), 0.0, 0)


def rows(sides: dict[str, Cost], base: str = "bare") -> list[tuple[str, ...]]:
    """A row for each side; ratios are to one of them. What was not measured is left empty."""
    first = sides[base]
    return [
        (
            side,
            f"{one.speed:,.0f}",
            f"{one.speed / first.speed:.2f}",
            f"{one.cpu * 1000:.3f}" if one.cpu else "",
            f"{one.cpu / first.cpu:.2f}" if one.cpu and first.cpu else "",
            f"{one.rss / 1e6:.0f} MB" if one.rss else "",
        )
        for side, one in sides.items()
    ]

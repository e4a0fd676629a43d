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
FAST, FRUGAL = Wanted(least=0.75), Wanted(most=1.5)  # of a loop that does nothing but call
HALF = Wanted(least=0.5)  # of a loop that writes too
QUICK = Wanted(least=20_000)  # jobs a second that do nothing
AGREED = Wanted(0.85, 1.15)
Costs = dict[str, list[Cost]]  # of each side, a round each
HOW = "IDs are taken in while the service is paused, and the clock runs from the resume to the last ID's end."


class Scenario(NamedTuple):
    """A source, and the bare loop that it is held against."""

    name: str
    what: str
    source: str  # the rest of its table; {url} is the server's
    bare: tuple[str, str]  # the kind of loop, and where it asks
    at_once: int = 16
    pack: int = 1
    times: int = 1  # as many jobs as of the others, since each is quick
    speed: Wanted | None = None  # beside the bare loop's; a loop that calls nothing is no measure for a service
    cpu: Wanted | None = None
    pace: Wanted | None = None  # IDs a second

    def run(self, url: str, jobs: int) -> Run:
        """So many of its jobs."""
        return Run(self.source.format(url=url), jobs * self.times // self.pack * self.pack, self.at_once)


ONE = 'url = "{url}/items/{{id}}"\n'
PACKED = f'url = "{{url}}/packs/{{{{ids}}}}"\npack = {PACK}\nitems = "data"\n'
KEEPS_NOTHING = "GET and read by a bare aiohttp loop that keeps nothing"
UPDATES = "the bare loop only makes the jobs found, 2,000 a commit, and calls nothing"
SCENARIOS = (
    Scenario(
        "one-8", f"one ID a call, 8 at once; {KEEPS_NOTHING}", ONE, ("http", "/items/"), 8, speed=FAST, cpu=FRUGAL
    ),
    Scenario("one-16", f"one ID a call, 16 at once; {KEEPS_NOTHING}", ONE, ("http", "/items/"), speed=FAST, cpu=FRUGAL),
    Scenario(
        "packed",
        f"{PACK} IDs a call, 16 at once; the bare loop parses each answer and inserts its items in one commit",
        PACKED,
        ("packed", "/packs/"),
        pack=PACK,
        times=5,
        speed=HALF,
    ),
    Scenario(
        "python-async",
        f"an async function that does nothing; {UPDATES}",
        'call = "doing:waits"\n',
        ("update", ""),
        times=3,
        pace=QUICK,
    ),
    Scenario(
        "python-plain",
        f"a plain function that does nothing; {UPDATES}",
        'call = "doing:plain"\n',
        ("update", ""),
        times=3,
        pace=QUICK,
    ),
)


def named(name: str) -> Scenario:
    """One of them."""
    return next(scenario for scenario in SCENARIOS if scenario.name == name)


def compare(scenario: Scenario, given: Given, server: Server) -> Section:
    """All sides in turns."""
    costs: Costs = {}
    kind, path = scenario.bare
    run = scenario.run(server.url, given.jobs)
    units, prefix = (str(run.jobs // scenario.pack), server.url + path) if path else ("-", str(run.jobs))
    words = (kind, prefix, units, str(scenario.at_once))
    for _ in range(given.rounds):
        costs.setdefault("bare", []).append(bare(*words))
        if given.reference and path:
            costs.setdefault("reference", []).append(reference(given.reference, *words))
        costs.setdefault("collector", []).append(served(run))
    how = f"{run.jobs:,} IDs, {scenario.what}. {HOW}"
    return Section(scenario.name, how, HEADS, rows(costs), judged(costs, scenario))


def served(run: Run) -> Cost:
    """The service, once, in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        return carried(Path(folder), run)


def judged(costs: Costs, scenario: Scenario) -> list[Figure]:
    """What counts of the service beside a bare loop."""
    ours, base = costs["collector"], costs["bare"]
    figures = agreement(costs)
    if scenario.speed:
        figures.append(Figure("speed against the bare loop", faster(ours, base), scenario.speed))
    if scenario.cpu:
        figures.append(Figure("CPU against the bare loop", costlier(ours, base), scenario.cpu))
    if scenario.pace:
        figures.append(Figure("IDs/s", medians(ours).speed, scenario.pace, "{:,.0f}"))
    return figures


def agreement(costs: Costs) -> list[Figure]:
    """Whether our bare loop is as quick as somebody else's, where there is one."""
    if "reference" not in costs:
        return []
    return [Figure("our bare loop against the reference's", faster(costs["bare"], costs["reference"]), AGREED)]


def faster(ours: Sequence[Cost], theirs: Sequence[Cost]) -> float:
    """How many times as fast; the median of the rounds, since what slows the machine for a while slows both sides."""
    return statistics.median(one.speed / other.speed for one, other in zip(ours, theirs, strict=True))


def costlier(ours: Sequence[Cost], theirs: Sequence[Cost]) -> float:
    """How many times as much of the processor a unit takes; as `faster`."""
    return statistics.median(one.cpu / other.cpu for one, other in zip(ours, theirs, strict=True))


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


def rows(costs: Costs, base: str = "bare") -> list[tuple[str, ...]]:
    """A row for each side; ratios are to one of them. What was not measured is left empty."""
    first = costs[base]
    return [_row(side, found, first) for side, found in costs.items()]


def _row(side: str, found: Sequence[Cost], base: Sequence[Cost]) -> tuple[str, ...]:
    middle = medians(found)
    return (
        side,
        f"{middle.speed:,.0f}",
        f"{faster(found, base):.2f}",
        f"{middle.cpu * 1000:.3f}" if middle.cpu else "",
        f"{costlier(found, base):.2f}" if middle.cpu else "",
        f"{middle.rss / 1e6:.0f} MB" if middle.rss else "",
    )

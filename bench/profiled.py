"""Where the service's time goes: cProfile of one run, the loop's own time by function."""

import pstats
import tempfile
from pathlib import Path

from bench.answering import Server
from bench.carried import carried
from bench.given import Given
from bench.loops import Scenario, named
from bench.results import Section

NAMES = ("one-16", "python-async")
SHOWN = 15  # functions
TIMES = 3  # as many jobs as elsewhere, so that the start is a small part
HOW = """\
cProfile of the whole service, its start with it, over {jobs:,} IDs of `{name}`: the share of the loop's thread that \
each function spent itself. The thread that writes to the database is not in it, and small functions look larger than \
they are; `py-spy record --native` of a service that runs tells of all threads."""


def sections(given: Given, server: Server) -> list[Section]:
    """One for each of the scenarios."""
    return [section(named(name), given, server) for name in NAMES]


def section(scenario: Scenario, given: Given, server: Server) -> Section:
    """One run, which is slower than one that is not looked at."""
    run = scenario.run(server.url, given.jobs * TIMES)
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "profile"
        (folder := Path(name) / "service").mkdir()
        carried(folder, run, file)
        rows = shares(pstats.Stats(str(file)))
    how = HOW.format(jobs=run.jobs, name=scenario.name)
    return Section(f"profile of {scenario.name}", how, ("function", "calls", "own time"), rows)


def shares(stats: pstats.Stats) -> list[tuple[str, ...]]:
    """The functions with the most time of their own."""
    found = stats.stats  # type: ignore[attr-defined]  # by (file, line, name); typeshed does not know it
    whole = sum(own for _, _, own, _, _ in found.values())
    most = sorted(found.items(), key=lambda item: -item[1][2])[:SHOWN]
    return [(label(*place), f"{calls:,}", f"{100 * own / whole:.1f} %") for place, (_, calls, own, _, _) in most]


def label(file: str, line: int, name: str) -> str:
    """Short, and without a place of this machine."""
    if file == "~":  # built in
        return f"`{name.strip('<>')}`"
    path = Path(file)
    return f"`{'/'.join(path.parts[-2:])}:{line} {name}`"

"""How soon a batch under a limit is done, against the least time in which the policy lets so many calls go."""

from concurrent.futures import ThreadPoolExecutor

import msgspec

from bench.given import Given
from bench.results import Figure, Section, Wanted
from bench.scenario import Scenario, scenario
from bench.score import ROUND_TRIP
from bench.trial import Result, run

LIMIT, WINDOW = 90, 9  # calls, seconds; headers tell resets in whole seconds, which in a short window is much
PACK = 20
LIMITERS = ("fixed-x", "moving")  # both tell in headers what is left
AT_ONCE = 4  # runs side by side: a limited one mostly waits
PART = 1.05  # of the least time
GRACE = ROUND_TRIP + 0.5  # seconds above it, where that is more
NONE = Wanted(most=0)
HOW = f"""\
A limit of {LIMIT} calls in {WINDOW} s at a limiter that others wrote, 20 to 50 ms away, from a tenth of a window's \
calls to many windows'; one ID a call and {PACK} IDs a call, 16 calls at once. T is the time from the first request to \
the last grant by the limiter's own log, opt the least in which the policy grants as many; T may be {PART} of opt, or \
{GRACE:.2f} s more than it."""


def section(given: Given) -> Section:
    """All runs, some of them side by side."""
    kinds = [(name, pack, windows) for name in LIMITERS for pack in (1, PACK) for windows in given.windows]
    kinds.sort(key=lambda kind: -kind[2])  # the longest first, so that none is left alone at the end
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = dict(zip(kinds, pool.map(lambda kind: once(*kind), kinds), strict=True))
    rows, figures = [], []
    for (name, pack, windows), result in sorted(found.items(), key=lambda item: item[0]):
        what = f"{name}, {'one a call' if pack == 1 else 'packed'}, {windows:g} windows"
        use = result.use
        ratio = f"{use.ratio:.2f}" if use.least else ""
        cells = (f"{use.granted}", f"{use.seconds:.2f} s", f"{use.least:.2f} s", ratio, f"{result.ours.refused}")
        rows.append((what, f"{result.asked:,}", *cells))
        figures.append(Figure(f"T, {what}", use.seconds, Wanted(most=allowed(use.least)), "{:.2f} s"))
    figures.append(Figure("429s in all", sum(result.ours.refused for result in found.values()), NONE, "{:.0f}"))
    return Section("finish", HOW, ("run", "IDs", "calls", "T", "opt", "T/opt", "429s"), rows, figures)


def once(name: str, pack: int, windows: float) -> Result:
    """One limiter, one batch."""
    [result] = run(packed(scenario(name, LIMIT, WINDOW), pack), windows)
    return result


def packed(one: Scenario, pack: int) -> Scenario:
    """The same with so many IDs a call."""
    return msgspec.structs.replace(one, pack=pack)


def allowed(least: float) -> float:
    """The seconds that a run may take where it could not take less than so many."""
    return max(PART * least, least + GRACE)

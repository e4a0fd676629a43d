"""What open jobs still take, judged by what the calls of their source came to so far. Pure."""

import math

from collector.budget.forecast import Need
from collector.model import Progress
from collector.sources.spec import Spec

_FULL = 2  # full calls that are supposed to have been made, until others are seen
_CLEAN = 10.0  # calls that are supposed to have settled all they carried, and half a one that settled nothing
_SPREAD = 3.0  # times the usual deviation, on either side
_HALVES = 5.0 / 3.0  # by which it is more where a failed call is asked again in halves
_MOST_DOUBT = 0.3  # either side, in parts of the calls


def needs(jobs: float, air: float, progress: Progress, spec: Spec) -> tuple[Need, Need, Need]:
    """The least, the likely and the most that so many open jobs still draw, `air` of which are in the air.

    Each is asked as often as the settled ones were, in calls as full as the others. At the least none is asked again.
    """
    pack = spec.pack if spec.packed else 1
    clean = _CLEAN * pack
    again = (clean + pack / 2 + progress.jobs) / (clean + progress.settled)
    full = (_FULL * pack + progress.jobs) / (_FULL + progress.calls)
    items = (pack + progress.items) / (pack + progress.settled)
    rest = max(jobs - air, 0.0)
    calls = max(jobs * again - air, rest) / full
    doubt = min(_MOST_DOUBT, _doubt(again - 1, progress.calls, calls) * (_HALVES if pack > 1 else 1.0))
    least = math.ceil(max(calls * (1 - doubt), rest / max(full, pack))) if rest else 0
    return (
        _need(least, rest * items * (1 - doubt), spec),
        _need(max(round(calls), least), rest * items, spec),
        _need(math.ceil(calls * (1 + doubt)), rest * items * (1 + doubt), spec),
    )


def _need(calls: int, items: float, spec: Spec) -> Need:
    return Need(calls, items, calls * spec.cost)


def _doubt(again: float, seen: float, ahead: float) -> float:
    """By what part the calls ahead may be more or fewer: few were seen, and few are a matter of luck."""
    return _SPREAD * math.sqrt((again + 1 / (seen + 1)) * (1 / (seen + 1) + 1 / (ahead + 1)))

"""How many calls and how long, before anything is spent. Pure."""

from collector.budget.limit import Limit
from collector.budget.pace import interval


def calls(jobs: int, pack: int) -> int:
    """The calls that so many IDs take."""
    return -(-jobs // max(pack, 1))


def seconds(calls: int, limits: tuple[Limit, ...], parallel: int, seconds_a_call: float) -> float:
    """How long so many calls take when no window is spent yet: as long as the slowest limit or the answers need."""
    if calls <= 0:
        return 0.0
    rounds = -(-calls // max(parallel, 1))
    sent = max((_until_last(calls, limit, seconds_a_call) for limit in limits), default=0.0)
    return max(sent + seconds_a_call, rounds * seconds_a_call)


def _until_last(calls: int, limit: Limit, seconds_a_call: float) -> float:
    """From the first call to the last: at the pace of the window, and never more than its count in any one."""
    spent_windows = (calls - 1) // limit.count * limit.seconds
    return max(spent_windows, (calls - 1) * interval(limit, seconds_a_call))

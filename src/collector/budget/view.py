"""What status and forecasts are told of the budgets."""

import math
from collections.abc import Iterable

from collector.budget.hold import Hold
from collector.budget.line import NOTHING, Line
from collector.budget.pool import Pool
from collector.budget.told import Mode, Told
from collector.budget.window import OwnLog, slack
from collector.clock import Clock
from collector.model import Outlook, Wait, Window, WindowAhead

_STEPS = 32  # in which a forecast is told how the slots of a window come free


def waits(lines: Iterable[Line], clock: Clock) -> tuple[Wait, ...]:
    """Who waits for a budget, one entry for each budget."""
    found: dict[str, Wait] = {}
    now = clock.mono()
    for line in lines:
        sources = tuple(source for source, jobs in line.jobs_waiting.items() if jobs)
        if sources and (hold := _hold(line, now)):
            name = hold.queue.name if hold.queue else line.name
            jobs = sum(line.jobs_waiting.values())
            wait = Wait(name, _wall(hold.until, clock), jobs, hold.why, sources, hold.window)
            found[name] = _both(found[name], wait) if name in found else wait
    return tuple(found.values())


def _hold(line: Line, now: float) -> Hold | None:
    hold = line.hold(now, line.head or NOTHING)
    if not hold and not line.pace.fresh() and line.pace.due_at > now:
        return Hold(line.pace.due_at, "evenly spread")
    return hold


def _both(one: Wait, other: Wait) -> Wait:
    """Two lines that wait for the same pool; the one with a known end says why."""
    first = one if one.until is not None else other
    return Wait(first.budget, first.until, one.jobs + other.jobs, first.why, one.sources + other.sources, first.window)


def windows(lines: Iterable[Line], pools: Iterable[Pool], clock: Clock) -> dict[str, tuple[Window, ...]]:
    """Every window as it stands, by the name of its budget."""
    now = clock.mono()
    shown: dict[str, tuple[Window, ...]] = {}
    for line in lines:
        mine = [_told(told, own, line.in_air, now, clock) for told in line.told if (own := told.log)]
        mine += [_counted(own, now, clock) for own in _logs(line.own)]
        if mine and line.sources:
            shown[line.name] = tuple(mine)
    for pool in pools:
        shown[pool.name] = tuple(_counted(own, now, clock) for own in _logs(pool))
    return shown


def outlook(line: Line, pools: Iterable[Pool], clock: Clock) -> Outlook:
    """How fast the calls of a source of this line, which draws from these pools, may go from now on."""
    now = clock.mono()
    ahead = [
        _ahead(line.name, own, clock, _told_left(told, line.in_air, now)) for told in line.told if (own := told.log)
    ]
    ahead += [_ahead(pool.name, own, clock) for pool in pools for own in _logs(pool)]
    wait = max(line.freeze.until, *(pool.freeze.until for pool in pools), now) - now
    return Outlook(tuple(ahead), wait, line.pace.every, line.pace.round_trip)


def _logs(pool: Pool) -> list[OwnLog]:
    return [log for quota in pool.quotas.values() for log in quota.logs]


def _told_left(told: Told, in_air: int, now: float) -> tuple[int, float] | None:
    """What the headers leave and the end of their window; None where the own log says what may go."""
    limit = told.log.limit if told.log else None
    if limit is None or told.mode is not Mode.HEADERS or told.until <= now or told.smooth:
        return None
    return max(0, min(limit.count, told.left(now, in_air))), told.until


def _told(told: Told, own: OwnLog, in_air: int, now: float, clock: Clock) -> Window:
    limit, said = own.limit, _told_left(told, in_air, now)
    if said is None:
        return _counted(own, now, clock)
    left, until = said
    resets_at = _wall(until, clock)
    return Window(limit.count, limit.seconds, limit.count - left, left, resets_at, next_at=None if left else resets_at)


def _counted(own: OwnLog, now: float, clock: Clock) -> Window:
    limit, used, clear_at = own.limit, own.used(now), own.clear_at(now)
    resets_at = None if clear_at is None else _wall(clear_at, clock)
    next_at = _wall(own.free_at(now), clock) if used >= limit.count else None
    left, at = max(0, limit.count - used), str(limit.at or "")
    return Window(limit.count, limit.seconds, used, left, resets_at, limit.unit, next_at, at)


def _ahead(budget: str, own: OwnLog, clock: Clock, said: tuple[int, float] | None = None) -> WindowAhead:
    limit, now = own.limit, clock.mono()
    if said:
        left, until = said
        # All of it comes free at once, what is left now too; our own first slot may open it before a rounded reset.
        opens = min(until, own.free_at(now, limit.count - own.used(now) + 1))
        frees: tuple[tuple[float, int], ...] = ((opens - now, limit.count),)
    elif limit.at:
        left = max(0, limit.count - own.used(now))
        # By a clock too, all of it comes free at once; what is left today is no hold on tomorrow.
        frees = ((limit.at.next(clock.wall(), limit.seconds) - clock.wall() + slack(limit.seconds), limit.count),)
    else:
        left = max(0, limit.count - own.used(now))
        frees = tuple((at - now, count) for at, count in own.frees(now, _STEPS))
    return WindowAhead(budget, limit.unit, limit.count, limit.seconds, left, frees)


def _wall(mono: float, clock: Clock) -> float | None:
    return None if mono == math.inf else clock.wall() + mono - clock.mono()

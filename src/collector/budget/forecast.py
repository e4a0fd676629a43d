"""When so many calls can have gone and come back, given the windows as they stand. Pure; times are seconds from now.

A call leaves when everything that holds it back lets it: its windows, the pace, a free place among those in the air.
Each of these is a gate, which lets a count of calls through and the same count again a period after each of them.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import msgspec

from collector.budget.limit import Limit, Unit
from collector.budget.pace import interval
from collector.budget.window import slack
from collector.model import Outlook, WindowAhead

ROUND_TRIPS = (0.2, 0.5, 1.0)  # seconds that an answer takes, until the first one came: quick, usual, slow
_DRIFT = (0.5, 1.0, 1.5)  # by which the answers to come may be quicker or slower than those that came
_MOST_STEPS = 32  # of a gate; more are told together
_LESS = 5  # counts of periods of a gate that are tried, from the most down
_HAIR = 1e-9  # what a sum of floats may be off, in parts of a window

Key: TypeAlias = tuple[str, str, float]  # budget, unit and seconds of a window: sources that name the same share it

PACED: Key = ("", "calls", 0.0)  # the pace, which sources of one identity share


class Need(msgspec.Struct, frozen=True):
    """What is still to be drawn, in all."""

    calls: float
    items: float = 0.0
    units: float = 0.0


class Span(msgspec.Struct, frozen=True):
    """An end that is not sure."""

    earliest: float
    likely: float
    latest: float


class _Gate(msgspec.Struct, frozen=True):
    """What lets `count` calls through each `period`, but for the first `free` of them; call `position` + 1 from now
    does not go before the time beside it."""

    count: float
    period: float
    free: float = 0.0
    steps: tuple[tuple[float, float], ...] = ()

    @property
    def rate(self) -> float:
        """Seconds a call, in the long run."""
        return self.period / self.count


def fresh(spec_limits: tuple[Limit, ...], shared: tuple[Limit, ...] = (), *, plain: bool) -> Outlook:
    """What the declared limits allow when nothing of them is used; whether the API sends headers is not known.

    `shared` are those of the `[budget.NAME]`. A limit by a clock counts as one that rolls, which is never sooner.
    """
    paced = () if plain else tuple(limit for limit in spec_limits if limit.unit is Unit.CALLS and limit.at is None)
    windows = [_unused("own", limit) for limit in spec_limits] + [_unused("shared", limit) for limit in shared]
    every = max((interval(limit, ROUND_TRIPS[1]) for limit in paced), default=0.0)
    return Outlook(windows=tuple(windows), every=every)


def span(outlook: Outlook, need: Need, parallel: int) -> Span:
    """When all of it is answered, if nothing else draws from the same windows."""
    return between(outlook, (need, need, need), parallel)


def between(
    outlook: Outlook,
    needs: tuple[Need, Need, Need],
    parallel: int,
    others: tuple[Mapping[Key, float], Mapping[Key, float], Mapping[Key, float]] = ({}, {}, {}),
    spread: float = 0.0,
) -> Span:
    """When it is answered if it takes the least, the likely and the most; `others` is what other sources draw from
    the same windows meanwhile, `spread` a pace that may yet turn out to be the one.

    Until an answer came nobody knows whether the API sends headers: then a window may be spent at once, or evenly.
    """
    trips = tuple(outlook.round_trip * drift for drift in _DRIFT) if outlook.round_trip else ROUND_TRIPS
    paces = (outlook.every if outlook.round_trip else 0.0, outlook.every, max(outlook.every, spread))
    quick, usual, slow = (
        msgspec.structs.replace(outlook, round_trip=trip, every=every) for trip, every in zip(trips, paces, strict=True)
    )
    earliest, latest = back(quick, needs[0], parallel, others[0]), back(slow, needs[2], parallel, others[2])
    # One call more may take a whole window more, so the likely end is a mean of what is likely.
    likely = sum(weight * back(usual, need, parallel, others[1]) for weight, need in _likely(needs))
    return Span(min(earliest, likely), likely, max(likely, latest))


def _likely(needs: tuple[Need, Need, Need]) -> list[tuple[float, Need]]:
    """Needs around the likely one with their weights, a third of the way to the least and to the most."""
    least, likely, most = needs
    if least == most:
        return [(1.0, likely)]
    return [(0.25, _between(likely, least)), (0.5, likely), (0.25, _between(likely, most))]


def _between(likely: Need, other: Need) -> Need:
    pairs = zip(msgspec.structs.astuple(likely), msgspec.structs.astuple(other), strict=True)
    calls, items, units = (one + (another - one) / 3 for one, another in pairs)
    return Need(round(calls), items, units)


def back(outlook: Outlook, need: Need, parallel: int, others: Mapping[Key, float] | None = None) -> float:
    """When the last call of the need is back, with the pace and the round trip that the outlook has; infinity where
    only an answer can tell."""
    if need.calls <= 0:
        return 0.0
    gates = [_window(ahead, need, others or {}, outlook.round_trip) for ahead in outlook.windows]
    paced = (others or {}).get(PACED, 0.0)
    gates += [
        _Gate(need.calls / (need.calls + paced), outlook.every),
        _Gate(float(max(parallel, 1)), outlook.round_trip),
    ]
    return _drawn(need.calls, [gate for gate in gates if gate], outlook.wait) + outlook.round_trip


def _unused(budget: str, limit: Limit) -> WindowAhead:
    return WindowAhead(budget, limit.unit.value, limit.count, limit.seconds, limit.count, ())


def _window(ahead: WindowAhead, need: Need, others: Mapping[Key, float], round_trip: float) -> _Gate | None:
    """A window counted in calls of the need: what others draw goes evenly between them. None where it takes nothing.

    More in `frees` than was used is a server's window, in which all is free at the reset, what was left too.
    """
    own = {Unit.CALLS: need.calls, Unit.ITEMS: need.items, Unit.UNITS: need.units}[Unit(ahead.unit)]
    if own <= 0:
        return None
    a_call = (own + others.get((ahead.budget, ahead.unit, ahead.seconds), 0.0)) / need.calls
    period = ahead.seconds + slack(ahead.seconds) + round_trip  # a slot is busy until that long after its send
    free, steps = max(ahead.left, 0), []
    for time, count in ahead.frees:
        steps.append((free / a_call, time))
        free += count
    if free < ahead.limit:
        steps.append((free / a_call, period))
        free = ahead.limit
    return _Gate(ahead.limit / a_call, period, (free - ahead.limit) / a_call, _fewer(steps))


def _fewer(steps: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """At most so many, by telling the later times."""
    size = -(-len(steps) // _MOST_STEPS)
    return tuple((steps[at][0], steps[at : at + size][-1][1]) for at in range(0, len(steps), max(size, 1)))


def _drawn(calls: float, gates: Sequence[_Gate], wait: float) -> float:
    """When the last of so many calls leaves: from each time that holds a call back, as long as those after it take."""
    binding = sorted(_binding(gates), key=lambda gate: gate.rate, reverse=True)
    last = wait + _after(calls, 0.0, binding, 0.0)
    slowest = max((gate.rate for gate in binding), default=0.0)
    steps = (step for gate in gates for step in gate.steps)
    # Those first that may come last, so that the others need not be looked at closely.
    for position, time in sorted(steps, key=lambda step: step[0] * slowest - step[1]):
        if calls - position > _HAIR * max(calls, 1.0):
            last = max(last, time + _after(calls, position, binding, max(last - time, 0.0)))
    return last


def _binding(gates: Sequence[_Gate]) -> list[_Gate]:
    """Those that are not wider and sooner open again than another one."""
    found: list[_Gate] = []
    for gate in sorted(gates, key=lambda gate: (-gate.period, gate.count, gate.free)):
        if gate.period > 0 and not any(other.count <= gate.count and other.free <= gate.free for other in found):
            found.append(gate)
    return found


def _after(calls: float, position: float, gates: Sequence[_Gate], known: float) -> float:
    """How long after call `position` + 1 the last one leaves at the soonest: the whole periods that lie between.

    Nothing below `known` is looked for.
    """
    rooms = {max(position, free): calls - max(position, free) for free in (0.0, *(gate.free for gate in gates))}
    return _periods(rooms, position, gates, known)


def _periods(rooms: Mapping[float, float], position: float, gates: Sequence[_Gate], known: float) -> float:
    """The most time that periods of the gates take: of the slowest first, then of the others in what it leaves over.

    `rooms`: how many calls lie behind each position where a gate begins; a gate that begins later reaches less far.
    """
    longest = known
    for at, gate in enumerate(gates):
        if max(rooms.values()) * gate.rate <= longest:
            break  # nor can those after it, which are quicker, take longer
        begin, slower = max(position, gate.free), gates[at + 1].rate if at + 1 < len(gates) else 0.0
        most = math.ceil(min(room for since, room in rooms.items() if since <= begin) / gate.count - _HAIR) - 1
        # Some periods less may leave room for longer ones of other gates.
        for count in range(most, max(most - _LESS, 0), -1):
            spent = count * gate.period
            left = {since: room - count * gate.count * (since <= begin) for since, room in rooms.items()}
            if spent + max(left.values()) * slower <= longest:
                break
            longest = max(longest, spent + _periods(left, position, gates[at + 1 :], max(longest - spent, 0.0)))
    return longest

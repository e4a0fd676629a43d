"""When so many calls can have gone and come back, given the windows as they stand. Pure; times are seconds from now.

A call leaves when everything that holds it back lets it: its windows, the pace, a free place among those in the air.
Each of these is a gate, which lets a count of calls through and the same count again a period after each of them. So
the last call leaves where the longest way to it ends: from a time before which some call does not leave, over as many
whole periods as fit between that call and the last.
"""

import math
from collections.abc import Mapping
from typing import TypeAlias

import msgspec

from collector.budget.limit import Limit, Unit
from collector.budget.pace import interval
from collector.budget.window import slack
from collector.model import Outlook, WindowAhead

ROUND_TRIPS = (0.2, 0.5, 1.0)  # seconds that an answer takes, until the first one came: quick, usual, slow
_DRIFT = (0.5, 1.0, 1.5)  # by which the answers to come may be quicker or slower than those that came
_HAIR = 1e-9  # what a sum of floats may be off, in parts of a window

Key: TypeAlias = tuple[str, str, float]  # budget, unit and seconds of a window: sources that name the same share it
Shares: TypeAlias = Mapping[Key, float]  # what others draw from a window for each that this source draws

NOBODY: Shares = {}
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
    """What lets `count` calls through each `period`, but for the first `free` of them."""

    count: float
    period: float
    free: float = 0.0

    @property
    def rate(self) -> float:
        """Seconds a call, in the long run."""
        return self.period / self.count


class Curve(msgspec.Struct, frozen=True):
    """When each call is back. Made once, and asked for as many calls as one likes."""

    gates: tuple[_Gate, ...]  # the slowest first
    frees: tuple[float, ...]  # where some of them begin, in order
    steps: tuple[tuple[float, float], ...]  # (calls, time): the call after so many does not leave before
    round_trip: float

    def back(self, calls: float) -> float:
        """When the last of so many is back; infinity where only an answer can tell.

        Never later than if they were sent one by one, and earlier by less than the second longest of the periods.
        """
        if calls <= 0:
            return 0.0
        slowest, last = self.gates[0].rate if self.gates else 0.0, 0.0
        for position, time in self.steps:
            room = calls - position
            if time + room * slowest <= last:
                break  # nor can those behind it be later: see their order in `curve`
            if room > _HAIR * max(calls, 1.0):
                rooms = tuple([min(room, calls - free) for free in self.frees])
                last = time + self._periods(0, rooms, max(last - time, 0.0))
        return last + self.round_trip

    def _periods(self, at: int, rooms: tuple[float, ...], known: float) -> float:
        """The most time that whole periods take, of the slowest gate and then of the others in what it leaves over, or
        without it; `known` where it is no more than that.

        `rooms` are the calls that lie behind the beginning of the way, or behind where some gates begin if that is
        later; what a gate takes is taken from all that lies behind its beginning.
        """
        if at == len(self.gates) or rooms[0] * self.gates[at].rate <= known:
            return known
        gate = self.gates[at]
        late = self.frees.index(gate.free) + 1
        periods = math.ceil(min(rooms[:late]) / gate.count - _HAIR) - 1
        if periods > 0:
            left = tuple([room - periods * gate.count for room in rooms[:late]]) + rooms[late:]
            spent = periods * gate.period
            known = spent + self._periods(at + 1, left, max(known - spent, 0.0))
        return self._periods(at + 1, rooms, known)


Curves: TypeAlias = tuple[Curve, Curve, Curve]  # if answers come quickly, as usual, slowly


def fresh(spec_limits: tuple[Limit, ...], shared: tuple[Limit, ...] = (), *, plain: bool) -> Outlook:
    """What the declared limits allow when nothing of them is used; whether the API sends headers is not known.

    `shared` are those of the `[budget.NAME]`. A limit by a clock counts as one that rolls, which is never sooner.
    """
    paced = () if plain else tuple(limit for limit in spec_limits if limit.unit is Unit.CALLS and limit.at is None)
    windows = [_unused("own", limit) for limit in spec_limits] + [_unused("shared", limit) for limit in shared]
    every = max((interval(limit, ROUND_TRIPS[1]) for limit in paced), default=0.0)
    return Outlook(windows=tuple(windows), every=every)


def _unused(budget: str, limit: Limit) -> WindowAhead:
    return WindowAhead(budget, limit.unit.value, limit.count, limit.seconds, limit.count, ())


def span(outlook: Outlook, need: Need, parallel: int) -> Span:
    """When all of it is answered, if nothing else draws from the same windows."""
    return between(curves(outlook, (need, need, need), parallel), (need.calls, need.calls, need.calls))


def curves(
    outlook: Outlook,
    needs: tuple[Need, Need, Need],
    parallel: int,
    others: tuple[Shares, Shares, Shares] = (NOBODY, NOBODY, NOBODY),
    spread: float = 0.0,
) -> Curves:
    """The curves of a need that takes the least, the likely and the most; `spread` is a pace that may yet turn out to
    be the one.

    Until an answer came nobody knows whether the API sends headers: then a window may be spent at once, or evenly.
    """
    trips = tuple(outlook.round_trip * drift for drift in _DRIFT) if outlook.round_trip else ROUND_TRIPS
    paces = (outlook.every if outlook.round_trip else 0.0, outlook.every, max(outlook.every, spread))
    quick, usual, slow = (
        curve(msgspec.structs.replace(outlook, round_trip=trip, every=every), need, parallel, shares)
        for trip, every, need, shares in zip(trips, paces, needs, others, strict=True)
    )
    return quick, usual, slow


def between(curves: Curves, calls: tuple[float, float, float]) -> Span:
    """When it is answered if it takes the least, the likely and the most calls."""
    quick, usual, slow = curves
    least, likely, most = calls
    # One call more may take a whole window more, so the likely end is a mean of what is likely: around the likely
    # calls, a third of the way to the least and to the most.
    middle = usual.back(likely)
    if least < most:
        sides = (round(likely + (end - likely) / 3) for end in (least, most))
        middle = middle / 2 + sum(usual.back(side) for side in sides) / 4
    earliest = quick.back(least)
    return Span(min(earliest, middle), middle, max(middle, slow.back(most)))


def curve(outlook: Outlook, need: Need, parallel: int, others: Shares = NOBODY) -> Curve:
    """The curve of calls that each take the same of the need, at the pace and round trip that the outlook has."""
    paced = 1 / (1 + others.get(PACED, 0.0))
    gates = [_Gate(paced, outlook.every), _Gate(float(max(parallel, 1)), outlook.round_trip)]
    steps = [(0.0, outlook.wait)]
    for ahead in outlook.windows:
        own = {Unit.CALLS: need.calls, Unit.ITEMS: need.items, Unit.UNITS: need.units}[Unit(ahead.unit)]
        if own > 0:
            # What others draw goes evenly between the calls.
            a_call = own / need.calls * (1 + others.get((ahead.budget, ahead.unit, ahead.seconds), 0.0))
            gates.append(_window(ahead, a_call, outlook.round_trip, steps))
    kept = tuple(sorted((gate for gate in gates if gate.period), key=lambda gate: -gate.rate))
    slowest = kept[0].rate if kept else 0.0
    # Those first that may come last, so that most need not be looked at.
    steps.sort(key=lambda step: step[0] * slowest - step[1])
    frees = tuple(sorted({0.0, *(gate.free for gate in kept)}))
    return Curve(kept, frees, tuple(steps), outlook.round_trip)


def _window(ahead: WindowAhead, a_call: float, round_trip: float, steps: list[tuple[float, float]]) -> _Gate:
    """The gate of a window of which each call takes so much; its times go to the steps.

    More in `frees` than was used is a server's window, in which all is free at the reset, what was left too.
    """
    period = ahead.seconds + slack(ahead.seconds) + round_trip  # a slot is busy until that long after its send
    free = max(ahead.left, 0)
    for time, count in (*ahead.frees, (period, 0)):
        steps.append((free / a_call, time))
        free += count
    return _Gate(ahead.limit / a_call, period, max(free - ahead.limit, 0) / a_call)

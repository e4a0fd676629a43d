"""What so many IDs would take of a source's limits and of somebody's money, before anything is spent. Pure."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import msgspec

from collector.budget import forecast
from collector.budget.forecast import Need, Span
from collector.budget.limit import Limit, Unit
from collector.host.secret import Secret
from collector.sources.request import Endpoint
from collector.sources.spec import Spec

PACKS = (1, 10, 25, 50, 100)  # what APIs usually take
HOUR, DAY = 3600.0, 86_400.0
_SECRET = Secret("x" * 40)  # as long as they usually are: how long a real one is changes little
_MOST = 1 << 40  # calls of a limit that nobody needs
_FEW = 3  # windows
_SAME, _SOON = 0.05, 5.0  # of a time, and seconds: what changes less is no change


class Terms(msgspec.Struct, frozen=True):
    """Under what a source is asked."""

    spec: Spec
    limits: tuple[Limit, ...]  # its own, or stricter ones of sources that share its budget
    shared: tuple[Limit, ...] = ()  # of its [budget.NAME]
    parallel: int = 8
    room: float = math.inf  # IDs that a URL has room for, on average

    @property
    def pack(self) -> float:
        """IDs in a full call, on average."""
        return max(1.0, min(float(self.spec.pack), self.room)) if self.spec.packed else 1.0


class Taken(msgspec.Struct, frozen=True):
    """What is taken of one limit, at most."""

    limit: Limit
    budget: str | None  # the [budget.NAME] that it belongs to
    most: int
    windows: int
    first: int  # IDs for which one window is enough


class Money(msgspec.Struct, frozen=True):
    """What it costs, when nothing and when everything is found; what comes beside the objects is not in it."""

    least: float
    most: float
    currency: str


class Plan(msgspec.Struct, frozen=True):
    """What so many IDs would take. Calls that must go again come on top."""

    ids: int
    calls: int
    items: int  # at most
    units: int
    taken: tuple[Taken, ...]
    span: Span  # as if nothing else drew from the limits
    price: Money | None


class Change(msgspec.Struct, frozen=True):
    """What would be different with another pack or another limit."""

    pack: int | None
    limit: Limit | None
    plan: Plan


def plan(ids: int, terms: Terms) -> Plan:
    """The plan for so many IDs of which none is known yet."""
    calls = math.ceil(ids / terms.pack - 1e-9)
    items, units = _items(ids, calls, terms.spec), calls * terms.spec.cost
    owned = [(limit, None) for limit in terms.limits] + [(limit, terms.spec.budget) for limit in terms.shared]
    taken = tuple(_taken(limit, budget, ids, calls, items, terms) for limit, budget in owned)
    return Plan(
        ids=ids,
        calls=calls,
        items=items,
        units=units,
        taken=taken,
        span=_span(terms, taken, calls, items, units),
        price=_price(calls, items, terms.spec),
    )


def changes(now: Plan, terms: Terms) -> tuple[Change, ...]:
    """Other packs and other limits that would make a difference worth knowing, packs first."""
    packs = [Change(pack, None, plan(now.ids, other)) for pack, other in _other_packs(terms)]
    limits = [Change(None, limit, plan(now.ids, other)) for limit, other in _other_limits(now, terms)]
    return (*reversed([*_different(packs[::-1], now)]), *_different(limits, now))


def room(spec: Spec, sample: Sequence[str]) -> float:
    """How many IDs like those of the sample one call has room for, on average: a URL has an end, and IDs that hold
    the joiner go alone."""
    if not sample or not spec.packed:
        return math.inf
    endpoint = Endpoint(spec, dict.fromkeys(spec.secrets, _SECRET))
    alone = sum(map(endpoint.alone, sample))
    weight = sum(map(endpoint.weight, sample)) / len(sample)
    most = endpoint.room // weight if weight else math.inf
    if not alone:
        return most
    return len(sample) / (alone + (len(sample) - alone) / max(1.0, min(float(spec.pack), most)))


def _items(ids: int, calls: int, spec: Spec) -> int:
    """One for each ID, unless an answer is said to hold fewer, or more than the IDs that it was asked for."""
    if spec.per_call is None:
        return ids
    return calls * spec.per_call if spec.per_call > spec.pack else min(ids, calls * spec.per_call)


def _taken(limit: Limit, budget: str | None, ids: int, calls: int, items: int, terms: Terms) -> Taken:
    at_once = _calls_at_once(limit, terms)
    most = items if limit.unit is Unit.ITEMS else calls * terms.spec.most(limit.unit)
    windows = -(-calls // at_once)
    if windows > 1 and calls % at_once == 1 and _last_fits(limit, ids, calls, terms):
        windows -= 1
    first = ids if windows == 1 else min(ids, math.floor(at_once * terms.pack + 1e-9))
    return Taken(limit, budget, most, windows, first)


def _last_fits(limit: Limit, ids: int, calls: int, terms: Terms) -> bool:
    """A last call of few IDs may still go where a full one may not."""
    if limit.unit is not Unit.ITEMS or terms.spec.per_call:
        return False
    return _calls_at_once(limit, terms) * terms.pack + ids - (calls - 1) * terms.pack <= limit.count


def _reserved(unit: Unit, terms: Terms) -> float:
    """What must be free for a full call."""
    return terms.pack if unit is Unit.ITEMS and terms.spec.per_call is None else terms.spec.most(unit)


def _each(unit: Unit, terms: Terms) -> float:
    """The most that a full call takes in fact: of items, no more than it asks for, unless one ID may have several."""
    reserved = _reserved(unit, terms)
    return min(reserved, terms.pack) if unit is Unit.ITEMS and reserved <= terms.spec.pack else reserved


def _calls_at_once(limit: Limit, terms: Terms) -> int:
    """Full calls that fit into one window."""
    free = limit.count - _reserved(limit.unit, terms)
    return max(math.floor(free / _each(limit.unit, terms) + 1e-9) + 1, 1)


def _span(terms: Terms, taken: Sequence[Taken], calls: int, items: int, units: int) -> Span:
    usable = [_usable(one, terms) for one in taken]
    own, shared = usable[: len(terms.limits)], usable[len(terms.limits) :]
    outlook = forecast.fresh(tuple(own), tuple(shared), plain=terms.spec.window == "plain")
    none = forecast.span(outlook, Need(calls, 0, units), terms.parallel)
    every = forecast.span(outlook, Need(calls, items, units), terms.parallel)
    return Span(none.earliest, every.likely, every.latest)


def _usable(taken: Taken, terms: Terms) -> Limit:
    """What whole calls use of a limit."""
    limit = taken.limit
    if limit.unit is Unit.CALLS:
        return limit
    whole = math.floor(_calls_at_once(limit, terms) * _each(limit.unit, terms))
    # A last call of few IDs that still fits makes a window a little larger: told of few, of many it is nothing.
    each = -(-taken.most // taken.windows) if 0 < taken.windows <= _FEW else 1
    return replace(limit, count=max(whole, each))


def _price(calls: int, items: int, spec: Spec) -> Money | None:
    if spec.price is None:
        return None
    least = spec.price.call * calls
    return Money(least, least + spec.price.item * items, spec.price.currency)


def _other_packs(terms: Terms) -> Iterator[tuple[int, Terms]]:
    if not terms.spec.packed:
        return
    for pack in PACKS:
        spec = terms.spec.model_copy(update={"pack": pack})
        fits = all(spec.most(limit.unit) <= limit.count for limit in (*terms.limits, *terms.shared))
        if pack != terms.spec.pack and fits and pack <= max(terms.room, 1):
            yield pack, msgspec.structs.replace(terms, spec=spec)


def _other_limits(now: Plan, terms: Terms) -> Iterator[tuple[Limit, Terms]]:
    """Twice the limit that holds it up, and what that limit would have to be for the work of an hour, of a day."""
    if not now.taken or now.calls < 1:
        return
    slowest = max(now.taken, key=lambda taken: taken.limit.seconds / _calls_at_once(taken.limit, terms))
    counts = {2 * slowest.limit.count}
    for wanted in (HOUR, DAY):
        if now.span.likely > wanted:
            counts |= set(_enough(now, terms, slowest, wanted))
    for count in sorted(counts):
        yield _with(terms, slowest, count)


def _with(terms: Terms, taken: Taken, count: int) -> tuple[Limit, Terms]:
    """The terms with another count in the place of one limit."""
    other = replace(taken.limit, count=count)

    def swapped(limits: tuple[Limit, ...]) -> tuple[Limit, ...]:
        return tuple(other if limit == taken.limit else limit for limit in limits)

    if taken.budget is None:
        return other, msgspec.structs.replace(terms, limits=swapped(terms.limits))
    return other, msgspec.structs.replace(terms, shared=swapped(terms.shared))


def _enough(now: Plan, terms: Terms, slowest: Taken, wanted: float) -> Iterator[int]:
    """The least count, in two digits, with which it is done in time; none where something else holds it up as well."""

    def in_time(count: int) -> bool:
        _, other = _with(terms, slowest, count)
        return plan(now.ids, other).span.likely <= wanted

    if in_time(_MOST):
        yield _rounded_up(_least(in_time, slowest.limit.count, _MOST))


def _least(holds: Callable[[int], bool], low: int, high: int) -> int:
    """The least number above `low` for which it holds, as it does for `high`."""
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _rounded_up(count: int) -> int:
    step = int(10 ** max(len(str(count)) - 2, 0))
    return -(-count // step) * step


def _different(changes: Sequence[Change], now: Plan) -> Iterator[Change]:
    """Those that differ from what is declared and from the one before them."""
    before = now
    for change in changes:
        if _differs(change.plan, now) and _differs(change.plan, before):
            yield change
            before = change.plan


def _differs(one: Plan, other: Plan) -> bool:
    times = (one.span.likely, other.span.likely)
    return max(times) - min(times) > max(_SAME * max(times), _SOON) or one.price != other.price

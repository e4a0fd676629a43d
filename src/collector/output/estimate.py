"""A plan in words, for receipts and the command line."""

import math
from collections.abc import Callable, Sequence

from collector import quantity
from collector.budget.limit import Limit, Unit
from collector.config import Config
from collector.sources import identity
from collector.sources.plan import DAY, HOUR, Change, Plan, Taken, Terms, room
from collector.sources.rules import Price
from collector.sources.spec import Spec

_MINUTE = 60.0
_STEPS = ((2 * DAY, 3600), (600.0, 60), (-1.0, 1))  # above so many seconds a guess is told in steps of so many


def terms(config: Config, source: str, sample: Sequence[str] = ()) -> Terms:
    """Under what a source is asked for IDs like those of the sample."""
    spec = config.sources[source]
    return Terms(
        spec=spec,
        limits=identity.limits(source, config.sources, config.secrets),
        shared=config.budgets[spec.budget].limit if spec.budget else (),
        parallel=min(spec.parallel, config.service.consumers),
        room=room(spec, sample),
    )


def estimate(plan: Plan, terms: Terms) -> tuple[str, ...]:
    """Requests, time and price in one to three lines, for receipts."""
    if not plan.calls:
        return ("nothing is to be asked",)
    number = quantity.things(plan.calls, "request")
    of = f" of {_pack(terms)}" if plan.calls > 1 else ""
    lines = ["; ".join((number + of, ", ".join(windows(plan)) or "no limit is declared")), time(plan)]
    return (*lines, "; ".join(price(plan, terms.spec))) if terms.spec.price else tuple(lines)


def requests(plan: Plan, terms: Terms) -> str:
    """How many, and what each asks for."""
    if not plan.calls:
        return "none: nothing is to be asked"
    of = f", of {_pack(terms)} each" if plan.calls > 1 else ""
    return f"{plan.calls:,}{of}; what fails or is left out is asked again on top"


def windows(plan: Plan) -> list[str]:
    """What is spent of each limit; those of less than a minute are only named."""
    return [_windows(taken) for taken in plan.taken]


def time(plan: Plan) -> str:
    """How long it takes, as a range."""
    span = plan.span
    if not plan.taken:
        return f"{_length(span.earliest)} or more: the API's own limit decides"
    least, most = _length(span.earliest), _length(span.latest)
    between = "" if least == most else f", between {least} and {most}"
    return f"{about(span.likely)}{between}, as if nothing else drew from the limits"


def pauses(plan: Plan, now: float, moment: Callable[[float], str]) -> list[str]:
    """Where a long limit ends it early, and when it would go on if it began now; two lines for each."""
    long = [taken for taken in plan.taken if taken.windows > 1 and taken.limit.seconds > HOUR]
    return [line for taken in long for line in _pause(taken, now, moment)]


def price(plan: Plan, spec: Spec) -> list[str]:
    """What it costs and by what, and what nobody can count before."""
    if spec.price is None or plan.price is None:
        return ["not declared"]
    least, most = money(plan.price.least), money(plan.price.most)
    amount = most if least == most else f"at most {most}" if not plan.price.least else f"{least} to {most}"
    lines = [f"{amount} {plan.price.currency}: {', '.join(rates(spec.price)) or 'nothing for calls and objects'}"]
    all_one = money(sum(spec.price.also.values()) * plan.ids)
    if beside := besides(spec.price):
        lines.append(f"and {', '.join(beside)}, however many come: {all_one} if each ID brings one")
    return lines


def rates(declared: Price) -> list[str]:
    """What is charged for a call and for an object."""
    charged = {"call": declared.call, "object returned": declared.item}
    return [f"{_rate(rate)} for each {what}" for what, rate in charged.items() if rate]


def besides(declared: Price) -> list[str]:
    """What is charged for what comes beside the objects."""
    return [f"{_rate(rate)} for each object at {path}" for path, rate in declared.also.items() if rate]


def changes(found: Sequence[Change], plan: Plan, spec: Spec) -> list[str]:
    """What would be different, as a small table; nothing where nothing would be."""
    if not found:
        return []
    rows = [("", "requests", "time", "price"), _row("as declared", plan)]
    rows += [_row(_label(change), change.plan) for change in found]
    kept = [row if spec.price else row[:3] for row in rows]
    widths = [max(map(len, column)) for column in zip(*kept, strict=True)]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in kept]
    return ["What would change it, where the API allows it:", *(f"  {line}" for line in table)]


def spoken(limit: Limit) -> str:
    """A limit with a count that can be read: `3,000,000 items in 30 d`."""
    return str(limit).replace(str(limit.count), f"{limit.count:,}", 1)


def money(amount: float) -> str:
    """Two digits behind the point, rounded up; of less than one, as many as say something."""
    if amount >= 1 or not amount:
        return f"{math.ceil(amount * 100 - 1e-6) / 100:,.2f}"
    whole, _, part = _rate(amount).partition(".")
    return f"{whole}.{part:0<2}"


def about(seconds: float) -> str:
    """A length of time that is a guess."""
    return f"about {_length(seconds)}"


def _length(seconds: float) -> str:
    whole = next(step for above, step in _STEPS if seconds > above)
    return quantity.spoken(max(round(seconds / whole) * whole, 1))


def _rate(amount: float) -> str:
    return f"{amount:.6f}".rstrip("0").rstrip(".") if amount >= 1e-6 else f"{amount:g}"


def _pack(terms: Terms) -> str:
    if not terms.spec.packed or terms.spec.pack == 1:
        return "one ID"
    if terms.pack < terms.spec.pack:
        return f"about {terms.pack:.0f} IDs, since more of these do not fit"
    return f"up to {terms.spec.pack:,} IDs"


def _windows(taken: Taken) -> str:
    limit = taken.limit
    whose = f" (budget {taken.budget})" if taken.budget else ""
    number = f"{quantity.things(taken.windows, 'window')} of " if limit.seconds >= _MINUTE else ""
    known = ", if all are found" if limit.unit is Unit.ITEMS and taken.windows > 1 else ""
    return f"{number}{spoken(limit)}{whose}{known}"


def _pause(taken: Taken, now: float, moment: Callable[[float], str]) -> tuple[str, str]:
    limit = taken.limit
    whose = f" (budget {taken.budget})" if taken.budget else ""
    known = ", if all are found" if limit.unit is Unit.ITEMS else ""
    goes_on = limit.at.next(now, limit.seconds) if limit.at else now + limit.seconds
    spent = f"after {taken.first:,} IDs{known}, since {spoken(limit)}{whose} are spent then"
    return spent, f"and goes on {moment(goes_on)} if it began now"


def _label(change: Change) -> str:
    if change.limit is not None:
        return spoken(change.limit)
    return "one ID a call" if change.pack == 1 else f"{change.pack} IDs a call"


def _row(label: str, plan: Plan) -> tuple[str, ...]:
    cost = ""
    if plan.price:
        cost = f"{'at most ' if plan.price.most > plan.price.least else ''}{money(plan.price.most)}"
        cost += f" {plan.price.currency}"
    return label, f"{plan.calls:,}", about(plan.span.likely), cost

"""What an operator who sleeps is to be told, and when. Pure."""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from collector.clock import stamp
from collector.model import TERMINAL
from collector.output.snapshot import TroubleStatus
from collector.output.text import plain
from collector.quantity import things
from collector.sources.notify import Kind
from collector.store.batches import Batch
from collector.store.books import Account

AGAIN = 3600.0  # seconds before a kind of trouble that was over is told again
STALE = 86_400.0  # seconds after which a trouble that could not be told is no news
MOST_ALONE = 10  # batches that are told one by one in an hour, of each kind
TOGETHER = 900.0  # seconds from one message of several batches to the next
OURS = "notify"  # the kind of trouble that cannot be told, since it is that of telling

_WITH_THEIR_BATCH = "warning"  # told in the notice of the batch
_LONGEST = 500  # characters of a text of somebody else
_MOST = 5  # reasons or warnings of a batch


class Notice(msgspec.Struct, frozen=True):
    """One message: a plain sentence or two, and the same as facts."""

    kind: Kind
    text: str
    at: str
    facts: dict[str, Any]

    def document(self, host: str) -> bytes:
        """As JSON."""
        head = {"kind": self.kind, "text": self.text, "at": self.at, "host": host}
        return msgspec.json.encode({**head, **self.facts})


class Told(msgspec.Struct, frozen=True):
    """A kind of trouble, or the stop of one source: when there was news of it last, and whether it has lasted since."""

    at: float  # wall time
    lasts: bool = True
    owed: Notice | None = None  # what is still to be sent


def looked(before: Mapping[str, Told], troubles: Sequence[TroubleStatus], now: float) -> dict[str, Told]:
    """What is known of troubles after a look at them: each is news once until it is over, and once it is back `AGAIN`
    after the last news of it at the earliest."""
    seen: dict[str, list[TroubleStatus]] = {}
    for trouble in troubles:
        if trouble.kind not in (OURS, _WITH_THEIR_BATCH):
            key = f"{trouble.kind} {trouble.where}" if trouble.kind == "stopped" else trouble.kind
            seen.setdefault(key, []).append(trouble)
    after = {}
    for key, told in before.items():
        lasts, owed = told.lasts and key in seen, told.owed if 0 <= now - told.at < STALE else None
        if lasts or owed or _lately(told, now):
            after[key] = Told(told.at, lasts, owed)
    for key, group in seen.items():
        known = after.get(key)
        if known is None or not (known.lasts or _lately(known, now)):
            after[key] = Told(now, True, _of_trouble(group, now))
    return after


def _lately(told: Told, now: float) -> bool:
    return 0 <= now - told.at < AGAIN  # a clock that was set back mutes nothing


def _of_trouble(group: Sequence[TroubleStatus], now: float) -> Notice:
    first, more = group[0], len(group) - 1
    what, where = _short(first.what), _short(first.where)
    others = f" And {things(more, 'other')} of this kind; see `collector status`." if more else ""
    facts: dict[str, Any] = {"trouble": first.kind, "what": what, "where": where, "since": first.since, "more": more}
    match first.kind:
        case "stopped":
            text = (
                f"Source {where} has stopped: {what}. Its IDs are owed and no try is spent. Mend what it names in the"
                f" configuration, then `collector reload`; elsewhere, then `collector resume --source {where}`."
            )
            return Notice("stopped", text, stamp(now), {"source": where, **facts})
        case "down":
            text = f"Source {where} is down: {what}. Nothing is to be done: it goes on when the API is back.{others}"
            return Notice("trouble", text, stamp(now), {"source": where, **facts})
        case "disk":
            text = f"Disk: {what}. Make room or mend it ({where}): collector goes on by itself.{others}"
            return Notice("disk", text, stamp(now), facts)
    return Notice("trouble", f"Trouble ({first.kind}) with {where}: {what}.{others}", stamp(now), facts)


class Pace:
    """How batches are told: one by one while they are few, else several in one message now and then."""

    def __init__(self) -> None:
        self._alone: deque[float] = deque()  # when the last ones were told
        self._together = float("-inf")

    def take(self, owed: int, now: float) -> int:
        """How many of so many batches the next message is of: 0 where it is too early, 1, or all of them."""
        while self._alone and now - self._alone[0] >= AGAIN:
            self._alone.popleft()
        if owed <= MOST_ALONE - len(self._alone):
            return min(owed, 1)
        return owed if now - self._together >= TOGETHER else 0

    def told(self, number: int, now: float) -> None:
        """A message of so many batches was sent."""
        if number == 1:
            self._alone.append(now)
        else:
            self._together = now


def of_batches(kind: Kind, batches: Sequence[tuple[Batch, Account]], now: float) -> Notice:
    """One batch with its receipt or its books, or several with their sums."""
    facts = _facts(batches)
    if len(batches) > 1:
        what = "were taken in" if kind == "taken_in" else "have ended"
        first, last = min(batch.id for batch, _ in batches), max(batch.id for batch, _ in batches)
        text = f"{things(len(batches), 'batch')} {what}, numbers {first} to {last}: {_sum(kind, facts)}."
        return Notice(kind, text, stamp(now), {"batches": len(batches), "first": first, "last": last, **facts})
    [(batch, account)] = batches
    name = f'Batch {batch.id} "{_short(batch.name)}" ({batch.source})'
    own = {"batch": batch.id, "name": _short(batch.name), "source": batch.source, "folder": f"batches/{batch.folder}/"}
    if kind == "taken_in":
        warnings = [_short(warning) for warning in batch.warnings[:_MOST]]
        text = f"{name} was taken in: {_sum(kind, facts)}.{''.join(f' Warning: {warning}' for warning in warnings)}"
        return Notice(kind, text, stamp(now), {**own, **facts, "warnings": warnings})
    ended = "was cancelled" if batch.state == "cancelled" else "has finished"
    reasons = Counter({f"{state}: {reason}": jobs for (state, reason), jobs in account.reasons.items()})
    told = {_short(reason): jobs for reason, jobs in reasons.most_common(_MOST)}
    text = f"{name} {ended}: {_sum(kind, facts)}. See batches/{plain(batch.folder)}/report.md."
    return Notice(kind, text, stamp(now), {**own, "state": batch.state.value, **facts, "reasons": told})


def _facts(batches: Sequence[tuple[Batch, Account]]) -> dict[str, Any]:
    """The sums of some batches: lines, repeats, refused lines, and the books."""
    total: Counter[str] = Counter()
    for batch, account in batches:
        repeats = max(batch.lines - account.total - batch.refused, 0)
        total.update(ids=account.total, lines=batch.lines, repeats=repeats, refused=batch.refused, items=batch.items)
        total.update({state.value: account.count(state) for state in TERMINAL}, open=account.open)
    return dict(total)


def _sum(kind: Kind, facts: Mapping[str, int]) -> str:
    if kind == "taken_in":
        return (
            f"{things(facts['lines'], 'line')} = {things(facts['ids'], 'ID')} + {things(facts['repeats'], 'repeat')}"
            f" + {facts['refused']:,} refused"
        )
    ended = " + ".join(f"{facts[state.value]:,} {state.value}" for state in TERMINAL)
    left = f" + {facts['open']:,} open" if facts["open"] else ""
    return f"{things(facts['ids'], 'ID')} = {ended}{left}"


def _short(text: str) -> str:
    """A name or an API's word: on one line, and no longer than a message can hold."""
    return plain(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…")

"""The time of each source by hour and why. Pure: whole milliseconds go in, and every one of them is booked once."""

from collections import Counter, deque
from collections.abc import Iterator, Mapping

import msgspec

from collector.model import BatchId, Why
from collector.store.batches import Batch
from collector.store.hours import Entries, Kept, Share, Span

HOUR = 3_600_000  # milliseconds
MOST_HOURS = 24 * 400  # that a gap is split into; a longer one is a clock that was wrong, and stands in its first hour
MOST_RECENT = 100  # spells kept of a source: at four looks a second the last 25 s at least


class Spell(msgspec.Struct, frozen=True):
    """A time in which one thing was so."""

    begin: int
    end: int
    why: Why


class Account:
    """For each source, always: the sum over its hours and whys = its `until` less its `since`."""

    def __init__(self, kept: Kept) -> None:
        self.spans = dict(kept.spans)
        self._totals = {source: Counter(totals) for source, totals in kept.totals.items()}
        self._shares = dict(kept.shares)
        self._seen: dict[str, None] = {}  # by the last look, in the order of the configuration
        self._recent: dict[str, deque[Spell]] = {}  # without gaps; the last one ends at the source's `until`
        self._unwritten: Counter[tuple[str, int, Why]] = Counter()
        self._changed: dict[BatchId, Share | None] = {}  # shares that are not written yet

    def look(self, now: int, whys: Mapping[str, Why]) -> None:
        """Books the time since the last look; for a source that it did not see, the time since it was last seen is
        off, and one that was never seen begins now."""
        for source, why in whys.items():
            self._book(source, why if source in self._seen else Why.OFF, now)
        self._seen = dict.fromkeys(whys)

    def set_clock(self, by: int) -> None:
        """Somebody set the wall clock by so much: what it said before was wrong by that, and moves along."""
        for source in self._seen:
            self._move(source, by)

    def totals(self) -> dict[str, dict[Why, int]]:
        """All that was ever booked for the sources that the last look saw."""
        return {source: dict(self._totals.get(source, {})) for source in self._seen}

    def follow(self, batches: list[Batch]) -> None:
        """Notes what each of these batches has of its source's time; they are all that are ongoing or not yet
        written. Called after each look, while the recent spells still hold their beginning and end."""
        for batch in batches:
            if batch.source in self._seen:
                self._follow(batch)
        for over in self._shares.keys() - {batch.id for batch in batches}:
            del self._shares[over]
            self._changed[over] = None

    def spent(self, batch: BatchId) -> dict[Why, int]:
        """What its source's time went into between the taking in and the end of a batch; empty when not known."""
        share = self._shares.get(batch)
        return (share and share.spent) or {}

    def entries(self) -> Entries:
        """What is not written yet."""
        return Entries(dict(self._unwritten), dict(self.spans), dict(self._changed))

    def written(self, entries: Entries) -> None:
        """These entries are durable; what was booked meanwhile is still to be written."""
        self._unwritten.subtract(entries.spent)
        self._unwritten = +self._unwritten
        for batch, share in entries.shares.items():
            if self._changed[batch] == share:
                del self._changed[batch]

    def _book(self, source: str, why: Why, now: int) -> None:
        span = self.spans.setdefault(source, Span(now, now))
        if now < span.until:  # the clock was set back while nobody looked
            self._move(source, now - span.until)
        elif now > span.until:
            self.spans[source] = Span(span.since, now)
            self._totals.setdefault(source, Counter())[why] += now - span.until
            self._remember(source, Spell(span.until, now, why))
            for hour, milli in split(span.until, now):
                self._unwritten[source, hour, why] += milli

    def _remember(self, source: str, spell: Spell) -> None:
        recent = self._recent.setdefault(source, deque(maxlen=MOST_RECENT))
        if recent and recent[-1].why is spell.why:
            spell = Spell(recent.pop().begin, spell.end, spell.why)
        recent.append(spell)

    def _move(self, source: str, by: int) -> None:
        span = self.spans[source]
        self.spans[source] = Span(span.since + by, span.until + by)
        self._recent.pop(source, None)  # their times are of the clock that was wrong

    def _at(self, source: str, moment: int) -> Counter[Why]:
        """The totals as they were at a moment; as far back as the recent spells go."""
        totals = Counter(self._totals.get(source, {}))
        for spell in reversed(self._recent.get(source, ())):
            if spell.end <= moment:
                break
            totals[spell.why] -= spell.end - max(spell.begin, moment)
        return +totals

    def _follow(self, batch: Batch) -> None:
        before = self._shares.get(batch.id)
        began = before.began if before else dict(self._at(batch.source, round(batch.created_at * 1000)))
        spent = before.spent if before else None
        if batch.finished_at is None:
            spent = None
        elif spent is None:
            ended = self._at(batch.source, round(batch.finished_at * 1000))
            ended.subtract(began)
            spent = dict(+ended)
        if before is None or before.spent != spent:
            self._shares[batch.id] = self._changed[batch.id] = Share(began, spent)


def split(begin: int, end: int) -> Iterator[tuple[int, int]]:
    """The hours that a time reaches into, each by its beginning, with how much of the time lies in it."""
    if end - begin > MOST_HOURS * HOUR:
        yield begin - begin % HOUR, end - begin
        return
    while begin < end:
        hour = begin - begin % HOUR
        step = min(end, hour + HOUR) - begin
        yield hour, step
        begin += step

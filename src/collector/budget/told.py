"""What the server's headers tell of one window, epoch by epoch: from one reset to the next. Time is passed in."""

import math
from dataclasses import dataclass
from enum import Enum, auto

from collector.budget.hold import Hold
from collector.budget.limit import Limit
from collector.budget.pace import HOUR
from collector.budget.window import OwnLog

_MOVED = 1.5  # seconds by which a reset must move to be another one: servers round, and so does Date
_SILENT = 20  # good answers in a row without headers after which they are not waited for
_RESERVE = 0.02  # the share of a window left to others who use the same key
_NEARLY = 0.1  # by this share less than a whole window may be left at its start, without more being read into it
_NEAR = 2.0  # what rounding and `Date` add to a reset
_REST = 4  # calls that a counter which slides is let run ahead
_LONG = 0.75  # of a window; one that begins anew ends no sooner, while the oldest call of one that slides leaves soon
_DOUBTS = 6  # times that the length of a distrust is doubled
_LONGEST_REST = 0.05  # of a window
_HIDDEN = 2  # refusals with calls remaining that tell of a limit that no header names


class Mode(Enum):
    """How it is known what a window has left."""

    UNKNOWN = auto()  # nobody was asked since the start: the end of the first call moves it on
    HEADERS = auto()  # the server says so; twenty good answers without headers in a row make it BLIND
    BLIND = auto()  # the own log says so, and calls are spread; the next answer with headers ends it


@dataclass(frozen=True, slots=True)
class Mark:
    """A window when a call was drawn: what tells, at its answer, how many of our calls the server can have counted."""

    used: int
    taken: int
    in_air: int  # other calls
    beyond: bool = False  # the headers had left nothing: our own log let it go
    unheard: int = 0  # calls ever over of which no header told


class Told:
    """One window: its own log, and what the headers say. Without a log, a limit that nobody declared.

    `remaining` is the least that this epoch's answers left and `until` the earliest that its reset can be, so calls
    in the air are subtracted from it and a straggler of an older epoch says nothing.
    """

    def __init__(
        self, log: OwnLog | None = None, declared: Limit | None = None, *, learnt: bool = False, plain: bool = False
    ) -> None:
        self.log = log
        self.plain = plain  # a server that sends no headers has such windows as spend at once
        self.declared = declared  # None where the limit itself is learnt
        self.learnt = learnt
        self.by_clock = bool(declared and declared.at)  # a plain counter, of which no header speaks
        scouted = log is not None and not learnt and not self.by_clock and log.limit.seconds <= HOUR
        self.mode = Mode.UNKNOWN if scouted else Mode.BLIND
        self.remaining = 0
        self.until = -math.inf
        self.smooth = False  # the server refills gradually, so calls are spread as if there were no headers
        self.distrusted_until = -math.inf  # somebody else uses the key until then, as far as one can tell
        self._least = 0  # that was heard in this epoch; `remaining` is less by what was not heard of
        self._known_at = -math.inf  # when that was
        self._asked_at = -math.inf  # when the call that told it was sent
        self._whole = True  # the limit told is that of the log
        self._doubts = 0  # how often somebody else turned out to use the key after all
        self._contested = False  # what comes free at the reset is one slot, or others were quicker there before
        self._windowed = False  # what the server counts is what our own log holds
        self._strange = False  # the last answer counted more than that
        self._turn: int | None = None  # calls ever drawn that this epoch cannot have counted
        self._rest_until = -math.inf
        self._silent = 0
        self._unheard = 0  # calls over of which no header told
        self._refused = 0  # with calls remaining

    @property
    def paced(self) -> bool:
        """True where only an even spread is safe."""
        return self.log is not None and (
            self.smooth or (self.mode is not Mode.HEADERS and not self.plain and not self.by_clock)
        )

    def left(self, now: float, in_air: int) -> int:
        """The calls that may go before the reset; `in_air` may still be counted."""
        return self.remaining - in_air - self._reserve(now)

    def hold(self, now: float, in_air: int) -> Hold | None:
        """What keeps a call from going when `in_air` others are in the air."""
        own_at = self.log.free_at(now) if self.log else now
        if self.mode is Mode.HEADERS:
            return self._held_by_headers(now, in_air, own_at)
        if self._alone(now) and self.until > now and self.left(now, in_air) < 1:
            return Hold(self.until, "the server counts more than our calls", self._named)
        if own_at > now:
            return Hold(own_at, "window spent", self._named)
        if self.mode is Mode.UNKNOWN and in_air:
            return Hold(math.inf, "one call alone asks what is left")
        return None

    def _held_by_headers(self, now: float, in_air: int, own_at: float) -> Hold | None:
        if self.until > now and self.left(now, in_air) >= 1:
            return None
        # The own log opens the next window a second before a rounded reset does; not where others may have spent it.
        trusted = not self._alone(now) and self._whole and not (self.smooth and self._strange and self.until > now)
        opens_at = min(own_at, self.until) if trusted else max(self.until, self._next_own(now))
        if trusted and self._outgrown(now):
            opens_at = max(opens_at, self._asked_at + self._pause)
        opens_at = max(opens_at, self._rest_until)
        if opens_at > now:
            why = "window spent" if trusted or self.learnt else "the server counts more than our calls"
            return Hold(opens_at, why, self._named)
        if in_air and not (self.smooth and trusted and own_at <= now):
            return Hold(math.inf, "one call alone asks what the next window has")
        return None

    def mark(self, now: float) -> Mark:
        """The window as it is before a draw."""
        if self.log is None:
            return Mark(0, 0, 0, unheard=self._unheard)
        beyond = self.until > now and self.left(now, self.log.in_air) < 1
        return Mark(self.log.used(now), self.log.taken, self.log.in_air, beyond, self._unheard)

    def hear(self, limit: int | None, remaining: int, until: float, sent_at: float, now: float, mark: Mark) -> bool:
        """Takes up what an answer says; True when it is news that others left nothing."""
        before, self._silent = self.remaining if self.until > now else math.inf, 0
        straggler = sent_at < self.until <= now and until <= self.until + _MOVED and not mark.beyond
        if until <= now or straggler:
            return False  # it speaks of an epoch that is over
        if until < self.until - _MOVED and not self.smooth:
            return False
        self._enter(remaining, until, sent_at, now, mark)
        self._judge_trust(limit, remaining, now, mark)
        self._choose_mode(limit)
        return self._alone(now) and self.remaining <= 0 < before

    def unheard(self, good: bool, now: float) -> None:
        """A call is over of which no header told: the server may have counted it."""
        self.remaining -= 1
        self._unheard += 1
        if self.mode is Mode.UNKNOWN:
            self.mode = Mode.BLIND
        if self.mode is Mode.HEADERS:
            self._silent += good
            # A call beyond what was told was to say what is left now, and did not: the next would ask in vain again.
            if self._silent >= _SILENT or self.until <= now or self.remaining < 0:
                self.mode = Mode.BLIND

    def refused(self, remaining: int | None, now: float) -> None:
        """A 429 came that begins a freeze: others spent the window, or a limit is hidden behind the one told of."""
        if remaining == 0 and self.log:
            self._distrust(now)
            self._contested = True
        if remaining:
            self._refused += 1
            self.smooth = self.smooth or self._refused >= _HIDDEN

    def spent_until(self, now: float) -> float:
        """Until when the headers keep everybody from sending; in the past where they do not."""
        binding = self.mode is Mode.HEADERS or self._alone(now)
        return self.until if binding and self.remaining <= 0 else -math.inf

    def _outgrown(self, now: float) -> bool:
        """True where our own log has let go, since the last answer, of a good part of what the server counted then."""
        if self.log is None or self.until <= now or self.log.limit.count == 1:
            return False
        count = self.log.limit.count
        return count - self.remaining - self.log.used(now) > count * _NEARLY

    def _next_own(self, now: float) -> float:
        """When the first of our own slots comes free, where others take what comes free before."""
        return self.log.next_at(now) if self.log and self._contested and not self.smooth else now

    @property
    def _seconds(self) -> float:
        return self.log.limit.seconds if self.log else 0.0

    @property
    def _named(self) -> str:
        return str(self.log.limit) if self.log else ""

    def _alone(self, now: float) -> bool:
        """True where only the headers tell what is left, and not the own log."""
        return self.log is None or self.learnt or self.distrusted_until > now

    def _choose_mode(self, limit: int | None) -> None:
        """Only headers of a limit no laxer than ours say when calls may go; others can only hold them back."""
        if self.log is None or self.log.limit.seconds > HOUR:
            return
        if limit is not None and limit <= self.log.limit.count:
            self.mode, self._whole = Mode.HEADERS, limit == self.log.limit.count
        else:
            self.mode = Mode.BLIND

    def _enter(self, remaining: int, until: float, sent_at: float, now: float, mark: Mark) -> None:
        first, later = self.until == -math.inf, sent_at >= self._known_at
        left = remaining - (self._unheard - mark.unheard)  # which it may have counted after this one
        self._known_at, self._asked_at = now, sent_at
        self._strange = self._is_strange(remaining, mark)
        # What was sent after all that is known was heard, and finds more than was ever told, was refilled.
        refilled = later and (remaining > self._least or self.smooth or mark.beyond)
        # A reset that is told in seconds to go is as much too late as its answer was slow.
        if self.until <= now or until - (now - sent_at) > self.until + _MOVED or refilled:
            self.until, self.remaining, self._least = until, left, remaining
            self._turn = self._begun(remaining, mark)
            self._contested = until - now < _LONG * self._seconds
            if first and until - now <= self._nearest:
                self._rest_until = until  # a window that ends, or a counter that slides: the next answer tells
            elif not first:
                before = self.smooth
                self._judge_kind(remaining, mark)
                if self.smooth and not before and later and remaining <= 0:
                    self._rest(now)
        else:
            self.until, self._least = min(self.until, until), min(self._least, remaining)
            self.remaining = left if later else min(self.remaining, left)

    def _is_strange(self, remaining: int, mark: Mark) -> bool:
        """True where the server counts a good part more than our own log can explain."""
        if self.log is None:
            return False
        count = self.log.limit.count
        return count - remaining - (mark.used + self.log.taken - mark.taken) > count * _NEARLY

    def _begun(self, remaining: int, mark: Mark) -> int | None:
        """How many calls were ever drawn before those that this epoch can have counted, where it seems to have begun
        with nothing counted."""
        counted = self.log.limit.count - remaining if self.log else 0
        if self.log is None or counted > mark.in_air + self.log.taken - mark.taken:
            return None
        return mark.taken - mark.in_air - counted  # which may be older ones all the same

    def _judge_kind(self, remaining: int, mark: Mark) -> None:
        """A server that counts calls which our own log has let go refills gradually; one that begins anew, or counts
        what our log does, has windows. Where the log itself is nearly full nobody can tell: then what was so before
        holds, and at first the calls are spread.
        """
        if self.log is None or self.learnt:
            return
        count = self.log.limit.count
        since, counted, few = self.log.taken - mark.taken, count - remaining, count * _NEARLY
        if self._strange:
            self._windowed = False
        elif counted - mark.in_air - since <= few or mark.used + since <= count / 2 or count == 1:
            self._windowed = True
        self.smooth = not self._windowed or self._refused >= _HIDDEN

    def _judge_trust(self, limit: int | None, remaining: int, now: float, mark: Mark) -> None:
        # A counter that slides weighs calls of ours that the own log has let go: no evidence of others.
        if self.log is None or self.learnt or self.smooth:
            return
        ours = mark.used + self.log.taken - mark.taken
        if self._turn is not None:
            ours = min(ours, self.log.taken - self._turn)
        if (limit or self.log.limit.count) - remaining <= ours:
            return
        if remaining <= 0 and self.until - now <= self._nearest:
            # The reset is that of a single call: such a counter. It is let run ahead, or it would refuse the next.
            self.smooth = True
            self._rest(now)
        else:
            self._distrust(now)

    def _distrust(self, now: float) -> None:
        """For two windows, and each time that it proves right after that for twice as many."""
        assert self.log
        if self.distrusted_until <= now:
            self._doubts = min(self._doubts + 1, _DOUBTS)
        self.distrusted_until = max(self.until, now + 2**self._doubts * self.log.limit.seconds)

    def _rest(self, now: float) -> None:
        self._rest_until = now + self._pause

    @property
    def _pause(self) -> float:
        """Seconds in which a counter that slides lets go of a few calls."""
        return min(_REST / self.log.limit.count, _LONGEST_REST) * self.log.limit.seconds if self.log else 0.0

    @property
    def _nearest(self) -> float:
        """Seconds within which a reset may be that of a single call."""
        limit = self.log.limit if self.log else Limit(1, 0.0)
        return min(_NEAR + 2 * limit.seconds / limit.count, limit.seconds / 2)

    def _reserve(self, now: float) -> int:
        if self.log is None or self.learnt or self.distrusted_until <= now or self.log.limit.count < 10:
            return 0
        return math.ceil(self.log.limit.count * _RESERVE)

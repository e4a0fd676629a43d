"""What an answer means for each job of a call, seen beside the answers around it.

Pure but for the source's own memory: no I/O, no waiting.
"""

from random import Random
from typing import TypeAlias, assert_never

import msgspec

from collector.dispatch import paging, retry
from collector.dispatch.breaker import Breaker
from collector.model import ABSENT, Call, Failed, Found, Gone, Invalid, Job, Outcome, PutOff
from collector.sources.answer import Denied, Faulty, Good, Later, Missing, Reading, Refused, Stopped, Unreadable
from collector.sources.spec import Spec
from collector.sources.words import slug

ALIKE_STOPS = 20  # calls in a row
DOUBTED = ("http-404", "http-410")  # what a wrong url is answered with as well
HELD_BACK = 20  # times, of one call
MOST_REMEMBERED = 10_000  # jobs that met a fault
RECENT_CALLS, RECENT_SECONDS = 20, 300.0  # how far back a good answer says that others succeed
CUT_SHORT = 0.1  # share of absent IDs that are found at the second asking; less is chance
UNSURE_DELAY = 2.0  # seconds until an ID is asked again that was missing before anything was found
DENIED_DELAY = 5.0  # seconds until a refused credential is tried again

Outcomes: TypeAlias = tuple[tuple[Job, Outcome], ...]


class Verdict(msgspec.Struct, frozen=True):
    """What became of a call's jobs, and what the operator should hear."""

    outcomes: Outcomes
    reason: str | None = None  # why the call failed, None where it did not
    stop: str | None = None  # the source stops, in plain words
    opened: bool = False  # the breaker opened with this answer
    shrunk: int | None = None  # the source's packs are smaller from now on


class Judge:
    """The memory of one source that gives an answer its meaning."""

    def __init__(self, spec: Spec, breaker: Breaker, random: Random, *, ever_good: bool = False) -> None:
        self._spec, self._breaker, self._random = spec, breaker, random
        self.pack = spec.pack if spec.packed else 1
        self._ever_good = ever_good  # whether the source ever found anything, before this start too
        self._since_good = 0  # answers since the last good one
        self._good_at = float("-inf")  # loop time
        self._denied: tuple[int, tuple[str, ...], int] | None = None  # status, keys, times since a good answer
        self._alike: tuple[str, int] = ("", 0)  # a failure, and how often in a row
        self._found: str | None = None  # an ID that the API is known to have
        self._failed_at: dict[tuple[int, str], tuple[float, int]] = {}  # when a job met a fault last, and how often
        self._denied_at: dict[tuple[int, str], float] = {}  # when a job was denied last

    def weigh(self, call: Call, reading: Reading, now: float, *, was_closed: bool) -> Verdict:
        """The outcome of each job; `was_closed`: whether the breaker was closed when the call left."""
        if call.cursor is not None and isinstance(reading, Missing | Refused) and not _by_a_rule(reading):
            return self._expired(call, reading)
        match reading:
            case Good():
                return self._good(call, reading, now)
            case Missing():
                if self._ever_good:
                    self._since_good, self._good_at = 0, now
                outcome = Gone(reading.reason, reading.detail)
                alike = not (self._ever_good or reading.sure)
                return self._after(call, self._no(call, reading, outcome), reading, alike=alike)
            case Refused(status=0):
                invalid = Invalid(reading.reason, reading.detail)
                return Verdict(_split_or(call, invalid), reading.reason)  # it was never sent
            case Refused():
                alone = len(call.keys) == 1 or not self._ever_good
                invalid = Invalid(reading.reason, reading.detail)
                return self._after(call, self._no(call, reading, invalid), reading, alike=alone)
            case Denied():
                return self._denial(call, reading, now)
            case Unreadable():
                return self._after(call, self._failed_try(call, reading), reading, alike=True)
            case Faulty():
                return self._fault(call, reading, now, was_closed=was_closed)
            case Stopped():
                return self._stopped(call, reading)
            case Later(seconds, reason, detail):
                return Verdict(_each(call, PutOff(seconds, reason, detail)))
            case _:
                assert_never(reading)

    def resume(self, *, ever_good: bool) -> None:
        """Forgets what stopped the source: what comes now is weighed as after a start."""
        self._ever_good = self._ever_good or ever_good
        self._denied, self._alike = None, ("", 0)
        self._denied_at.clear()

    def held_back(self, call: Call, reason: str, since: float) -> Verdict:
        """A call that was told to wait too often gives way, if others were answered `since` it was (loop time)."""
        said = "told to wait again and again while others were answered"
        if self._good_at <= since:
            return Verdict(_each(call, PutOff(retry.LONGEST, reason)), reason)
        return Verdict(_split_or(call, Failed(reason, said)), reason)

    def control(self, call: Call) -> Call | None:
        """A call for an ID that is known to be found, to be sent in place of one that has failed before: while the
        breaker is open only its answer tells whether the origin is away or the ID is at fault."""
        failed = all((job.batch, job.key) in self._failed_at for job in call.jobs)
        return Call(call.source, (), (self._found,)) if failed and self._found is not None else None

    def _good(self, call: Call, good: Good, now: float) -> Verdict:
        self._ever_good, self._since_good, self._good_at = True, 0, now
        self._denied, self._alike = None, ("", 0)
        self._breaker.good()
        if not call.jobs:
            self._breaker.vouched()
        self._found = next(iter(good.found), self._found)
        if self._failed_at or self._denied_at:
            for job in call.jobs:
                self._failed_at.pop((job.batch, job.key), None)
                self._denied_at.pop((job.batch, job.key), None)
        if not self._spec.next and len(good.found) == len(call.jobs) == len(call.keys):
            found = good.found  # nothing but items, as of nearly all calls
            plain = tuple([(job, found[job.key]) for job in call.jobs])
            return Verdict(plain, shrunk=self._shrink(call, good))
        first: dict[str, Job] = {}
        short = len(call.keys) > 1 and len(good.found) >= CUT_SHORT * len(call.keys)
        outcomes = tuple((job, self._outcome(job, good, first.setdefault(job.key, job), short)) for job in call.jobs)
        return Verdict(outcomes, shrunk=self._shrink(call, good))

    def _shrink(self, call: Call, good: Good) -> int | None:
        """Absent IDs that are found when asked in a smaller pack say that the larger one's answer was cut short."""
        if self.pack == 1:
            return None
        most = max((job.pack_max or 1 for job in call.jobs if job.reason == ABSENT), default=self.pack)
        if most >= self.pack or len(good.found) < CUT_SHORT * len(call.keys):
            return None
        self.pack = most
        return most

    def _outcome(self, job: Job, good: Good, first: Job, short: bool) -> Outcome:
        """`short`: where these were left out of an answer before, this one shows that it was cut short. It may be so
        itself, so what it leaves out again is asked once more."""
        if found := good.found.get(job.key):
            if first is not job:
                return Found(same_as=first.batch)  # the same ID for another batch: its items are kept once
            return paging.turned(job, found, good.next, self._spec.max_pages) if self._spec.next else found
        if gone := good.gone.get(job.key):
            return gone
        if job.reason == ABSENT and not short:
            return Gone(ABSENT, "left out of two answers without a word")
        half = max(1, min(job.pack_max or self.pack, self.pack // 2))
        return PutOff(0, ABSENT, "left out of an answer without a word", pack_max=half)

    def _no(self, call: Call, reading: Missing | Refused, outcome: Gone | Invalid) -> Outcomes:
        """The API will not give it. Before a first good answer that may be a wrong url as well, so only a second
        asking settles it."""
        sure = isinstance(reading, Missing) and reading.sure
        if self._ever_good or sure or all(job.reason == reading.reason for job in call.jobs):
            return _split_or(call, outcome)
        return _split_or(call, PutOff(UNSURE_DELAY, reading.reason, reading.detail))

    def _failed_try(self, call: Call, reading: Unreadable) -> Outcomes:
        if len(call.keys) > 1:
            return _split(call, reading.reason, reading.detail)
        return tuple((job, self._spend(job, reading.reason, reading.detail)) for job in call.jobs)

    def _expired(self, call: Call, reading: Missing | Refused) -> Verdict:
        """A page that was there when its cursor was given: most APIs forget a cursor after some time."""
        self._since_good += 1
        self._breaker.good()  # it is there, whatever it says
        anew = ((job, paging.begun_anew(job, reading.detail, self._spec.tries, self._random)) for job in call.jobs)
        return Verdict(tuple(anew), paging.EXPIRED)

    def _denial(self, call: Call, denied: Denied, now: float) -> Verdict:
        """401, 402, 403: the key, the credit or the plan, unless good answers around it say that it is the ID."""
        self._since_good += 1
        self._breaker.good()  # it is there, whatever it says
        reason = f"http-{denied.status}"
        alone = len(call.keys) == 1
        if self._denied_before_a_good_answer(call) and denied.status != 402:
            gone = Gone(denied.reason, denied.detail)
            return Verdict(_each(call, gone) if alone else _split(call, reason, denied.detail), reason)
        if denied.status == 403 and not alone and self._good_at > float("-inf"):
            return Verdict(_split(call, reason, denied.detail), reason)  # one of them may be somebody's own
        status, keys, times = self._denied or (denied.status, call.keys, 0)
        self._denied = (denied.status, call.keys, times + 1 if status == denied.status else 1)
        if len(self._denied_at) > MOST_REMEMBERED:
            self._denied_at.clear()
        self._denied_at.update(((job.batch, job.key), now) for job in call.jobs)
        outcomes = _each(call, PutOff(DENIED_DELAY, reason, denied.detail))
        if status == denied.status and (keys != call.keys or self._denied[2] >= 3):
            return Verdict(outcomes, reason, stop=_why_denied(call, denied))
        return Verdict(outcomes, reason)

    def _stopped(self, call: Call, reading: Stopped) -> Verdict:
        self._since_good += 1
        self._breaker.good()  # it is there, whatever it says
        said = reading.detail if slug(reading.detail).startswith(reading.reason) else _with_words(reading)
        why = f"{said}: mend it, then `{_resume(call)}` goes on. No ID is lost"
        outcomes = _each(call, PutOff(DENIED_DELAY, reading.reason, reading.detail))
        return Verdict(outcomes, reading.reason, stop=why)

    def _denied_before_a_good_answer(self, call: Call) -> bool:
        """True where the source found something since each of these jobs was denied; a start forgets when that was."""
        return all(self._denied_at.get((job.batch, job.key), float("inf")) < self._good_at for job in call.jobs)

    def _fault(self, call: Call, reading: Faulty, now: float, *, was_closed: bool) -> Verdict:
        """A 5xx, a time-out, a broken connection: the ID's fault only where others succeed."""
        self._since_good += 1
        opened = self._breaker.fault(reading.detail or reading.reason)
        alone = len(call.keys) == 1
        # A source that never found anything has no other way to learn whether some of a pack spoil the rest.
        groping = not was_closed and self._found is None and reading.reason.startswith("http-")
        if not alone and (groping or (was_closed and self._others_succeed(now))):
            for job in call.jobs:
                self._remember(job, now)
            return Verdict(_split(call, reading.reason, reading.detail), reading.reason, opened=opened)
        blame = alone and was_closed
        outcomes = tuple((job, self._faulted(job, reading, now, blame=blame)) for job in call.jobs)
        return Verdict(outcomes, reading.reason, opened=opened)

    def _faulted(self, job: Job, reading: Faulty, now: float, *, blame: bool) -> Outcome:
        """A first failure blames nobody, since an outage begins like that. One that fails again after others were
        answered is to blame, and once it was it is."""
        before, times = self._remember(job, now)
        if blame and (job.attempts or before < self._good_at):
            return self._spend(job, reading.reason, reading.detail)
        return PutOff(retry.delay(times + 1, self._random), reading.reason, reading.detail)

    def _remember(self, job: Job, now: float) -> tuple[float, int]:
        """Notes that a job met a fault; when it did so before (never: in the future) and how often."""
        if len(self._failed_at) > MOST_REMEMBERED:
            self._failed_at.clear()
        before, times = self._failed_at.get((job.batch, job.key), (float("inf"), 0))
        self._failed_at[job.batch, job.key] = (now, times + 1)
        return before, times

    def _spend(self, job: Job, reason: str, detail: str) -> Outcome:
        if job.attempts + 1 >= self._spec.tries:
            self._failed_at.pop((job.batch, job.key), None)
            if job.cursor and job.cursor.next:
                return paging.begun_anew(job, detail, self._spec.tries, self._random)
            return Failed(reason, detail)
        return PutOff(retry.delay(job.attempts + 1, self._random), reason, detail, attempt=True)

    def _others_succeed(self, now: float) -> bool:
        recently = self._since_good <= RECENT_CALLS or now - self._good_at <= RECENT_SECONDS
        return self._ever_good and recently

    def _after(
        self, call: Call, outcomes: Outcomes, reading: Missing | Refused | Unreadable, *, alike: bool
    ) -> Verdict:
        """Counts failures that are all alike: many in a row mean that the source is declared wrongly."""
        self._since_good += 1
        self._breaker.good()  # it is there, whatever it says
        reason = reading.reason
        if not alike or (self._alike[0] == reason and all(job.reason == reason for job in call.jobs)):
            return Verdict(outcomes, reason)  # the second asking of the same IDs says nothing new
        self._alike = (reason, self._alike[1] + 1 if self._alike[0] == reason else 1)
        if self._alike[1] < ALIKE_STOPS:
            return Verdict(outcomes, reason)
        why = f"{ALIKE_STOPS} calls in a row ended with {reason} and none was good"
        what = "look at the url, params and items of this source, mend them, then `collector reload`"
        right = f"if they are right, these IDs may all be so: `{_resume(call)}` goes on. No ID is lost"
        return Verdict(outcomes, reason, stop=f"{why}: {what}; {right}")


def _by_a_rule(reading: Missing | Refused) -> bool:
    """True where an `on` rule says what is so, or nothing was sent: it says nothing of a cursor."""
    return reading.sure if isinstance(reading, Missing) else reading.status == 0


def _each(call: Call, outcome: Outcome) -> Outcomes:
    return tuple((job, outcome) for job in call.jobs)


def _split(call: Call, reason: str, detail: str) -> Outcomes:
    """All jobs of a pack come back at once, in packs of half its size."""
    return _each(call, PutOff(0, reason, detail, pack_max=max(1, len(call.keys) // 2)))


def _split_or(call: Call, alone: Gone | Invalid | Failed | PutOff) -> Outcomes:
    """What is said of one ID holds for it; said of a pack, it holds for somebody in it."""
    return _each(call, alone) if len(call.keys) == 1 else _split(call, alone.reason, alone.detail)


def _with_words(reading: Stopped) -> str:
    return f"{reading.reason} ({reading.detail})" if reading.detail else reading.reason


def _why_denied(call: Call, denied: Denied) -> str:
    said = f" ({denied.detail})" if denied.detail else ""
    match denied.status:
        case 401:
            mend = f"mend the secret, then `collector reload`; if it was mended elsewhere, `{_resume(call)}`"
            return f"the API refuses the key with 401{said}: {mend}"
        case 402:
            return f"the API says that there is no credit left, 402{said}: top it up, then `{_resume(call)}`"
        case status:
            mend = f"look at the key's plan and rights, mend them, then `{_resume(call)}`"
            return f"the API refuses this endpoint with {status}{said}: {mend}"


def _resume(call: Call) -> str:
    return f"collector resume --source {call.source}"

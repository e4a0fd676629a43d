from random import Random

import pytest

from collector.dispatch.breaker import TRIPS_AT, Breaker
from collector.dispatch.judge import ALIKE_STOPS, Judge, Outcomes, Verdict
from collector.model import ABSENT, BatchId, Call, Failed, Found, Gone, Invalid, Item, Job, Outcome, PutOff
from collector.sources.answer import Denied, Faulty, Good, Missing, Reading, Refused, Unreadable
from collector.sources.spec import Spec

ONE = Spec.model_validate({"url": "http://api/items/{id}", "tries": 3})
MANY = Spec.model_validate({"url": "http://api/items?ids={ids}", "pack": 100, "tries": 3})


def judge(spec: Spec, breaker: Breaker | None = None) -> Judge:
    return Judge(spec, breaker or Breaker("http://api"), Random(1))


def call(*keys: str, **values: object) -> Call:
    jobs = tuple(Job(BatchId(1), key, **values) for key in keys)  # type: ignore[arg-type] # a test's shorthand
    return Call("posts", jobs, keys)


def found(*keys: str) -> Good:
    return Good({key: Found((Item(key, "{}"),)) for key in keys}, {}, ())


def weigh(judge: Judge, call: Call, reading: Reading, *, now: float = 0.0, was_closed: bool = True) -> Verdict:
    return judge.weigh(call, reading, now, was_closed=was_closed)


def only(outcomes: Outcomes) -> Outcome:
    [(_, outcome)] = outcomes
    return outcome


HUNDRED = tuple(f"{i:03}" for i in range(100))


@pytest.mark.parametrize(
    ("reading", "alone"),
    [
        (Missing("http-404"), Gone("http-404")),
        (Refused(400, "http-400"), Invalid("http-400")),
        (Refused(414, "http-414"), Invalid("http-414")),
    ],
)
def test_what_blames_the_id_alone_splits_a_pack(reading: Reading, alone: Outcome) -> None:
    """One culprit costs the innocent of its pack a smaller pack and no attempt."""
    one = judge(ONE)
    weigh(one, call("0"), found("0"))
    assert only(weigh(one, call("1"), reading).outcomes) == alone
    for _, outcome in weigh(judge(MANY), call(*HUNDRED), reading).outcomes:
        assert isinstance(outcome, PutOff)
        assert (outcome.attempt, outcome.pack_max, outcome.delay) == (False, 50, 0)


@pytest.mark.parametrize(
    ("reading", "settled"),
    [(Missing("http-404"), Gone("http-404")), (Refused(400, "http-400"), Invalid("http-400"))],
)
def test_before_anything_was_found_only_a_second_asking_settles_an_id(
    reading: Missing | Refused, settled: Outcome
) -> None:
    """With a wrong url every ID looks so: when the source stops for it, none of them has been written off. But a few
    IDs that are really so end."""
    one = judge(ONE)
    verdicts = [weigh(one, call(str(n)), reading) for n in range(ALIKE_STOPS)]
    assert all(isinstance(only(verdict.outcomes), PutOff) for verdict in verdicts)
    assert verdicts[-1].stop is not None
    few = judge(ONE)
    assert [weigh(few, call(str(n)), reading).stop for n in range(12)] == [None] * 12
    again = [weigh(few, call(str(n), reason=reading.reason), reading) for n in range(12)]
    assert all(only(verdict.outcomes) == settled and verdict.stop is None for verdict in again)


def test_a_source_that_found_something_before_this_start_is_not_doubted() -> None:
    """A list that begins with deleted IDs is no wrong url."""
    known = Judge(ONE, Breaker("http://api"), Random(1), ever_good=True)
    for number in range(3 * ALIKE_STOPS):
        verdict = weigh(known, call(str(number)), Missing("http-404"))
        assert only(verdict.outcomes) == Gone("http-404")
        assert verdict.stop is None


def test_an_unreadable_answer_is_a_failed_try_and_tries_end() -> None:
    """Attempts are spent one by one, and the last makes the job failed."""
    one = judge(ONE)
    first = only(weigh(one, call("1"), Unreadable("not-json")).outcomes)
    assert isinstance(first, PutOff)
    assert first.attempt
    last = only(weigh(one, call("1", attempts=2), Unreadable("not-json")).outcomes)
    assert last == Failed("not-json")


def test_an_id_left_out_without_a_word_is_asked_once_more_then_gone() -> None:
    """Absent may be a default page size: the second asking, at half the pack, decides."""
    many = judge(MANY)
    left_out = Good({}, {}, ("1",))
    outcome = only(weigh(many, call("1"), left_out).outcomes)
    assert outcome == PutOff(0, ABSENT, "left out of an answer without a word", pack_max=50)
    again = weigh(many, call("1", reason=ABSENT, pack_max=50), left_out)
    assert isinstance(only(again.outcomes), Gone)
    assert again.shrunk is None


def test_absent_ids_that_turn_up_shrink_the_pack_once() -> None:
    """An answer that was cut short makes packs smaller, and late answers to the same asking do not again."""
    many = judge(MANY)
    keys = HUNDRED[:50]
    assert weigh(many, call(*keys, reason=ABSENT, pack_max=50), found(*keys[:25])).shrunk == 50
    assert many.pack == 50
    assert weigh(many, call(*keys, reason=ABSENT, pack_max=50), found(*keys)).shrunk is None
    assert weigh(many, call(*keys[:25], reason=ABSENT, pack_max=25), found(*keys[:25])).shrunk == 25


def test_a_key_of_two_batches_keeps_its_items_once() -> None:
    """The second batch's job is found too and names the batch that holds the items."""
    jobs = (Job(BatchId(1), "1"), Job(BatchId(2), "1"))
    verdict = weigh(judge(MANY), Call("posts", jobs, ("1",)), found("1"))
    assert [outcome for _, outcome in verdict.outcomes] == [found("1").found["1"], Found(same_as=BatchId(1))]


def test_a_dead_key_stops_the_source_at_the_second_id() -> None:
    """401 for two different IDs without a good answer between them is no fault of the IDs: they stay owed."""
    one = judge(ONE)
    first = weigh(one, call("1"), Denied(401, "unauthorized", "Unauthorized"))
    second = weigh(one, call("2"), Denied(401, "unauthorized", "Unauthorized"))
    assert first.stop is None
    assert second.stop is not None
    assert "secret" in second.stop
    for verdict in (first, second):
        outcome = only(verdict.outcomes)
        assert isinstance(outcome, PutOff)
        assert not outcome.attempt


def test_a_dead_key_stops_the_source_when_only_one_id_is_left() -> None:
    """The same ID refused three times with no good answer between stops it too, instead of asking for ever."""
    one = judge(ONE)
    assert [weigh(one, call("1"), Denied(402, "credits")).stop is None for _ in range(3)] == [True, True, False]


def test_one_forbidden_id_among_good_ones_is_gone() -> None:
    """The same ID again with it, after a good answer, is gone with the API's words."""
    one, protected = judge(ONE), Denied(403, "protected", "Not yours")
    weigh(one, call("0"), found("0"))
    assert isinstance(only(weigh(one, call("1"), protected, now=1.0).outcomes), PutOff)
    weigh(one, call("2"), found("2"), now=2.0)
    again = weigh(one, call("1", reason="http-403"), protected, now=3.0)
    assert only(again.outcomes) == Gone("protected", "Not yours")
    assert again.stop is None


@pytest.mark.parametrize("status", [401, 402, 403])
def test_a_key_that_is_still_bad_after_a_start_writes_no_id_off(status: int) -> None:
    """What was denied before the start is owed until something was found after it."""
    one = Judge(ONE, Breaker("http://api"), Random(1), ever_good=True)
    for number in range(2):
        outcome = only(weigh(one, call(str(number), reason=f"http-{status}"), Denied(status, "denied")).outcomes)
        assert isinstance(outcome, PutOff)


def test_a_forbidden_id_in_a_pack_is_split_off() -> None:
    """Two packs in a row that hold one each do not stop a source that finds things."""
    many = judge(MANY)
    weigh(many, call("x"), found("x"))
    for keys in (HUNDRED[:50], HUNDRED[50:]):
        verdict = weigh(many, call(*keys), Denied(403, "protected"))
        assert verdict.stop is None
        assert all(isinstance(outcome, PutOff) and outcome.pack_max == 25 for _, outcome in verdict.outcomes)


async def test_a_pack_that_never_had_a_good_answer_is_halved_by_the_probes() -> None:
    """Where IDs that spoil their pack are in every pack, smaller ones find the good IDs; no attempt is spent."""
    many = judge(MANY)
    for _, outcome in weigh(many, call(*HUNDRED), Faulty("http-500"), was_closed=False).outcomes:
        assert isinstance(outcome, PutOff)
        assert (outcome.pack_max, outcome.attempt) == (50, False)
    for _, outcome in weigh(many, call(*HUNDRED), Faulty("timeout"), was_closed=False).outcomes:
        assert isinstance(outcome, PutOff)
        assert outcome.pack_max is None


async def test_an_outage_opens_the_breaker_and_spends_no_attempt() -> None:
    """With no good answer before, a 5xx blames nobody."""
    breaker = Breaker("http://api")
    one = judge(ONE, breaker)
    for number in range(50):
        verdict = weigh(one, call(str(number)), Faulty("http-503"), was_closed=breaker.closed)
        outcome = only(verdict.outcomes)
        assert isinstance(outcome, PutOff)
        assert not outcome.attempt
        assert verdict.opened is (number == TRIPS_AT - 1)
        assert verdict.stop is None


async def test_an_id_that_fails_again_after_others_succeeded_spends_its_tries() -> None:
    """A first 5xx blames nobody, since an outage begins like that; the next after a good answer does."""
    one = judge(ONE)
    weigh(one, call("0"), found("0"))
    first = only(weigh(one, call("1"), Faulty("http-500"), now=1.0).outcomes)
    weigh(one, call("2"), found("2"), now=2.0)
    second = only(weigh(one, call("1"), Faulty("http-500"), now=3.0).outcomes)
    assert isinstance(first, PutOff)
    assert isinstance(second, PutOff)
    assert (first.attempt, second.attempt) == (False, True)
    assert only(weigh(one, call("1", attempts=2), Faulty("http-500"), now=4.0).outcomes) == Failed("http-500")


async def test_what_is_in_the_air_when_an_outage_begins_never_fails_for_it() -> None:
    """However long it lasts: no good answer comes between the failures, so no attempt is spent."""
    breaker = Breaker("http://api")
    one = judge(ONE, breaker)
    weigh(one, call("0"), found("0"))
    for turn in range(200):
        for key in ("1", "2", "3"):
            verdict = weigh(one, call(key), Faulty("http-503"), now=1.0 + turn * 60, was_closed=turn == 0)
            outcome = only(verdict.outcomes)
            assert isinstance(outcome, PutOff)
            assert not outcome.attempt


async def test_an_id_that_is_known_to_be_found_tells_an_outage_from_a_bad_id() -> None:
    """Where only calls are left that have failed before, a control goes in their place, and only then."""
    one = judge(ONE)
    assert one.control(call("1")) is None
    weigh(one, call("0"), found("0"))
    weigh(one, call("1"), Faulty("http-500"))
    assert one.control(call("1")) == Call("posts", (), ("0",))
    assert one.control(call("2")) is None
    assert weigh(one, Call("posts", (), ("0",)), found("0")).outcomes == ()


async def test_a_poisoned_pack_is_split_while_others_succeed() -> None:
    """500 for a pack: halves, down to one, and no attempt for a pack."""
    many = judge(MANY)
    weigh(many, call("x"), found("x"))
    for _, outcome in weigh(many, call(*HUNDRED), Faulty("http-500")).outcomes:
        assert isinstance(outcome, PutOff)
        assert (outcome.pack_max, outcome.attempt) == (50, False)


def test_twenty_failures_alike_stop_a_source_that_is_declared_wrongly() -> None:
    """The same unreadable answer again and again is a wrong `items`, not a hundred bad IDs."""
    one = judge(ONE)
    verdicts = [weigh(one, call(str(n)), Unreadable("not-json")) for n in range(ALIKE_STOPS)]
    assert [verdict.stop is None for verdict in verdicts] == [True] * (ALIKE_STOPS - 1) + [False]


def test_not_found_stops_a_source_only_when_nothing_was_ever_found() -> None:
    """Twenty deleted IDs in a row are no fault; twenty 404s from the start are a wrong url."""
    wrong = judge(ONE)
    assert any(weigh(wrong, call(str(n)), Missing("http-404")).stop for n in range(ALIKE_STOPS))
    right = judge(ONE)
    weigh(right, call("0"), found("0"))
    assert not any(weigh(right, call(str(n)), Missing("http-404")).stop for n in range(3 * ALIKE_STOPS))


def test_refused_packs_do_not_stop_a_source_that_gives_good_answers() -> None:
    """A culprit in every pack is a matter of splitting, however many packs there are in a row."""
    many = judge(MANY)
    weigh(many, call("x"), found("x"))
    assert not any(weigh(many, call(*HUNDRED), Refused(400, "http-400")).stop for _ in range(3 * ALIKE_STOPS))


def test_a_call_that_is_told_to_wait_for_ever_gives_way() -> None:
    """Held back again and again while others are answered: a pack is split, one ID fails; else it waits on."""
    many = judge(MANY)
    weigh(many, call("x"), found("x"), now=5.0)
    for _, outcome in many.held_back(call(*HUNDRED), "http-429", 1.0).outcomes:
        assert isinstance(outcome, PutOff)
        assert outcome.pack_max == 50
    assert isinstance(only(many.held_back(call("1"), "http-429", 1.0).outcomes), Failed)
    for waiting in (call("1"), call(*HUNDRED)):
        for _, outcome in many.held_back(waiting, "http-429", 6.0).outcomes:
            assert isinstance(outcome, PutOff)
            assert (outcome.pack_max, outcome.attempt) == (None, False)


def test_an_id_that_cannot_be_asked_for_counts_for_nothing_else() -> None:
    """Nothing was sent: it is invalid, and no number of such IDs stops the source."""
    one = judge(ONE)
    for number in range(2 * ALIKE_STOPS):
        verdict = weigh(one, call(str(number)), Refused(0, "malformed"))
        assert only(verdict.outcomes) == Invalid("malformed")
        assert verdict.stop is None


def test_a_resumed_source_is_weighed_as_after_a_start() -> None:
    """What stopped it is forgotten: one more bad answer does not stop it, as many as the rule says do."""
    one = judge(ONE)
    denied = Denied(401, "unauthorized")
    assert weigh(one, call("1"), denied).stop is None
    assert weigh(one, call("2"), denied).stop is not None
    one.resume(ever_good=False)
    assert weigh(one, call("3"), denied).stop is None
    assert weigh(one, call("4"), denied).stop is not None
    wrong = judge(ONE)
    assert any(weigh(wrong, call(str(n)), Unreadable("not-json")).stop for n in range(ALIKE_STOPS))
    wrong.resume(ever_good=False)
    again = [weigh(wrong, call(str(n)), Unreadable("not-json")).stop is None for n in range(ALIKE_STOPS)]
    assert again == [True] * (ALIKE_STOPS - 1) + [False]


def test_a_source_that_is_resumed_after_not_found_alone_is_believed() -> None:
    """Somebody looked and let it go on: the IDs are gone, and it does not stop for them again."""
    doubted = judge(ONE)
    assert any(weigh(doubted, call(str(n)), Missing("http-404")).stop for n in range(ALIKE_STOPS))
    doubted.resume(ever_good=True)
    for number in range(3 * ALIKE_STOPS):
        verdict = weigh(doubted, call(str(number)), Missing("http-404"))
        assert (only(verdict.outcomes), verdict.stop) == (Gone("http-404"), None)

"""The second promise against limiters that others wrote; `make bench-limits` is the long version."""

import pytest
from bench.limiter import Limiter
from bench.scenario import LIMITERS, SCENARIOS, scenario
from bench.score import Head, Verdict, races, score
from bench.trial import run
from bench.wire import spoken

from collector.budget import headers

LIMIT, WINDOW = 20, 2
roomy = pytest.mark.timeout(20)  # the windows alone take five seconds


@roomy
@pytest.mark.parametrize(
    ("name", "seconds", "least"),
    # Half of a short window may go into resets in whole seconds, where it turns with the server's clock.
    [("fixed-x", 2, 0.85), ("moving-silent", 2, 0.85), ("swc", 4, 0.5), ("leaky", 2, 0.85)],
)
def test_a_real_limiter_refuses_nothing_and_is_used(name: str, seconds: int, least: float) -> None:
    """Whatever its window and its headers: no 429, and the second window is not wasted."""
    [result] = run(scenario(name, 10 * seconds, seconds), windows=2.5)
    assert (result.ours.granted, result.ours.refused, result.ours.other) == (25 * seconds, 0, 0)
    assert result.ours.steady
    assert result.ours.steady > least


@roomy
@pytest.mark.parametrize("name", ["fixed-x", "moving-silent"])
def test_a_start_right_after_a_kill_is_granted_nothing_anew(name: str) -> None:
    """kill -9 when two windows' worth was granted: what was sent before it still counts, so there is no 429."""
    [result] = run(scenario(name, LIMIT, WINDOW), windows=2.5, kill="spent")
    assert (result.ours.granted >= 50, result.ours.refused, result.ours.other) == (True, 0, 0)


@pytest.mark.parametrize("style", ["plain", "x", "draft7", "draft8"])
def test_each_style_of_headers_says_the_same_of_a_limit(style: str) -> None:
    """The bench's servers differ in their words alone, by a clock that is right or 7 s off."""
    now = 1_750_000_000.5
    told = [("X-RateLimit-Limit", "90"), ("X-RateLimit-Remaining", "12"), ("X-RateLimit-Reset", "1750000006")]
    for skew in (-7, 0, 7):
        limiter = Limiter(name="one", policy="fixed", headers=style, skew=skew)
        said = headers.read(dict(spoken(told, limiter, now)), now)
        assert (said.limit, said.remaining) == (90, 12)
        assert said.date == 1_750_000_000 + skew
        assert said.reset == pytest.approx(7.0)


def verdicts(*lines: tuple[float, int]) -> list[Verdict]:
    return [Verdict(t, status, "anon") for t, status in lines]


def test_a_score_counts_from_the_first_request_to_the_last_grant() -> None:
    """Two windows of two calls in 10 s, the second opened 1 s late: 11 s where 10 would do."""
    head = Head("fixed", "one", limit=2, window=10)
    judged = score(head, verdicts((100.0, 200), (100.0, 200), (105.0, 429), (110.5, 200), (111.0, 200)))
    assert (judged.granted, judged.refused, judged.most) == (4, 1, 2)
    assert (judged.seconds, judged.least, judged.ratio, judged.steady) == (11.0, 10.0, 1.1, None)


def test_steady_use_is_the_rate_between_the_second_window_and_the_last() -> None:
    """What the first window gives away in a burst is no steady use."""
    head = Head("moving", "one", limit=2, window=10)
    judged = score(head, verdicts(*((at, 200) for at in (0.0, 0.1, 10.0, 10.1, 22.5))))
    assert judged.steady == pytest.approx(10 / 12.5)


@pytest.mark.parametrize(
    ("policy", "count", "least"),
    [("fixed", 90, 0.175), ("fixed", 91, 9.0), ("moving", 270, 18.175), ("leaky", 111, 9.0), ("swc", 100, 7.0)],
)
def test_the_least_time_is_that_of_the_policy(policy: str, count: int, least: float) -> None:
    """Windows are waited for whole, a bucket and a counter that slides give a little at a time; 16 calls at once."""
    head = Head(policy, "one", limit=90, window=9, burst=20)
    assert head.least(count, began=3.0) == pytest.approx(least)


def test_the_least_time_under_two_limits_waits_for_the_one_that_is_spent() -> None:
    """10 a second and 25 in 10 s: two windows and a half of the short one, then the long one's end."""
    head = Head("fixed", "one", limit=10, window=1, second=(25, 10))
    assert head.least(25, began=0.0) == pytest.approx(2.0)
    assert head.least(26, began=0.0) == pytest.approx(10.0)


def test_a_race_is_lost_where_only_a_call_of_another_took_the_last_room() -> None:
    """A refusal that the latest header heard forbade is no race, nor is one that our own calls brought about."""

    def heard(left: int) -> Verdict:
        return Verdict(1.0, 200, "key", who="we", came=0.9, went=1.1, left=left)

    theirs = Verdict(1.5, 200, "key", who="they", came=1.4, went=1.6)
    refused = Verdict(2.0, 429, "key", who="we", came=1.9, went=2.1, left=0)
    assert races([heard(1), theirs, refused], "we", limit=5) == 1
    assert races([heard(0), theirs, refused], "we", limit=5) == 0
    assert races([heard(1), refused], "we", limit=5) == 0


def test_every_name_of_the_bench_stands_for_a_scenario() -> None:
    """Under its own name, so that its line of the table can be found."""
    for name in (*LIMITERS, *SCENARIOS):
        assert scenario(name, LIMIT, WINDOW).limiter.name == name

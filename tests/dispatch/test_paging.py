"""Lists: from page to page, to their end, and begun anew."""

from itertools import cycle, islice
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.dispatch import paging
from collector.dispatch.breaker import Breaker
from collector.dispatch.judge import ALIKE_STOPS, Judge
from collector.model import BatchId, Call, Cursor, Failed, Found, Gone, Invalid, Item, Job, MorePages, Outcome, PutOff
from collector.sources.answer import Good, Missing, Reading, Refused, Unreadable
from collector.sources.spec import Spec

LIST = Spec.model_validate(
    {"url": "http://api/users/{id}/followers", "items": "data", "next": {"from": "next", "to": "cursor"}, "tries": 3}
)
PAGE = Found((Item("1", "{}"), Item("2", "{}")))


def job(cursor: Cursor | None = None, attempts: int = 0) -> Job:
    return Job(BatchId(1), "7", attempts=attempts, cursor=cursor)


def weighed(judge: Judge, one: Job, reading: Reading) -> Outcome:
    [(_, outcome)] = judge.weigh(Call("followers", (one,), (one.key,)), reading, 0.0, was_closed=True).outcomes
    return outcome


@pytest.fixture
def judge() -> Judge:
    return Judge(LIST, Breaker("http://api"), Random(1), ever_good=True)


def test_a_page_with_a_cursor_leads_to_the_next_one(judge: Judge) -> None:
    """Its items are kept, and the job is due again with what the API gave."""
    first = weighed(judge, job(), Good({"7": PAGE}, {}, (), next="b"))
    assert first == MorePages(PAGE.items, Cursor("b", pages=1, mark="b"))
    second = weighed(judge, job(first.cursor), Good({"7": PAGE}, {}, (), next="c"))
    assert isinstance(second, MorePages)
    assert (second.cursor.next, second.cursor.pages) == ("c", 2)


def test_a_page_without_a_cursor_is_the_last(judge: Judge) -> None:
    """A list of one page is found like any answer, and so is one that ends."""
    assert weighed(judge, job(), Good({"7": PAGE}, {}, ())) == PAGE
    assert weighed(judge, job(Cursor("b", 4)), Good({"7": PAGE}, {}, ())) == PAGE


def test_a_list_is_cut_at_max_pages_and_says_so() -> None:
    """The last page that may be asked for ends the job, though the API has more."""
    cut = paging.turned(job(Cursor("b", 19)), PAGE, "c", max_pages=20)
    assert isinstance(cut, Found)
    assert "cut after 20 pages" in cut.detail
    assert isinstance(paging.turned(job(Cursor("b", 18)), PAGE, "c", max_pages=20), MorePages)


@given(before=st.integers(0, 40), circle=st.integers(2, 40))
def test_a_list_in_a_circle_ends(before: int, circle: int) -> None:
    """However long the way into it and the circle itself are, each of its pages was asked for at least once."""
    cursors = [*(f"in {i}" for i in range(before)), *islice(cycle(f"round {i}" for i in range(circle)), 400)]
    one = job()
    seen: set[str] = set()
    for following in cursors:
        turned = paging.turned(one, PAGE, following, None)
        if isinstance(turned, Found):
            break
        one = job(turned.cursor)
        seen.add(turned.cursor.next)
    else:
        pytest.fail("it goes on for ever")
    assert seen == set(cursors)
    assert "earlier page" in turned.detail


@pytest.mark.parametrize(
    "reading",
    [
        Missing("cursor", "kept while next was declared otherwise"),
        Refused(400, "http-400", "bad token"),
        Missing("http-404"),
        Refused(422, "old"),
    ],
)
def test_an_expired_cursor_begins_the_list_anew(judge: Judge, reading: Reading) -> None:
    """The API took the ID when the list was begun, so a refusal in its middle speaks of the cursor."""
    outcome = weighed(judge, job(Cursor("b", 7)), reading)
    assert isinstance(outcome, PutOff)
    assert (outcome.reason, outcome.attempt, outcome.cursor) == ("cursor-expired", False, Cursor("", 0, 1, known=7))


def test_a_list_that_never_comes_to_its_end_fails_in_the_end(judge: Judge) -> None:
    """A cursor that is always too old costs `tries` beginnings and no more."""
    outcome = weighed(judge, job(Cursor("b", 7, restarts=3)), Refused(400, "http-400", "bad token"))
    assert isinstance(outcome, Failed)
    assert outcome.reason == "cursor-expired"
    assert "bad token" in outcome.detail


def test_on_a_first_page_a_refusal_means_the_id(judge: Judge) -> None:
    """What is no cursor has not expired; and so it is on the first page of a list that was begun anew."""
    assert weighed(judge, job(), Refused(400, "http-400")) == Invalid("http-400")
    assert weighed(judge, job(Cursor("", restarts=1)), Missing("http-404")) == Gone("http-404")


def test_a_page_that_can_never_be_read_begins_the_list_anew(judge: Judge) -> None:
    """Some APIs answer an expired cursor with a 200 that says nothing; the tries are spent on it first."""
    again = weighed(judge, job(Cursor("b", 7), attempts=1), Unreadable("error", "gone"))
    assert isinstance(again, PutOff)
    assert (again.attempt, again.cursor) == (True, None)
    outcome = weighed(judge, job(Cursor("b", 7), attempts=2), Unreadable("error", "gone"))
    assert isinstance(outcome, PutOff)
    assert outcome.cursor == Cursor("", restarts=1, known=7)


def test_many_expired_cursors_do_not_stop_the_source() -> None:
    """After a long stop every list that was begun has one."""
    judge = Judge(LIST, Breaker("http://api"), Random(1))
    for number in range(2 * ALIKE_STOPS):
        one = Job(BatchId(1), str(number), cursor=Cursor("b", 1))
        verdict = judge.weigh(Call("followers", (one,), (one.key,)), Refused(400, "http-400"), 0.0, was_closed=True)
        assert verdict.stop is None

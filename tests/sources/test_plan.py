"""What so many IDs would take, before anything is spent."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.budget.limit import Limit, Unit
from collector.sources.plan import Change, Money, Plan, Terms, changes, plan, room
from collector.sources.spec import Spec


def spec(**keys: Any) -> Spec:
    """A source whose calls carry several IDs."""
    return Spec.model_validate({"url": "http://127.0.0.1/x", "params": {"ids": "{ids}"}, "pack": 100, **keys})


def terms(shared: tuple[str, ...] = (), **keys: Any) -> Terms:
    """The terms of such a source."""
    declared = spec(**keys)
    return Terms(declared, declared.limit, tuple(map(Limit.parse, shared)), declared.parallel)


def shown(found: tuple[Change, ...]) -> list[str]:
    return [str(change.limit or change.pack) for change in found]


def test_requests_and_windows_are_those_of_whole_packs() -> None:
    """1,080,000 IDs in packs of 100 are 12 windows of 900 calls; one more ID opens the next."""
    asked = terms(limit=["900/15m"])
    twelve, more = plan(1_080_000, asked), plan(1_080_001, asked)
    assert (twelve.calls, twelve.taken[0].windows, twelve.taken[0].first) == (10_800, 12, 90_000)
    assert (more.calls, more.taken[0].windows) == (10_801, 13)
    assert 11 * 900 < twelve.span.earliest <= twelve.span.likely <= twelve.span.latest < 13 * 900


def test_nothing_to_ask_takes_nothing() -> None:
    """No call, no window, no time, no money."""
    asked = terms(limit=["900/15m"], price={"call": 1})
    none = plan(0, asked)
    assert (none.calls, none.items, none.taken[0].windows, none.span.latest) == (0, 0, 0, 0)
    assert none.price == Money(0, 0, "USD")
    assert changes(none, asked) == ()


def test_a_months_cap_in_items_holds_it_up_where_all_are_found() -> None:
    """A call goes when the most that it may return is free: 25 of 100 in 2,599 items, the rest a month later."""
    made = plan(3_000, terms(("2599 items/30d",), limit=["900/15m"], budget="money"))
    taken = made.taken[1]
    assert (taken.budget, taken.most, taken.windows, taken.first) == ("money", 3_000, 2, 2_500)
    assert made.span.earliest < 60
    assert made.span.latest > 30 * 86_400


def test_units_are_what_each_call_costs() -> None:
    """20 calls of five units fit into a hundred a day."""
    made = plan(2_100, terms(limit=["100 units/1d at 00:00 UTC"], cost=5))
    assert (made.units, made.taken[0].most, made.taken[0].windows, made.taken[0].first) == (105, 105, 2, 2_000)


@pytest.mark.parametrize(
    ("per_call", "items"),
    [(None, 250), (60, 180), (100, 250), (1_000, 3_000)],
)
def test_items_are_at_most_what_the_answers_can_hold(per_call: int | None, items: int) -> None:
    """One for each ID, unless answers hold fewer, or more than the IDs that they were asked for."""
    assert plan(250, terms(per_call=per_call)).items == items


def test_the_price_is_a_range_from_nothing_found_to_everything() -> None:
    """Calls are paid in any case, objects as they come."""
    price = {"item": 0.005, "call": 0.1, "also": {"includes.users": 0.01}, "currency": "EUR"}
    assert plan(200, terms(price=price)).price == Money(0.2, 1.2, "EUR")
    assert plan(200, terms()).price is None


def test_another_pack_changes_what_calls_cost() -> None:
    """Each pack that APIs take is told once, with what it would cost."""
    asked = terms(limit=["900/15m"], price={"call": 0.1})
    found = changes(plan(2_000, asked), asked)
    assert shown(found)[:4] == ["1", "10", "25", "50"]
    assert [change.plan.calls for change in found[:4]] == [2_000, 200, 80, 40]
    assert found[0].plan.price == Money(200, 200, "USD")


def test_only_what_makes_a_difference_is_told() -> None:
    """Not the pack that is declared, not what changes seconds, and no pack where one ID goes in a call."""
    few = terms(limit=["900/15m"])
    assert changes(plan(3, few), few) == ()
    single = Spec.model_validate({"url": "http://127.0.0.1/{id}", "limit": ["900/15m"]})
    asked = Terms(single, single.limit)
    assert shown(changes(plan(1_000, asked), asked)) == ["1800 calls in 15 min"]


def test_a_pack_that_no_window_would_let_go_is_not_told() -> None:
    """Forty items a day let no call of fifty go; one of twenty-five leaves fifteen unused, which smaller ones use."""
    asked = terms(limit=["40 items/1d"], pack=25)
    now = plan(1_000, asked)
    assert now.taken[0].windows == 40
    assert 39 * 86_400 < now.span.likely < 40 * 86_400
    found = changes(now, asked)
    assert shown(found)[0] == "10"
    assert found[0].plan.taken[0].windows == 25
    assert not {"1", "50", "100"} & {*shown(found)}


def test_a_call_with_fewer_ids_than_it_may_carry_gives_back_what_it_did_not_take() -> None:
    """Where a URL holds 30 IDs, 2,000 items are 66 calls; 64 where each call must have room for a hundred."""
    limits = (Limit.parse("2000 items/30d"),)
    free, declared = Terms(spec(), limits, room=30), Terms(spec(per_call=100), limits, room=30)
    assert [plan(ids, free).taken[0].windows for ids in (1_980, 2_000, 2_001)] == [1, 1, 2]
    assert [plan(ids, declared).taken[0].windows for ids in (1_920, 1_921)] == [1, 2]


def test_a_last_call_of_few_ids_goes_where_a_full_one_may_not() -> None:
    """2,110 IDs fit into 2,110 items, though the last call is no whole one."""
    asked = terms(limit=["2110 items/30d"])
    assert (plan(2_110, asked).taken[0].windows, plan(2_110, asked).span.latest < 60) == (1, True)
    assert (plan(2_111, asked).taken[0].windows, plan(2_111, asked).span.latest > 86_400) == (2, True)
    assert plan(4_210, asked).taken[0].windows == 2


def test_the_limit_that_would_be_done_in_an_hour_and_in_a_day_is_told() -> None:
    """Beside twice the limit that holds it up; it is done in time with each, and in two digits."""
    single = Spec.model_validate({"url": "http://127.0.0.1/{id}", "limit": ["450/15m", "100/1s"], "parallel": 100})
    asked = Terms(single, single.limit, parallel=100)
    now = plan(500_000, asked)
    found = changes(now, asked)
    assert now.span.likely > 11 * 86_400
    assert [change.limit and change.limit.seconds for change in found] == [900, 900]
    assert shown(found)[0] == "900 calls in 15 min"
    assert 82_000 < found[1].plan.span.likely <= 86_400  # for an hour, a hundred a second are too few


def test_ids_that_are_too_long_for_a_url_go_in_smaller_packs() -> None:
    """The room of a URL is what the requests are made by."""
    long = [f"10.1234/{'x' * 390}{number:02}" for number in range(50)]
    assert 18 <= room(spec(), long) <= 20
    assert room(spec(), [str(10**18 + number) for number in range(50)]) > 300
    assert room(spec(), []) == math.inf
    made = plan(1_000, Terms(spec(), (), room=room(spec(), long)))
    assert 50 <= made.calls <= 56


def test_ids_that_hold_the_joiner_go_alone() -> None:
    """Half of them alone, the others in packs."""
    mixed = ["a,b", "c"] * 50
    made = plan(1_000, Terms(spec(pack=10), (), room=room(spec(pack=10), mixed)))
    assert made.calls == 500 + 50


def test_a_body_has_room_for_any_pack() -> None:
    """What stands in no URL does not make it longer."""
    posted = Spec.model_validate({"url": "http://127.0.0.1/x", "method": "POST", "json": {"ids": "{ids}"}, "pack": 500})
    assert room(posted, ["x" * 5_000]) == math.inf


LIMITS = st.lists(
    st.builds(Limit, st.integers(200, 100_000), st.sampled_from([1.0, 60.0, 900.0, 86_400.0]), st.sampled_from(Unit)),
    max_size=3,
)
ASKED = st.builds(
    lambda limits, pack, cost, price, room: Terms(
        spec(pack=pack, cost=cost, price=price), tuple(limits), parallel=8, room=room
    ),
    LIMITS,
    st.integers(1, 100),
    st.integers(1, 10),
    st.none() | st.builds(lambda item, call: {"item": item, "call": call}, st.floats(0, 1), st.floats(0, 1)),
    st.floats(0.5, 200) | st.just(math.inf),
)


@given(st.integers(0, 10**7), st.integers(0, 10**6), ASKED)
def test_more_ids_never_take_less(ids: int, more: int, asked: Terms) -> None:
    """Of anything: calls, items, windows, time and money."""
    less, greater = plan(ids, asked), plan(ids + more, asked)
    assert less.calls <= greater.calls
    assert less.items <= greater.items
    assert less.span.likely <= greater.span.likely * (1 + 1e-9)
    assert all(a.windows <= b.windows and a.most <= b.most for a, b in zip(less.taken, greater.taken, strict=True))
    if less.price and greater.price:
        assert less.price.least <= less.price.most <= greater.price.most


@given(st.integers(1, 10**7), ASKED)
def test_the_figures_of_a_plan_agree(ids: int, asked: Terms) -> None:
    """Packs hold all IDs, windows hold all calls, the first window is no more than all, and times are in order."""
    made = plan(ids, asked)
    assert (made.calls - 1) * asked.pack < ids <= made.calls * asked.pack + 1e-6
    for taken in made.taken:
        if taken.limit.unit is not Unit.ITEMS:
            at_once = taken.limit.count // asked.spec.most(taken.limit.unit)
            assert (taken.windows - 1) * at_once < made.calls <= taken.windows * at_once
        assert 0 < taken.first <= ids
        assert (taken.windows == 1) == (taken.first == ids) or asked.pack != int(asked.pack)
    assert 0 < made.span.earliest <= made.span.likely <= made.span.latest


@given(st.integers(0, 10**6), ASKED)
def test_changes_are_few_different_and_never_slower_for_a_higher_limit(ids: int, asked: Terms) -> None:
    """Four packs and three limits at most."""
    now = plan(ids, asked)
    found = changes(now, asked)
    limits = [change for change in found if change.limit]
    assert len(found) - len(limits) <= 5
    assert len(limits) <= 3
    assert all(change.plan.span.likely < now.span.likely for change in limits)
    assert all(_other(change, now) for change in found)


def _other(change: Change, now: Plan) -> bool:
    return change.plan.span != now.span or change.plan.price != now.price

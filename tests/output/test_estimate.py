"""A plan in words."""

from datetime import UTC, datetime
from typing import Any

import pytest

from collector.budget.limit import Limit
from collector.output import estimate
from collector.sources.plan import Terms, changes, plan
from collector.sources.rules import Price
from collector.sources.spec import Spec

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()


def terms(**keys: Any) -> Terms:
    declared = Spec.model_validate({"url": "http://127.0.0.1/x", "params": {"ids": "{ids}"}, "pack": 100, **keys})
    return Terms(declared, declared.limit)


def moment(wall: float) -> str:
    return datetime.fromtimestamp(wall, UTC).isoformat()


def test_a_receipt_has_requests_windows_time_and_price_in_three_lines() -> None:
    """A stranger knows what is to come."""
    asked = terms(limit=["900/15m"], price={"item": 0.005})
    requests, time, price = estimate.estimate(plan(1_080_000, asked), asked)
    assert requests == "10,800 requests of up to 100 IDs; 12 windows of 900 calls in 15 min"
    assert time.startswith("about 3 h")
    assert ", between 2 h 45 min and " in time
    assert time.endswith(", as if nothing else drew from the limits")
    assert price == "at most 5,400.00 USD: 0.005 for each object returned"


def test_one_request_is_no_plural() -> None:
    """And limits of seconds are named without a count of windows that nobody wants to know."""
    asked = terms(limit=["900/15m", "5/1s"])
    assert estimate.estimate(plan(5, asked), asked) == (
        "1 request; 1 window of 900 calls in 15 min, 5 calls in 1 s",
        "about 1 s, as if nothing else drew from the limits",
    )


def test_without_a_limit_it_says_what_it_does_not_know() -> None:
    """No promise is made for an API whose limit is not declared."""
    asked = terms()
    requests, time = estimate.estimate(plan(10_000, asked), asked)
    assert requests == "100 requests of up to 100 IDs; no limit is declared"
    assert time.endswith("or more: the API's own limit decides")


def test_when_all_is_collected_nothing_is_to_be_asked() -> None:
    """No range of zeros."""
    assert estimate.estimate(plan(0, terms()), terms()) == ("nothing is to be asked",)


@pytest.mark.parametrize(
    ("price", "said"),
    [
        ({"call": 0.001}, ["0.022 USD: 0.001 for each call"]),
        ({"call": 0.0001}, ["0.0022 USD: 0.0001 for each call"]),
        ({"item": 0.0001}, ["at most 0.2115 USD: 0.0001 for each object returned"]),
        (
            {"item": 0.005, "call": 1, "currency": "EUR"},
            ["22.00 to 32.58 EUR: 1 for each call, 0.005 for each object returned"],
        ),
        (
            {"also": {"includes.users": 0.01}},
            [
                "0.00 USD: nothing for calls and objects",
                "and 0.01 for each object at includes.users, however many come: 21.15 if each ID brings one",
            ],
        ),
    ],
)
def test_the_price_says_by_what_it_comes(price: dict[str, Any], said: list[str]) -> None:
    """A range where objects may be missing, and no promise of what nobody can count before."""
    asked = terms(price=price)
    assert estimate.price(plan(2_115, asked), asked.spec) == said


def test_a_months_cap_says_after_how_many_ids_and_until_when() -> None:
    """In the words of the one who reads: what is spent, and when it goes on if it began now."""
    asked = terms(limit=["2000 items/30d", "10/1m"])
    assert estimate.pauses(plan(2_500, asked), NOW, moment) == [
        "after 2,000 IDs, if all are found, since 2,000 items in 30 d are spent then",
        "and goes on 2026-12-23T12:00:00+00:00 if it began now",
    ]
    assert estimate.pauses(plan(2_000, asked), NOW, moment) == []


def test_a_day_by_a_clock_goes_on_when_that_clock_says_so() -> None:
    """Midnight in Los Angeles is eight in the morning in UTC."""
    asked = terms(limit=["10 units/1d at 00:00 America/Los_Angeles"])
    assert estimate.pauses(plan(1_001, asked), NOW, moment) == [
        "after 1,000 IDs, since 10 units in 1 d at 00:00 America/Los_Angeles are spent then",
        "and goes on 2026-11-24T08:00:00+00:00 if it began now",
    ]


def test_a_shared_budget_is_named() -> None:
    """So that the reader finds it in the configuration."""
    declared = terms(budget="money").spec
    asked = Terms(declared, (), (Limit.parse("2000 items/30d"),))
    assert estimate.windows(plan(2_500, asked)) == ["2 windows of 2,000 items in 30 d (budget money), if all are found"]


def test_what_would_change_it_is_a_small_table() -> None:
    """With a column for the price where there is one."""
    asked = terms(limit=["900/15m"], pack=50, price={"call": 1})
    now = plan(100_000, asked)
    table = estimate.changes(changes(now, asked), now, asked.spec)
    assert table[0] == "What would change it, where the API allows it:"
    assert table[1].split() == ["requests", "time", "price"]
    assert [line.split("  ")[1] for line in table[2:6]] == [
        "as declared",
        "one ID a call",
        "10 IDs a call",
        "25 IDs a call",
    ]
    assert "100 IDs a call" in table[6]
    assert table[6].endswith("1,000.00 USD")
    assert "1,800 calls in 15 min" in table[7]
    assert estimate.changes((), now, asked.spec) == []


def test_ids_that_do_not_fit_are_told() -> None:
    """A pack that is smaller than the declared one needs a reason."""
    asked = Terms(terms().spec, (), room=37.4)
    assert estimate.requests(plan(1_000, asked), asked).startswith(
        "27, of about 37 IDs, since more of these do not fit"
    )


def test_money_is_rounded_up() -> None:
    """At most is at most."""
    assert [estimate.money(amount) for amount in (0, 0.00002, 0.1, 0.3, 1.2, 3.001, 12_345.6)] == [
        "0.00", "0.00002", "0.10", "0.30", "1.20", "3.01", "12,345.60"
    ]  # fmt: skip


def test_what_beside_the_objects_costs_is_told() -> None:
    """As `check` prints it."""
    price = Price.model_validate({"item": 0.005, "also": {"includes.users": 0.01}})
    assert estimate.rates(price) == ["0.005 for each object returned"]
    assert estimate.besides(price) == ["0.01 for each object at includes.users"]

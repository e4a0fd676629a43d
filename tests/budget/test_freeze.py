"""What "slow down" means."""

import pytest

from collector.budget.freeze import LEAST, Freeze, Signal, length, signal
from collector.budget.headers import Said
from collector.budget.limit import Limit

X = (Limit(900, 900.0),)


@pytest.mark.parametrize(
    ("status", "said", "expected"),
    [
        (429, Said(), Signal.WAIT),
        (429, Said(remaining=40), Signal.WAIT),
        (503, Said(retry_after=3.0), Signal.WAIT),
        (403, Said(retry_after=0.0), Signal.WAIT),
        (403, Said(remaining=0), Signal.WAIT),
        (403, Said(remaining=14), Signal.GO),
        (503, Said(remaining=0), Signal.GO),
        (200, Said(retry_after=60.0), Signal.GO),
        (404, Said(remaining=0), Signal.GO),
    ],
)
def test_only_some_answers_mean_wait(status: int, said: Said, expected: Signal) -> None:
    """Every other answer keeps its meaning, whatever its headers say."""
    assert signal(status, said) is expected


@pytest.mark.parametrize(
    ("said", "in_a_row", "limits", "seconds"),
    [
        (Said(remaining=0, reset=61.0, retry_after=5.0), 1, X, 61.0),
        (Said(remaining=3, reset=61.0, retry_after=5.0), 1, X, 5.0),
        (Said(retry_after=5.0), 1, X, 5.0),
        (Said(), 1, X, 1.0),
        (Said(), 4, X, 8.0),
        (Said(), 100, X, 900.0),
        (Said(), 1, (Limit(90, 9.0),), 0.5),
        (Said(), 2, (Limit(1, 1.0),), 1.0),
        (Said(), 1, (), 60.0),
        (Said(), 3, (), 240.0),
        (Said(), 100, (), 900.0),
        (Said(retry_after=0.0), 1, X, 1.0),
        (Said(retry_after=-40.0), 2, X, 2.0),
        (Said(remaining=0, retry_after=7.0), 1, X, 7.0),
        (Said(retry_after=0.001), 1, X, LEAST),
        (Said(retry_after=0.001), 3, X, 4.0),
        (Said(remaining=0, reset=2.5e11), 1, X, 3600.0),
        (Said(remaining=0, reset=2.5e11), 1, (Limit(9, 86_400.0),), 86_400.0),
        (Said(retry_after=2.5e11), 1, X, 86_400.0),
    ],
)
def test_a_freeze_lasts_as_told_or_doubles(
    said: Said, in_a_row: int, limits: tuple[Limit, ...], seconds: float
) -> None:
    """Reset, Retry-After, doubling wait, in this order; with a floor and with a cap."""
    assert length(said, in_a_row, limits) == seconds


def test_refusals_of_calls_sent_before_a_freeze_say_nothing_new() -> None:
    """Sixteen calls in the air bring sixteen refusals and one freeze."""
    freeze = Freeze()
    assert freeze.refused(sent_at=9.0, now=10.0, said=Said(), limits=X)
    assert not freeze.refused(sent_at=9.5, now=10.1, said=Said(), limits=X)
    assert not freeze.scout_returned(sent_at=9.5)
    assert (freeze.in_a_row, freeze.until) == (1, 11.0)
    assert freeze.refused(sent_at=11.0, now=11.1, said=Said(), limits=X)
    assert (freeze.in_a_row, freeze.until) == (2, 13.1)
    assert freeze.scout_returned(sent_at=13.2)
    assert freeze.in_a_row == 0

"""What the bench says of its figures."""

import math

import pytest
from bench.optimum import GRACE, allowed
from bench.peers.environment import Absent
from bench.peers.servers import found
from bench.results import Figure, Section, Wanted, document, summary


@pytest.mark.parametrize(
    ("value", "wanted", "reached"),
    [
        (0.75, Wanted(least=0.75), True),
        (0.7499, Wanted(least=0.75), False),
        (1.5, Wanted(most=1.5), True),
        (1.51, Wanted(most=1.5), False),
        (0.89, Wanted(0.9, 1.1), False),
        (1.0, Wanted(0.9, 1.1), True),
        (1.11, Wanted(0.9, 1.1), False),
        (math.nan, Wanted(least=0.0), False),
    ],
)
def test_a_figure_is_judged_as_it_was_measured(value: float, wanted: Wanted, reached: bool) -> None:
    """Both ends count as reached, rounding does not help, and what is no number is never reached."""
    figure = Figure("speed", value, wanted)
    assert figure.reached is reached
    assert figure.cells()[3] == ("yes" if reached else "**no**")


def test_a_wish_is_told_in_the_figures_own_unit() -> None:
    """A reader sees the bounds beside the number."""
    assert Figure("memory", 67.7, Wanted(most=60), "{:.1f} MB").cells() == (
        "memory",
        "67.7 MB",
        "at most 60.0 MB",
        "**no**",
    )
    assert Figure("ratio", 1.0, Wanted(0.9, 1.1)).cells()[2] == "0.90 to 1.10"


def test_what_was_missed_or_left_out_stands_on_top() -> None:
    """Nobody has to look for a no among many yes, and what could not be measured is not taken for reached."""
    good, bad = Figure("speed", 1.0, Wanted(least=0.75)), Figure("CPU", 2.0, Wanted(most=1.5))
    sections = [
        Section("one", "How.", figures=[good, bad]),
        Section("two", "How.", left_out=["huey, since it is gone"]),
    ]
    text = document("Here.", sections)
    assert summary(sections) in text
    assert summary(sections).splitlines() == [
        "1 of 2 figures are as they are wanted. What is not:",
        "",
        "- one: CPU is 2.00, wanted at most 1.50",
        "- two: left out is huey, since it is gone",
    ]
    assert summary([Section("one", "How.", figures=[good])]) == "1 of 1 figures are as they are wanted."


def test_a_table_has_a_cell_for_each_head() -> None:
    """Markdown needs a rule as wide as the heads."""
    text = Section("one", "How.", ("side", "IDs/s"), [("bare", "1"), ("collector", "2")]).text()
    assert [line.count("|") for line in text.splitlines() if line.startswith("|")] == [3] * 4


def test_a_limited_run_may_take_a_part_more_or_a_moment() -> None:
    """Whichever is more."""
    assert allowed(0.0) == pytest.approx(GRACE)
    assert allowed(100.0) == pytest.approx(105.0)


def test_a_server_that_is_not_installed_is_named() -> None:
    """Whoever reads why a peer was left out knows what to install."""
    with pytest.raises(Absent, match=r"^no-such-server is not installed$"):
        found("no-such-server")

"""What the log tells of each window."""

import pytest

from collector.budget.limit import Limit
from collector.dispatch.diary import window


@pytest.mark.parametrize(
    ("limits", "seconds"),
    [
        ([], 900.0),
        (["1/1s"], 60.0),
        (["900/15m"], 900.0),
        (["5000/1h", "900/1m"], 3600.0),
        (["900/15m", "3000000 items/30d"], 900.0),
        (["10000/1d"], 3600.0),
    ],
)
def test_a_line_comes_a_window_but_not_more_often_than_each_minute(limits: list[str], seconds: float) -> None:
    """And each hour at the latest."""
    assert window(tuple(map(Limit.parse, limits))) == seconds

from random import Random

import pytest

from collector.dispatch import retry


@pytest.mark.parametrize(("attempts", "most"), [(1, 1), (2, 2), (3, 4), (9, 256), (10, 300), (1000, 300)])
def test_waits_double_up_to_five_minutes_with_full_jitter(attempts: int, most: float) -> None:
    """Delays lie anywhere between nothing and the bound of their attempt."""
    delays = [retry.delay(attempts, Random(seed)) for seed in range(500)]
    assert 0 <= min(delays) < 0.05 * most
    assert 0.95 * most < max(delays) <= most

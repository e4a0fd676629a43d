from collector.store.portion import MOST, Portion


def test_a_slow_disk_makes_the_commits_smaller_and_a_quick_one_larger_again() -> None:
    """No commit holds other writers up for long, and none is smaller than pays."""
    portion, sizes = Portion(1_000), []
    for seconds in (0.2, 0.2, 0.2, 0.2, 0.2, 0.001, 0.001):
        portion.took(MOST, seconds)
        sizes.append(portion.rows)
    assert sizes == [5_000, 2_500, 1_250, 1_000, 1_000, 2_000, 4_000]

"""How large the database will be."""

from collector.model import Space, Tally
from collector.output.growth import forecast, shortage

SPACE = Space("/data", free=5 * 10**9, database=12 * 10**8)


def test_what_a_source_brought_tells_what_it_will_bring() -> None:
    """Each source by itself; one that has brought little yet by all that is stored."""
    tallies = {"posts": Tally(found=900, gone=100, items=900, size=900 * 2_000), "new": Tally(found=5)}
    assert forecast(SPACE, {}, tallies, 10) == SPACE.database
    assert forecast(SPACE, {"posts": 10**6}, tallies, 10) == SPACE.database + 10**6 * 2_772
    assert forecast(SPACE, {"new": 10**6}, tallies, 10**6) == 2 * SPACE.database
    assert forecast(SPACE, {"new": 1}, tallies, 0) is None


def test_what_will_not_fit_is_told_before_it_pauses() -> None:
    """What is there, what will be, what is free and what is to stay so."""
    assert shortage(SPACE, 10**9, None) is None
    assert shortage(SPACE, 10**9, 52 * 10**8) is None
    assert shortage(SPACE, 6 * 10**9, 54 * 10**8) is None  # it pauses already, which is told by itself
    assert shortage(SPACE, 10**9, 54 * 10**8) == (
        "collector.db has 1.2 GB and will have about 5.4 GB when all that is open is done; 5 GB are free in /data and"
        " 1 GB of them are kept free (min_free): make room before it pauses"
    )

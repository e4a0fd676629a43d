"""Stops at random moments, as `python -m bench.stops` makes many more of."""

from pathlib import Path

import pytest
from bench import stops


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_a_stop_at_any_moment_is_whole_and_soon(tmp_path: Path) -> None:
    """Exit 0 within 5 s of a busy service's SIGTERM: no half of a file, no socket, no lock, books that balance, and in
    the end each ID recorded once."""
    with stops.api(tmp_path / "api.jsonl", latency="20-200") as url:
        took, wrong, _ = stops.stopped(stops.Run(tmp_path, url), stops=3, kills=0, seed=3, wait=1.2)
    assert wrong == []
    assert max(took) < 5

"""Stops at random moments, as `python -m bench.stops` makes many more of."""

from pathlib import Path

import pytest
from bench import stops


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_a_stop_at_any_moment_is_whole_and_soon(tmp_path: Path) -> None:
    """Exit 0 within 5 s of a busy service's SIGTERM: no half of a file, no socket, no lock, books that balance, and in
    the end each ID recorded once."""
    with stops.api(tmp_path / "api.jsonl", latency="20-100") as url:
        run = stops.Run(tmp_path, url)
        taken, wrong = stops.stopped(run, stops=4, kills=0, seed=3, wait=0.6, aims={"start": 1, "any": 3})
    assert wrong == []
    assert max(stop.seconds for stop in taken) < 5
    assert run.asked_again(tmp_path / "api.jsonl")[1] == 0

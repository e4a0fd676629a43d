"""How large the measurements are, as the command line says."""

from typing import NamedTuple


class Given(NamedTuple):
    """Sizes."""

    rounds: int
    jobs: int  # of a scenario against a bare loop
    rows: int  # IDs that are taken in
    scale_rows: int  # of the large databases
    items: int  # that are exported
    idle_seconds: float
    windows: tuple[float, ...]  # windows' worth of IDs under a limit
    peer_jobs: int
    reference: str | None = None  # a program with the same loops as bench/bare.py

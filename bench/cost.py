"""What work cost a process, by its own account and by the kernel's."""

import os
from pathlib import Path
from typing import NamedTuple

_TICK = os.sysconf("SC_CLK_TCK")


class Cost(NamedTuple):
    """Units (IDs) a second, seconds of processor for one, and the most memory that the process held."""

    speed: float
    cpu: float
    rss: int  # bytes


def cpu(pid: int) -> float:
    """Seconds of processor that a process has used till now, all its threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def rss(pid: int | str, what: str = "VmHWM") -> int:
    """Bytes that a process held at most; getrusage would also tell what its parent had when it started it."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{what}:"))


def own_rss() -> int:
    """Of this process."""
    return rss("self")

"""Wall time for what is stored, monotonic time for what is measured, as one small thing that tests replace."""

import time
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

LAST = 253_370_764_800.0  # from here on some zone has no date for a wall time: the end of the year 9998
BEYOND = "after the year 9998"
_BOOT = Path("/proc/sys/kernel/random/boot_id")


class Clock:
    """The machine's two clocks."""

    def wall(self) -> float:
        """Seconds since the epoch, UTC; may jump when somebody sets the clock."""
        return time.time()

    def mono(self) -> float:
        """Seconds of the event loop's own clock; never jumps, means nothing after the machine was started anew."""
        return time.monotonic()

    def boot(self) -> str:
        """Two processes that get the same text share the monotonic clock; empty where nobody can tell."""
        try:
            return _BOOT.read_text(encoding="ascii").strip()
        except OSError:
            return ""


def stamp(wall: float) -> str:
    """One fixed form for every stored or shown time, `2026-11-22T08:07:21.123Z`, so that text order is time order."""
    whole, milli = divmod(round(wall * 1000), 1000)
    return f"{_second(whole)}.{milli:03d}Z"


@lru_cache(maxsize=256)  # calls by the thousand share a second
def _second(whole: int) -> str:
    # Not strftime, which takes three times as long.
    return datetime.fromtimestamp(whole, UTC).isoformat()[:19]


def told(wall: float | None) -> str | None:
    """The stamp of a time to come; None where nobody can tell it, or it lies behind `LAST`."""
    return stamp(wall) if wall is not None and wall < LAST else None


def unstamp(text: str) -> float:
    """The seconds since the epoch that `stamp` was given, to the millisecond."""
    return datetime.fromisoformat(text).timestamp()

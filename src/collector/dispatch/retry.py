"""When a failed try is made again."""

from random import Random

FIRST = 1.0  # seconds
LONGEST = 300.0


def delay(attempts: int, random: Random) -> float:
    """Seconds to wait after that many failures: 1, 2, 4 … at most 300, with full jitter."""
    return random.uniform(0, min(LONGEST, FIRST * 2.0 ** min(attempts - 1, 30)))

"""Durations and sizes as people write them: `"15m"`, `"32MB"`."""

import re
from collections.abc import Callable

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_BYTES = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]+)")

DURATION = 'a duration above zero, as in "30s", "15m", "24h" or "30d"'
SIZE = 'a size above zero, as in "64kB", "32MB" or "1GB"'


def seconds(text: str) -> float:
    """The seconds of a duration; ValueError with what is expected otherwise."""
    return _amount(text, _SECONDS, str.lower, DURATION)


def size(text: str) -> int:
    """The bytes of a size; ValueError with what is expected otherwise."""
    return int(_amount(text, _BYTES, str.upper, SIZE))


def _amount(text: str, units: dict[str, float] | dict[str, int], fold: Callable[[str], str], expected: str) -> float:
    found = _QUANTITY.fullmatch(text.strip())
    factor = units.get(fold(found[2])) if found else None
    if found is None or factor is None or float(found[1]) <= 0:
        raise ValueError(expected)
    return float(found[1]) * factor


def spoken(duration: float) -> str:
    """A length of time for people, in its two largest units: `2 h 5 min`, `40 s`."""
    if duration < 60:
        return f"{duration:.0f} s"
    rest = round(duration)
    parts = []
    for name, length in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, rest = divmod(rest, length)
        if count:
            parts.append(f"{count} {name}")
    return " ".join(parts[:2])

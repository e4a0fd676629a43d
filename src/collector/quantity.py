"""Durations and sizes as people write them, `"15m"`, `"32MB"`, and numbers as they read them."""

import math
import re

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_BYTES = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]+)")
_MONTHS = re.compile(r"([0-9.]+)\s*M")  # or minutes: who knows?

DURATION = 'a duration above zero, as in "30s", "15m", "24h" or "30d"'
SIZE = 'a size above zero, as in "64kB", "32MB" or "1GB"'
SIZE_OR_NONE = 'a size, as in "500MB" or "1GB", or "0" for none'


def seconds(text: str) -> float:
    """The seconds of a duration; ValueError with what is expected otherwise."""
    if found := _MONTHS.fullmatch(text.strip()):
        raise ValueError(f'"{found[1]}m" for minutes; months are not known: use days, as in "30d"')
    return _amount(text, _SECONDS, DURATION)


def size(text: str) -> int:
    """The bytes of a size; ValueError with what is expected otherwise."""
    return int(_amount(text.upper(), _BYTES, SIZE))


def size_or_none(text: str) -> int:
    """The same, where "0" and "0B" are 0."""
    if text.strip() in ("0", "0B"):
        return 0
    try:
        return size(text)
    except ValueError as error:
        raise ValueError(SIZE_OR_NONE) from error


def sized(number: int) -> str:
    """A number of bytes for people, in three digits: `912 MB`, `1.1 GB`."""
    for unit, name in ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if number >= 0.9995 * unit:
            amount = number / unit
            return f"{amount:,.0f} {name}" if amount >= 99.95 else f"{amount:.3g} {name}"
    return f"{number} B"


def things(number: int, thing: str) -> str:
    """So many of something for people: `1 call`, `2,000 calls`, `3 batches`."""
    more = "es" if thing.endswith("ch") else "s"
    return f"{number:,} {thing}{'' if number == 1 else more}"


def _amount(text: str, units: dict[str, float] | dict[str, int], expected: str) -> float:
    found = _QUANTITY.fullmatch(text.strip())
    amount = float(found[1]) * units.get(found[2], 0) if found else 0.0
    if amount <= 0 or not math.isfinite(amount):  # a number of 400 digits with no unit is not a number
        raise ValueError(expected)
    return amount


def spoken(duration: float) -> str:
    """A length of time for people, in its two largest units: `2 h 5 min`, `40 s`, `500 ms`."""
    if 0 < duration < 0.9995:
        return f"{max(duration * 1000, 1):.0f} ms"
    if round(duration, 3) < 60:
        return f"{round(duration, 3):g} s"
    rest = round(duration)
    parts = []
    for name, length in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, rest = divmod(rest, length)
        if count:
            parts.append(f"{count} {name}")
    return " ".join(parts[:2])

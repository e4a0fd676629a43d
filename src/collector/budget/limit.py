"""A declared limit, as in `"900/15m"`, `"3000000 items/30d"` or `"10000 units/1d at 00:00 America/Los_Angeles"`."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from collector import quantity

_COUNTED = re.compile(r"\s*([0-9][0-9_]*)(?:\s+(\S.*?))?\s*")
_SEPARATED = re.compile(r"\s*([0-9]{1,3}(?:[,.' ][0-9]{3})+)(?![0-9])")
_AT = re.compile(r"\s+at(?:\s+|$)")
_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_DAY = 86_400.0
_MOST, _SHORTEST = 10**12, 0.1  # of a count; of a window, in seconds

EXPECTED = 'a count and a duration, as in "900/15m", "1/1s" or "3000000 items/30d"'
_AS_IN = 'as in "10000 units/1d at 00:00 America/Los_Angeles"'
_EXPECTED_PART = "with `at`, a day or a whole part of one (1d, 12h, 1h): where a longer window begins nobody can tell"


class Unit(StrEnum):
    """What a limit counts."""

    CALLS = "calls"
    ITEMS = "items"  # objects returned
    UNITS = "units"  # what the API charges for a call, the source's `cost`


@dataclass(frozen=True, slots=True)
class Alignment:
    """Where the windows of a limit begin: at `hour`:`minute` by the clocks of `zone`, and each period after it."""

    hour: int
    minute: int
    zone: str

    @classmethod
    def parse(cls, text: str) -> "Alignment":
        """The alignment that a time and a zone declare; ValueError with what is expected otherwise."""
        hour, *zones = text.split() or [""]
        found = _TIME.fullmatch(hour)
        if len(zones) > 1 or not (found or zones or hour[:1].isdigit()):
            raise ValueError(f"a time and a zone, {_AS_IN}")
        if found is None:
            raise ValueError(f"a time from 00:00 to 23:59 ({hour!r} is none)")
        if not zones:
            raise ValueError(f"a zone after the time, {_AS_IN}")
        try:
            ZoneInfo(zones[0])
        except (ValueError, OSError, LookupError) as error:
            raise ValueError(f"a zone by its name, as in America/Los_Angeles or UTC ({zones[0]!r} is none)") from error
        return cls(int(found[1]), int(found[2]), zones[0])

    def next(self, wall: float, period: float) -> float:
        """The first beginning of a window after a wall time; `period` is a day or a whole part of one, in seconds."""
        zone = ZoneInfo(self.zone)
        today = datetime.fromtimestamp(wall, zone).date()
        starts = [
            datetime.combine(today + timedelta(days=days), time(self.hour, self.minute), zone).timestamp()
            for days in (-1, 0, 1, 2)
        ]
        last, tomorrow = max(start for start in starts if start <= wall), min(start for start in starts if start > wall)
        into = ((wall - last) // period + 1) * period
        # A day of 23 or 25 hours ends when the clocks say so.
        return tomorrow if into >= _DAY else min(last + into, tomorrow)

    def __str__(self) -> str:
        return f"at {self.hour:02}:{self.minute:02} {self.zone}"


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `count` of its unit in any `seconds`; with `at`, in each of the windows that begin by that clock."""

    count: int
    seconds: float
    unit: Unit = Unit.CALLS
    at: Alignment | None = None

    @classmethod
    def parse(cls, text: str) -> "Limit":
        """The limit that the text declares; ValueError with what is expected otherwise."""
        counted, slash, window = text.partition("/")
        count, unit = _counted(counted)
        if not slash:
            raise ValueError(EXPECTED)
        length, *clock = _AT.split(window.strip(), maxsplit=1)
        seconds, at = quantity.seconds(length), Alignment.parse(clock[0]) if clock else None
        if seconds < _SHORTEST:
            raise ValueError("a window of at least 100 ms")
        if at and (seconds > _DAY or _DAY % seconds):
            raise ValueError(_EXPECTED_PART)
        return cls(count, seconds, unit, at)

    def __str__(self) -> str:
        unit = self.unit.removesuffix("s") if self.count == 1 else self.unit
        return f"{self.count} {unit} in {quantity.spoken(self.seconds)}" + (f" {self.at}" if self.at else "")


def _counted(text: str) -> tuple[int, Unit]:
    """Count and unit, as in `3_000_000 items`."""
    if odd := _SEPARATED.match(text):
        meant = int(re.sub("[^0-9]", "", odd[1])[:15])
        raise ValueError(f"a count written as {meant} or {meant:_}")
    found = _COUNTED.fullmatch(text)
    digits = found[1].replace("_", "").lstrip("0") if found else ""
    if not (found and digits):
        raise ValueError(EXPECTED)
    if len(digits) > len(str(_MOST)) or int(digits) > _MOST:
        raise ValueError(f"a count of at most {_MOST}")
    if found[2] and found[2] not in list(Unit):
        raise ValueError(f"calls, items or units after the count ({found[2]!r} is none of them)")
    return int(digits), Unit(found[2] or Unit.CALLS)


def strictest(limits: Iterable[Limit]) -> tuple[Limit, ...]:
    """The least of the limits that count the same over the same window, the shortest window first."""
    least: dict[tuple[float, Unit, Alignment | None], Limit] = {}
    for limit in limits:
        window = (limit.seconds, limit.unit, limit.at)
        least[window] = min(limit, least.get(window, limit), key=lambda limit: limit.count)
    return tuple(sorted(least.values(), key=lambda limit: (limit.seconds, limit.unit)))

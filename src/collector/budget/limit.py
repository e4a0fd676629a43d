"""A declared limit, as in `"900/15m"`, `"3000000 items/30d"` or `"10000 units/1d at 00:00 America/Los_Angeles"`."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from collector import quantity

_LIMIT = re.compile(r"\s*([0-9][0-9_]*)(?:\s+(calls|items|units))?\s*/\s*([^/]+?)(?:\s+at\s+(\S+)\s+(\S+))?\s*")
_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_DAY = 86_400.0

EXPECTED = 'a count and a duration, as in "900/15m", "1/1s" or "3000000 items/30d"'
_EXPECTED_AT = 'a time and a zone, as in "10000 units/1d at 00:00 America/Los_Angeles"'
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
    def parse(cls, hour: str, zone: str) -> "Alignment":
        """The alignment that the two words declare; ValueError with what is expected otherwise."""
        found = _TIME.fullmatch(hour)
        try:
            ZoneInfo(zone)
        except (ValueError, OSError, LookupError) as error:
            raise ValueError(_EXPECTED_AT) from error
        if found is None:
            raise ValueError(_EXPECTED_AT)
        return cls(int(found[1]), int(found[2]), zone)

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
        found = _LIMIT.fullmatch(text)
        if not found or int(found[1]) < 1:
            raise ValueError(EXPECTED)
        seconds, at = quantity.seconds(found[3]), Alignment.parse(found[4], found[5]) if found[4] else None
        if at and (seconds > _DAY or _DAY % seconds):
            raise ValueError(_EXPECTED_PART)
        return cls(int(found[1]), seconds, Unit(found[2] or Unit.CALLS), at)

    def __str__(self) -> str:
        return f"{self.count} {self.unit} in {quantity.spoken(self.seconds)}" + (f" {self.at}" if self.at else "")


def strictest(limits: Iterable[Limit]) -> tuple[Limit, ...]:
    """The least of the limits that count the same over the same window, the shortest window first."""
    least: dict[tuple[float, Unit, Alignment | None], Limit] = {}
    for limit in limits:
        window = (limit.seconds, limit.unit, limit.at)
        least[window] = min(limit, least.get(window, limit), key=lambda limit: limit.count)
    return tuple(sorted(least.values(), key=lambda limit: (limit.seconds, limit.unit)))

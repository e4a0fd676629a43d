"""A declared limit, as in `"900/15m"`."""

import re
from dataclasses import dataclass

from collector import quantity

_LIMIT = re.compile(r"\s*([0-9][0-9_]*)\s*/\s*(.+)")

EXPECTED = 'calls and a duration, as in "900/15m" or "1/1s"'


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `count` calls in any `seconds`."""

    count: int
    seconds: float

    @classmethod
    def parse(cls, text: str) -> "Limit":
        """The limit that the text declares; ValueError with what is expected otherwise."""
        found = _LIMIT.fullmatch(text)
        if not found or int(found[1]) < 1:
            raise ValueError(EXPECTED)
        return cls(int(found[1]), quantity.seconds(found[2]))

    def __str__(self) -> str:
        return f"{self.count} calls in {quantity.spoken(self.seconds)}"

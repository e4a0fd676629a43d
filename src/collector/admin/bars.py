"""Pictures as the places of their rectangles, for SVG. Pure."""

from collections.abc import Mapping, Sequence

import msgspec

from collector.model import Tally
from collector.output.snapshot import JobCounts, WindowStatus

WIDE = 1000  # of every picture
HIGH = 100  # of a chart
_SHOWN = ("found", "gone", "invalid", "failed", "cancelled", "running")  # the rest is open: the track
_NARROWEST = 4  # one of a million failed is seen too


class Piece(msgspec.Struct, frozen=True):
    """One rectangle."""

    kind: str
    x: float
    width: float
    y: float = 0.0
    height: float = 0.0


class Chart(msgspec.Struct, frozen=True):
    """Columns of one unit over a span of time, and their sums."""

    pieces: tuple[Piece, ...]
    most: int  # what the highest column stands for
    sums: Mapping[str, int]


CALLS, IDS = ("answered", "waited", "failed"), ("found", "gone", "lost")


def bar(jobs: JobCounts) -> list[Piece]:
    """How the jobs stand, from the left."""
    counts = [(kind, getattr(jobs, kind)) for kind in _SHOWN]
    widths = {kind: max(WIDE * count / jobs.total, _NARROWEST) for kind, count in counts if count}
    if (sum(widths.values())) > WIDE:
        widths = {kind: width * WIDE / sum(widths.values()) for kind, width in widths.items()}
    return _in_a_row(widths)


def gauge(window: WindowStatus) -> list[Piece]:
    """How much of a window is used."""
    used = min(WIDE * window.used / window.limit, WIDE) if window.limit else WIDE
    return _in_a_row({"spent" if window.left <= 0 else "used": used})


def chart(recent: Mapping[int, Tally], kinds: Sequence[str], now: float, span: int, step: int) -> Chart:
    """The last `span` seconds in columns of `step` seconds, the outcomes of each one above the other."""
    columns = span // step
    last = int(now // step)
    sums = [dict.fromkeys(kinds, 0) for _ in range(columns)]
    for at, did in recent.items():
        place = columns - 1 - (last - at // step)
        if 0 <= place < columns:
            for kind in kinds:
                sums[place][kind] += getattr(did, kind)
    most = max(sum(column.values()) for column in sums)
    width = WIDE / columns
    pieces = []
    for place, column in enumerate(sums):
        y = float(HIGH)
        for kind, count in column.items():
            if count:
                height = HIGH * count / most
                y -= height
                pieces.append(
                    Piece(kind, round(place * width, 2), round(width * 0.8, 2), round(y, 2), round(height, 2))
                )
    return Chart(tuple(pieces), most, {kind: sum(column[kind] for column in sums) for kind in kinds})


def _in_a_row(widths: Mapping[str, float]) -> list[Piece]:
    pieces, x = [], 0.0
    for kind, width in widths.items():
        pieces.append(Piece(kind, round(x, 2), round(width, 2)))
        x += width
    return pieces

"""How a long list is cut into pages: short and empty ones in the middle, and each item once."""

import msgspec

from collector.rehearsal.fates import point


class Cut(msgspec.Struct, frozen=True):
    """How often a page is not what was asked for, though more follow."""

    short: float = 0.0
    empty: float = 0.0


class Page(msgspec.Struct, frozen=True):
    """The numbers of the items on a page, and where the next one begins; None: there is none."""

    numbers: range
    next: int | None
    rested: bool = False  # this page was left empty, so that the next one must not be


def page(name: str, span: range, at: int, size: int, cut: Cut, rested: bool = False) -> Page:
    """The page of a list that begins at a number; the same each time it is asked for in the same size."""
    at = min(max(at, span.start), span.stop)
    drawn = point(f"page {name} {at}")
    if drawn < cut.empty and not rested:
        return Page(range(at, at), at, rested=True)
    if cut.empty <= drawn < cut.empty + cut.short:
        size = max(1, int(point(f"size {name} {at}") * size))
    end = min(at + size, span.stop)
    # Now and then the last item does not know that it is the last.
    more = end < span.stop or (at < end and point(f"end {name}") < cut.empty)
    return Page(range(at, end), end if more else None)

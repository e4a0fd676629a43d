"""How large the database will be when all that is open is done. Pure, and from memory alone."""

from collections.abc import Mapping

from collector import quantity
from collector.model import Space, Tally

_ENOUGH = 100  # IDs of a source that have ended since the start tell what one of it takes
_ROW = 200  # bytes that an object takes beside itself: IDs, times, indexes
_SPARE, _PAGE = 0.4, 2_048  # of a row stays unused around it, at most so many bytes: rows do not share pages well


def forecast(space: Space, owed: Mapping[str, int], tallies: Mapping[str, Tally], settled: int) -> int | None:
    """Bytes of the database in the end, with the IDs that are `owed` by source, if they bring what others of the
    source brought since the start, or else what all that have ended take; None where nothing tells."""
    size = space.database
    for source, ids in owed.items():
        tally = tallies.get(source, Tally())
        ended = tally.found + tally.gone + tally.lost
        if ended >= _ENOUGH:
            each = _stored(tally) / ended
        elif settled:
            each = space.database / settled
        else:
            return None
        size += round(ids * each)
    return size - min(space.spare, size - space.database)


def _stored(tally: Tally) -> float:
    """Bytes that the objects of a source took."""
    row = tally.size / tally.items + _ROW if tally.items else 0.0
    return tally.items * (row + min(row * _SPARE, _PAGE))


def shortage(space: Space, floor: int, size: int | None) -> str | None:
    """Why the database will not fit, in plain words; None where it will, nobody can tell, or it pauses already."""
    if size is None or space.free is None or not 0 <= space.free - floor < size - space.database:
        return None
    return (
        f"collector.db has {quantity.sized(space.database)} and will have about {quantity.sized(size)} when all that is"
        f" open is done; {quantity.sized(space.free)} are free in {space.path} and {quantity.sized(floor)} of them are"
        " kept free (min_free): make room before it pauses"
    )

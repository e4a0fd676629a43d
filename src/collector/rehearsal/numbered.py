"""Long lists of IDs of which only the number and the rule are kept."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import count as counting
from math import gcd
from typing import overload

from collector.rehearsal.fates import bits, point

EPOCH_MS = 1288834974657  # the zero of snowflake IDs, 2010-11-04
_LATEST_MS = 1_767_225_600_000 - EPOCH_MS  # 2026-01-01, no list begins later
_OWN_BITS = 22  # of an ID for a number within a list: 4 million members
_OWN_FIRST = 10**18
_MEMBER_FIRST, _MEMBER_STEP = 700_000_000, 7_919


class Numbered(Sequence[str]):
    """The IDs `rule(0)` to `rule(count - 1)`, none of which is kept."""

    def __init__(self, count: int, rule: Callable[[int], str]) -> None:
        self._count, self._rule = count, rule

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[str, ...]: ...
    def __getitem__(self, index: int | slice) -> str | tuple[str, ...]:
        if isinstance(index, slice):
            return tuple(map(self._rule, range(*index.indices(self._count))))
        return self._rule(range(self._count)[index])


EMPTY = Numbered(0, str)


def member(number: int) -> str:
    """The ID of a user of the pool that all lists share, and of an author."""
    return str(_MEMBER_FIRST + number * _MEMBER_STEP)


def crowd(name: str, count: int, shared: float, pool: int) -> Numbered:
    """The users in a list of that name, each once: a share of them from the pool, evenly among those of its own."""
    if count > 2**_OWN_BITS:
        raise ValueError(f"a list of at most {2**_OWN_BITS} users, not {count}")
    common = min(round(count * shared), pool)
    pool = max(pool, 1)
    seed = bits(name)
    step = next(step for step in counting(1 + seed % pool) if gcd(step, pool) == 1)
    first = seed >> 32
    own = _OWN_FIRST + (seed >> 64) % 2**37 * 2**_OWN_BITS
    odd = (seed >> 128) | 1  # times an odd number, modulo a power of two, no number comes twice

    def rule(index: int) -> str:
        before = index * common // count
        if (index + 1) * common // count > before:
            return member((first + before * step) % pool)
        return str(own + (index - before) * odd % 2**_OWN_BITS)

    return Numbered(count, rule)


def stream(name: str, count: int, spacing_ms: int) -> Numbered:
    """The post IDs of a list of that name, newest first, each once."""
    latest = _LATEST_MS - int(point(name) * spacing_ms)

    def rule(index: int) -> str:
        chance = bits(f"{name} {index}")
        return str((latest - index * spacing_ms - chance % spacing_ms) << 22 | (chance >> 64) % 2**22)

    return Numbered(count, rule)


def between(ids: Numbered, since: int | None, until: int | None) -> range:
    """The numbers of those IDs of a newest-first list that are above `since` and below `until`."""
    first = 0 if until is None else bisect_left(ids, -until + 1, key=lambda key: -int(key))
    last = len(ids) if since is None else bisect_left(ids, -since, key=lambda key: -int(key))
    return range(first, max(first, last))

"""The tokens of X's pages: each for one list, and not for ever."""

from collections import Counter
from random import Random

import msgspec

from collector.clock import Clock
from collector.rehearsal.seal import Seal


class Lifetime(msgspec.Struct, frozen=True, kw_only=True):
    """When a page token is refused."""

    age: float | None = None  # seconds after it was given
    uses: int | None = None  # after so many uses, as long as the process lives
    stale: float = 0.0  # of the tokens: refused from the first, drawn in the order in which they are given


class Place(msgspec.Struct, frozen=True, array_like=True):
    """Where in which list a page begins: the content of a token."""

    of: str
    at: int
    rested: bool  # the page before this one was an empty one
    serial: int  # wall time in ms, and no two alike
    stale: bool


_PLACE = msgspec.msgpack.Decoder(Place)


class Cursors:
    """Gives page tokens and takes them back. They outlive the process; what is counted here does not."""

    def __init__(self, lifetime: Lifetime, seed: int, clock: Clock) -> None:
        self._lifetime, self._clock = lifetime, clock
        self._seal = Seal(seed, "page")
        self._chance = Random(seed)  # noqa: S311 - not for secrets
        self._uses: Counter[str] = Counter()
        self._last = self._expired = 0

    def give(self, of: str, at: int, rested: bool) -> str:
        """A token for the page of a list that begins there."""
        self._last = max(self._last + 1, self._now())
        stale = self._chance.random() < self._lifetime.stale
        return self._seal.close(msgspec.msgpack.encode(Place(of, at, rested, self._last, stale)))

    def take(self, token: str, of: str) -> Place | None:
        """The place that a token leads to; None when it is not for this list, or no more."""
        content = self._seal.open(token)
        place = None if content is None else _PLACE.decode(content)
        if place is None or place.of != of or place.stale or place.serial <= self._expired or self._aged(place):
            return None
        if self._lifetime.uses is not None:
            self._uses[token] += 1
            return place if self._uses[token] <= self._lifetime.uses else None
        return place

    def expire(self) -> None:
        """Refuse all tokens given until now."""
        self._expired = self._last = max(self._last, self._now())

    def _aged(self, place: Place) -> bool:
        return self._lifetime.age is not None and self._now() - place.serial >= self._lifetime.age * 1000

    def _now(self) -> int:
        return int(self._clock.wall() * 1000)

"""What becomes of an ID: the same each time it is asked, and in every process."""

from enum import StrEnum
from hashlib import blake2b
from typing import TypeAlias

import msgspec

Share: TypeAlias = float | frozenset[str]


class Fate(StrEnum):
    """What the API says of an ID, each time it is asked."""

    FOUND = "found"
    DELETED = "deleted"  # named in `errors` as resource-not-found
    PROTECTED = "protected"  # named in `errors` as not-authorized-for-resource
    SUSPENDED = "suspended"  # of a post the same words as for a protected author, as X has them
    ABSENT = "absent"  # left out of the answer without a word
    POISON = "poison"  # spoils every call that carries it: 500
    BAD = "bad"  # refuses every call that carries it: 400
    SPOILT = "spoilt"  # spoils every call that carries it: 200 with nothing but `errors` that name no ID


class Faults(msgspec.Struct, frozen=True, kw_only=True):
    """What goes wrong, and how often.

    The first seven say what becomes of an ID: a share of all IDs, taken by their hash, or the very IDs. `other` is the
    share of found posts whose answer also holds an error about an object that nobody asked for. The rest are shares of
    the requests, drawn in order of arrival.
    """

    deleted: Share = 0.06
    protected: Share = 0.03
    suspended: Share = 0.02
    absent: Share = 0.01
    poison: Share = 0.0
    bad: Share = 0.0
    spoilt: Share = 0.0
    other: float = 0.05

    errors: float = 0.0  # 500, 502, 503 or 504, counted
    dropped: float = 0.0  # the connection is closed before the request is counted
    lost: float = 0.0  # the connection is closed after it
    truncated: float = 0.0  # a 200 whose gzip body ends in the middle
    garbled: float = 0.0  # a 200 that is not JSON


NO_FAULTS = Faults(deleted=0.0, protected=0.0, suspended=0.0, absent=0.0, other=0.0)


class Fates:
    """Which fate each ID has, by a struct with a `Share` for each; `kind` keeps users apart from posts."""

    def __init__(self, shares: msgspec.Struct, kind: str = "") -> None:
        self._kind = kind
        self._named: dict[str, Fate] = {}
        self._ends: list[tuple[float, Fate]] = []
        end = 0.0
        for fate in Fate:
            share: Share = getattr(shares, fate, 0.0)
            if isinstance(share, frozenset):
                self._named |= dict.fromkeys(share, fate)
            else:
                end += share
                self._ends.append((end, fate))
        if end > 1 + 1e-9:
            raise ValueError(f"shares of the IDs of at most 1 together, not {end:g}")

    def of(self, key: str) -> Fate:
        """What becomes of an ID of any form."""
        if named := self._named.get(key):
            return named
        at = point(f"{self._kind}fate {key}")
        return next((fate for end, fate in self._ends if at < end), Fate.FOUND)


def bits(text: str) -> int:
    """256 bits that look like chance and are the same for the same text."""
    return int.from_bytes(blake2b(text.encode(), digest_size=32).digest())


def point(text: str) -> float:
    """The same, as a number from 0 to below 1."""
    return bits(text) / 2**256

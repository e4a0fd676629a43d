"""An endpoint, and what it is asked."""

from collections.abc import Callable, Mapping

import msgspec
from multidict import MultiMapping

from collector.rehearsal.reply import Reply


class Ask(msgspec.Struct, frozen=True):
    """A request, as far as an endpoint needs it."""

    match: Mapping[str, str]  # from the path
    query: MultiMapping[str]
    headers: Mapping[str, str]
    body: bytes
    origin: str  # by which the caller reached us

    def listed(self, parameter: str) -> tuple[str, ...]:
        """The values of a parameter that holds a list."""
        return tuple(self.query.get(parameter, "").split(","))

    def limit(self, usual: int, most: int) -> int:
        """How many objects are asked for: `usual` where nothing sensible is said, and never more than `most`."""
        text = self.query.get("limit", "")
        return max(1, min(int(text), most)) if text.isdecimal() else usual


class Route(msgspec.Struct, frozen=True):
    """An endpoint with windows of its own."""

    path: str
    answer: Callable[[Ask], Reply]
    ids: Callable[[Ask], tuple[str, ...]]  # what is asked for, for the log
    cursors: tuple[str, ...] = ()  # the parameters, one of which says where in a list to go on
    method: str = "GET"


def one(ask: Ask) -> tuple[str, ...]:
    """The ID in a path."""
    return (ask.match["id"],)

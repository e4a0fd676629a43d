"""What a function made of an ID: what it returned or raised, as a Reading."""

import math
import traceback
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any

import msgspec

from collector import model
from collector.budget.permit import NO_PERMIT_DELAY
from collector.errors import NoPermit, RequestError
from collector.model import LONGEST_LATER, RETRY_LATER, Found, Item
from collector.sources import raised
from collector.sources.answer import Good, Later, Reading, Stopped, Unreadable
from collector.sources.spec import Spec
from collector.sources.tree import CannotTell, finder
from collector.sources.words import clean, code

LONGEST_TRACEBACK = 8_000  # characters
SOONEST_LATER = 1.0  # seconds; sooner, the same IDs would go round and round
_CALLERS = ("collector.dispatch.runs", "collector.dispatch.step")  # who calls functions

_encode = msgspec.json.Encoder().encode


class Ended(msgspec.Struct, frozen=True):
    """How a run ended."""

    reading: Reading
    traceback: str = ""


class Unfit(Exception):
    """A return value that is not what a function may return."""

    def __init__(self, reason: str, detail: str) -> None:
        self.reason, self.detail = reason, detail
        super().__init__(detail)


class Returned:
    """The items that a function returns for one ID, taken up one after the other."""

    def __init__(self, spec: Spec, asked: str) -> None:
        self._path, self._asked = spec.key, asked
        self._items: dict[str, Item] = {}

    def __len__(self) -> int:
        return len(self._items)

    def alone(self, value: dict[str, Any]) -> None:
        """The one object of an ID, which has that ID where it has none of its own."""
        self._add(value, self._asked)

    def add(self, value: object) -> None:
        """One object of a list, which has its position where it has no ID of its own."""
        self._add(value, str(len(self._items)))

    def ended(self) -> Ended:
        """All of them."""
        items = tuple(self._items.values())
        return Ended(Good({self._asked: Found(items)}, {}, (), returned=len(items)))

    def _add(self, value: object, default: str) -> None:
        where = f"item {len(self._items)}"
        if not isinstance(value, dict):
            raise Unfit("not-an-object", f"{where} is {_named(value)}: return a dict, a list of dicts or None")
        body = _body(value, where)
        key = self._own(value, where) or default
        if key in self._items:
            raise Unfit("same-key", f"two items have the key {key[:80]!r}: say with `key` where their own IDs are")
        self._items[key] = Item(key, body, reencoded=True)

    def _own(self, value: dict[Any, Any], where: str) -> str | None:
        """The item's own ID as text; None where it has none."""
        if self._path == "@index":
            return None
        match finder(self._path)(value):
            case None:
                return None
            case bool() | float() as odd:
                raise Unfit("float-key", f"{where} has {odd!r} at {self._path}: an ID is a text or a whole number")
            case str() | int() as own:
                return str(own)
            case odd:
                raise Unfit("no-key", f"{where} has {_named(odd)} at {self._path}: an ID is a text or a whole number")


def listed(value: object) -> Iterator[object] | None:
    """The items of a list; None for one item and for none. Unfit for what a function may not return."""
    if value is None or isinstance(value, dict):
        return None
    if isinstance(value, str | bytes | bytearray) or not isinstance(value, Iterable):
        raise Unfit("not-an-object", f"the function returned {_named(value)}: return a dict, a list of dicts or None")
    return iter(value)


def whole(returned: Returned, value: dict[str, Any] | None) -> Ended:
    """One object, or none."""
    if value is not None:
        returned.alone(value)
    return returned.ended()


def gathered(returned: Returned, value: object, unwanted: Callable[[], bool]) -> Ended:
    """What a plain function returned, to its end, or until it is `unwanted`: a generator may have no end."""
    if value is None or isinstance(value, dict):
        return whole(returned, value)
    for item in listed(value) or ():
        if unwanted():
            break
        returned.add(item)
    return returned.ended()


def is_stream(value: object) -> bool:
    """True for what is iterated with `async for`."""
    return isinstance(value, AsyncIterator)


def told(asked: str, error: BaseException) -> Ended:
    """What a function says of an ID by an exception; any but those meant for it is a failed try. Never raises."""
    try:
        return _told(asked, error)
    except BaseException as other:  # a reason that cannot be made a text, and the like
        return _fault(other)


def _told(asked: str, error: BaseException) -> Ended:
    match error:
        case raised.Gone(reason=reason, detail=detail):
            return _settled(asked, model.Gone(*_words(reason, detail, "gone")))
        case raised.Invalid(reason=reason, detail=detail):
            return _settled(asked, model.Invalid(*_words(reason, detail, "invalid")))
        case raised.RetryLater(seconds=seconds):
            return Ended(Later(min(max(seconds, SOONEST_LATER), LONGEST_LATER), RETRY_LATER))
        case raised.StopSource(reason=reason):
            return Ended(Stopped(*_words(reason, "", "stopped")))
        case NoPermit():
            return Ended(Later(NO_PERMIT_DELAY, "no-permit", inert(str(error))))
        case Unfit(reason=reason, detail=detail) | CannotTell(reason=reason, detail=detail):
            return Ended(Unreadable(reason, inert(detail)))
        case RequestError(reason=reason):
            return Ended(Unreadable(reason, inert(str(error))), _trace(error))
    return _fault(error)


def _fault(error: BaseException) -> Ended:
    last = traceback.format_exception_only(error)[-1]
    return Ended(Unreadable(code(type(error).__name__, "exception"), inert(last)), _trace(error))


def inert(text: str) -> str:
    """A text of a stranger on one line, at most 300 characters, that no terminal and no database trips over."""
    return clean("".join(char if char.isprintable() else " " for char in text[:1_000]))


def _settled(asked: str, lost: model.Gone | model.Invalid) -> Ended:
    return Ended(Good({}, {asked: lost}, ()))


def _words(reason: str, detail: str, default: str) -> tuple[str, str]:
    """A short code, and what it cannot hold of the words that were said."""
    reason, detail = str(reason), str(detail)
    short = code(reason, default)
    return short, inert(detail if short == reason else f"{reason}: {detail}" if detail else reason)


def _trace(error: BaseException) -> str:
    """The traceback from the function's own frame on; the end of a long one, where the fault is."""
    own = error.__traceback__
    while own and own.tb_frame.f_globals.get("__name__") in _CALLERS:
        own = own.tb_next
    text = "".join(traceback.format_exception(type(error), error, own))
    return text[-LONGEST_TRACEBACK:].encode("utf-8", "replace").decode()


def _body(value: dict[Any, Any], where: str) -> str:
    try:
        body = _encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:  # also a text that is no Unicode
        raise Unfit("not-json", f"{where} is no JSON: {error}") from error
    # A NaN becomes null without a word, so only there is the object looked through, dataclasses and the like too.
    if b"null" in body and (odd := next(_odd_numbers(msgspec.to_builtins(value)), None)) is not None:
        raise Unfit("not-json", f"{where} holds {odd}, which JSON does not have: use None, or leave it out")
    return body.decode()


def _odd_numbers(value: object) -> Iterator[float]:
    waiting = [value]
    while waiting:
        match waiting.pop():
            case float() as number if not math.isfinite(number):
                yield number
            case dict() as table:
                waiting += table.values()
            case list() | tuple() | set() | frozenset() as array:
                waiting += array


def _named(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"

"""What an answer means; pure, from bytes to a Reading."""

from collections.abc import Mapping
from typing import Any, TypeAlias, assert_never

import msgspec

from collector.model import Extra, Found, Gone, Invalid, Item
from collector.sources import missing, pages, usual
from collector.sources.entries import Asked, Entries
from collector.sources.rules import Do
from collector.sources.ruling import Ruling, ruling
from collector.sources.spec import Spec
from collector.sources.tree import CannotTell, decoded, finder, is_error, slice_at
from collector.sources.values import is_plain
from collector.sources.words import BROKEN, words_of


class Answer(msgspec.Struct, frozen=True):
    """One whole answer, as it came; `headers` in any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float
    link: str | None = None  # the cursor that its Link header gives for the next page, fit to be kept


class Good(msgspec.Struct, frozen=True):
    """Understood: every ID asked for is in exactly one of the three."""

    found: dict[str, Found]
    gone: Mapping[str, Gone | Invalid]  # refused for itself only by a Python source
    absent: tuple[str, ...]  # not a word about them
    extra: Extra | None = None
    next: str | None = None  # the cursor of the next page; None where this is the last
    returned: int = 0  # objects in the answer, asked for or not: what an API that charges for them counts


class Missing(msgspec.Struct, frozen=True):
    """The whole call is not there: 404, 410."""

    reason: str
    detail: str = ""
    sure: bool = False  # by an `on` rule, so that it is no wrong url


class Refused(msgspec.Struct, frozen=True):
    """The API will not have this form of call: 400, 413, 414, 422."""

    status: int
    reason: str
    detail: str = ""


class Denied(msgspec.Struct, frozen=True):
    """We may not ask this: 401, 402, and a 403 that is not a wait."""

    status: int
    reason: str
    detail: str = ""


class Faulty(msgspec.Struct, frozen=True):
    """The server's own trouble: 5xx and 408."""

    reason: str
    detail: str = ""


class Unreadable(msgspec.Struct, frozen=True):
    """An answer that says nothing we understand."""

    reason: str
    detail: str = ""


class Stopped(msgspec.Struct, frozen=True):
    """By an `on` rule, or by a Python source: waiting cannot cure it, a person must."""

    reason: str
    detail: str = ""


class Later(msgspec.Struct, frozen=True):
    """A Python source asks to be called again for this ID, in `seconds`."""

    seconds: float
    reason: str
    detail: str = ""


Reading: TypeAlias = Good | Missing | Refused | Denied | Faulty | Unreadable | Stopped | Later


def rule(spec: Spec, answer: Answer, keys: tuple[str, ...] = ()) -> Do | None:
    """What the first `on` rule that the answer fits does with it; for one ID a rule that splits is passed over."""
    fits = ruling(spec, keys, answer.status, answer.body)
    return fits and fits.do


def read(spec: Spec, keys: tuple[str, ...], answer: Answer) -> Reading:
    """What an answer says of the IDs that were asked for. A wait (429 and its like) is settled before."""
    return read_by(ruling(spec, keys, answer.status, answer.body), spec, keys, answer)


def read_by(fits: Ruling | None, spec: Spec, keys: tuple[str, ...], answer: Answer) -> Reading:
    """The same where it is known which rule fits: a body is not looked into for that a second time."""
    return _plainly(spec, keys, answer) if fits is None else _by_rule(spec, keys, answer, fits)


def _by_rule(spec: Spec, keys: tuple[str, ...], answer: Answer, fits: Ruling) -> Reading:
    status = answer.status
    if fits.do is Do.OK:
        return _read_good(spec, keys, answer)
    reason, detail = missing.blamed(spec, keys, status, answer.body, fits.word)
    match fits.do:
        case Do.WAIT | Do.RETRY:
            return Faulty(reason, detail)
        case Do.SPLIT:
            return Refused(status, reason, detail)
        case Do.GONE:
            return Missing(reason, detail, sure=True)
        case Do.STOP:
            return Stopped(reason, detail)
        case _:
            assert_never(fits.do)


def _plainly(spec: Spec, keys: tuple[str, ...], answer: Answer) -> Reading:
    status = answer.status
    if 200 <= status < 300:
        return _read_good(spec, keys, answer)
    word = f"http-{status}"
    if status == 408 or status >= 500:
        return Faulty(word, words_of(answer.body))
    if status in (404, 410):
        return Missing(*missing.blamed(spec, keys, status, answer.body))
    if status in (400, 413, 414, 422):
        return Refused(status, *missing.blamed(spec, keys, status, answer.body))
    if status in (401, 402, 403):
        return Denied(status, *missing.blamed(spec, keys, status, answer.body))
    return Unreadable("redirect" if 300 <= status < 400 else word, words_of(answer.body))


def _read_good(spec: Spec, keys: tuple[str, ...], answer: Answer) -> Good | Unreadable:
    if not answer.body or answer.body.isspace():
        return Unreadable("empty", "an answer without a body")
    try:
        tree, body = decoded(answer.body)
        if spec.next is not None and len(keys) == 1:
            return _page(spec, Asked(spec, keys), tree, body, answer.link)
        return _sorted(spec, keys, tree, body)
    except CannotTell as error:
        return Unreadable(error.reason, error.detail)
    except BROKEN:
        return Unreadable("not-json", words_of(answer.body))


def _sorted(spec: Spec, keys: tuple[str, ...], tree: Any, body: bytes) -> Good:
    """Each ID to what is said of it."""
    items = usual.found(spec, keys, tree, body)
    if items is None:
        return _with_care(spec, Asked(spec, keys), tree, body)
    absent = () if len(items) == len(keys) else tuple(key for key in keys if key not in items)
    return Good(items, {}, absent, _extra(spec, tree, body), returned=len(items))


def _with_care(spec: Spec, asked: Asked, tree: Any, body: bytes) -> Good:
    """The same of any answer; an item wins over an entry that names the same ID as missing."""
    named = _named(spec, asked, tree)
    entries = list(Entries(spec, asked, tree, body, named=bool(named)).answering())
    if not entries and not named and is_error(tree):
        raise CannotTell("error", words_of(body))
    found: dict[str, dict[str, Item]] = {}
    gone: dict[str, Gone] = {}
    for entry in entries:
        lost = missing.lost(spec, entry.value)
        for key in entry.keys:
            if lost is not None:
                gone[key] = lost
            else:
                found.setdefault(key, {}).setdefault(entry.own, entry.item())
    gone = {key: lost for key, lost in (gone | named).items() if key not in found}
    absent = tuple(key for key in asked.keys if key not in found and key not in gone)
    items = {key: Found(tuple(own.values())) for key, own in found.items()}
    returned = sum(entry.value is not None for entry in entries)
    return Good(items, gone, absent, _extra(spec, tree, body), returned=returned)


def _page(spec: Spec, asked: Asked, tree: Any, body: bytes, link: str | None) -> Good:
    """A page of the list of one ID: found, with no items too, unless the answer says that the ID is not there."""
    (key,) = asked.keys
    page = Entries(spec, asked, tree, body, named=False)
    gone = _named(spec, asked, tree).get(key) or (missing.flagged(spec, tree) if isinstance(tree, dict) else None)
    following = pages.following(spec, tree, link)
    entries = [] if gone and page.nowhere else list(page.of_a_page())
    # Where there is a list, or a page to come, errors beside it speak of other things.
    if page.nowhere and not gone and following is None and is_error(tree):
        raise CannotTell("error", words_of(body))
    items: dict[str, Item] = {}
    for entry in entries:
        if missing.flagged(spec, entry.value) is None and entry.own not in items:
            items[entry.own] = entry.item()
    extra = _extra(spec, tree, body)
    if gone and not items:
        return Good({}, {key: gone}, (), extra, returned=len(entries))
    return Good({key: Found(tuple(items.values()))}, {}, (), extra, following, len(entries))


def _named(spec: Spec, asked: Asked, tree: Any) -> dict[str, Gone]:
    named: dict[str, Gone] = {}
    for own, lost in missing.rows(spec, tree):
        for key in asked.under(own) if own is not None else ():
            named.setdefault(key, lost)
    return named


def _extra(spec: Spec, tree: Any, body: bytes) -> Extra | None:
    if not spec.also:
        return None
    kept: dict[str, Any] = {}
    for path in spec.also:
        value = finder(path)(tree)
        if value is not None:
            kept[path] = slice_at(body, path) if is_plain(path) else value
    return Extra(msgspec.json.encode(kept).decode()) if kept else None

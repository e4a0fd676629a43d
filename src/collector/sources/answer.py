"""What an answer means; pure, from bytes to a Reading."""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, lru_cache
from typing import Any, TypeAlias

import msgspec
from jmespath.parser import ParsedResult
from msgspec import Raw

from collector.model import Extra, Found, Gone, Invalid, Item
from collector.sources.spec import Spec
from collector.sources.values import compiled, is_plain
from collector.sources.words import clean, joined, reason_for, texts_of, word_of, words_of

_SHAPES: dict[type, str] = {dict: "an object", list: "a list"}
_TABLE = msgspec.json.Decoder(dict[str, Raw])
_LIST = msgspec.json.Decoder(list[Raw])

_LOST = rb"\ufffd"
_HEX = rb"[0-9a-fA-F]{2}"
# Every escape in turn, so that an escaped backslash begins none: a whole pair, half of one, or any other.
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB]" + _HEX + rb"\\u[dD][c-fC-F]" + _HEX + rb"|(?P<half>u[dD][89a-fA-F]" + _HEX + rb")|.)",
    re.DOTALL,
)


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


class _Entry(msgspec.Struct, frozen=True):
    """Something that stands at `items`, and the IDs asked for that it answers."""

    keys: tuple[str, ...]
    own: str
    value: Any
    raw: Raw | None  # its own bytes, where `items` is a plain path


class _CannotTell(Exception):
    """A 200 that must not be taken for an answer."""

    def __init__(self, reason: str, detail: str) -> None:
        self.reason, self.detail = reason, detail


def read(spec: Spec, keys: tuple[str, ...], answer: Answer) -> Reading:
    """What an answer says of the IDs that were asked for. A wait (429 and its like) is settled before."""
    status = answer.status
    if 200 <= status < 300:
        return _read_good(spec, keys, answer.body)
    word = f"http-{status}"
    if status == 408 or status >= 500:
        return Faulty(word, words_of(answer.body))
    if status in (404, 410):
        return Missing(*_blamed(spec, keys, answer))
    if status in (400, 413, 414, 422):
        return Refused(status, *_blamed(spec, keys, answer))
    if status in (401, 402, 403):
        return Denied(status, *_blamed(spec, keys, answer))
    return Unreadable("redirect" if 300 <= status < 400 else word, words_of(answer.body))


def _read_good(spec: Spec, keys: tuple[str, ...], body: bytes) -> Good | Unreadable:
    if not body.strip():
        return Unreadable("empty", "an answer without a body")
    try:
        return _Page(spec, keys, body).sorted()
    except _CannotTell as error:
        return Unreadable(error.reason, error.detail)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        mended = _ESCAPE.sub(_whole, body)
        return Unreadable("not-json", words_of(body)) if mended == body else _read_good(spec, keys, mended)


def _whole(escape: re.Match[bytes]) -> bytes:
    """Half a surrogate pair, as from a text that was cut within an emoji, is JSON and yet no text: it is marked as
    lost, and the rest of the object is kept."""
    return _LOST if escape["half"] else escape[0]


class _Page:
    """A decoded answer beside the IDs it was asked for."""

    def __init__(self, spec: Spec, keys: tuple[str, ...], body: bytes) -> None:
        self.spec, self.keys, self.body = spec, keys, body
        self.tree = msgspec.json.decode(body)
        self.asked = frozenset(keys)
        self.named: dict[str, Gone] = {}
        for own, lost in _missing_rows(spec, self.tree):
            for key in self._asked_as(own) if own is not None else ():
                self.named.setdefault(key, lost)

    def sorted(self) -> Good:
        """Each ID to what is said of it; an item wins over an entry that names the same ID as missing."""
        entries = list(self._entries())
        if not entries and not self.named and _is_error(self.tree):
            raise _CannotTell("error", words_of(self.body))
        found: dict[str, dict[str, Item]] = {}
        gone: dict[str, Gone] = {}
        for entry in entries:
            lost = _lost(self.spec, entry.value)
            for key in entry.keys:
                if lost is not None:
                    gone[key] = lost
                else:
                    found.setdefault(key, {}).setdefault(entry.own, _item(entry))
        gone = {key: lost for key, lost in (gone | self.named).items() if key not in found}
        absent = tuple(key for key in self.keys if key not in found and key not in gone)
        items = {key: Found(tuple(own.values())) for key, own in found.items()}
        returned = sum(entry.value is not None for entry in entries)
        return Good(items, gone, absent, self._extra(), returned=returned)

    def _entries(self) -> Iterator[_Entry]:
        at = _finder(self.spec.items)(self.tree)
        raw = _slice(self.body, self.spec.items) if self.spec.plain_items else None
        match self.spec.key, at:
            case "@key", dict():
                return self._mapped(at, raw)
            case "@index", list():
                return self._in_order(at, raw)
            case _, None:
                return self._nothing(raw)
            case str(key), dict() if not key.startswith("@"):
                return self._single(at, raw) if len(self.keys) == 1 else self._listed([at], [raw])
            case str(key), list() if not key.startswith("@"):
                return self._listed(at, _pieces(raw, len(at)))
        raise _CannotTell("shape", f"{_SHAPES.get(type(at), 'a bare value')} where `items` points")

    def _nothing(self, raw: Raw | None) -> Iterator[_Entry]:
        """No items; but an explicit null in answer to one ID speaks of that ID."""
        if not self.spec.items and len(self.keys) > 1:
            raise _CannotTell("shape", "null in answer to several IDs")
        if raw is not None and len(self.keys) == 1 and not _is_error(self.tree):
            yield _Entry(self.keys, self.keys[0], None, raw)

    def _mapped(self, at: dict[str, Any], raw: Raw | None) -> Iterator[_Entry]:
        slices = _TABLE.decode(raw) if raw is not None else {}
        for own, value in at.items():
            yield _Entry(self._asked_as(own), own, value, slices.get(own))

    def _in_order(self, at: list[Any], raw: Raw | None) -> Iterator[_Entry]:
        if len(at) != len(self.keys):
            raise _CannotTell("length", f"{len(at)} items for {len(self.keys)} IDs")
        for key, value, piece in zip(self.keys, at, _pieces(raw, len(at)), strict=True):
            yield _Entry((key,), key, value, piece)

    def _listed(self, values: list[Any], pieces: list[Raw] | list[None] | list[Raw | None]) -> Iterator[_Entry]:
        find = _finder(self.spec.key)
        for value, piece in zip(values, pieces, strict=True):
            own = _id_text(find(value))
            if own is not None:
                yield _Entry(self._asked_as(own), own, value, piece)

    def _single(self, value: dict[str, Any], raw: Raw | None) -> Iterator[_Entry]:
        """The one object for one ID is its item, under whatever ID: it may have been renamed or merged."""
        own = _id_text(_finder(self.spec.key)(value))
        known = own is not None and self._asked_as(own)
        if known or (not self.named and not (own is None and _is_error(self.tree))):
            yield _Entry(self.keys, self.keys[0] if own is None else own, value, raw)

    def _asked_as(self, own: str) -> tuple[str, ...]:
        if own in self.asked:  # nearly always, and much faster than a pattern
            return (own,)
        return self._forms.get(self._canonical(own), ())

    @cached_property
    def _forms(self) -> dict[str, tuple[str, ...]]:
        forms: dict[str, tuple[str, ...]] = {}
        for key in self.keys:
            form = self._canonical(key)
            forms[form] = (*forms.get(form, ()), key)
        return forms

    def _canonical(self, text: str) -> str:
        return self.spec.match(text) or text

    def _extra(self) -> Extra | None:
        kept: dict[str, Any] = {}
        for path in self.spec.also:
            value = _finder(path)(self.tree)
            if value is not None:
                kept[path] = _slice(self.body, path) if is_plain(path) else value
        return Extra(msgspec.json.encode(kept).decode()) if kept else None


def _missing_rows(spec: Spec, tree: Any, default: str = "gone") -> Iterator[tuple[str | None, Gone]]:
    """What the answer names as missing: the ID, if it says one, and why."""
    rule = spec.gone
    if rule is None or rule.at is None:
        return
    rows = _finder(rule.at)(tree)
    for row in rows if isinstance(rows, list) else [] if rows is None else [rows]:
        own = _id_text(_finder(rule.id)(row) if isinstance(row, dict) else row)
        word = word_of(_finder(rule.why)(row)) if rule.why else ""
        reason = reason_for(spec, word, default)
        texts = texts_of(row) if isinstance(row, dict) else []
        yield own, Gone(reason, joined([word if word != reason else "", *texts]))


def _lost(spec: Spec, value: Any) -> Gone | None:
    """Why an entry is no item: it is null, or the rule's `flag` marks it."""
    if value is None:
        return Gone(reason_for(spec, "null", "null"))
    rule = spec.gone
    mark = _finder(rule.flag)(value) if rule and rule.flag else None
    if rule is None or rule.flag is None or mark is None or mark is False:
        return None
    word = word_of(_finder(rule.why)(value)) if rule.why else rule.flag.rpartition(".")[2]
    return Gone(reason_for(spec, word, "gone"), joined([word_of(mark)]))


def _blamed(spec: Spec, keys: tuple[str, ...], answer: Answer) -> tuple[str, str]:
    """Reason and detail of a failed call; for one ID the `gone` rule may know the API's own word."""
    word = f"http-{answer.status}"
    plain = (reason_for(spec, word, word), words_of(answer.body))
    if len(keys) > 1 or spec.gone is None:
        return plain
    try:
        tree = msgspec.json.decode(answer.body)
        rows = [lost for own, lost in _missing_rows(spec, tree, plain[0]) if own is None or _same(spec, own, keys[0])]
        flagged = _lost(spec, tree) if isinstance(tree, dict) else None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, _CannotTell):
        return plain
    lost = rows[0] if rows else flagged
    return plain if lost is None else (lost.reason, lost.detail or plain[1])


def _same(spec: Spec, one: str, other: str) -> bool:
    return (spec.match(one) or one) == (spec.match(other) or other)


def _item(entry: _Entry) -> Item:
    if entry.raw is None:
        return Item(entry.own, msgspec.json.encode(entry.value).decode(), reencoded=True)
    body = bytes(entry.raw)
    return Item(entry.own, body.decode().strip(), reencoded=_LOST in body)


def _id_text(value: Any) -> str | None:
    """An ID as text, or None where there is none; an ID that went through a float is lost."""
    if isinstance(value, float):
        raise _CannotTell("float-key", f"{value!r} where an ID should be: it lost its last digits")
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return str(value)
    return None


def _is_error(tree: Any) -> bool:
    return isinstance(tree, dict) and bool(tree.get("error") or tree.get("errors"))


def _searched(expression: ParsedResult, tree: Any) -> Any:
    try:
        return expression.search(tree)
    except Exception as error:  # whatever jmespath meets in an answer, as a TypeError where types are mixed
        raise _CannotTell("path", f"a path does not fit the answer: {clean(str(error))}") from error


@lru_cache(maxsize=1_000)
def _finder(path: str) -> Callable[[Any], Any]:
    """What a path leads to, or None. Walking a plain path ourselves is ten times as fast as JMESPath."""
    if path and not is_plain(path):
        expression = compiled(path)
        return lambda tree: _searched(expression, tree)
    names = path.split(".") if path else []

    def walk(tree: Any) -> Any:
        for name in names:
            tree = tree.get(name) if isinstance(tree, dict) else None
        return tree

    return walk


def _slice(body: bytes, path: str) -> Raw | None:
    """The answer's own bytes at a plain path; None where it does not lead to anything."""
    raw = Raw(body)
    try:
        for name in path.split(".") if path else []:
            raw = _TABLE.decode(raw)[name]
    except (msgspec.ValidationError, KeyError):
        return None
    return raw


def _pieces(raw: Raw | None, count: int) -> list[Raw] | list[None]:
    return _LIST.decode(raw) if raw is not None else [None] * count

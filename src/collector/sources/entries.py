"""What stands at `items` of an answer: which objects, and which of the IDs asked for they answer."""

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import msgspec
from msgspec import Raw

from collector.model import Item
from collector.sources.spec import Spec
from collector.sources.tree import LOST, CannotTell, finder, id_text, is_error, pieces, shape_of, slice_at, slices
from collector.sources.words import joined, texts_of

_NO_PATH = ("@key", "@index")  # of a `key`: all else is a path


class Entry(msgspec.Struct, frozen=True):
    """Something that stands at `items`, and the IDs asked for that it answers."""

    keys: tuple[str, ...]
    own: str
    value: Any
    raw: Raw | None  # its own bytes, where `items` is a plain path

    def item(self) -> Item:
        """As it is kept: in its own bytes where they are known."""
        if self.raw is None:
            return Item(self.own, msgspec.json.encode(self.value).decode(), reencoded=True)
        body = bytes(self.raw)
        return Item(self.own, body.decode().strip(), reencoded=LOST in body)


class Asked:
    """The IDs of a call, found again under the forms in which an answer may write them."""

    def __init__(self, spec: Spec, keys: tuple[str, ...]) -> None:
        self._spec, self.keys = spec, keys
        self._asked = frozenset(keys)

    def under(self, own: str) -> tuple[str, ...]:
        """Those that an answer means by an ID; empty where it was not asked for."""
        if own in self._asked:  # nearly always, and much faster than a pattern
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
        return self._spec.match(text) or text


class Entries:
    """A decoded answer beside the IDs it was asked for; `named`: whether it names some of them as missing."""

    def __init__(self, spec: Spec, asked: Asked, tree: Any, body: bytes, *, named: bool) -> None:
        self._spec, self._asked, self._tree, self._named = spec, asked, tree, named
        self._at = finder(spec.items)(tree)
        self._raw = slice_at(body, spec.items) if spec.plain_items else None

    def answering(self) -> Iterator[Entry]:
        """Each entry with the IDs that it answers."""
        at, raw, keys = self._at, self._raw, self._asked.keys
        match self._spec.key, at:
            case "@key", dict():
                return self._mapped(at, raw)
            case "@index", list():
                return self._in_order(at, raw)
            case _, None:
                return self._nothing(raw)
            case str(key), dict() if key not in _NO_PATH:
                return self._single(at, raw) if len(keys) == 1 else self._listed([at], [raw])
            case str(key), list() if key not in _NO_PATH:
                return self._listed(at, pieces(raw, len(at)))
        raise self._odd()

    def of_a_page(self) -> Iterator[Entry]:
        """Each entry under its own ID: all of a page belongs to the one ID that was asked for."""
        match self._spec.key, self._at:
            case _, None:
                # Names cannot lead anywhere in a list or a bare value, and that is not "no more items".
                if self._tree is not None and not isinstance(self._tree, dict) and self._spec.plain_items:
                    raise CannotTell("shape", f"{shape_of(self._tree)} in place of a page")
            case "@key", dict():
                own = slices(self._raw)
                yield from self._owned((key, value, own.get(key)) for key, value in self._at.items())
            case str(key), dict() | list() if key not in _NO_PATH:
                single = isinstance(self._at, dict)
                values = [self._at] if single else self._at
                bodies = [self._raw] if single else pieces(self._raw, len(values))
                find = finder(key)
                yield from self._owned((find(v), v, b) for v, b in zip(values, bodies, strict=True) if v is not None)
            case _:
                raise self._odd()

    @property
    def nowhere(self) -> bool:
        """True where `items` leads to nothing."""
        return self._at is None

    def _owned(self, rows: Iterator[tuple[Any, Any, Raw | None]]) -> Iterator[Entry]:
        for found, value, raw in rows:
            if value is None:
                continue
            own = id_text(found)
            if own is None:
                raise self._keyless(value)
            yield Entry(self._asked.keys, own, value, raw)

    def _nothing(self, raw: Raw | None) -> Iterator[Entry]:
        """No items; but an explicit null in answer to one ID speaks of that ID."""
        keys = self._asked.keys
        if not self._spec.items and len(keys) > 1:
            raise CannotTell("shape", "null in answer to several IDs")
        if raw is not None and len(keys) == 1 and not is_error(self._tree):
            yield Entry(keys, keys[0], None, raw)

    def _mapped(self, at: dict[str, Any], raw: Raw | None) -> Iterator[Entry]:
        own = slices(raw)
        for key, value in at.items():
            yield Entry(self._asked.under(key), key, value, own.get(key))

    def _in_order(self, at: list[Any], raw: Raw | None) -> Iterator[Entry]:
        keys = self._asked.keys
        if len(at) != len(keys):
            raise CannotTell("length", f"{len(at)} items for {len(keys)} IDs")
        for key, value, piece in zip(keys, at, pieces(raw, len(at)), strict=True):
            yield Entry((key,), key, value, piece)

    def _listed(self, values: list[Any], bodies: list[Raw] | list[None] | list[Raw | None]) -> Iterator[Entry]:
        find = finder(self._spec.key)
        for value, piece in zip(values, bodies, strict=True):
            own = id_text(find(value))
            if own is not None:
                yield Entry(self._asked.under(own), own, value, piece)

    def _single(self, value: dict[str, Any], raw: Raw | None) -> Iterator[Entry]:
        """The one object for one ID is its item, under whatever ID: it may have been renamed or merged."""
        keys = self._asked.keys
        own = id_text(finder(self._spec.key)(value))
        known = own is not None and self._asked.under(own)
        if known or (not self._named and not (own is None and is_error(self._tree))):
            yield Entry(keys, keys[0] if own is None else own, value, raw)

    def _keyless(self, value: Any) -> CannotTell:
        if value is self._tree and is_error(value):
            return CannotTell("error", joined(texts_of(value)))
        return CannotTell("no-key", f"an item of a page without an ID of its own at `{self._spec.key}`: look at `key`")

    def _odd(self) -> CannotTell:
        return CannotTell("shape", f"{shape_of(self._at)} where `items` points")

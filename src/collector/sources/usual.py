"""The usual answer, which is nearly every one: objects, each under an ID that was asked for. All others take longer."""

from typing import Any

import msgspec
from msgspec import Raw

from collector.model import Found, Item
from collector.sources.spec import Spec
from collector.sources.tree import LOST, finder, slice_at
from collector.sources.values import is_plain

_LIST = msgspec.json.Decoder(list[Raw])


def found(spec: Spec, keys: tuple[str, ...], tree: Any, body: bytes) -> dict[str, Found] | None:
    """What is found, as `Entries` would have it; None where an answer must be looked at more closely."""
    if spec.gone is not None or not spec.plain_items or not is_plain(spec.key):
        return None
    at = finder(spec.items)(tree) if spec.items else tree
    marks = b"\\" in body and LOST in body
    if isinstance(at, dict):
        return _one(spec, keys, at, body, marks=marks)
    return _many(spec, keys, at, body, marks=marks) if isinstance(at, list) and at else None


def _one(spec: Spec, keys: tuple[str, ...], at: dict[str, Any], body: bytes, *, marks: bool) -> dict[str, Found] | None:
    own = _text(finder(spec.key)(at))
    if own is None or own not in keys:
        return None
    raw = slice_at(body, spec.items) if spec.items else body
    return None if raw is None else {own: _item(own, raw, marks=marks)}


def _many(spec: Spec, keys: tuple[str, ...], at: list[Any], body: bytes, *, marks: bool) -> dict[str, Found] | None:
    raw, find, asked = slice_at(body, spec.items), finder(spec.key), frozenset(keys)
    items: dict[str, Found] = {}
    for value, piece in zip(at, _LIST.decode(raw) if raw is not None else (), strict=True):
        own = _text(find(value))
        if own is None or own not in asked or own in items:
            return None
        items[own] = _item(own, piece, marks=marks)
    return items


def _text(own: Any) -> str | None:
    """An ID as text; None for none, and for what may be an odd one."""
    return own if type(own) is str else str(own) if type(own) is int else None


def _item(own: str, raw: bytes | Raw, *, marks: bool) -> Found:
    return Found((Item(own, str(raw, "utf-8").strip(), marks and LOST in bytes(raw)),))

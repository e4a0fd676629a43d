"""Which `on` rule of a source an answer fits, and by which word of the API."""

import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any, NamedTuple

from collector.sources.rules import Do, OnRule
from collector.sources.spec import Spec
from collector.sources.tree import CannotTell, as_text, decoded, finder
from collector.sources.words import word_of


class Ruling(NamedTuple):
    """What a rule does with an answer, and the API's word that stands at its `at`."""

    do: Do
    word: str = ""


def ruling(spec: Spec, keys: tuple[str, ...], status: int, body: bytes) -> Ruling | None:
    """The first rule that fits; one that splits says nothing of one ID, so the next ones hold there."""
    return next(_fitting(spec.on, _Body(status, body), alone=len(keys) == 1), None) if spec.on else None


class _Body:
    """A body that is decoded once, and only when a rule looks into it."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status, self._body = status, body

    @cached_property
    def _tree(self) -> Any:
        try:
            return decoded(self._body)[0]
        except CannotTell:
            return None

    @cached_property
    def text(self) -> str:
        """All of it, for a rule that looks nowhere in particular."""
        return self._body.decode(errors="replace")

    def at(self, path: str) -> Any:
        """What stands at a path; None where nothing does, and where the body is no JSON."""
        try:
            return finder(path)(self._tree) if self._tree is not None else None
        except CannotTell:
            return None


def _fitting(rules: tuple[OnRule, ...], body: _Body, *, alone: bool) -> Iterator[Ruling]:
    for rule in rules:
        if rule.status not in (None, body.status) or (alone and rule.do is Do.SPLIT):
            continue
        there = body.at(rule.at) if rule.at is not None else None
        if rule.at is not None and there is None:
            continue
        if rule.match is None or re.search(rule.match, body.text if rule.at is None else as_text(there)):
            yield Ruling(rule.do, word_of(there))

"""What an answer says is not there, and why: by the `gone` rule of its source."""

from collections.abc import Iterator
from typing import Any

from collector.model import Gone
from collector.sources.spec import Spec
from collector.sources.tree import CannotTell, decoded, finder, id_text
from collector.sources.words import joined, reason_for, texts_of, word_of, words_of


def rows(spec: Spec, tree: Any, default: str = "gone") -> Iterator[tuple[str | None, Gone]]:
    """What the answer names as missing: the ID, if it says one, and why."""
    rule = spec.gone
    if rule is None or rule.at is None:
        return
    found = finder(rule.at)(tree)
    for row in found if isinstance(found, list) else [] if found is None else [found]:
        own = id_text(finder(rule.id)(row) if isinstance(row, dict) else row)
        word = word_of(finder(rule.why)(row)) if rule.why else ""
        reason = reason_for(spec, word, default)
        texts = texts_of(row) if isinstance(row, dict) else []
        yield own, Gone(reason, joined([word if word != reason else "", *texts]))


def lost(spec: Spec, value: Any) -> Gone | None:
    """Why an entry is no item: it is null, or the rule's `flag` marks it."""
    return Gone(reason_for(spec, "null", "null")) if value is None else flagged(spec, value)


def flagged(spec: Spec, value: Any) -> Gone | None:
    """Why the rule's `flag` marks a value as missing; None where it does not."""
    rule = spec.gone
    mark = finder(rule.flag)(value) if rule and rule.flag else None
    if rule is None or rule.flag is None or mark is None or mark is False:
        return None
    word = word_of(finder(rule.why)(value)) if rule.why else rule.flag.rpartition(".")[2]
    return Gone(reason_for(spec, word, "gone"), joined([word_of(mark)]))


def blamed(spec: Spec, keys: tuple[str, ...], status: int, body: bytes, word: str = "") -> tuple[str, str]:
    """Reason and detail of a failed call, by the API's word where one is known; for one ID the `gone` rule may
    know another."""
    code = f"http-{status}"
    reason = reason_for(spec, word, code) if word else reason_for(spec, code, code)
    plain = (reason, words_of(body))
    if len(keys) > 1 or spec.gone is None:
        return plain
    try:
        tree, _ = decoded(body)
        named = [why for own, why in rows(spec, tree, plain[0]) if own is None or _same(spec, own, keys[0])]
        known = named[0] if named else flagged(spec, tree) if isinstance(tree, dict) else None
    except CannotTell:
        return plain
    return plain if known is None else (known.reason, known.detail or plain[1])


def _same(spec: Spec, one: str, other: str) -> bool:
    return (spec.match(one) or one) == (spec.match(other) or other)

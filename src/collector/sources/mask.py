"""What must not show in words that are kept: the secrets of a source, and its tokens."""

import json
from collections import deque
from collections.abc import Iterable
from urllib.parse import quote

from collector.sources.words import slug

_KNOWN_BY = 8  # characters
_SHORTEST = 6  # a shorter secret is found in any text
_MOST_TOKENS = 4  # the latest; an answer speaks of the one that it was asked with


def maskable(secret: str) -> bool:
    """True for what is long enough not to be found in any text."""
    return len(secret) >= _SHORTEST


class Mask:
    """Puts `***` in place of secrets."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = tuple(filter(maskable, secrets))
        self.tokens: deque[str] = deque(maxlen=_MOST_TOKENS)

    def hide(self, token: str) -> None:
        """From now on this does not show either."""
        if maskable(token) and token not in self.tokens:
            self.tokens.append(token)

    def masked(self, body: bytes) -> bytes:
        """A body without the secrets: some servers repeat the URL or a header."""
        for value in (*self._secrets, *self.tokens):
            for form in _forms(value):
                body = body.replace(form.encode(), b"***")
        return body

    def words(self, reason: str, detail: str) -> dict[str, str]:
        """A reason and a detail without the secrets."""
        # A reason is cut short, so the beginning of a secret is enough to know it by.
        beginnings = [slug(value)[:_KNOWN_BY] for value in (*self._secrets, *self.tokens)]
        told = any(beginning and beginning in reason for beginning in beginnings)
        return {"reason": "masked" if told else reason, "detail": self.masked(detail.encode()).decode()}


def _forms(value: str) -> set[str]:
    """A text as it may stand in an answer: as it is, percent-encoded, within JSON."""
    within_json = {json.dumps(value, ensure_ascii=escaped)[1:-1] for escaped in (True, False)}
    return {value, quote(value, safe=""), *within_json}

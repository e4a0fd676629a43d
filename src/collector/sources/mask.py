"""What must not show in words that are kept: the secrets of a source, and its tokens."""

import re
from collections import deque
from collections.abc import Iterable

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
            body = re.sub(b"".join(map(_anyhow, value)), b"***", body)
        return body

    def words(self, reason: str, detail: str) -> dict[str, str]:
        """A reason and a detail without the secrets."""
        # A reason is cut short, so the beginning of a secret is enough to know it by.
        beginnings = [slug(value)[:_KNOWN_BY] for value in (*self._secrets, *self.tokens)]
        told = any(beginning and beginning in reason for beginning in beginnings)
        return {"reason": "masked" if told else reason, "detail": self.masked(detail.encode()).decode()}


def _anyhow(char: str) -> bytes:
    """A pattern for a character as it may stand in an answer: as it is, percent-encoded, or escaped within JSON."""
    plain, units = re.escape(char.encode()), char.encode("utf-16-be").hex()
    percent = "".join(f"%{byte:02x}" for byte in char.encode())
    escaped = "".join(rf"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
    forms = [plain, *(f"(?i:{form})".encode() for form in (percent, escaped))]
    return b"(?:%b)" % b"|".join([*forms, rb"\\" + plain] if char in '"\\/' else forms)

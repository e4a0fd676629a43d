"""Small ID files and what the reader makes of them."""

import io
import re
from collections.abc import Callable

from collector.intake.idfile import Reader, Refused

# As a source of X posts declares it.
POSTS = r"(?:(?:https?://)?(?:www\.|mobile\.)?(?:twitter|x)\.com/\w+/status(?:es)?/)?([0-9]{1,19})(?:[/?#].*)?"


def matching(pattern: str) -> Callable[[str], str | None]:
    """The `match` of a source with that id pattern."""
    compiled = re.compile(pattern)

    def match(text: str) -> str | None:
        found = compiled.fullmatch(text)
        return found[compiled.groups] if found else None

    return match


post = matching(POSTS)
anything = matching(".+")


class Reading:
    """Everything that one reading of a file gave; the books are compared on the way."""

    def __init__(
        self,
        data: bytes | str,
        match: Callable[[str], str | None] = post,
        column: str | int | None = None,
        chunk: int = 10_000,
    ) -> None:
        content = data if isinstance(data, bytes) else data.encode()
        reader = Reader(io.BytesIO(content), match, column, chunk)
        self.keys: list[str] = []
        self.refused: list[Refused] = []
        self.ends: list[int] = []
        for part in reader:
            self.keys += part.keys
            self.refused += part.refused
            self.ends.append(part.line)
            assert reader.lines == len(self.keys) + len(self.refused)
        self.layout, self.blank, self.headers = reader.layout, reader.blank, reader.headers
        self.warnings = reader.warnings

    @property
    def refused_lines(self) -> list[int]:
        return [one.line for one in self.refused]


# Ten IDs as X gives them: beyond 2^53 and not rounded.
IDS = [str(1511524316483141633 + 7919 * i) for i in range(10)]

"""One text from a file: the ID in it, or why there is none."""

import re
from collections.abc import Callable

from collector.output.table import FORMULA

Match = Callable[[str], str | None]

# What `str.strip` leaves: a byte order mark in the middle of joined files, and the zero-width space of web pages.
_UNSEEN = "\ufeff\u200b"
_FOUL = re.compile("[\0\ud800-\udfff]")
# Only forms that no API's IDs have: an exponent with a sign or after a fraction, or an integer with `.0` behind it.
_FLOAT = re.compile(r"[+-]?(?:[0-9]+[eE]\+[0-9]{1,3}|[0-9]+[.,][0-9]+[eE]\+?[0-9]{1,3}|[0-9]{8,}\.0+)")
_LISTED = re.compile(r"[0-9]{8,}")

_SHOWN = 200


def tidy(text: str) -> str:
    """The text without white space around it, a comma behind it, and one pair of quotes."""
    text = text.strip().strip(_UNSEEN)
    if text.endswith((",", ";")):
        text = text[:-1].rstrip()
    if text.startswith('="'):  # how a spreadsheet is told that a number is text
        text = text[1:]
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1].strip()
    if text.startswith("'") and (text[1:].isdigit() or text[1:].startswith(FORMULA)):  # so is a formula, by us too
        return text[1:]
    return text


def is_float(text: str) -> bool:
    """True for a number as a spreadsheet or a float writes it: never an ID, whatever the pattern says."""
    return _FLOAT.fullmatch(text) is not None


def looks(text: str) -> bool:
    """True for eight digits or more: what an ID looks like to somebody who knows no pattern."""
    return _LISTED.fullmatch(text) is not None


def shown(text: str) -> str:
    """The text cut for people, with what cannot be written in UTF-8 escaped."""
    text = text[: _SHOWN + 1].encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    text = text.replace("\0", "\\x00")
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


class Sieve:
    """The source's id pattern, applied to texts that were tidied."""

    def __init__(self, match: Match) -> None:
        self.match = match
        # The default `.+` takes anything, and so cannot tell IDs from other texts.
        self.loose = match("no id: ?") is not None

    def key(self, text: str) -> str | None:
        """The ID that the text holds."""
        if not text or _FOUL.search(text) or is_float(text):
            return None
        return self.match(text) or None

    def why(self, text: str) -> str:
        """Why `key` is None, for people."""
        if not text:
            return "the cell of the ID is empty"
        if "\0" in text:
            return "it holds a NUL byte"
        if _FOUL.search(text):
            return "it is not UTF-8"
        if is_float(text):
            return "a number that passed through a spreadsheet or a float, its digits are lost: export it again as text"
        return "it does not match the id pattern of the source"

    def parts(self, cell: str) -> list[str]:
        """The tidied texts of a cell that may hold a list of IDs, split at white space; else the tidied cell alone."""
        whole = tidy(cell)
        pieces = whole.split()
        if len(pieces) < 2 or (not self.loose and self.key(whole)):
            return [whole]
        pieces = [tidy(piece) for piece in pieces]
        listed = all(map(looks, pieces)) if self.loose else any(map(self.key, pieces))
        return pieces if listed else [whole]

    def holds(self, cell: str) -> bool:
        """True where the cell holds an ID, a list of them, or what a float left of one.

        A column of spoiled IDs is the column of IDs: reading another one in its place would ask for wrong objects.
        """
        whole = tidy(cell)
        return is_float(whole) or self.key(whole) is not None or any(map(self.key, whole.split()[:20]))

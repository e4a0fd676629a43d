"""receipt.txt: what became of each line of a file, for the person who dropped it."""

import textwrap

import msgspec

from collector.clock import stamp
from collector.intake.idfile import Refused
from collector.quantity import things

_WIDTH = 88
_MARGIN = 15


class Receipt(msgspec.Struct, frozen=True):
    """A file taken in: lines = IDs + repeats + refused; blank lines and headers are no lines."""

    batch: int
    file: str
    source: str
    at: float  # wall time
    layout: str
    lines: int
    ids: int
    estimate: tuple[str, ...]  # lines
    headers: int = 0
    blank: int = 0
    refused: int = 0
    first: tuple[Refused, ...] = ()  # of the refused lines
    warnings: tuple[str, ...] = ()
    digest: str = ""
    then: tuple[str, ...] = ()  # the sources that follow

    @property
    def repeats(self) -> int:
        """IDs that stood in the file before."""
        return max(self.lines - self.ids - self.refused, 0)


def text(receipt: Receipt) -> str:
    """The receipt for people, warnings first."""
    parts = [warned(warning) for warning in receipt.warnings]
    parts.append(_facts(receipt))
    if receipt.refused:
        parts.append(_refusals(receipt))
    return "\n".join(parts)


def row(name: str, *lines: str) -> str:
    """A fact in one line or more."""
    return "".join(f"{name if not i else '':<{_MARGIN}}{line}\n" for i, line in enumerate(lines))


def warned(warning: str) -> str:
    """A warning that nobody reads past."""
    body = textwrap.fill(
        warning, _WIDTH, initial_indent="!! WARNING: ", subsequent_indent="!! ", break_long_words=False
    )
    return f"{body}\n"


def lines(number: int, headers: int, blank: int) -> str:
    """The lines of a file, with what is no line beside it."""
    beside = []
    if headers:
        beside.append(things(headers, "header line"))
    if blank:
        beside.append(things(blank, "blank line"))
    return f"{number:,}" + (f" (and {' and '.join(beside)})" if beside else "")


def refusals(first: tuple[Refused, ...]) -> str:
    """The first lines that were refused."""
    shown = "".join(f"  line {one.line:,}: {one.text}: {one.why}\n" for one in first)
    return f"Refused, first {len(first)}:\n{shown}"


def _facts(receipt: Receipt) -> str:
    facts = {
        "file": receipt.file,
        "source": receipt.source,
        "then": [", ".join(receipt.then)] if receipt.then else [],
        "batch": str(receipt.batch),
        "taken in": stamp(receipt.at),
        "recognised as": receipt.layout,
        "lines": lines(receipt.lines, receipt.headers, receipt.blank),
        "IDs taken in": f"{receipt.ids:,}",
        "repeats": f"{receipt.repeats:,}",
        "refused lines": f"{receipt.refused:,}",
        "estimate": [line for said in receipt.estimate for line in _wrapped(said)],
        "SHA-256": receipt.digest,
    }
    return "".join(row(name, *([value] if isinstance(value, str) else value)) for name, value in facts.items())


def _wrapped(line: str) -> list[str]:
    return textwrap.wrap(line, _WIDTH - _MARGIN, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def _refusals(receipt: Receipt) -> str:
    more = receipt.refused - len(receipt.first)
    end = f"  and {more:,} more; all of them are in refused.csv\n" if more > 0 else "  (also in refused.csv)\n"
    return refusals(receipt.first) + end

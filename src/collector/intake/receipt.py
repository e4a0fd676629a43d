"""receipt.txt: what became of each line of a file, for the person who dropped it."""

import textwrap

import msgspec

from collector import quantity
from collector.budget import forecast
from collector.clock import stamp
from collector.intake.idfile import Refused
from collector.sources.spec import Spec

_WIDTH = 88
_SECONDS_A_CALL = 0.5  # until the API's own pace is known


class Receipt(msgspec.Struct, frozen=True):
    """A file taken in: lines = IDs + repeats + refused; blank lines and headers are no lines."""

    batch: int
    file: str
    source: str
    at: float  # wall time
    layout: str
    lines: int
    ids: int
    estimate: str
    headers: int = 0
    blank: int = 0
    refused: int = 0
    first: tuple[Refused, ...] = ()  # of the refused lines
    warnings: tuple[str, ...] = ()
    digest: str = ""

    @property
    def repeats(self) -> int:
        """IDs that stood in the file before."""
        return max(self.lines - self.ids - self.refused, 0)


def estimate(ids: int, spec: Spec) -> str:
    """Requests and time for so many IDs when nothing else draws from the limits."""
    calls = forecast.calls(ids, spec.pack)
    length = quantity.spoken(forecast.seconds(calls, spec.limit, spec.parallel, _SECONDS_A_CALL))
    said = f"{_counted(calls, 'request')}, about {length}"
    if spec.limit:
        return f"{said} ({', '.join(map(str, spec.limit))}; as if nothing else drew from them)"
    return f"{said} or more: the source declares no limit, so the API's own decides"


def text(receipt: Receipt) -> str:
    """The receipt for people, warnings first."""
    parts = [_warning(warning) for warning in receipt.warnings]
    parts.append(_facts(receipt))
    if receipt.refused:
        parts.append(_refusals(receipt))
    return "\n".join(parts)


def _warning(warning: str) -> str:
    body = textwrap.fill(
        warning, _WIDTH, initial_indent="!! WARNING: ", subsequent_indent="!! ", break_long_words=False
    )
    return f"{body}\n"


def _facts(receipt: Receipt) -> str:
    facts = {
        "file": receipt.file,
        "source": receipt.source,
        "batch": str(receipt.batch),
        "taken in": stamp(receipt.at),
        "recognised as": receipt.layout,
        "lines": _lines(receipt),
        "IDs taken in": f"{receipt.ids:,}",
        "repeats": f"{receipt.repeats:,}",
        "refused lines": f"{receipt.refused:,}",
        "estimate": receipt.estimate,
        "SHA-256": receipt.digest,
    }
    return "".join(f"{name:<15}{value}\n" for name, value in facts.items())


def _lines(receipt: Receipt) -> str:
    beside = []
    if receipt.headers:
        beside.append(_counted(receipt.headers, "header line"))
    if receipt.blank:
        beside.append(_counted(receipt.blank, "blank line"))
    return f"{receipt.lines:,}" + (f" (and {' and '.join(beside)})" if beside else "")


def _refusals(receipt: Receipt) -> str:
    shown = "".join(f"  line {one.line:,}: {one.text}: {one.why}\n" for one in receipt.first)
    more = receipt.refused - len(receipt.first)
    end = f"  and {more:,} more; all of them are in refused.csv\n" if more > 0 else "  (also in refused.csv)\n"
    return f"Refused, first {len(receipt.first)}:\n{shown}{end}"


def _counted(number: int, thing: str) -> str:
    return f"{number:,} {thing}" + ("" if number == 1 else "s")

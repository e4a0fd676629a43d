"""What a measurement found, what was wanted of it, and whether that was reached; in words for RESULTS.md."""

import math
import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

FILE = Path(__file__).with_name("RESULTS.md")


class Wanted(NamedTuple):
    """The least and the most that a figure may be."""

    least: float = -math.inf
    most: float = math.inf

    def told(self, form: str) -> str:
        """In words, with numbers as the figure's own."""
        if math.isinf(self.most):
            return f"at least {form.format(self.least)}"
        if math.isinf(self.least):
            return f"at most {form.format(self.most)}"
        return f"{form.format(self.least)} to {form.format(self.most)}"


class Figure(NamedTuple):
    """One number that something was wanted of; judged as it was measured, rounded only where it is shown."""

    what: str
    value: float
    wanted: Wanted
    form: str = "{:.2f}"

    @property
    def reached(self) -> bool:
        """False where there is no number too."""
        return self.wanted.least <= self.value <= self.wanted.most

    def cells(self) -> tuple[str, ...]:
        """Its row."""
        shown = self.form.format(self.value)
        return self.what, shown, self.wanted.told(self.form), "yes" if self.reached else "**no**"


class Section(NamedTuple):
    """One measurement: what and how in words, each side's numbers, and the figures that count."""

    title: str
    how: str
    heads: tuple[str, ...] = ()
    rows: Sequence[tuple[str, ...]] = ()
    figures: Sequence[Figure] = ()
    notes: Sequence[str] = ()
    left_out: Sequence[str] = ()  # what could not be measured here, and why

    def text(self) -> str:
        """As Markdown."""
        parts = [f"## {self.title}", self.how]
        if self.rows:
            parts.append(table(self.heads, self.rows))
        if self.figures:
            parts.append(verdicts(self.figures))
        parts += self.notes
        parts += [f"Left out: {what}." for what in self.left_out]
        return "\n\n".join(parts)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The first column to the left, the others to the right."""
    rule = ["---", *["--:"] * (len(heads) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, rule, *rows))


def verdicts(figures: Sequence[Figure]) -> str:
    """The table that tells what was wanted and what came."""
    return table(("figure", "measured", "wanted", "reached"), [figure.cells() for figure in figures])


def document(head: str, sections: Sequence[Section]) -> str:
    """All of it, what was not reached and what was left out first."""
    title = f"# Measured on {datetime.now(UTC):%Y-%m-%d}"
    return "\n\n".join([title, head, summary(sections), *(section.text() for section in sections)]) + "\n"


def summary(sections: Sequence[Section]) -> str:
    """How many figures are as they are wanted, and which are not or were left out."""
    figures = [(section, figure) for section in sections for figure in section.figures]
    missed = [
        f"- {section.title}: {figure.what} is {figure.cells()[1]}, wanted {figure.cells()[2]}"
        for section, figure in figures
        if not figure.reached
    ]
    missed += [f"- {section.title}: left out is {what}" for section in sections for what in section.left_out]
    reached = sum(figure.reached for _, figure in figures)
    told = f"{reached} of {len(figures)} figures are as they are wanted"
    return f"{told}. What is not:\n\n" + "\n".join(missed) if missed else f"{told}."


def machine() -> str:
    """What all this was measured on."""
    model = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line), "")
    name = model.partition(":")[2].strip() or platform.machine()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    python = f"Python {platform.python_version()}"
    return f"{os.cpu_count()} x {name}, {memory:.0f} GiB, {platform.system()} {platform.release()}, {python}"

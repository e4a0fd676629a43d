"""`collector export` of a batch's items, against a SELECT of their bodies into a file."""

import math
import statistics
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench import built
from bench.answering import LONG
from bench.cost import Cost, of_command
from bench.given import Given
from bench.loops import HEADS, Costs, agreement, bare, faster, medians, reference, rows
from bench.results import Figure, Section, Wanted

FAST = Wanted(least=0.5)
HOW = """\
{items:,} items of {size:,} bytes. The bare loop is `SELECT body FROM items` written to a file, a line each, timed \
from the open database on. Ours is the command `collector export 1 --output FILE`, which also puts ID, key and time \
into each line and makes the file appear whole; what the command takes for a batch of one item is told beside it and \
is taken off its time, since the bare loop's start is not in its own."""
CONFIG = """\
root = "state"
[admin]
listen = "off"
[source.posts]
url = "http://127.0.0.1:9/posts/{id}"
"""


class Exporting:
    """The command over one batch of so many items."""

    def __init__(self, folder: Path, items: int) -> None:
        folder.mkdir()
        self._config, self._items = folder / "collector.toml", items
        self._config.write_text(CONFIG)
        self.database = built.items(folder, items + 1, LONG)
        self.file = folder / "items.jsonl"

    def once(self) -> tuple[float, Cost]:
        """Seconds of the whole command, and what it cost."""
        words = ["export", "1", "--output", str(self.file), "--config", str(self._config)]
        done = of_command([sys.executable, "-m", "collector", *words], self._items)
        with self.file.open("rb") as lines:
            assert sum(1 for _ in lines) == self._items
        self.file.unlink()
        return done


def section(given: Given) -> Section:
    """Both sides in turns."""
    costs: Costs = {}
    loops: dict[str, Callable[..., Cost]] = {"bare": bare}
    if given.reference:
        loops["reference"] = partial(reference, given.reference)
    starts: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        many, one = Exporting(Path(name) / "many", given.items), Exporting(Path(name) / "one", 1)
        for _ in range(given.rounds):
            for side, loop in loops.items():
                costs.setdefault(side, []).append(loop("select", str(many.database), str(many.file)))
                many.file.unlink()  # one that is written over costs the next side time
            starts.append(one.once()[0])
            costs.setdefault("collector", []).append(many.once()[1])
    net = [without(start, given.items, cost) for start, cost in zip(starts, costs["collector"], strict=True)]
    figures = [Figure("speed against the bare loop", faster(net, costs["bare"]), FAST), *agreement(costs)]
    how = HOW.format(items=given.items, size=len(LONG) + 30)
    start, speed = statistics.median(starts), medians(net).speed
    note = f"The command over one item takes {start:.2f} s; without that {speed:,.0f} items/s."
    return Section("export", how, HEADS, rows(costs), figures, [note])


def without(start: float, items: int, cost: Cost) -> Cost:
    """The same had the command not had to start; no number where nearly all of it was that."""
    seconds = items / cost.speed - start
    return cost._replace(speed=items / seconds if seconds > start / 10 else math.nan)

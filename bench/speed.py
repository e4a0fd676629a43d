"""All that is measured of the service's speed, each against its bare reference in the same run and in turns.

    python -m bench.speed [--only one-16,packed] [--quick] [--peers] [--reference bare.py] [--rounds 3] …

Each part tells what it measures and how, the medians of the rounds, ratios, seconds of processor for 1,000 IDs, peak
memory, and what was wanted beside what came. Only ratios say something on a machine that others use. A run of all parts
writes bench/RESULTS.md; one of some (`--only`) or of small sizes (`--quick`) prints alone.

Parts are the scenarios of bench/loops.py, and
    intake-asc, intake-random   a dropped file of --rows IDs
    scale                       start, calls and /status over --scale-rows rows
    idle                        nothing to do for --idle-seconds
    export                      --items items to a file
    finish                      batches under a limit of 90 calls in 9 s, against the least time that its policy takes
    profile                     cProfile of one-16 and of python-async; --only profile --jobs N for another size
    peers-http, peers-noop      with --peers: other people's queues, which are installed into bench/peers/.venv and need
                                rabbitmq-server, redis-server and postgresql (Debian's names); who is not there is
                                left out, and why is told
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench import export, idle, intake, loops, optimum, profiled, results, scale
from bench.answering import Server, answering
from bench.given import Given
from bench.loops import SCENARIOS
from bench.peers import beside
from bench.results import Section

Part = Callable[[], list[Section]]
FULL = Given(3, 10_000, 1_000_000, 10_000_000, 200_000, 60.0, (0.1, 0.5, 1, 2.5, 10), 2_000)
QUICK = Given(1, 2_000, 100_000, 100_000, 50_000, 10.0, (0.1, 1, 2.5), 300)


def parts(given: Given, server: Server) -> dict[str, Part]:
    """All of them, in the order in which they run."""

    def alone(measure: Callable[..., Section], *words: object) -> Part:
        return lambda: [measure(*words)]

    found: dict[str, Part] = {one.name: alone(loops.compare, one, given, server) for one in SCENARIOS}
    for order in ("asc", "random"):
        found[f"intake-{order}"] = alone(intake.compare, given.rows, given.rounds, order, given.reference)
    found["scale"] = partial(scale.sections, given, server)
    found |= {"idle": alone(idle.section, given), "export": alone(export.section, given)}
    found["finish"] = alone(optimum.section, given)
    found |= {name: alone(beside.section, name, given, server) for name in beside.KINDS}
    found["profile"] = partial(profiled.sections, given, server)
    return found


def measured(wanted: dict[str, Part]) -> list[Section]:
    """What each found, printed as it comes."""
    found: list[Section] = []
    for name, part in wanted.items():
        began = time.monotonic()
        for section in part():
            print(f"{section.text()}\n", flush=True)
            found.append(section)
        print(f"({name}: {time.monotonic() - began:.0f} s)\n", flush=True)
    return found


def read() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="parts, with commas between them")
    parser.add_argument("--quick", action="store_true", help="small sizes: whether it works, not how fast")
    parser.add_argument("--peers", action="store_true", help="beside other people's queues too")
    parser.add_argument("--folder", type=Path, help="where to work; the disk counts")
    parser.add_argument("--reference", help="a program with the same loops as bench/bare.py, to be told beside ours")
    for size in ("rounds", "jobs", "rows", "scale-rows", "items", "peer-jobs"):
        parser.add_argument(f"--{size}", type=int, help=f"{getattr(FULL, size.replace('-', '_')):,} unless it is said")
    parser.add_argument("--idle-seconds", type=float, help=f"{FULL.idle_seconds:g} unless it is said")
    return parser.parse_args()


def main() -> None:
    """Measures, prints and writes."""
    words = read()
    sizes = {name: value for name, value in vars(words).items() if name in Given._fields and value is not None}
    given = (QUICK if words.quick else FULL)._replace(**sizes)
    if words.folder:  # of the loops' processes too
        os.environ["TMPDIR"] = tempfile.tempdir = str(words.folder.resolve())
    with tempfile.TemporaryDirectory() as folder, answering(Path(folder)) as server:
        known = parts(given, server)
        names = [name for name in known if words.peers or name not in beside.KINDS]
        chosen = words.only.split(",") if words.only else names
        if unknown := set(chosen) - set(known):
            raise SystemExit(f"no part {', '.join(sorted(unknown))}; there are {', '.join(known)}")
        load, rounds = os.getloadavg()[0], f"medians of the rounds in turns, of which there are {given.rounds}"
        head = f"{results.machine()}, load {load:.1f} before; answers by {server.name}; {rounds}."
        print(f"{head}\n", flush=True)
        found = measured({name: part for name, part in known.items() if name in chosen})
    text = results.document(head, found)
    print(text.partition("\n## ")[0])
    if not words.only and not words.quick:
        results.FILE.write_text(text)


if __name__ == "__main__":
    main()

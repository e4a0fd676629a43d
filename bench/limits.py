"""How the limits of real rate limiters are used: never a refusal, and no window left half empty.

    python -m bench.limits [--limit 90] [--window 9] [--windows 4] [--only NAME] [--scenarios] [--kill HOW]
                           [--runs 1] [--jobs 1] [--keep FOLDER]

Each run starts a limiter that others wrote (flask-limiter, pyrate-limiter) in a process of its own, 20 to 50 ms away,
and the service with 16 calls at once; it drops as many windows' worth of IDs, waits for the end, and judges by the
limiter's own log. bench/score.py says what the columns mean; `lag` is the most that the service's loop was late.
"""

import argparse
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.scenario import LIMITERS, SCENARIOS, Scenario, scenario
from bench.trial import KILLS, Result, run

COLUMNS = f"{'limiter':<26} {'IDs':>5} {'granted':>7} {'429s':>5} {'steady':>7} {'T':>8} {'opt':>8}"
COLUMNS += f" {'T/opt':>6} {'most':>5} {'lag':>7}"


def row(result: Result) -> str:
    """One line of the table, and one below it for each refusal."""
    use = result.use
    steady = "-" if use.steady is None else f"{use.steady:.1%}"
    name = f"{result.name} {result.key}".strip()
    text = f"{name:<26} {result.asked:>5} {result.ours.granted:>7} {result.ours.refused:>5} {steady:>7}"
    text += f" {use.seconds:>6.2f} s {use.least:>6.2f} s {use.ratio:>6.2f} {use.most:>5} {result.lag * 1000:>4.0f} ms"
    if result.ours.other:
        text += f"  and {result.ours.other} other answers"
    if result.races:
        text += f"  {result.races} of the 429s were races that could not be won"
    for refusal in result.refusals:
        left = "" if refusal.left is None else f", {refusal.left} remaining"
        text += f"\n    429 after {refusal.at:.2f} s{left}; the loop was late by {refusal.lag * 1000:.0f} ms before it"
    return text


def results(scenarios: list[Scenario], given: argparse.Namespace) -> Iterator[list[Result]]:
    """Every run's, in order, some of them side by side."""
    with ThreadPoolExecutor(given.jobs) as pool:
        yield from pool.map(lambda one: run(one, given.windows, given.kill, given.keep), scenarios)


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, default=90, help="calls in a window")
    parser.add_argument("--window", type=int, default=9, help="seconds")
    parser.add_argument("--windows", type=float, default=4, help="windows' worth of IDs")
    parser.add_argument(
        "--only", action="append", choices=(*LIMITERS, *SCENARIOS), metavar="NAME", help="may be repeated"
    )
    parser.add_argument("--scenarios", action="store_true", help="the harder cases")
    parser.add_argument(
        "--kill", choices=KILLS, help="kill -9 and start again: in mid-window, when it is spent, thrice"
    )
    parser.add_argument("--runs", type=int, default=1, help="of each")
    parser.add_argument("--jobs", type=int, default=1, help="runs side by side")
    parser.add_argument("--keep", type=Path, help="a folder for the limiters' logs")
    given = parser.parse_args()
    names = given.only or (SCENARIOS if given.scenarios else LIMITERS)
    scenarios = [scenario(name, given.limit, given.window) for name in names for _ in range(given.runs)]
    killed = f", kill -9: {given.kill}" if given.kill else ""
    print(f"{given.limit} calls in {given.window} s, {given.windows:g} windows' worth of IDs{killed}\n\n{COLUMNS}")
    for one in {one.limiter.name: one for one in scenarios if one.note}.values():
        print(f"({one.limiter.name}: {one.note})")
    refused = 0
    for found in results(scenarios, given):
        for result in found:
            refused += result.ours.refused
            print(row(result), flush=True)
    print(f"\n{len(scenarios)} runs, {refused} refusals")


if __name__ == "__main__":
    main()

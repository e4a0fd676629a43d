"""Sources that leave their budget, and another number of calls in the air, while the service runs."""

import asyncio
from pathlib import Path

from collector.budget.ledger import Ledger
from collector.budget.limit import Limit

from .virtual import VirtualClock, run


def opened(path: Path, consumers: int = 16) -> Ledger:
    return Ledger.open(path / "ledger", VirtualClock(), consumers)


async def send(ledger: Ledger, source: str) -> None:
    """One call, answered at once."""
    with await ledger.draw(source, 1) as permit:
        permit.spend()
        permit.answered(200, {})


def test_the_limit_of_a_source_that_left_holds_no_longer_for_the_others(tmp_path: Path) -> None:
    """Two sources share an identity and the strictest limit; when the stricter is gone the other's holds, less what
    both have sent."""

    async def main() -> None:
        ledger = opened(tmp_path)
        ledger.declare("strict", "key", (Limit(5, 60),))
        ledger.declare("lax", "key", (Limit(50, 60),))
        for source in ("strict", "lax", "strict"):
            await send(ledger, source)
        ledger.retire("strict")
        [window] = ledger.windows()["lax"]
        assert (window.limit, window.used) == (50, 3)
        ledger.close()

    run(main())


def test_a_source_that_comes_back_finds_its_slots_taken(tmp_path: Path) -> None:
    """Neither to leave nor to move to another identity and back grants a window twice."""

    async def main() -> None:
        ledger = opened(tmp_path)
        ledger.declare("posts", "key", (Limit(5, 60),))
        for _ in range(4):
            await send(ledger, "posts")
        ledger.retire("posts")
        assert ledger.windows() == {}
        ledger.declare("posts", "other key", (Limit(5, 60),))
        assert ledger.windows()["posts"][0].used == 0
        ledger.declare("posts", "key", (Limit(5, 60),))
        assert ledger.windows()["posts"][0].used == 4
        ledger.retire("nobody")
        ledger.close()

    run(main())


def test_what_an_earlier_process_sent_is_kept_when_one_of_two_leaves_before_the_first_draw(tmp_path: Path) -> None:
    """The journal's story is told again to the windows that are made anew."""

    async def main() -> None:
        before = opened(tmp_path)
        before.declare("posts", "key", (Limit(5, 60),))
        for _ in range(4):
            await send(before, "posts")
        before.close()
        ledger = opened(tmp_path)
        ledger.declare("posts", "key", (Limit(9, 60),))
        ledger.declare("strict", "key", (Limit(5, 60),))
        ledger.retire("strict")
        [window] = ledger.windows()["posts"]
        assert (window.limit, window.used) == (9, 4)
        ledger.close()

    run(main())


def test_more_consumers_let_those_who_wait_go_at_once(tmp_path: Path) -> None:
    """And fewer hold them back until enough calls are over."""

    async def main() -> None:
        ledger = opened(tmp_path, consumers=1)
        for name in ("a", "b", "c"):
            ledger.declare(name, name, ())
        first = await ledger.draw("a", 1)
        async with asyncio.TaskGroup() as group:
            second = group.create_task(ledger.draw("b", 1))
            await asyncio.sleep(1)
            assert not second.done()
            ledger.resize(2)
            with await second:
                ledger.resize(1)
                third = group.create_task(ledger.draw("c", 1))
                with first:
                    pass
                await asyncio.sleep(1)
                assert not third.done()
            with await third:
                pass
        ledger.close()

    run(main())

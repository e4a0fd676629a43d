"""Lines that are alike."""

import asyncio
import io
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from collector.host.seldom import LEFT_OUT, Seldom


class Turned:
    """A clock that the test turns."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def record(event: str, level: int = logging.WARNING, **facts: Any) -> logging.LogRecord:
    """A line as structlog hands it to the standard library."""
    return logging.LogRecord("collector", level, __file__, 1, {"event": event, **facts}, None, None)


class Stream(io.StringIO):
    """Tells when something is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = asyncio.Event()

    def write(self, text: str) -> int:
        """Text that is kept."""
        self.written.set()
        return super().write(text)


class Log:
    """What a handler lets through."""

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        self.clock, self.stream = Turned(), Stream()
        self.handler = Seldom(self.stream, clock or self.clock)
        self.handler.setFormatter(self)  # type: ignore[arg-type] # it has the one method that is called

    def format(self, told: logging.LogRecord) -> str:
        said: Any = told.msg
        return f"{said['event']} {said.get('source', '')}{said.get('n', '')} {getattr(told, LEFT_OUT, 0)}"

    def say(self, *events: str, **facts: Any) -> None:
        for event in events:
            self.handler.handle(record(event, **facts))

    @property
    def lines(self) -> list[str]:
        return [line.strip() for line in self.stream.getvalue().splitlines()]


@pytest.fixture
def log() -> Log:
    return Log()


def test_the_first_line_goes_at_once_and_the_last_one_a_second_later(log: Log) -> None:
    """With the newest facts, and with how many were left out between them."""
    for n in range(1000):
        log.say("refused", n=n)
    assert log.lines == ["refused 0 0"]
    log.clock.now += 1.0
    log.say("other")
    assert log.lines == ["refused 0 0", "refused 999 998", "other  0"]


def test_a_flood_is_a_line_a_second(log: Log) -> None:
    """However long it goes on."""
    for n in range(100_000):
        log.clock.now += 0.0001
        log.say("refused", n=n)
    assert 9 <= len(log.lines) <= 11


def test_lines_of_different_sources_are_not_alike(log: Log) -> None:
    """A source that stopped is not left out since another one did."""
    log.say("source_stopped", source="a")
    log.say("source_stopped", source="b")
    assert log.lines == ["source_stopped a 0", "source_stopped b 0"]


def test_after_a_quiet_second_a_line_goes_at_once(log: Log) -> None:
    """Nothing is held back that nobody repeats."""
    log.say("refused", n=1)
    log.clock.now += 1.0
    log.say("refused", n=2)
    assert log.lines == ["refused 1 0", "refused 2 0"]


def test_what_is_held_goes_when_the_log_is_closed(log: Log) -> None:
    """The last lines before an end are those that tell why."""
    log.say("refused", "refused", "refused")
    log.handler.close()
    assert log.lines == ["refused  0", "refused  1"]


async def test_what_is_held_goes_in_a_second_though_nobody_says_more(log: Log) -> None:
    """The loop comes back to it."""
    log.say("refused", "refused")
    log.clock.now += 1.0
    await there(log, 2)
    assert log.lines[-1] == "refused  0"


async def test_each_of_several_that_are_held_goes_in_its_time() -> None:
    """The loop comes back to the later ones too."""
    log = Log(time.monotonic)
    log.say("refused", "refused")
    asyncio.get_running_loop().call_later(0.1, log.say, "failed", "failed")
    await there(log, 4)
    assert log.lines == ["refused  0", "failed  0", "refused  0", "failed  0"]


async def there(log: Log, lines: int) -> None:
    """Returns when so many lines are written, or nothing more can be hoped for."""
    with suppress(TimeoutError):
        async with asyncio.timeout(5):
            while len(log.lines) < lines:
                await log.stream.written.wait()
                log.stream.written.clear()


def test_the_kinds_in_memory_are_bounded(log: Log) -> None:
    """A name in a line may be anything, and there are more of them than memory."""
    for n in range(10_000):
        log.say("refused", source=f"s{n}")
    assert len(log.lines) == 10_000
    assert len(log.handler._kinds) <= 500

"""What systemd is told: that the service is ready, what it does, and that it is alive. Without systemd, nothing.

The datagrams and variables are those of sd_notify(3) and sd_watchdog_enabled(3).
"""

import asyncio
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import structlog

from collector.clock import Clock
from collector.host.pulse import Pulse

STATUS_EVERY = 1.0  # seconds
_PINGS = 3  # in the time after which systemd takes the service for dead
_MOST_UNSENT = 16
_LONGEST = 500  # characters of a status

log = structlog.get_logger()


def address(environment: Mapping[str, str]) -> str | None:
    """Where to send, as the socket module wants it; None where there is no such socket, or of a kind unknown here."""
    name = environment.get("NOTIFY_SOCKET", "")
    if name.startswith("@"):  # an abstract name
        return "\0" + name[1:]
    return name if name.startswith("/") else None


def watchdog(environment: Mapping[str, str], pid: int) -> float | None:
    """The seconds after which a silent process is taken for dead; None where nobody watches this one."""
    length, whose = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    if not (length.isascii() and length.isdigit() and int(length)) or whose not in ("", str(pid)):
        return None
    return int(length) / 1_000_000


class Manager:
    """The way to systemd. What is told of the state arrives in its order, later where the socket is full."""

    def __init__(self, address: str | None) -> None:
        self.address = address
        self._unsent: deque[str] = deque(maxlen=_MOST_UNSENT)
        self._trouble = False

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Manager":
        """The one that started this process, if any did."""
        return cls(address(environment))

    def ready(self) -> None:
        """The start, or a reload, is done."""
        self._tell("READY=1")

    def stopping(self) -> None:
        """The stop has begun."""
        self._tell("STOPPING=1")

    @contextmanager
    def reloading(self) -> Iterator[None]:
        """The configuration is being read; a stop in between makes nothing ready again."""
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")
        yield
        self.ready()

    def status(self, line: str) -> bool:
        """One line for people; whether it was sent."""
        # A line break would begin another field.
        return self.catch_up() and self._send(f"STATUS={' '.join(line.split())[:_LONGEST]}")

    def alive(self) -> None:
        """A ping of the watchdog."""
        if self.catch_up():
            self._send("WATCHDOG=1")

    def catch_up(self) -> bool:
        """Sends what could not be sent before; whether all is sent."""
        while self._unsent and self._send(self._unsent[0]):
            self._unsent.popleft()
        return not self._unsent

    def _tell(self, message: str) -> None:
        if self.address is not None:
            self._unsent.append(message)
            self.catch_up()

    def _send(self, message: str) -> bool:
        if self.address is None:
            return False
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender:
                sender.sendto(message.encode(errors="replace"), self.address)
        except OSError as error:
            if not self._trouble:
                log.warning("systemd_cannot_be_told", socket=self.address.replace("\0", "@"), why=error.strerror)
            self._trouble = True
            return False
        self._trouble = False
        return True


class Marks:
    """How long each actor that has something to do has not passed its mark. Time counts in looks, each for two usual
    ones at most: while the whole process stood still no actor is to blame."""

    def __init__(self, every: float) -> None:
        self._most = 2 * every
        self._looked: float | None = None
        self._seen: dict[str, tuple[int, float]] = {}  # marks passed, and seconds since the last

    def look(self, pulses: Mapping[str, Pulse], now: float) -> dict[str, float]:
        """Seconds by actor, of those with something to do."""
        gone = 0.0 if self._looked is None else min(now - self._looked, self._most)
        self._looked = now
        before, self._seen = self._seen, {}
        for name, pulse in pulses.items():
            if pulse.busy:
                passed, late = before.get(name, (-1, 0.0))
                self._seen[name] = (pulse.passed, late + gone if passed == pulse.passed else 0.0)
        return {name: late for name, (_, late) in self._seen.items()}


class Herald:
    """The actor that tells systemd what is to be told. Its pings come from the event loop, so they stop when that is
    late; and when an actor with something to do has not passed its mark for as long as systemd waits."""

    def __init__(
        self,
        manager: Manager,
        wait: float | None,
        line: Callable[[], str],
        pulses: Callable[[], Mapping[str, Pulse]],
        clock: Clock,
    ) -> None:
        self._manager, self._wait, self._line, self._pulses, self._clock = manager, wait, line, pulses, clock
        self._every = min(STATUS_EVERY, wait / _PINGS) if wait else STATUS_EVERY
        self._marks = Marks(self._every)
        self._told = ""
        self._told_at = self._pinged_at = float("-inf")  # loop time
        self._stuck: frozenset[str] = frozenset()

    async def run(self, ready: asyncio.Event) -> None:
        """Tells until it is cancelled, from the moment on that the service is ready."""
        if self._manager.address is None:
            return
        await ready.wait()
        self._manager.ready()
        while True:
            self.look()
            await asyncio.sleep(self._every)

    def look(self) -> None:
        """Tells what has changed, and that the service is alive where it is."""
        now = self._clock.mono()
        self._manager.catch_up()
        if self._wait is not None and self._is_well(self._wait, now) and now - self._pinged_at >= self._rare:
            self._pinged_at = now
            self._manager.alive()
        if now - self._told_at >= STATUS_EVERY and (line := self._line()) != self._told and self._manager.status(line):
            self._told, self._told_at = line, now

    @property
    def _rare(self) -> float:
        """Seconds between two pings; a look comes a little early or late."""
        return (self._wait or 0.0) / _PINGS - self._every / 2

    def _is_well(self, wait: float, now: float) -> bool:
        late = {name for name, seconds in self._marks.look(self._pulses(), now).items() if seconds >= wait}
        if stuck := late - self._stuck:
            log.error(
                "actors_are_stuck", actors=sorted(stuck), seconds=wait, what="no watchdog ping goes until they go on"
            )
        self._stuck = frozenset(late)
        return not late

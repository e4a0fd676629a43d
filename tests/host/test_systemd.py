"""What systemd is told, at a real datagram socket."""

import asyncio
import os
import re
import time
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.clock import Clock
from collector.host.pulse import Pulse
from collector.host.systemd import Herald, Manager, Marks, address, watchdog
from tests.host.manager import Listener, listening


class Turned(Clock):
    """A clock that the test turns."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def mono(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("name", "expected"), [("/run/notify", "/run/notify"), ("@abstract", "\0abstract"), ("", None), ("vsock:2:1", None)]
)
def test_the_socket_is_a_path_or_an_abstract_name(name: str, expected: str | None) -> None:
    """Any other kind is as none."""
    assert address({"NOTIFY_SOCKET": name}) == expected


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": "4711"}, 0.5),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "4712"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_a_watchdog_is_for_the_process_that_it_names(variables: dict[str, str], expected: float | None) -> None:
    """Without a number, or with that of another process, nobody watches."""
    assert watchdog(variables, 4711) == expected


@pytest.mark.parametrize("abstract", [False, True])
def test_what_is_told_arrives_in_its_order(tmp_path: Path, abstract: bool) -> None:
    """At a socket in a folder and at an abstract one; a reload says when it began, by the clock of systemd."""
    with listening(tmp_path, f"@collector-{uuid4()}" if abstract else None) as listener:
        manager = Manager.of({"NOTIFY_SOCKET": listener.name})
        manager.ready()
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        with manager.reloading():
            pass
        assert manager.status("two\nlines: READY=1")
        manager.alive()
        manager.stopping()
        ready, reloading, again, *rest = listener.waiting()
    assert ready == again == "READY=1"
    found = re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=([0-9]+)", reloading)
    assert found
    assert before <= int(found[1]) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert rest == ["STATUS=two lines: READY=1", "WATCHDOG=1", "STOPPING=1"]


def test_without_systemd_nothing_is_told() -> None:
    """And nothing goes wrong."""
    manager = Manager.of({})
    manager.ready()
    manager.alive()
    assert not manager.status("nobody reads this")


def test_a_socket_that_is_full_or_away_is_told_later(tmp_path: Path) -> None:
    """The state is kept in its order, and a status or a ping does not overtake it."""
    manager = Manager.of({"NOTIFY_SOCKET": str(tmp_path / "notify")})
    manager.ready()
    assert not manager.status("too early")
    with listening(tmp_path) as listener:
        while manager.status("full"):
            pass
        manager.stopping()
        assert listener.waiting()[0] == "READY=1"
        manager.alive()
        assert listener.waiting() == ["STOPPING=1", "WATCHDOG=1"]


async def test_a_herald_without_systemd_ends_at_once() -> None:
    """No actor wakes each second for nobody."""
    async with asyncio.timeout(5):
        await Herald(Manager(None), None, lambda: "", dict, Clock()).run(asyncio.Event())


def heard(herald: Herald, listener: Listener, clock: Turned, seconds: float) -> list[str]:
    """What is told while the clock goes on by so much, in steps of a second."""
    for _ in range(round(seconds)):
        clock.now += 1.0
        herald.look()
    return listener.waiting()


def test_a_status_is_told_when_it_changes_and_once_a_second_at_most(tmp_path: Path) -> None:
    """The same line is not told twice."""
    clock, lines = Turned(), ["one"]
    with listening(tmp_path) as listener:
        herald = Herald(Manager(listener.name), None, lambda: lines[-1], dict, clock)
        assert heard(herald, listener, clock, 5) == ["STATUS=one"]
        lines.append("two")
        herald.look()
        lines.append("three")
        clock.now += 0.5
        herald.look()
        assert listener.waiting() == ["STATUS=two"]
        assert heard(herald, listener, clock, 5) == ["STATUS=three"]


def test_pings_go_while_every_actor_rests_or_gets_on(tmp_path: Path) -> None:
    """An idle service is well for days; so is one whose actor passes its mark now and then."""
    clock, pulse = Turned(), Pulse()
    with listening(tmp_path) as listener:
        herald = Herald(Manager(listener.name), 30.0, lambda: "", lambda: {"recorder": pulse}, clock)
        assert 11 <= len(heard(herald, listener, clock, 120)) <= 13
        for _ in range(6):
            pulse.beat()
            assert len(heard(herald, listener, clock, 25)) >= 2


def test_pings_stop_when_an_actor_with_something_to_do_is_stuck_and_come_again_when_it_goes_on(tmp_path: Path) -> None:
    """It has as long as systemd itself waits; others that get on do not speak for it."""
    clock, stuck, other = Turned(), Pulse(), Pulse()
    with listening(tmp_path) as listener:
        herald = Herald(Manager(listener.name), 30.0, lambda: "", lambda: {"feeder": stuck, "recorder": other}, clock)
        stuck.beat()
        other.beat()
        assert len(heard(herald, listener, clock, 30)) >= 3
        other.beat()
        assert heard(herald, listener, clock, 60) == []
        stuck.rest()
        other.rest()
        assert len(heard(herald, listener, clock, 30)) >= 3


def test_no_actor_is_to_blame_for_a_process_that_stood_still() -> None:
    """After a SIGSTOP or a machine that slept all go on, so the next ping goes."""
    marks, pulse = Marks(1.0), Pulse()
    pulse.beat()
    marks.look({"recorder": pulse}, 0.0)
    assert marks.look({"recorder": pulse}, 3_600.0)["recorder"] <= 2.0


@given(st.lists(st.tuples(st.sampled_from(["beat", "rest", "nothing"]), st.floats(0, 2)), max_size=60))
def test_an_actor_is_late_by_the_time_since_its_last_mark_and_only_while_it_is_busy(
    steps: list[tuple[str, float]],
) -> None:
    """Never later than it is, whatever comes in which order."""
    marks, pulse, now, passed_at = Marks(1.0), Pulse(), 0.0, 0.0
    for does, seconds in steps:
        now += seconds
        if does != "nothing":
            getattr(pulse, does)()
            passed_at = now
        late = marks.look({"it": pulse}, now)
        assert set(late) == ({"it"} if pulse.busy else set())
        assert late.get("it", 0.0) <= now - passed_at + 1e-6


def test_a_process_knows_whether_it_is_watched() -> None:
    """As systemd sets it for the process that it starts."""
    assert watchdog({"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": str(os.getpid())}, os.getpid()) == 1.0

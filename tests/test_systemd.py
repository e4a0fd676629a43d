"""The service as systemd has it: what it is told, and the unit."""

import asyncio
import os
import signal
from collections import Counter
from pathlib import Path

import pytest

from collector.rehearsal.api import StandIn
from tests.host.manager import Listener, listening

from .service import Service, service
from .test_service import IDS, quick

NEVER = "http://127.0.0.1:9"  # nothing is asked in these


def watched(run: Service, listener: Listener, seconds: float | None = None) -> None:
    """Starts it as systemd would."""
    run.environment["NOTIFY_SOCKET"] = listener.name
    if seconds:
        run.environment["WATCHDOG_USEC"] = str(round(seconds * 1_000_000))
    run.start()


def test_a_start_a_reload_and_a_stop_are_told(tmp_path: Path) -> None:
    """READY first of all, then what it does; a reload that is refused is over too."""
    with listening(tmp_path) as listener, service(tmp_path, NEVER) as run:
        watched(run, listener)
        assert listener.next() == "READY=1"
        assert listener.next() == "STATUS=nothing to do"
        for text in (run.config.read_text(), "no toml"):
            run.config.write_text(text)
            run.process.send_signal(signal.SIGHUP)
            assert listener.until("RELOADING=1\nMONOTONIC_USEC=")
            assert listener.next() == "READY=1"
        run.terminate()
        assert listener.until("STOPPING=1")
        assert run.ended() == 0
        assert not [told for told in listener.waiting() if told.startswith("READY")]


async def test_the_status_says_what_is_open(tmp_path: Path) -> None:
    """While calls wait for their answers, and after."""
    async with StandIn(quick()) as api:
        with listening(tmp_path) as listener, service(tmp_path, api.url, more="pack = 5") as run:
            api.answering.clear()
            watched(run, listener)
            await asyncio.to_thread(listener.until, "STATUS=nothing to do")
            run.drop("ids.txt", IDS)
            told = (await asyncio.to_thread(listener.until, "STATUS=40 of 40 IDs open"))[-1]
            assert "\n" not in told
            api.answering.set()
            await asyncio.to_thread(listener.until, "STATUS=nothing to do")


def test_pings_come_in_time_and_none_from_a_frozen_process(tmp_path: Path) -> None:
    """A process that is stopped is silent for longer than systemd waits; it goes on when it is let go."""
    with listening(tmp_path) as listener, service(tmp_path, NEVER) as run:
        watched(run, listener, seconds=1.0)
        listener.until("READY=1")
        for _ in range(6):
            assert listener.next(timeout=1.0)
        run.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, run.process.pid, os.WSTOPPED | os.WNOWAIT)
        listener.waiting()
        with pytest.raises(TimeoutError):
            listener.next(timeout=1.5)
        run.process.send_signal(signal.SIGCONT)
        assert listener.next(timeout=1.0) == "WATCHDOG=1"


def test_a_watchdog_of_another_process_is_not_pinged(tmp_path: Path) -> None:
    """Nor is there a ping where nobody watches."""
    with listening(tmp_path) as listener, service(tmp_path, NEVER) as run:
        run.environment["WATCHDOG_PID"] = "1"
        watched(run, listener, seconds=0.3)
        listener.until("STATUS=")
        with pytest.raises(TimeoutError):
            listener.next(timeout=1.0)
        run.terminate()
        assert Counter(listener.until("STOPPING=1"))["WATCHDOG=1"] == 0

"""The service as systemd has it: what it is told, and the unit."""

import asyncio
import configparser
import os
import re
import shutil
import signal
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from collector.app import LAST_COMMITS
from collector.config import Service as Settings
from collector.quantity import seconds
from collector.rehearsal.api import StandIn
from tests.host.manager import Listener, listening

from .service import Service, service
from .test_service import IDS, quick

UNIT = Path(__file__).parents[1] / "systemd" / "collector.service"
MOST_EXPOSED = 1.2
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


def unit() -> configparser.SectionProxy:
    """The settings of the unit's service; none of those that are asked for stands there twice."""
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign] # as configparser's own documentation has it
    parser.read(UNIT)
    return parser["Service"]


def analysed(*command: str) -> "subprocess.CompletedProcess[str]":
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not here, so nobody can say what it finds in the unit")
    return subprocess.run(["systemd-analyze", *command], capture_output=True, text=True, timeout=8)


def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    """No unknown key, no value that it cannot read."""
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text().replace("/opt/collector/bin/collector", "/bin/true"))  # it looks for the program
    told = analysed("verify", "--man=no", str(copy))
    assert (told.returncode, told.stdout, told.stderr) == (0, "", "")


def test_the_unit_exposes_little() -> None:
    """By systemd's own measure, from 0 to 10."""
    told = analysed("security", "--offline=true", "--no-pager", str(UNIT))
    found = re.search(r"Overall exposure level for collector.service: ([0-9.]+)", told.stdout)
    assert found, told.stderr
    assert float(found[1]) <= MOST_EXPOSED


def test_systemd_waits_longer_for_the_stop_than_the_stop_takes() -> None:
    """The grace as it is by default, and the last outcomes after it, with time to close the database."""
    assert seconds(unit()["TimeoutStopSec"]) >= Settings().grace + LAST_COMMITS + 10


def test_the_unit_hides_no_boot_id_and_keeps_its_user() -> None:
    """Without that ID clocks mean nothing over a restart; under a dynamic user nobody could drop a file."""
    assert unit()["Type"] == "notify"
    assert unit().get("ProcSubset", "all") == "all"
    assert "DynamicUser" not in unit()

"""What work cost a process, by its own account and by the kernel's."""

import os
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

LOOK_EVERY = 0.01  # seconds
_TICK = os.sysconf("SC_CLK_TCK")


class Cost(NamedTuple):
    """Units (IDs) a second, seconds of processor for one, and the most memory that the process held."""

    speed: float
    cpu: float
    rss: int  # bytes


def cpu(pid: int) -> float:
    """Seconds of processor that a process has used till now, all its threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def rss(pid: int | str, what: str = "VmHWM") -> int:
    """Bytes that a process held at most; getrusage would also tell what its parent had when it started it."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{what}:"))


def own_rss() -> int:
    """Of this process."""
    return rss("self")


def of_command(command: Sequence[str], units: int) -> tuple[float, Cost]:
    """The seconds of a whole command, from its start to its end, and what it cost for each of so many units."""
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        most, flags = 0, os.WEXITED | os.WNOWAIT | os.WNOHANG
        while os.waitid(os.P_PID, process.pid, flags) is None:
            with suppress(StopIteration):  # it has ended, and holds nothing any more
                most = rss(process.pid)
            time.sleep(LOOK_EVERY)
        seconds, used = time.perf_counter() - began, cpu(process.pid)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return seconds, Cost(units / seconds, used / units, most)


def of_session(leader: int) -> tuple[float, int]:
    """Seconds of processor that a session's processes have used till now, and the most bytes that they held."""
    found = [pid for path in Path("/proc").glob("[0-9]*") if _session(pid := int(path.name)) == leader]
    return sum(cpu(pid) for pid in found), sum(rss(pid) for pid in found)


def _session(pid: int) -> int:
    with suppress(ProcessLookupError):
        return os.getsid(pid)
    return 0

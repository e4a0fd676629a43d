"""What holds in the unit's sandbox, a line each: `bound` or `LOOSE`. Of boot-check, which runs it there."""

import ctypes
import errno
import mmap
import resource
import socket
import sys
from collections.abc import Callable
from pathlib import Path

STATE = Path("/var/lib/collector")
_CLONE_NEWUSER = 0x10000000


def refused(do: Callable[[], object], *numbers: int) -> bool:
    """Whether it fails, and for one of these reasons."""
    try:
        do()
    except OSError as error:
        return error.errno in numbers
    return False


def status(field: str) -> str:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(line.split()[1] for line in lines if line.startswith(f"{field}:"))


def new_namespace() -> None:
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWUSER):
        raise OSError(ctypes.get_errno(), "unshare")


def with_setgid() -> None:
    probe = STATE / "probe"
    probe.touch()
    try:
        probe.chmod(0o2770)
    finally:
        probe.unlink()


# Everybody may read /home/sender/here and /tmp/here outside.
HOLDS = {
    **{
        f"writes nothing to {folder}": refused((Path(folder) / "probe").touch, errno.EROFS)
        for folder in ("/etc", "/usr", "/opt", "/var")
    },
    "sees nothing in /home": refused(Path("/home/sender/here").read_text, errno.ENOENT, errno.EACCES),
    "has a /tmp of its own": refused(Path("/tmp/here").read_text, errno.ENOENT),  # noqa: S108 # it is to be missing
    "sees no other process": not Path("/proc/1").exists(),
    "gets no new privileges": status("NoNewPrivs") == "1",
    "has no capability to get": int(status("CapBnd"), 16) == int(status("CapEff"), 16) == 0,
    "is held by a filter of system calls": status("Seccomp") == "2",
    "makes no namespace": refused(new_namespace, errno.EPERM),
    "speaks no other protocols": refused(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW), errno.EAFNOSUPPORT),
    "makes no memory that is written and run": refused(
        lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC), errno.EPERM, errno.EACCES
    ),
    "sets no setgid bit": refused(with_setgid, errno.EPERM),
    "dumps no core": resource.getrlimit(resource.RLIMIT_CORE) == (0, 0),
    "writes to its state folder": not refused((STATE / "watch/.probe.part").touch, errno.EROFS, errno.EACCES),
}
(STATE / "watch/.probe.part").unlink(missing_ok=True)
sys.stdout.writelines(f"{'bound' if holds else 'LOOSE'} {what}\n" for what, holds in HOLDS.items())
sys.exit(not all(HOLDS.values()))

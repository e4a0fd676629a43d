"""The virtual environment of the peers, made when it is wanted first."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
VENV = HERE / ".venv"
REQUIRED = HERE / "requirements.txt"
MADE = VENV / "made"  # holds what was installed


class Absent(Exception):
    """A peer, or what it needs, is not on this machine; says in words what and why."""


def python() -> Path:
    """Its interpreter; Absent where it could not be made."""
    interpreter = VENV / "bin" / "python"
    if not MADE.exists() or MADE.read_text() != REQUIRED.read_text():
        _made([sys.executable, "-m", "venv", str(VENV)])
        _made([str(interpreter), "-m", "pip", "install", "--quiet", "--requirement", str(REQUIRED)])
        MADE.write_text(REQUIRED.read_text())
    return interpreter


def _made(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it told nothing"])[-1]
        raise Absent(f"the peers' environment could not be made: {last}")

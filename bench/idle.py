"""What a service costs that has nothing to do, against an aiohttp server that nobody asks: over the same seconds."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.carried import started, until
from bench.cost import cpu, rss
from bench.given import Given
from bench.loops import ROOT
from bench.results import Figure, Section, Wanted

SETTLED = 3.0  # seconds after the start
SLACK = 0.1  # seconds of processor above the bare server's
SMALL = Wanted(most=60)  # MB
HOW = """\
A service with one source, its admin interface on a port and nothing to do, and a bare aiohttp server that nobody \
asks, both over the same {seconds:g} seconds, from {settled:g} s after their start. Memory is what was resident at \
the end, and what was at most."""
CONFIG = """\
root = "state"
[admin]
listen = "127.0.0.1:0"
[source.posts]
url = "http://127.0.0.1:9/posts/{id}"
limit = ["900/15m"]
"""


def section(given: Given) -> Section:
    """Both at the same time."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "collector.toml").write_text(CONFIG)
        command = [sys.executable, "-m", "bench.bare", "serve"]
        with (
            started(folder) as service,
            subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as bare,
        ):
            try:
                assert service.stderr is not None
                assert bare.stdout is not None
                until(service.stderr, "ready")
                bare.stdout.readline()
                return weighed({"bare": bare.pid, "collector": service.pid}, given.idle_seconds)
            finally:
                bare.terminate()


def weighed(pids: dict[str, int], seconds: float) -> Section:
    """What they use from now on."""
    time.sleep(SETTLED)
    before = {side: cpu(pid) for side, pid in pids.items()}
    time.sleep(seconds)
    used = {side: cpu(pid) - before[side] for side, pid in pids.items()}
    now = {side: rss(pid, "VmRSS") / 1e6 for side, pid in pids.items()}
    rows = [
        (side, f"{used[side]:.2f}", f"{now[side]:.0f} MB", f"{rss(pid) / 1e6:.0f} MB") for side, pid in pids.items()
    ]
    spent = Wanted(most=used["bare"] + SLACK)
    figures = [
        Figure("CPU s against the bare server's and 0.1 s", used["collector"], spent),
        Figure("resident memory", now["collector"], SMALL, "{:.1f} MB"),
    ]
    heads = ("side", f"CPU s in {seconds:g} s", "resident", "peak")
    return Section("idle", HOW.format(seconds=seconds, settled=SETTLED), heads, rows, figures)

"""The interface under a fuzzer that reads its document, and under Prometheus' own tool: the real service."""

import asyncio
import os
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from collector.rehearsal.api import Settings, StandIn
from collector.rehearsal.posts import NO_FAULTS
from tests.service import service

CHECKS = "not_a_server_error,status_code_conformance,response_schema_conformance,content_type_conformance"


@pytest.mark.timeout(60)
async def test_no_request_that_can_be_made_up_is_a_fault_of_ours(tmp_path: Path) -> None:
    """Nothing from 500 up, and no answer that the document does not tell; afterwards Prometheus reads the metrics."""
    async with StandIn(Settings(limit=None, latency=(0.0, 0.0), faults=NO_FAULTS)) as api:
        with service(tmp_path, api.url) as run:
            run.start()
            url = (await asyncio.to_thread(run.until, "ready"))["admin"]
            token = (run.root / "token").read_text().strip()
            await asyncio.to_thread(fuzzed, url, token, tmp_path)
            metrics = await asyncio.to_thread(lambda: urllib.request.urlopen(f"{url}/metrics").read())
            assert "request_failed" not in run.log.read_text()
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed (Debian: prometheus), so that the metrics are not held against it")
    subprocess.run(["promtool", "check", "metrics"], input=metrics, check=True)


def fuzzed(url: str, token: str, folder: Path) -> None:
    """Each operation a few times, within seconds; where it fails it says how to do that again. Not a drain, after which
    all IDs are refused."""
    program = str(Path(sys.executable).with_name("schemathesis"))
    limits = [
        "--phases=coverage,fuzzing",
        "--max-examples=3",
        "--max-time=6",
        "--continue-on-failure",
        "--exclude-path=/drain",
    ]
    command = [
        program,
        "run",
        f"{url}/openapi.json",
        "-c",
        CHECKS,
        "--continue-on-failure",
        *limits,
        "-H",
        f"Authorization: Bearer {token}",
    ]
    plain = os.environ | {"NO_COLOR": "1"}
    done = subprocess.run(command, cwd=folder, env=plain, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout

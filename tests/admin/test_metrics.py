"""What Prometheus is told, of the real service."""

import asyncio
import shutil
import subprocess
from pathlib import Path

import aiohttp
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as parsed

from collector.rehearsal.api import Settings, StandIn
from collector.rehearsal.posts import NO_FAULTS
from tests.service import service

IDS = [str(1_500_000_000_000_000_000 + n) for n in range(40)]


async def test_metrics_say_what_status_says(tmp_path: Path) -> None:
    """Both formats parse, and promtool has nothing against them where there is one."""
    async with StandIn(Settings(limit=None, latency=(0.0, 0.0), faults=NO_FAULTS)) as api:
        with service(tmp_path, api.url, more='pack = 10\nlimit = ["900/15m"]') as run:
            run.start()
            admin = (await asyncio.to_thread(run.until, "ready"))["admin"]
            run.drop("ids.txt", IDS)
            await asyncio.to_thread(run.until, "results_written")
            async with aiohttp.ClientSession(admin) as session:
                async with session.get("/metrics") as answer:
                    text = await answer.text()
                async with session.get("/metrics", headers={"Accept": "application/openmetrics-text"}) as answer:
                    assert list(openmetrics(await answer.text()))  # type: ignore[no-untyped-call]
    samples = [sample for family in parsed(text) for sample in family.samples]
    values = {(one.name, *(value for _, value in sorted(one.labels.items()))): one.value for one in samples}
    assert values["collector_jobs", "posts", "found"] == 40
    assert values["collector_jobs", "posts", "queued"] == 0
    assert values["collector_calls_total", "answered", "posts"] == 4
    assert values["collector_budget_used", "posts", "calls", "900"] == 4
    assert values["collector_commits_total",] >= 1
    assert values["collector_disk_free_bytes",] > 0
    assert values["collector_healthy",] == 1
    if shutil.which("promtool"):
        subprocess.run(["promtool", "check", "metrics"], input=text, text=True, check=True)

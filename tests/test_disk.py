"""A disk that is too small, for real: a file system in memory under the state folder."""

import asyncio
import os
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from collector import config
from collector.cli import control
from collector.errors import CollectorError

from . import service as services
from .service import Service

BIG = "x" * 20_000
IDS = [str(1_500_000_000_000_000_000 + n) for n in range(1_200)]


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A state folder of 32 MB."""
    if os.geteuid():
        pytest.skip("only root may mount a file system of its own")
    state = tmp_path / "state"
    state.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32M", "tmpfs", state], check=False)
    if mounted.returncode:
        pytest.skip("this machine lets even root mount nothing")
    yield state
    subprocess.run(["umount", "--lazy", state], check=True)


@asynccontextmanager
async def big_answers(asked: Counter[str]) -> AsyncIterator[str]:
    """An API with an object of 20 kB for each ID."""

    async def answer(request: web.Request) -> web.Response:
        key = request.match_info["key"]
        asked[key] += 1
        return web.json_response({"id": key, "text": BIG})

    app = web.Application()
    app.router.add_get("/{key}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def declare(run: Service, url: str, min_free: str) -> None:
    """A source that brings up to 20 MB a second, over a disk with a floor."""
    service, _, _ = run.config.read_text().replace("20MB", min_free).partition("[source.posts]")
    run.config.write_text(f'{service}[source.posts]\nurl = "{url}/{{id}}"\nlimit = ["1000/1s"]\n')


@pytest.mark.timeout(30)
async def test_under_load_it_pauses_before_the_disk_is_full_and_goes_on_after(small: Path, tmp_path: Path) -> None:
    """No write ever fails, no ID is lost or asked twice, and status, health and log say what is so."""
    asked: Counter[str] = Counter()
    async with big_answers(asked) as url:
        with services.service(tmp_path, url) as run:
            declare(run, url, "16MB")
            run.start()
            await asyncio.to_thread(run.until, "ready")
            run.drop("ids.txt", IDS)
            low = await asyncio.to_thread(run.until, "disk_low")
            assert low["level"] == "warning"
            assert 0 < low["free"] < low["min_free"] == 16_000_000
            while (status := await asyncio.to_thread(run.status))["calls_in_the_air"]:
                pass
            assert status["state"] == "degraded"
            [trouble] = [trouble for trouble in status["troubles"] if trouble["kind"] == "disk"]
            assert f"are free in {small}, and min_free is 16 MB: nothing is asked" in trouble["what"]
            calls = asked.total()
            assert 0 < calls < len(IDS)
            with pytest.raises(CollectorError, match="min_free is 16 MB"):
                control.ask(config.load(run.config, secrets=False), "/healthz")
            run.drop("more.txt", ["77"])
            subprocess.run(["mount", "-o", "remount,size=300M", small], check=True)
            assert (await asyncio.to_thread(run.until, "disk_has_room"))["level"] == "warning"
            await asyncio.to_thread(run.until, "results_written")
            await asyncio.to_thread(run.until, "results_written")
            assert run.books() == {"found": len(IDS) + 1}
            assert run.rows("SELECT count(*), count(DISTINCT job) FROM items") == [(len(IDS) + 1, len(IDS) + 1)]
            assert asked == Counter([*IDS, "77"])
            assert (await asyncio.to_thread(run.status))["time"]["posts"]["disk"] > 0
            log = run.log.read_text()
            assert "recording_failed" not in log
            assert "ledger_cannot_be_written" not in log
            run.terminate()
            assert run.ended() == 0


@pytest.mark.timeout(30)
async def test_a_start_below_the_floor_says_so_asks_nothing_and_a_reload_may_lower_it(
    small: Path, tmp_path: Path
) -> None:
    """Nothing of the file is taken in before."""
    asked: Counter[str] = Counter()
    async with big_answers(asked) as url:
        with services.service(tmp_path, url) as run:
            declare(run, url, "1GB")
            run.drop("ids.txt", ["1", "2"])
            run.start()
            await asyncio.to_thread(run.until, "disk_low")
            await asyncio.to_thread(run.until, "ready")
            status = await asyncio.to_thread(run.status)
            assert (status["state"], status["jobs"]["total"]) == ("degraded", 0)
            run.config.write_text(run.config.read_text().replace("1GB", "10MB"))
            await asyncio.to_thread(control.order, config.load(run.config, secrets=False), "/reload")
            await asyncio.to_thread(run.until, "disk_has_room")
            assert "min_free 1 GB to 10 MB" in (await asyncio.to_thread(run.until, "config_reloaded"))["changed"]
            await asyncio.to_thread(run.until, "results_written")
            assert run.books() == {"found": 2}

"""The page as a person uses it, in a real browser."""

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from collector.rehearsal.api import StandIn
from collector.rehearsal.fates import Faults
from tests.rehearsal.wire import quiet
from tests.service import Service, service

PLAYWRIGHT = find_spec("playwright")
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
QUIETLY = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
POISON = "1500000000000000007"
IDS = [f"15000000000000{number:05d}" for number in range(600)]
LINES = ["tweet_id,created_at", *(f'"{key}",2022-03-01' for key in [*IDS, IDS[3]]), "1.50465E+18,2022-03-01"]
PATIENTLY = 8_000  # milliseconds

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(60),
    # Not importorskip: a module that is skipped whole is no test that was skipped.
    pytest.mark.skipif(not PLAYWRIGHT, reason="playwright is not installed: pip install '.[dev]'"),
    pytest.mark.skipif(not CHROMIUM, reason="there is no chromium: apt-get install chromium, or name it in CHROMIUM"),
]


class Visit:
    """A tab, and what its console complained of."""

    def __init__(self, tab: Any, url: str, token: str) -> None:
        self.tab, self.url, self._token = tab, url, token
        self.complaints: list[str] = []
        tab.set_default_timeout(PATIENTLY)
        tab.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        tab.on("pageerror", lambda error: self.complaints.append(str(error)))

    async def log_in(self) -> None:
        await self.tab.goto(self.url)
        await self.tab.get_by_label("Token of this service").fill(self._token)
        await self.tab.get_by_role("button", name="Log in").click()
        await self.tab.get_by_role("heading", name="Batches").wait_for()

    async def click(self, name: str) -> None:
        await self.tab.get_by_role("button", name=name, exact=True).first.click()

    async def follow(self, name: str) -> None:
        await self.tab.get_by_role("link", name=name, exact=True).first.click()

    async def see(self, text: str) -> None:
        await self.tab.get_by_text(text).first.wait_for()


@asynccontextmanager
async def visiting(tmp_path: Path) -> AsyncIterator[tuple[Visit, Service]]:
    """The service with a held-back API, and a browser that has its own profile, language and zone."""
    from playwright.async_api import async_playwright

    settings = quiet(limit=8, window=1.0, latency=(0.02, 0.05), faults=Faults(errors=0, poison=frozenset({POISON})))
    async with StandIn(settings) as api:
        with service(tmp_path, api.url, more='pack = 20\nlimit = ["8/1s"]') as run:
            run.config.write_text(run.config.read_text().replace("tries = 6", "tries = 1"))
            run.start()
            url = (await asyncio.to_thread(run.until, "ready"))["admin"]
            async with async_playwright() as play:
                browser = await play.chromium.launch(executable_path=CHROMIUM, args=QUIETLY)
                tab = await browser.new_page(timezone_id="Asia/Kolkata", locale="en-GB")
                yield Visit(tab, url, (run.root / "token").read_text().strip()), run
                await browser.close()


async def test_a_file_is_added_watched_paused_looked_into_and_asked_again(tmp_path: Path) -> None:
    """From the login to an ID that failed, without a reload and without a complaint in the console."""
    file = tmp_path / "élection <b onclick=x>2022.csv"
    file.write_text("\n".join(LINES) + "\n")
    async with visiting(tmp_path) as (visit, _):
        tab = visit.tab
        await visit.log_in()
        await visit.follow("Add IDs")
        await tab.get_by_label("File of IDs").set_input_files(file)
        await visit.click("Read them in")
        await visit.see("Nothing is asked yet.")
        receipt = await tab.get_by_label("Receipt").inner_text()
        assert "1.50465E+18" in receipt
        assert "30 requests" in receipt
        await visit.click("Yes, ask for 600 IDs")
        await visit.see("Goes on: 0001-")
        await visit.click("Pause")
        await visit.see("Paused: 0001-")
        await visit.click("Resume")
        await visit.see("Goes on: 0001-")
        await visit.follow("Batches")
        await tab.evaluate("window.same = true")
        widths = set()
        while not await tab.get_by_text("All 600 IDs are done").count():
            for bar in await tab.locator("#batch-1 rect.found").all():
                widths.add(await bar.get_attribute("width"))
            await tab.evaluate("new Promise(requestAnimationFrame)")
        assert await tab.evaluate("window.same"), "the page was loaded anew"
        assert len(widths) > 1, "the bar did not move"
        assert "GMT+5:30" in await tab.locator("#batch-1 time").first.inner_text()
        await tab.locator("#batch-1 h3 a").click()
        await visit.follow("http-500")
        await visit.follow(POISON)
        await visit.see("after")
        assert "500 http-500" in await tab.locator("#attempts").inner_text()
        await tab.locator("#again summary").press("Enter")
        await visit.click("Yes, ask again for 1 ID")
        await visit.see("1 ID is asked again.")
        assert visit.complaints == []


async def test_nothing_on_the_pages_keeps_people_out(tmp_path: Path) -> None:
    """axe finds no serious fault, in light and dark, and nothing is wider than a phone."""
    from axe_playwright_python.base import AXE_SCRIPT

    async with visiting(tmp_path) as (visit, run):
        run.drop("a-name-that-goes-on-and-on-without-a-single-space-in-it-for-a-hundred-signs-or-so.txt", IDS[:12])
        await asyncio.to_thread(run.until, "results_written")
        await visit.log_in()
        faults = {}
        for path in ("/", "/batch/1", f"/batch/1/job?id={POISON}", "/add", "/login", "/nowhere"):
            await visit.tab.set_viewport_size({"width": 375, "height": 800})
            await visit.tab.goto(visit.url + path)
            assert await visit.tab.evaluate("document.documentElement.scrollWidth") == 375, path
            await visit.tab.evaluate(AXE_SCRIPT)
            # Only colours differ in the dark.
            for scheme, options in (("light", {}), ("dark", {"runOnly": ["color-contrast"]})):
                await visit.tab.emulate_media(color_scheme=scheme)
                found = await visit.tab.evaluate("(options) => axe.run(options)", options)
                assert found["passes"], path
                faults[path, scheme] = [
                    (fault["id"], fault["nodes"][0]["html"])
                    for fault in found["violations"]
                    if fault["impact"] in ("serious", "critical")
                ]
        assert not any(faults.values()), json.dumps([*faults.items()], indent=1)

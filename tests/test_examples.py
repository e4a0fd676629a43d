"""The examples, as somebody runs them."""

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookiejar import CookieJar
from pathlib import Path
from socket import create_server
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, OpenerDirector, build_opener

import pytest

from collector.rehearsal.api import Settings, StandIn
from collector.rehearsal.posts import NO_FAULTS
from tests.service import service

SITE = Path(__file__).parents[1] / "examples" / "django_view" / "site.py"
IDS = [str(1_500_000_000_000_000_000 + n) for n in range(300)]


@contextmanager
def site(url: str, token: str) -> Iterator[str]:
    """The Django site in a process of its own."""
    with create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    command = [sys.executable, str(SITE), "runserver", "--noreload", f"127.0.0.1:{port}"]
    environment = os.environ | {"COLLECTOR_URL": url, "COLLECTOR_TOKEN": token}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


@pytest.mark.timeout(60)
async def test_a_django_view_starts_a_collection_and_is_answered_at_once(tmp_path: Path) -> None:
    """The API takes its time, the view does not; progress moves, and the result is there in the end."""
    slow = Settings(limit=None, latency=(0.8, 0.8), faults=NO_FAULTS)
    async with StandIn(slow) as api:
        with service(tmp_path, api.url, "pack = 20\nparallel = 2") as run:
            run.start()
            admin = (await asyncio.to_thread(run.until, "ready"))["admin"]
            with site(admin, (run.root / "token").read_text().strip()) as url:
                await asyncio.to_thread(visited, url)


def visited(url: str) -> None:
    """As a browser goes through it."""
    browser = build_opener(HTTPCookieProcessor(CookieJar()))
    form = reached(browser, url)
    [key] = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', form)
    sent = urlencode({"ids": "\n".join(IDS), "csrfmiddlewaretoken": key}).encode()
    began = time.monotonic()
    with browser.open(f"{url}/", sent) as answer:
        assert answer.url == f"{url}/1/"
        assert "Collection 1 is" in answer.read().decode()
    assert time.monotonic() - began < 1.0
    seen = []
    while not (now := told(browser, f"{url}/1/?json"))["ended"]:
        seen.append(now["jobs"]["found"])
        time.sleep(0.1)
    assert len(set(seen)) > 3
    assert seen == sorted(seen)
    with browser.open(f"{url}/1/result") as answer:
        assert len(answer.read().splitlines()) == now["jobs"]["found"] > 200
    with pytest.raises(URLError, match="404"):
        browser.open(f"{url}/7/")


def reached(browser: OpenerDirector, url: str) -> str:
    """Its first page, as soon as it serves one."""
    while True:
        try:
            return str(browser.open(f"{url}/").read().decode())
        except URLError:
            time.sleep(0.05)


def told(browser: OpenerDirector, url: str) -> Any:
    """Its JSON."""
    with browser.open(url) as answer:
        return json.load(answer)

"""Being told: the real service, a real webhook, a real command."""

import asyncio
import json
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from collector.clock import Clock
from collector.model import Live, Trouble
from collector.output.notifier import Notifier
from collector.output.status import snapshot
from collector.rehearsal.api import Settings, StandIn
from collector.rehearsal.posts import NO_FAULTS
from collector.sources.http import Client
from collector.sources.notify import Notify
from collector.store import store as stores

from .service import Service, service
from .test_reload import hang_up, until

IDS = [str(1_500_000_000_000_000_000 + n) for n in range(40)]
QUICK = Settings(limit=None, latency=(0.0, 0.0), faults=NO_FAULTS)


class Hook:
    """A webhook: it answers with `status`, or never while `answering` is cleared, and keeps what it was sent."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.headers: list[str | None] = []
        self.paths: list[str] = []
        self.status = 200
        self.answering = asyncio.Event()
        self.answering.set()
        self._came = asyncio.Event()
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        self.got.append(await request.json())
        self.headers.append(request.headers.get("Authorization"))
        self.paths.append(request.path)
        self._came.set()
        await self.answering.wait()
        return web.Response(status=self.status, headers={"Location": "/elsewhere"})

    async def until(self, number: int) -> list[str]:
        """The kinds of what came, once it is so many."""
        while len(self.got) < number:
            self._came.clear()
            async with asyncio.timeout(15):
                await self._came.wait()
        return [one["kind"] for one in self.got]


@asynccontextmanager
async def webhook() -> AsyncIterator[Hook]:
    hook, app = Hook(), web.Application()
    app.router.add_post("/{path:.*}", hook.take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    hook.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        yield hook
    finally:
        hook.answering.set()
        await runner.cleanup()


def notifying(run: Service, notify: str) -> None:
    text = run.config.read_text()
    run.config.write_text(text.replace("[service]\n", f"[service]\nnotify = {notify}\n", 1))


async def started(run: Service) -> None:
    run.start()
    await until(run, "ready")


@pytest.mark.timeout(30)
async def test_each_kind_is_told_once_over_a_kill_and_a_restart(tmp_path: Path) -> None:
    """A batch taken in and its end, a trouble, a source that stopped."""
    (tmp_path / "ends.py").write_text(
        "import collector\ndef look(work):\n    raise collector.StopSource('no credit')\n"
    )
    async with StandIn(QUICK) as api, webhook() as hook:
        with service(tmp_path, api.url, more='pack = 5\n[source.ends]\ncall = "ends:look"') as run:
            notifying(run, f'{{ url = "{hook.url}" }}')
            run.drop("ids.txt", IDS)
            (run.root / "watch/ends").mkdir()
            (run.root / "watch/ends/last.txt").write_text("7\n")
            (run.root / "watch/cat.txt").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" * 99)
            await started(run)
            for _ in range(5):
                await until(run, "notice_sent")
            texts = [one["text"] for one in hook.got]
            assert any("(posts) was taken in: 40 lines = 40 IDs + 0 repeats + 0 refused." in text for text in texts)
            assert any(text.startswith("Source ends has stopped: ") for text in texts)
            [finished] = [one for one in hook.got if one["kind"] == "finished"]
            assert finished["text"] == (
                f'Batch {finished["batch"]} "ids" (posts) has finished: 40 IDs = 40 found + 0 gone + 0 invalid'
                f" + 0 failed + 0 cancelled. See {finished['folder']}report.md."
            )
            run.kill()
            await started(run)
            await until(run, "source_stopped")
            run.terminate()
            assert await asyncio.to_thread(run.ended) == 0
            kinds = {"taken_in": 2, "finished": 1, "trouble": 1, "stopped": 1}
            assert Counter(one["kind"] for one in hook.got) == kinds


async def test_that_nothing_can_be_written_is_told_though_it_cannot_be_noted(tmp_path: Path) -> None:
    """And once only: it is noted when that is over."""
    full = Trouble("disk", "database or disk is full", str(tmp_path), 1.0)
    async with webhook() as hook, stores.opened(tmp_path / "collector.db", Clock()) as store, Client() as client:
        live = Live("degraded", 0, {}, (), {}, {}, troubles=(full,))
        notifier = Notifier(store, lambda: snapshot(store, live, {}, 0.0, Clock()), client, Clock())
        notifier.reconfigure(Notify(url=hook.url), {})
        await notifier.begin()
        with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            async with asyncio.TaskGroup() as group:
                group.create_task(notifier.run())
                assert await hook.until(1) == ["disk"]
                other.execute("ROLLBACK")
                notifier.stop()
        assert len(hook.got) == 1
        assert '"owed":null' in (await store.notices.load() or "")


@pytest.mark.timeout(30)
async def test_a_finished_batch_that_could_not_be_told_is_told_after_a_kill(tmp_path: Path) -> None:
    """Redirects are refusals; the trouble is in status, and one line of the log; a reload leads elsewhere at once."""
    async with StandIn(QUICK) as api, webhook() as hook:
        hook.status = 302
        with service(tmp_path, api.url) as run:
            notifying(run, f'{{ url = "{hook.url}" }}')
            await started(run)
            run.drop("ids.txt", IDS)
            await until(run, "results_written")
            await hook.until(2)
            [trouble] = (await asyncio.to_thread(run.status))["troubles"]
            assert (trouble["kind"], trouble["where"]) == ("notify", hook.url.replace("hook", "…"))
            run.kill()
            [said] = [json.loads(line) for line in run.log.read_text().splitlines() if "notice_not_sent" in line]
            assert (said["level"], said["why"]) == ("warning", "the answer was 302, a redirect, which is not followed")
            hook.status, before = 200, len(hook.got)
            (tmp_path / "token.txt").write_text("T0/B0")
            run.config.write_text(
                run.config.read_text().replace("/hook", "/services/{secret.hook}")
                + '[secret]\nhook = { file = "token.txt" }\n'
            )
            await started(run)
            assert (await hook.until(before + 2))[before:] == ["taken_in", "finished"]
            assert set(hook.paths) == {"/hook", "/services/T0/B0"}
            assert "T0/B0" not in run.log.read_text()
            run.config.write_text(
                run.config.read_text().replace('{secret.hook}"', 'b", headers = { Authorization = "{secret.hook}" }')
            )
            hang_up(run)
            await until(run, "config_reloaded")
            run.drop("more.txt", IDS[:3])
            await hook.until(before + 4)
            assert (hook.paths[-1], hook.headers[-1]) == ("/services/b", "T0/B0")


@pytest.mark.timeout(30)
async def test_a_webhook_that_hangs_delays_neither_the_work_nor_a_stop(tmp_path: Path) -> None:
    """The batch is worked off meanwhile, and a stop gives up on it after two seconds."""
    async with StandIn(QUICK) as api, webhook() as hook:
        hook.answering.clear()
        with service(tmp_path, api.url, more="pack = 5") as run:
            notifying(run, f'{{ url = "{hook.url}" }}')
            await started(run)
            run.drop("ids.txt", IDS)
            await hook.until(1)
            await until(run, "results_written")
            began = time.monotonic()
            run.terminate()
            assert await asyncio.to_thread(run.ended) == 0
            assert time.monotonic() - began < 3.5
            assert run.rows("SELECT told FROM batches") == [("",)]


async def test_a_command_gets_the_sentence_inert_and_the_document(tmp_path: Path) -> None:
    """No shell sees a name; nothing of the service's environment but a few words; a stop drains what is owed."""
    script = tmp_path / "tell.sh"
    script.write_text('#!/bin/sh\ncat >> "$1"; echo >> "$1"; env >> "$1.env"; echo "$COLLECTOR_TEXT" >> "$1.text"\n')
    script.chmod(0o755)
    out = tmp_path / "out"
    async with StandIn(QUICK) as api:
        with service(tmp_path, api.url) as run:
            run.environment["OUR_SECRET"] = "hidden"
            notifying(run, f'{{ command = ["{script}", "{out}"], on = ["finished"] }}')
            await started(run)
            run.drop("$(touch pwned) `id`.txt", IDS)
            await until(run, "results_written")
            run.terminate()
            assert await asyncio.to_thread(run.ended) == 0
            [document] = map(json.loads, out.read_text().splitlines())
            assert document["kind"] == "finished"
            assert document["found"] == document["ids"] == 40
            assert Path(f"{out}.text").read_text() == f"{document['text']}\n"
            assert '"$(touch pwned) `id`"' in document["text"]
            assert "OUR_SECRET" not in Path(f"{out}.env").read_text()


async def test_what_was_before_somebody_wanted_to_be_told_is_no_news(tmp_path: Path) -> None:
    """A database of version 4 is upgraded with what it holds, and its batches are not told."""
    path = tmp_path / "collector.db"
    schema = sorted((resources.files("collector.store") / "schema").iterdir(), key=lambda entry: entry.name)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for number, entry in enumerate(schema[:4], 1):
            sql = entry.read_text(encoding="utf-8")
            db.executescript(f"BEGIN;\n{sql}\nPRAGMA user_version = {number};\nCOMMIT;")
        at = "'2026-11-22T08:07:21.123Z'"
        db.execute(
            "INSERT INTO batches (source, name, origin, state, created_at, opened_at, finished_at, written_at)"
            f" VALUES ('posts', 'ids', 'file', 'finished', {at}, {at}, {at}, {at})"
        )
    async with stores.opened(path, Clock()) as store:
        assert store.batches.untold == {1: "in"}
        await store.notices.begin("{}")
        assert store.batches.untold == {}
    async with stores.opened(path, Clock()) as store:
        assert (store.batches.untold, await store.notices.load()) == ({}, "{}")

"""The page: what `/status` knows and what the database keeps, for people with a browser."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from aiohttp import web

from collector.admin import flash, reply, views
from collector.admin.guard import LOGIN, STATIC
from collector.admin.lookup import Wanted, attempts, objects, some
from collector.admin.render import page
from collector.config import Config
from collector.host import thread
from collector.host.files import regular
from collector.model import OPEN, BatchId, State, Tally
from collector.output.snapshot import Snapshot
from collector.output.text import rate
from collector.store.batches import Batch
from collector.store.store import Store

_LIVE = "Live"  # a header of the script, which takes over only what may have changed
_RECEIPT = 100_000  # bytes
_KINDS = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class Pages:
    """The handlers over what they are told."""

    status: Callable[[], Snapshot]
    config: Callable[[], Config]
    recent: Callable[[], Mapping[int, Tally]]
    store: Store

    def routes(self) -> list[web.RouteDef]:
        """Their paths."""
        return [
            web.get("/", self.batches),
            web.get("/batch/{batch:[0-9]{1,18}}", self.batch),
            web.get("/batch/{batch:[0-9]{1,18}}/job", self.job),
            web.get("/add", self.add),
            web.get(LOGIN, self.login),
            web.get(STATIC + "{name:[a-z.]+}", self.static),
        ]

    async def batches(self, request: web.Request) -> web.Response:
        """Everything at a glance."""
        now, before = self.status(), _number(request.query.get("before", ""))
        listed, older = views.listed(self.store, now, before)
        return _page(
            request,
            "batches.html",
            here="batches",
            now=now,
            listed=listed,
            older=older,
            before=before,
            ongoing=len(self.store.batches.ongoing()),
            reasons=views.reasons(self.store),
            charts=views.charts(self.recent(), now.now),
            watch=self.config().watch,
        )

    async def batch(self, request: web.Request) -> web.Response:
        """One batch: how it stands, what can be ordered, its IDs."""
        batch, now = self._batch(request), self.status()
        shown = views.status_of(self.store, now, batch.id)
        wanted = Wanted.of(request.query)
        # Looking for a state or a reason passes over many rows: once, not every two seconds.
        again = _LIVE in request.headers and wanted.passes_over
        jobs, more = (None, None) if again else await some(self.store, batch.id, wanted)
        place = self.config().batches / batch.folder
        return _page(
            request,
            "batch.html",
            now=now,
            batch=shown,
            priority=batch.priority,
            pause_wanted=batch.pause_wanted,
            source=now.sources.get(batch.source),
            rate=rate(shown, now.now),
            reasons=views.reasons_of(shown),
            receipt=await thread.run(lambda: _receipt(place)),
            below=[views.status_of(self.store, now, member.id) for member in self.store.batches.family(batch.id)[1:]],
            place=place,
            states=list(State),
            wanted=wanted,
            jobs=jobs,
            more=more,
        )

    async def job(self, request: web.Request) -> web.Response:
        """One ID: why it did not come, or what came."""
        batch, key = self._batch(request), request.query.get("id", "")
        job = await self.store.lists.job(batch.id, key)
        if job is None:
            raise web.HTTPNotFound
        waits = [wait for wait in self.status().waiting if batch.source in wait.sources] if job.state in OPEN else []
        has = BatchId(job.same_as or batch.id)
        items, more = ([], False) if _LIVE in request.headers else await objects(self.store, has, key)
        return _page(
            request,
            "job.html",
            batch=batch,
            job=job,
            waits=waits,
            like=self.store.books.waiting(batch.id, State(job.state), job.reason or ""),
            attempts=await attempts(self.store, batch.id, key),
            items=items,
            more_items=more,
        )

    async def add(self, request: web.Request) -> web.Response:
        """The form that takes files and pasted IDs."""
        config = self.config()
        return _page(request, "add.html", here="add", sources=list(config.sources), default=config.default_source)

    async def login(self, request: web.Request) -> web.Response:
        """Asks for the token, and says where it is."""
        config = self.config()
        return _page(request, "login.html", file=None if config.token else config.token_file)

    async def static(self, request: web.Request) -> web.Response:
        """Style, script and icon."""
        name = request.match_info["name"]
        kind = _KINDS.get(name.rpartition(".")[2])
        file = resources.files("collector.admin") / "static" / name
        if kind is None or not file.is_file():
            raise web.HTTPNotFound
        return web.Response(body=file.read_bytes(), content_type=kind, charset="utf-8", headers=reply.HEADERS)

    def _batch(self, request: web.Request) -> Batch:
        batch = self.store.batches.find(BatchId(int(request.match_info["batch"])))
        if batch is None:
            raise web.HTTPNotFound
        return batch


def _page(request: web.Request, template: str, here: str = "", **values: object) -> web.Response:
    said = flash.said(request)
    answer = reply.html(page(template, here=here, said=said, **values))
    if said:
        flash.forget(answer)
    return answer


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None


def _receipt(folder: Path) -> str | None:
    with suppress(OSError):
        return regular(folder / "receipt.txt", _RECEIPT).decode(errors="replace")
    return None

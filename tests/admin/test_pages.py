"""The page: what it shows, and that whatever it shows is text."""

import re
import unicodedata
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import parse_qsl

import aiohttp
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.admin import bars
from collector.admin.app import application
from collector.admin.listen import listening
from collector.admin.lookup import Wanted, some
from collector.admin.orders import Orders
from collector.admin.pages import Pages
from collector.admin.render import inert, page
from collector.clock import Clock
from collector.config import Config, load
from collector.dispatch.controller import Controller
from collector.model import (
    Attempt,
    Failed,
    Gone,
    Job,
    Live,
    Outcome,
    Result,
    SourceLive,
    State,
    Tally,
    Trouble,
    Wait,
    Window,
)
from collector.output.snapshot import JobCounts, WindowStatus
from collector.output.status import snapshot
from collector.store import store as stores
from collector.store.store import Store
from tests.admin.test_admin import ANY_PORT, BEARER, TOKEN, WELL, guard
from tests.output.given import SPECS, found, live, recorded, taken_in

HOSTILE = (
    "\"'><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7*7 }}\x1b[31m\u202egnp.exe\u2066\r\nSet-Cookie: a=b"
)
HTML = BEARER | {"Accept": "text/html,application/xhtml+xml"}
TURNING = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
FOLDERS = Path(bars.__file__).parent


class Tags(HTMLParser):
    """The tags of a page with the names of their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(name for name, _ in attrs)))
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "action")]

    def handle_data(self, data: str) -> None:
        self.text += data


@asynccontextmanager
async def browsing(
    tmp_path: Path, now: Callable[[], Live] = live, course: Mapping[int, Tally] | None = None
) -> AsyncIterator[tuple[Store, aiohttp.ClientSession]]:
    clock = Clock()
    file = tmp_path / "collector.toml"
    file.write_text('root = "."\n[source.posts]\nurl = "https://api.example.org/{id}"\n')
    config: Config = load(file)
    async with stores.opened(tmp_path / "collector.db", clock) as store:
        controller = Controller(store, lambda _: None, lambda _: None, lambda: None, clock)
        sources = {"posts": SourceLive("running", None)}
        orders = Orders(lambda: sources, lambda _: False, None, controller, who="http")  # type: ignore[arg-type] # no reload here
        pages = Pages(lambda: snapshot(store, now(), SPECS, 0.0, clock), lambda: config, lambda: course or {}, store)
        app = application(pages.status, lambda: WELL, guard(), orders, pages)
        async with (
            listening(app, ANY_PORT) as url,
            aiohttp.ClientSession(url, headers=HTML, cookie_jar=aiohttp.CookieJar(unsafe=True)) as session,
        ):
            yield store, session


async def got(session: aiohttp.ClientSession, path: str, status: int = 200) -> Tags:
    async with session.get(path) as answer:
        assert answer.status == status
        assert answer.content_type == "text/html"
        assert "'unsafe" not in answer.headers["Content-Security-Policy"]
        return Tags(await answer.text())


def hostile(text: str) -> Live:
    """A live state in which all that others write is this text."""
    window = Window(10, 60.0, 10, 0, 2e9, next_at=1.9e9)
    return live(
        sources={"posts": SourceLive("down", text)},
        troubles=(Trouble("file", text, text, 0.0),),
        waiting=(Wait(text, 1.9e9, 3, text, ("posts",), text),),
        budgets={text: (window,)},
    )


async def fill(store: Store, text: str, key: str) -> None:
    batch = await taken_in(store, [key, "1"], name=text.replace("/", "_"), warnings=[text])
    await recorded(store, batch.id, {"1": Gone(text, text)})
    job = Job(batch.id, key)
    attempt = Attempt(1e9, 500, text, msgspec.json.encode({text: text}).decode(), 1.0, text)
    await store.jobs.record([Result("posts", (job,), ((job, Failed(text, text)),), at=1e9, attempt=attempt)])


async def test_whatever_others_write_is_text(tmp_path: Path) -> None:
    """Names, IDs, reasons, headers and tracebacks add no tag, no attribute, no link elsewhere and no hidden sign."""
    shown = {}
    for name, text in (("calm", "calm"), ("hostile", HOSTILE)):
        (tmp_path / name).mkdir()
        async with browsing(tmp_path / name, lambda text=text: hostile(text)) as (store, session):  # type: ignore[misc]
            await fill(store, text, text)
            paths = ["/", "/?before=9", "/batch/1", "/batch/1?state=failed"]
            shown[name] = [await got(session, path) for path in paths]
            async with session.get("/batch/1/job", params={"id": text}) as answer:
                assert answer.status == 200
                shown[name].append(Tags(await answer.text()))
    for calm, wild in zip(shown["calm"], shown["hostile"], strict=True):
        assert wild.tags == calm.tags
        assert all(link.startswith(("/", "#")) and not link.startswith("//") for link in wild.links)
        assert "onerror=alert(2)" in wild.text
        assert not set(wild.text) & {"\x1b", "\u202e", "\u2066", "\r"}


@given(st.text())
def test_what_is_shown_can_be_seen(text: str) -> None:
    """Control characters and those that turn the direction are replaced; every other text stays as it is."""
    shown = inert(text)
    assert len(shown) == len(text)
    assert not any(unicodedata.category(char) in ("Cc", "Cs") for char in shown if char not in "\n\t")
    assert not any(unicodedata.bidirectional(char) in TURNING for char in shown)
    assert shown == text or not text.isprintable()


@pytest.mark.parametrize("file", sorted((FOLDERS / "templates").iterdir()), ids=lambda file: file.name)
def test_no_template_needs_what_the_policy_forbids(file: Path) -> None:
    """No style or script within a page, and nothing from elsewhere."""
    text = file.read_text()
    assert not re.search(r"\s(style|on[a-z]+)\s*=|<style|javascript:|https?://", text)
    assert not re.search(r"<script(?![^>]*\ssrc=)", text)


@given(st.lists(st.integers(0, 10**9), min_size=8, max_size=8))
def test_a_bar_is_never_longer_than_all_and_shows_the_least_part(counts: list[int]) -> None:
    """One failed ID of a million is seen, and the parts lie side by side in their order."""
    states = ("queued", "running", "delayed", "found", "gone", "invalid", "failed", "cancelled")
    jobs = JobCounts(total=sum(counts), **dict(zip(states, counts, strict=True)))
    pieces = bars.bar(jobs)
    assert {piece.kind for piece in pieces} == {kind for kind in (*states[3:], "running") if getattr(jobs, kind)}
    assert sum(piece.width for piece in pieces) <= bars.WIDE + 0.1
    assert all(piece.width >= 1 for piece in pieces)
    ends = [round(piece.x + piece.width, 1) for piece in pieces]
    assert [round(piece.x, 1) for piece in pieces[1:]] == pytest.approx(ends[:-1], abs=0.2)


def test_a_window_that_learns_a_lower_limit_is_full_and_no_more() -> None:
    """Used may be above the limit."""
    [piece] = bars.gauge(WindowStatus(100, 60, 250, 0, None, "calls", None, ""))
    assert (piece.kind, piece.width) == ("spent", bars.WIDE)


def test_a_chart_has_a_column_for_each_step_and_sums_what_it_shows() -> None:
    """What is older than its span is left out, and columns are as high as the highest allows."""
    now = 36_000.0
    recent = {36_000: Tally(found=1), 35_940: Tally(found=3, gone=1), 32_400: Tally(found=9)}
    chart = bars.chart(recent, ("found", "gone"), now, 3_600, 60)
    assert (chart.most, chart.sums) == (4, {"found": 4, "gone": 1})
    assert [(piece.kind, piece.y, piece.height) for piece in chart.pieces] == [
        ("found", 25.0, 75.0),
        ("gone", 0.0, 25.0),
        ("found", 75.0, 25.0),
    ]
    assert chart.pieces[-1].x == pytest.approx(59 * 1_000 / 60, abs=0.01)
    assert bars.chart({}, ("found",), now, 3_600, 60) == bars.Chart((), 0, {"found": 0})


async def test_an_order_by_a_form_leads_back_to_its_page_with_what_came_of_it(tmp_path: Path) -> None:
    """Told once; without a page of ours to go back to it is the first one."""
    async with browsing(tmp_path) as (store, session):
        await taken_in(store, ["1", "2"])
        url = str(session._base_url).rstrip("/")
        for referer, back in (("/batch/1?state=gone", "/batch/1?state=gone"), ("//elsewhere/", "/"), ("/status", "/")):
            headers = {"Referer": url + referer}
            async with session.post("/batches/1/pause", headers=headers, allow_redirects=False) as answer:
                assert (answer.status, answer.headers["Location"]) == (303, back)
        async with session.post("/batches/1/resume", headers={"Referer": f"{url}/batch/1"}) as answer:
            shown = Tags(await answer.text())
        assert "Goes on: 0001-ids." in shown.text
        assert "Goes on" not in (await got(session, "/batch/1")).text
        async with session.post("/batches/1/pause", headers={"Accept": "*/*"}) as answer:
            assert (await answer.json())["batches"][0]["state"] == "paused"
        async with session.post("/batches/9/pause") as answer:
            assert answer.status == 404
            assert "no batch" in Tags(await answer.text()).text


async def test_who_has_not_logged_in_is_led_to_the_form_that_says_where_the_token_is(tmp_path: Path) -> None:
    """A wrong token is told there, and the right one opens the page; its looks are for everybody."""
    async with browsing(tmp_path) as (_, known):
        html = {"Accept": "text/html"}
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(known._base_url, headers=html, cookie_jar=jar) as session:
            form = await got(session, "/batch/1")
            assert f"sudo cat {tmp_path}/token" in form.text
            assert [await status(session, path) for path in form.links if path.startswith("/static/")] == [
                200,
                200,
                200,
            ]
            async with session.post("/login", data={"token": "wrong"}) as answer:
                assert "Not logged in: this is not the token" in Tags(await answer.text()).text
            async with session.post("/login", data={"token": TOKEN}) as answer:
                assert (answer.status, answer.url.path) == (200, "/")
                assert "No batch yet" in Tags(await answer.text()).text
            assert [await status(session, f"/static/{name}") for name in ("..css", "app.py", "none.css")] == [404] * 3


async def status(session: aiohttp.ClientSession, path: str) -> int:
    async with session.get(path) as answer:
        return answer.status


async def test_what_is_not_there_is_told_in_words(tmp_path: Path) -> None:
    """A batch, an ID of one, a path."""
    async with browsing(tmp_path) as (store, session):
        await taken_in(store, ["1"])
        for path in ("/batch/9", "/batch/1/job?id=7", "/batch/1/job", "/nowhere"):
            assert "There is nothing here" in (await got(session, path, 404)).text


async def test_the_first_page_has_what_is_under_way_and_leads_to_the_rest(tmp_path: Path) -> None:
    """Every batch is on exactly one of the pages by number, however many there are."""
    async with browsing(tmp_path) as (store, session):
        for _ in range(115):
            await taken_in(store, [])
        await taken_in(store, ["1"])
        first = await got(session, "/")
        assert "0116-ids" in first.text
        assert len(re.findall(r"\d{4}-ids", first.text)) == 11
        seen, path = [], next(link for link in first.links if "before" in link)
        while path:
            shown = await got(session, path)
            seen += re.findall(r"\d{4}-ids", shown.text)
            path = next((link for link in shown.links if "before" in link), "")
        assert seen == [f"{number:04d}-ids" for number in range(116, 0, -1)]
        assert (await got(session, "/?before=x%00")).text.count("-ids") == 11


async def test_reasons_are_counted_over_all_batches_and_failed_ones_come_first(tmp_path: Path) -> None:
    """Each with its own order, which names the source, the state and the reason."""
    async with browsing(tmp_path) as (store, session):
        for _ in range(2):
            batch = await taken_in(store, ["1", "2", "3"])
            outcomes: dict[str, Outcome] = {"1": Gone("deleted"), "2": Gone("not & there/+"), "3": Failed("http-500")}
            await recorded(store, batch.id, outcomes)
        shown = await got(session, "/")
        assert [link for link in shown.links if "retry" in link] == [
            f"/sources/posts/retry?state={which}"
            for which in ("failed&reason=http-500", "gone&reason=deleted", "gone&reason=not%20%26%20there%2F%2B")
        ]
        async with session.post("/sources/posts/retry?state=gone&reason=not%20%26%20there%2F%2B") as answer:
            assert "2 IDs are asked again." in Tags(await answer.text()).text


async def test_ids_are_found_by_state_reason_and_beginning(tmp_path: Path) -> None:
    """A page goes on where the one before ended, and an ID given whole comes first."""
    async with browsing(tmp_path) as (store, _):
        batch = await taken_in(store, [f"{number:03d}" for number in range(200)] + ["1", "1/2?&#"])
        await recorded(store, batch.id, {"001": Gone("deleted"), "1": Gone("absent")})

        async def keys_of(wanted: Wanted) -> list[str]:
            keys: list[str] = []
            more: str | None = ""
            while more is not None:
                query = {**msgspec.structs.asdict(wanted), **dict(parse_qsl(more))}
                jobs, more = await some(store, batch.id, Wanted.of(query))
                keys += [job.key for job in jobs]
            return keys

        assert await keys_of(Wanted()) == sorted([f"{number:03d}" for number in range(200)] + ["1", "1/2?&#"])
        assert await keys_of(Wanted(state=State.GONE)) == ["001", "1"]
        assert await keys_of(Wanted(reason="absent")) == ["1"]
        assert await keys_of(Wanted(id="1")) == ["1", "1/2?&#", *(f"{number:03d}" for number in range(100, 200))]
        assert await keys_of(Wanted(id="00")) == [f"00{digit}" for digit in range(10)]
        assert await keys_of(Wanted(id="1", state=State.GONE)) == ["1"]
        assert await keys_of(Wanted(id="x")) == []


async def test_a_stored_object_keeps_its_digits(tmp_path: Path) -> None:
    """Indented as text: 1.10 stays 1.10, and a number beyond all floats is no fault."""
    async with browsing(tmp_path) as (store, session):
        batch = await taken_in(store, ["1"])
        await recorded(store, batch.id, {"1": found("1", '{"id":1504650000000000001,"a":1.10,"b":1e999}')})
        text = (await got(session, "/batch/1/job?id=1")).text
        assert '"a": 1.10' in text
        assert '"b": 1e999' in text


async def test_what_is_fetched_again_and_again_reads_no_more_than_what_may_have_changed(tmp_path: Path) -> None:
    """The first page of IDs is read anew; no search goes on, and no object is shown a second time."""
    async with browsing(tmp_path) as (store, session):
        batch = await taken_in(store, ["1", "2"])
        await recorded(store, batch.id, {"1": found("1", '{"id":"of the API"}'), "2": Gone("deleted")})
        shown = {}
        for path in ("/batch/1", "/batch/1?state=gone", "/batch/1/job?id=1"):
            for headers in ({}, {"Live": "1"}):
                async with session.get(path, headers=headers) as answer:
                    shown[path, bool(headers)] = await answer.text()
    assert ['id="ids"' in text for text in shown.values()] == [True, True, True, False, False, False]
    assert ["of the API" in text for text in shown.values()] == [False, False, False, False, True, False]


def test_a_name_that_a_template_does_not_know_is_a_fault() -> None:
    """Nothing is shown as empty by mistake."""
    with pytest.raises(Exception, match="undefined"):
        page("add.html")

"""The actor that tells an operator, once, what they would want to be woken for or to read in the morning."""

import asyncio
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import islice

import msgspec
import structlog

from collector.clock import Clock
from collector.errors import RequestError, StoreBusy
from collector.host import command
from collector.host.secret import Secret
from collector.model import BatchId, Trouble
from collector.output import notice
from collector.output.notice import Notice, Pace, Told
from collector.output.snapshot import Snapshot
from collector.output.text import plain
from collector.sources.http import Client
from collector.sources.notify import Kind, Notify
from collector.store.batches import TAKEN_IN
from collector.store.store import Store

EVERY = 1.0  # seconds from one look to the next
WEBHOOK, COMMAND = 10.0, 30.0  # seconds that a message may take
FIRST_WAIT, LONGEST_WAIT = 2.0, 600.0  # seconds between tries
MOST_AT_ONCE = 10_000  # batches in one message, since they are noted in one commit

log = structlog.get_logger()


class Notifier:
    """Tells what the service knows already: its troubles, and the batches of which there is news.

    A message is noted when it was taken, so a kill in between tells it twice, and what cannot be told waits where it
    is kept: of troubles the first of each kind, of batches their rows.
    """

    def __init__(self, store: Store, snapshot: Callable[[], Snapshot], client: Client, clock: Clock) -> None:
        self._store, self._snapshot, self._client, self._clock = store, snapshot, client, clock
        self._notify: Notify | None = None
        self._secrets: Mapping[str, Secret] = {}
        self._host = socket.gethostname()
        self._told: dict[str, Told] | None = None  # by kind of trouble; None: nobody is told as yet
        self._kept: dict[str, Told] = {}  # as it stands in the store
        self._marks: dict[BatchId, str] = {}  # of batches, told and not noted yet
        self._paces: dict[Kind, Pace] = {"taken_in": Pace(), "finished": Pace()}
        self._tries, self._again_at = 0, float("-inf")  # loop time
        self._trouble: Trouble | None = None
        self._stop = asyncio.Event()

    def reconfigure(self, notify: Notify | None, secrets: Mapping[str, Secret]) -> None:
        """Takes up where notices go now."""
        if notify != self._notify:
            self._tries, self._again_at, self._trouble = 0, float("-inf"), None
        self._notify, self._secrets = notify, secrets

    def troubles(self) -> tuple[Trouble, ...]:
        """Why nobody can be told anything now."""
        return (self._trouble,) if self._trouble else ()

    def stop(self) -> None:
        """It ends once all is told, or at the first message that cannot be told now."""
        self._stop.set()

    async def begin(self) -> None:
        """Reads what was told before; where nobody was told anything so far, all that is there is no news."""
        with suppress(StoreBusy):  # a look tries again
            kept = await self._store.notices.load()
            if self._notify is None:
                if kept is not None:
                    await self._store.notices.end()
                self._told = None
                return
            if kept is None:
                await self._store.notices.begin("{}")
            self._told = self._kept = _read(kept or "{}")

    async def run(self) -> None:
        """Tells until it is stopped."""
        while True:
            stopping = self._stop.is_set()
            if (self._notify is None) is not (self._told is None):
                await self.begin()
            if self._notify is not None and self._told is not None:
                self._look()
                if self._marks:
                    await self._note()  # of a kind that nobody wants, so that the end of the batch is news
                while self._clock.mono() >= self._again_at and await self._tell_next():
                    pass
                await self._note()  # last: a store that cannot be written may be the very news
            if stopping:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(EVERY):
                    await self._stop.wait()

    def _look(self) -> None:
        assert self._told is not None
        assert self._notify is not None
        found = notice.looked(self._told, self._snapshot().troubles, self._clock.wall())
        self._told = {
            key: told if told.owed is None or told.owed.kind in self._notify.on else Told(told.at, told.lasts)
            for key, told in found.items()
        }
        for kind in self._paces:
            if kind not in self._notify.on:
                self._marks.update(self._owed(kind))

    def _owed(self, kind: Kind) -> dict[BatchId, str]:
        """What is to be told of batches: that they were taken in, or their ends."""
        untold = self._store.batches.untold.items()
        mine = ((batch, said) for batch, said in untold if (said == TAKEN_IN) is (kind == "taken_in"))
        return dict(islice((one for one in mine if self._marks.get(one[0]) != one[1]), MOST_AT_ONCE))

    async def _tell_next(self) -> bool:
        """Tells the oldest trouble that is owed, else batches; False where nothing can be told now."""
        assert self._told is not None
        owed = sorted((told.at, key) for key, told in self._told.items() if told.owed)
        for at, key in owed[:1]:
            sent = self._told[key].owed
            assert sent
            if not await self._sent(sent):
                return False
            self._told = {**self._told, key: Told(at, self._told[key].lasts)}
            await self._note(sent)
            return True
        for kind, pace in self._paces.items():
            owed_ones = self._owed(kind)
            if number := pace.take(len(owed_ones), self._clock.mono()):
                return await self._tell_batches(kind, dict(islice(owed_ones.items(), number)), pace)
        return False

    async def _tell_batches(self, kind: Kind, marks: Mapping[BatchId, str], pace: Pace) -> bool:
        books = [(self._store.batches.get(batch), self._store.books.of(batch)) for batch in marks]
        sent = notice.of_batches(kind, books, self._clock.wall())
        if not await self._sent(sent):
            return False
        pace.told(len(marks), self._clock.mono())
        self._marks.update(marks)
        await self._note(sent)
        return True

    async def _note(self, sent: Notice | None = None) -> None:
        """What was told, durably; a store that is busy is tried again at the next look."""
        assert self._told is not None
        with suppress(StoreBusy):
            if self._told != self._kept:
                await self._store.notices.keep(msgspec.json.encode(self._told).decode())
                self._kept = self._told
            if self._marks:
                await self._store.notices.told(self._marks)
                self._marks = {}
        if sent:
            log.info("notice_sent", kind=sent.kind, text=sent.text)

    async def _sent(self, one: Notice) -> bool:
        notify = self._notify
        assert notify
        try:
            await self._send(notify, one)
        except RequestError as error:
            if notify is self._notify:  # else a reload came meanwhile, and the next try goes elsewhere
                self._failed(str(notify), error.detail)
            return False
        if self._trouble:
            log.warning("notices_sent_again", to=str(notify))
        self._tries, self._trouble = 0, None
        return True

    def _failed(self, where: str, why: str) -> None:
        wait = min(FIRST_WAIT * 2.0 ** min(self._tries, 20), LONGEST_WAIT)
        self._tries += 1
        self._again_at = self._clock.mono() + wait
        if self._trouble is None:
            log.warning("notice_not_sent", to=where, why=why)
        since = self._trouble.since if self._trouble else self._clock.wall()
        self._trouble = Trouble(notice.OURS, f"notices do not get through: {why}; tried again", where, since)

    async def _send(self, notify: Notify, one: Notice) -> None:
        document = one.document(self._host)
        if notify.url is None:
            await _run(notify.command, document, one)
            return
        secrets = self._secrets
        status = await self._client.notify(notify.address(secrets), notify.filled(secrets), document, WEBHOOK)
        if not 200 <= status < 300:
            redirect = ", a redirect, which is not followed" if 300 <= status < 400 else ""
            raise RequestError("refused", f"the answer was {status}{redirect}")


async def _run(words: Sequence[str], document: bytes, one: Notice) -> None:
    more = {"COLLECTOR_KIND": one.kind, "COLLECTOR_TEXT": one.text}
    try:
        code, said = await command.run(words, document, more, COMMAND)
    except OSError as error:
        if isinstance(error, TimeoutError):
            raise RequestError("timeout", f"it had not ended after {COMMAND:g} s, and was killed") from error
        raise RequestError("command", f"it cannot be started: {error.strerror}") from error
    if code:
        raise RequestError("command", f"it ended with {code}{f': {plain(said[:300])}' if said else ''}")


def _read(kept: str) -> dict[str, Told]:
    try:
        return msgspec.json.decode(kept, type=dict[str, Told])
    except msgspec.DecodeError:  # somebody has changed it: troubles that last are told once more
        return {}

"""Dispatch as a whole: a lane with its feeder and consumers for each source, one recorder for all."""

from collections import Counter
from collections.abc import Callable, Mapping
from random import Random

from collector.budget.ledger import Ledger
from collector.clock import Clock
from collector.dispatch import retry
from collector.dispatch.breaker import Breaker
from collector.dispatch.consumer import Consumer
from collector.dispatch.feeder import Feeder
from collector.dispatch.judge import ALIKE_STOPS, DOUBTED, Judge
from collector.dispatch.lane import Lane
from collector.dispatch.packing import Shelf
from collector.dispatch.recorder import Recorder
from collector.model import BatchId, Progress, SourceLive, State
from collector.sources.http import Client
from collector.sources.spec import Spec
from collector.store.store import Store


class Dispatcher:
    """Makes the actors of dispatch and tells their live state; starts none of them."""

    def __init__(
        self,
        specs: Mapping[str, Spec],
        store: Store,
        ledger: Ledger,
        client: Client,
        clock: Clock,
        ended: Callable[[], None],
    ) -> None:
        random = Random()  # noqa: S311 - for jitter
        # A breaker for each source, not for each origin: where one endpoint fails, others of its host go on.
        self.lanes = {name: Lane(name, spec, Breaker(spec.origin)) for name, spec in specs.items()}
        self.recorder = Recorder(store, self.lanes, ended, random)
        self.feeders: list[Feeder] = []
        self.consumers: list[Consumer] = []
        for name, lane in self.lanes.items():
            if _any_delayed(store, name):  # by an earlier process, nobody knows for how long
                lane.progress = Progress(due=clock.wall() + retry.LONGEST)
            judge = Judge(lane.spec, lane.breaker, random, ever_good=_ever_good(store, name))
            endpoint = client.endpoints[name]
            shelf = Shelf(name, judge.pack, endpoint.room, endpoint.weight, endpoint.alone)
            self.feeders.append(Feeder(lane, shelf, judge, store, self.recorder.put, clock))
            self.consumers += [
                Consumer(lane, judge, ledger, client, self.recorder.put, clock) for _ in range(lane.spec.parallel)
            ]

    def opened(self, source: str) -> None:
        """A batch of this source is there to be fed."""
        if source in self.lanes:
            self.lanes[source].wake()

    def stop(self) -> None:
        """No consumer begins another call."""
        for consumer in self.consumers:
            consumer.stopping = True

    @property
    def calls_in_the_air(self) -> int:
        """Calls sent and not yet answered."""
        return sum(lane.calls for lane in self.lanes.values())

    def trouble(self) -> str | None:
        """Why nothing can be written now: outcomes by the recorder, or sends by a lane."""
        return self.recorder.trouble or next((lane.trouble for lane in self.lanes.values() if lane.trouble), None)

    def running(self) -> dict[tuple[BatchId, State], int]:
        """Jobs in the air by batch and the state that their rows have."""
        total: Counter[tuple[BatchId, State]] = Counter()
        for lane in self.lanes.values():
            total.update(lane.flying)
        return total

    def progress(self) -> dict[str, Progress]:
        """What the calls of each source came to so far."""
        return {name: lane.progress for name, lane in self.lanes.items()}

    def sources(self) -> dict[str, SourceLive]:
        """Each source's state, and why it is so."""
        return {name: _state(lane) for name, lane in self.lanes.items()}


def _ever_good(store: Store, source: str) -> bool:
    """Whether a source is trusted when it says that IDs are not there: it found some before, or it was stopped for
    saying so and somebody started it again."""
    accounts = [store.books.of(batch.id) for batch in store.batches.all() if batch.source == source]
    doubted = sum(account.reasons.get((State.DELAYED, reason), 0) for account in accounts for reason in DOUBTED)
    return doubted >= ALIKE_STOPS or any(account.count(State.FOUND) for account in accounts)


def _any_delayed(store: Store, source: str) -> bool:
    return any(store.books.count(batch.id, State.DELAYED) for batch in store.batches.open_of(source))


def _state(lane: Lane) -> SourceLive:
    if lane.stopped is not None:
        return SourceLive("stopped", lane.stopped)
    if not lane.breaker.closed:
        return SourceLive("down", f"{lane.breaker.origin} does not answer as it should; one probe each 5 s goes")
    return SourceLive("running", None)

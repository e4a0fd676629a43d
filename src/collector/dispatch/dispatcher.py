"""Dispatch as a whole: a lane with its feeder and consumers for each source, one recorder for all."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random

import structlog

from collector.budget.ledger import Ledger
from collector.clock import Clock
from collector.dispatch import retry
from collector.dispatch.breaker import PROBE_EVERY, Breaker
from collector.dispatch.consumer import Consumer, Tools
from collector.dispatch.crew import Crew
from collector.dispatch.feeder import Feeder
from collector.dispatch.judge import ALIKE_STOPS, DOUBTED, Judge
from collector.dispatch.lane import Lane
from collector.dispatch.lineage import Lineage
from collector.dispatch.packing import Shelf
from collector.dispatch.recorder import Recorder
from collector.dispatch.runs import Runner, doings
from collector.dispatch.taken import Taken
from collector.host.disk import Room
from collector.host.pulse import Pulse
from collector.host.secret import Secret
from collector.host.workers import Workers
from collector.model import BatchId, Doing, Progress, SourceLive, State, Tally, Trouble
from collector.sources.http import Client
from collector.sources.request import Endpoint
from collector.sources.spec import Spec
from collector.store.store import Store

MOST_DOINGS = 10  # told of a source

log = structlog.get_logger()


@dataclass(slots=True)
class Team:
    """Who works for a source as it is declared."""

    lane: Lane
    judge: Judge
    feeder: Feeder
    consumers: list[Consumer] = field(default_factory=list)


class Dispatcher:
    """Makes the actors of dispatch and tells their live state; the crew starts and ends them."""

    def __init__(
        self,
        store: Store,
        ledger: Ledger,
        client: Client,
        clock: Clock,
        ended: Callable[[], None],
        crew: Crew,
        workers: Workers | None = None,
        room: Room | None = None,
        probe_every: float = PROBE_EVERY,
    ) -> None:
        self._store, self._clock, self._crew = store, clock, crew
        self._workers = workers or Workers()
        self.room = room or Room()
        self._probe_every = probe_every  # seconds, while an origin is down
        self._random = Random()  # noqa: S311 - for jitter
        self._teams: dict[str, Team] = {}
        self._taken: defaultdict[str, Taken] = defaultdict(Taken)  # by source, of sources that are gone too
        self._lineage = Lineage(store.batches)
        self.recorder = Recorder(store, self._taken, ended, self._random, client.load)
        self._tools = Tools(self._lineage.of_outcomes, ledger, client, self.recorder.put, clock)

    def declare(self, specs: Mapping[str, Spec], secrets: Mapping[str, Secret]) -> None:
        """Takes up the sources as they are declared now; the ledger has to know them already.

        Calls in the air finish as they were sent. Those that wait go back to the table where the source is gone, or
        asks in another way now. One that only asks more or less often goes on, or stays stopped.
        """
        endpoints = {name: Endpoint(spec, secrets) for name, spec in specs.items()}
        self._lineage.declare(specs)
        before, self._teams = self._teams, {}
        for name, endpoint in endpoints.items():
            team = before.get(name)
            if team and team.lane.endpoint.asks_like(endpoint):
                team.lane.endpoint = endpoint
                del before[name]
            else:
                team = self._team(name, endpoint)
            self._teams[name] = team
        for team in before.values():
            self._crew.retire([team.feeder], team.consumers)
        for team in self._teams.values():
            self._fit(team)
            team.lane.taken.wake()  # a batch may wait for its chain to be declared

    def resume(self, source: str) -> bool:
        """Ends a stop by cause; False where the source is not stopped."""
        team = self._teams[source]
        if team.lane.stopped is None:
            return False
        team.judge.resume(ever_good=_ever_good(self._store, source))
        team.lane.resume()
        log.warning("source_resumed", source=source)
        return True

    def opened(self, source: str) -> None:
        """A batch of this source is there to be fed."""
        self._taken[source].wake()

    def recall(self, source: str) -> None:
        """A batch of this source is asked no longer: calls that wait go back to the table, and the feeder packs what
        is left anew."""
        team = self._teams.get(source)
        if team and self._crew.at_work:
            waiting = [consumer for consumer in team.consumers if not consumer.in_the_air]
            team.consumers = [consumer for consumer in team.consumers if consumer.in_the_air]
            self._crew.retire([], waiting)
            team.lane.drain()
            self._fit(team)
        self._taken[source].wake()

    @property
    def lanes(self) -> dict[str, Lane]:
        """The lane of each source as it is declared now."""
        return {name: team.lane for name, team in self._teams.items()}

    def pulses(self) -> dict[str, Pulse]:
        """The marks of the actors without which nothing gets on."""
        feeders = {f"feeder of {name}": team.feeder.pulse for name, team in self._teams.items()}
        return {"recorder": self.recorder.pulse, **feeders}

    @property
    def calls_in_the_air(self) -> int:
        """Calls sent and not yet answered."""
        return sum(taken.calls for taken in self._taken.values())

    def trouble(self) -> str | None:
        """Why nothing can be written now: outcomes by the recorder, or sends by a lane."""
        lanes = (team.lane for team in self._teams.values())
        return self.recorder.trouble or next(
            (lane.trouble for lane in lanes if lane.trouble and not lane.stopped), None
        )

    def troubles(self) -> tuple[Trouble, ...]:
        """What keeps batches from being asked, and wants somebody's hand."""
        return (*self._lineage.troubles(), *map(self._kept, self._workers.kept().items()))

    def _kept(self, kept: tuple[str, list[str]]) -> Trouble:
        """Threads of a source that go on after their time-out: with all places kept, nothing of it is asked."""
        source, keys = kept
        team = self._teams.get(source)
        places = f"{len(keys)} of {team.lane.endpoint.spec.parallel}" if team else str(len(keys))
        ids = ", ".join(keys[:MOST_DOINGS]) + (", …" if len(keys) > MOST_DOINGS else "")
        what = f"{places} places are kept by threads that do not end after their time-out, for {ids}"
        return Trouble("threads", f"{what}: mend the function, then start the service anew", source, self._clock.wall())

    def running(self) -> dict[tuple[BatchId, State], int]:
        """Jobs in the air by batch and the state that their rows have."""
        total: Counter[tuple[BatchId, State]] = Counter()
        for taken in self._taken.values():
            total.update(taken.flying)
        return total

    def flies(self, batch: BatchId) -> bool:
        """Whether jobs of a batch are in the air, or answered and not yet recorded."""
        return any(jobs > 0 and flying[0] == batch for flying, jobs in self.running().items())

    def progress(self) -> dict[str, Progress]:
        """What the calls of each source came to so far."""
        return {name: team.lane.taken.progress for name, team in self._teams.items()}

    def tallies(self) -> dict[str, Tally]:
        """What each source did since the start, over its declarations."""
        return {name: taken.tally for name, taken in self._taken.items()}

    def sources(self) -> dict[str, SourceLive]:
        """Each source's state, and why it is so."""
        why = self._store.pauses.why
        return {
            name: _state(team.lane, why(name), doings(team.consumers, MOST_DOINGS))
            for name, team in self._teams.items()
        }

    def _team(self, name: str, endpoint: Endpoint) -> Team:
        # A breaker for each source, not for each origin: where one endpoint fails, others of its host go on.
        breaker = Breaker(endpoint.spec.origin, self._probe_every)
        lane = Lane(name, endpoint, breaker, self._taken[name], self._store.batches.is_open, self.room)
        # What was put off by an earlier process may be due as late as that.
        late = self._clock.wall() + retry.LONGEST if _any_delayed(self._store, name) else 0.0
        lane.taken.begin(Progress(due=late), endpoint.spec.pack)
        judge = Judge(endpoint.spec, breaker, self._random, ever_good=_ever_good(self._store, name))
        shelf = Shelf(name, judge.pack, endpoint.room, endpoint.weight, endpoint.alone, self._priority)
        feeder = Feeder(lane, shelf, judge, self._lineage, self._store, self.recorder, self._clock)
        self._crew.join([feeder])
        return Team(lane, judge, feeder)

    def _priority(self, batch: BatchId) -> int:
        return self._store.batches.get(batch).priority

    def _fit(self, team: Team) -> None:
        """As many consumers as may be in the air at once."""
        most = team.lane.endpoint.spec.parallel
        fewer, team.consumers = team.consumers[most:], team.consumers[:most]
        self._crew.retire([], fewer)
        more = [self._consumer(team) for _ in range(most - len(team.consumers))]
        team.consumers += more
        self._crew.join(more)

    def _consumer(self, team: Team) -> Consumer:
        if team.lane.endpoint.spec.call:
            return Runner(team.lane, team.judge, self._tools, self._store.items, self._workers)
        return Consumer(team.lane, team.judge, self._tools)


def _ever_good(store: Store, source: str) -> bool:
    """Whether a source is trusted when it says that IDs are not there: it found some before, or it was stopped for
    saying so and somebody let it go on."""
    accounts = [store.books.of(batch.id) for batch in store.batches.all() if batch.source == source]
    doubted = sum(account.reasons.get((State.DELAYED, reason), 0) for account in accounts for reason in DOUBTED)
    return doubted >= ALIKE_STOPS or any(account.count(State.FOUND) for account in accounts)


def _any_delayed(store: Store, source: str) -> bool:
    return any(store.books.count(batch.id, State.DELAYED) for batch in store.batches.open_of(source))


def _state(lane: Lane, paused: str | None, doing: tuple[Doing, ...]) -> SourceLive:
    if lane.stopped is not None:
        return SourceLive("stopped", lane.stopped, doing)
    if paused is not None:
        return SourceLive("paused", paused, doing)
    if not lane.breaker.closed:
        said = f" ({lane.breaker.said})" if lane.breaker.said else ""
        why = f"{lane.breaker.origin} does not answer as it should{said}; one probe each {PROBE_EVERY:g} s goes"
        return SourceLive("down", why, doing)
    return SourceLive("running", None, doing)

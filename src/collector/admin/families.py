"""What `/metrics` tells, as families of Prometheus."""

from collections import Counter
from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from collector.admin.metrics import Facts
from collector.clock import unstamp
from collector.model import State
from collector.output.snapshot import Snapshot


class Families(Collector):
    """All that is told. Labels are names that are declared and words of our own, so that their number is bounded."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        self._disk = (0, 0)  # free bytes, and those of the database

    def told(self, disk: tuple[int, int], accepted: str) -> tuple[bytes, str]:
        """The text in an accepted format, and its content type; `disk`: free bytes, and those of the database."""
        self._disk = disk
        encode, kind = choose_encoder(accepted)
        return encode(self._registry), kind

    def describe(self) -> list[Metric]:
        """Nothing is known before a scrape."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Every number as it is now."""
        now = self._facts.status()
        yield InfoMetricFamily("collector", "The version that runs.", {"version": now.version})
        yield _gauge("start_timestamp_seconds", "When the service began.", unstamp(now.started_at))
        yield _gauge("healthy", "1 while the service does its work.", self._facts.health().ok)
        yield self._jobs()
        yield from self._calls()
        yield from _budgets(now)
        yield from _sources(now)
        yield _gauge("calls_in_the_air", "Calls that wait for their answer.", now.calls_in_the_air)
        yield from self._commits()
        yield _gauge("disk_free_bytes", "Free space where the database is.", self._disk[0])
        yield _gauge("database_bytes", "The size of the database.", self._disk[1])
        troubles = Counter(trouble.kind for trouble in now.troubles)
        yield _labelled("troubles", "What an operator should know.", ["kind"], troubles)
        if now.finish_at is not None:
            yield _gauge("finish_timestamp_seconds", "When all is likely to be done.", unstamp(now.finish_at))

    def _jobs(self) -> Metric:
        jobs: Counter[tuple[str, str]] = Counter()
        for (source, state, _), count in self._facts.store.books.by_source().items():
            jobs[source, state.value] += count
        for batch in self._facts.store.batches.ongoing():
            if batch.is_draft:
                for state, count in self._facts.store.books.of(batch.id).states.items():
                    jobs[batch.source, state.value] -= count
        for source in {source for source, _ in jobs} | self._facts.tallies().keys():
            for state in State:
                jobs[source, state.value] += 0
        return _labelled("jobs", "IDs by where they stand; those in the air as they were.", ["source", "state"], jobs)

    def _calls(self) -> Iterator[Metric]:
        calls = CounterMetricFamily("collector_calls", "Calls since the start.", labels=["source", "outcome"])
        items = CounterMetricFamily("collector_items", "Objects stored since the start.", labels=["source"])
        for source, tally in self._facts.tallies().items():
            for outcome in ("answered", "waited", "failed"):
                calls.add_metric([source, outcome], getattr(tally, outcome))
            items.add_metric([source], tally.items)
        yield calls
        yield items

    def _commits(self) -> Iterator[Metric]:
        recorder = self._facts.recorder
        yield CounterMetricFamily("collector_commits", "Groups of outcomes made durable.", recorder.commits)
        yield CounterMetricFamily("collector_commit_seconds", "What they took.", recorder.commit_seconds)
        yield _gauge("outcomes_waiting", "Answered calls that are not durable yet.", recorder.waiting)


def _budgets(now: Snapshot) -> Iterator[Metric]:
    parts = {"limit": "What a window allows.", "used": "What of it is used.", "left": "What of it is free."}
    for part, what in parts.items():
        family = GaugeMetricFamily(f"collector_budget_{part}", what, labels=["budget", "window_seconds", "unit"])
        for name, windows in now.budgets.items():
            # A limit may have two windows of one length that begin at other times of day.
            known = {(str(window.window_s), window.unit): getattr(window, part) for window in reversed(windows)}
            for (seconds, unit), value in known.items():
                family.add_metric([name, seconds, unit], value)
        yield family
    jobs = Counter({wait.budget: wait.jobs for wait in now.waiting})
    yield _labelled("waiting_jobs", "IDs whose calls wait for a budget.", ["budget"], jobs)
    ends = {wait.budget: max(unstamp(wait.until) - unstamp(now.now), 0.0) for wait in now.waiting if wait.until}
    yield _labelled("wait_seconds", "How long they wait from now.", ["budget"], ends)


def _sources(now: Snapshot) -> Iterator[Metric]:
    states = {
        (name, state): source.state == state
        for name, source in now.sources.items()
        for state in ("running", "waiting", "paused", "down", "stopped")
    }
    yield _labelled("source_state", "1 at the state of a source.", ["source", "state"], states)
    spent = CounterMetricFamily("collector_source_seconds", "Where the time went.", labels=["source", "why"])
    for name, shares in now.time.items():
        for why, seconds in shares.items():
            spent.add_metric([name, why.value], seconds)
    yield spent


def _gauge(name: str, what: str, value: float) -> Metric:
    return GaugeMetricFamily(f"collector_{name}", what, value)


def _labelled(
    name: str, what: str, labels: list[str], values: Mapping[str, float] | Mapping[tuple[str, str], float]
) -> Metric:
    family = GaugeMetricFamily(f"collector_{name}", what, labels=labels)
    for key, value in values.items():
        family.add_metric([key] if isinstance(key, str) else list(key), value)
    return family

"""Finish times as they were told a moment ago: a forecast costs milliseconds, and status may be asked in each."""

from collections.abc import Callable, Mapping, Sequence

from collector.clock import Clock
from collector.model import BatchState, Live
from collector.output.finish import Finish, Work, finish, runs
from collector.sources.spec import Spec
from collector.store.batches import Batch

_SHARE = 0.02  # of the time, at most, that goes into forecasts
_LONGEST = 5.0  # seconds that one is told again, however long it took


class Finishes:
    """Works a forecast out again when the last one has paid for itself, and at once when other batches or sources
    run."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._told: Finish | None = None
        self._of: object = None  # what ran when it was told
        self._again_at = 0.0  # monotonic

    def now(
        self, ongoing: Sequence[Batch], works: Callable[[], Sequence[Work]], live: Live, specs: Mapping[str, Spec]
    ) -> Finish:
        """The forecast; `works` is called for a new one only."""
        began = self._clock.mono()
        asked = [batch.id for batch in ongoing if batch.state is BatchState.OPEN]
        running = (asked, [source for source in live.sources if runs(source, live)], specs)
        if self._told is None or began >= self._again_at or running != self._of:
            self._told, self._of = finish(works(), live, specs, self._clock.wall()), running
            done = self._clock.mono()
            self._again_at = done + min((done - began) / _SHARE, _LONGEST)
        return self._told

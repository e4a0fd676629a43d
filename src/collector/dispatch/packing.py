"""Which jobs go together in a call, and whose turn it is."""

from collections import Counter, deque
from collections.abc import Callable, Iterable

import msgspec

from collector.model import ABSENT, BatchId, Call, Job


class Kind(msgspec.Struct, frozen=True):
    """Jobs of one kind may share a call: the same most, and absent ones only with their like."""

    most: int
    absent: bool


class Shelf:
    """Jobs of one source read from the table, waiting to be packed; each batch has its turn.

    The turn goes to the batch that has had the fewest jobs since it came: a small batch is never behind a large one.
    So it is among those of one priority; a higher one goes first.
    """

    def __init__(
        self,
        source: str,
        most: int,
        room: int,
        weight: Callable[[str], int],
        alone: Callable[[str], bool],
        priority: Callable[[BatchId], int] = lambda _: 0,
    ) -> None:
        self.most, self._priority = most, priority
        self._source, self._room, self._weight, self._alone = source, room, weight, alone
        self._waiting: dict[Kind, dict[BatchId, deque[Job]]] = {}
        self._served: dict[BatchId, int] = {}
        self._held: Counter[tuple[BatchId, bool]] = Counter()
        self._size = 0  # all of these

    def __len__(self) -> int:
        return self._size

    def held(self, batch: BatchId, *, delayed: bool) -> int:
        """How many jobs of a batch wait here, of those read from the delayed or the queued rows."""
        return self._held[batch, delayed]

    def add(self, jobs: Iterable[Job]) -> None:
        """Jobs that were read from the table."""
        place, queue = None, deque[Job]()
        for job in jobs:
            mine = (job.batch, job.pack_max, job.reason == ABSENT)
            if mine != place:  # mostly one for all of them
                place, queue = mine, self._queue(*mine)
            # A list that was begun goes on before others are begun: its cursor does not keep for ever.
            (queue.appendleft if job.cursor else queue.append)(job)
            self._held[job.batch, job.delayed] += 1
            self._size += 1

    def _queue(self, batch: BatchId, pack_max: int | None, absent: bool) -> deque[Job]:
        if batch not in self._served:
            self._served[batch] = min(self._served.values(), default=0)
        kind = Kind(min(pack_max or self.most, self.most), absent)
        return self._waiting.setdefault(kind, {}).setdefault(batch, deque())

    def drop_others(self, batches: set[BatchId]) -> list[Job]:
        """Takes out all jobs of batches other than these: they are paused, cancelled or finished."""
        dropped: list[Job] = []
        for kind, queues in list(self._waiting.items()):
            for batch in set(queues) - batches:
                dropped += queues.pop(batch)
            if not queues:
                del self._waiting[kind]
        for batch in set(self._served) - batches:
            del self._served[batch]
        self._forget(dropped)
        return dropped

    def ready(self, partial: Callable[[Kind], bool]) -> Kind | None:
        """The kind whose turn it is: one that fills a call, or that may go `partial`; None when there is none."""
        if len(self._waiting) == 1:  # nearly always
            [kind] = self._waiting
            return kind if self._full(kind) or partial(kind) else None
        kinds = [kind for kind in self._waiting if self._full(kind) or partial(kind)]
        # Jobs that came back are few and end sooner what was begun, so the smallest packs go first.
        return min(kinds, key=lambda kind: (-self._highest(kind), kind.most, not kind.absent), default=None)

    def _highest(self, kind: Kind) -> int:
        return max(map(self._priority, self._waiting[kind]))

    def _full(self, kind: Kind) -> bool:
        if kind.most == 1:
            return True
        return sum(map(len, self._waiting[kind].values())) >= kind.most

    def pack(self, kind: Kind) -> Call:
        """The next call of a kind that is ready."""
        if kind.most == 1:
            return self._single(kind)
        queues = self._waiting[kind]
        jobs: list[Job] = []
        keys: dict[str, None] = {}
        room = self._room
        while queues and len(keys) < min(kind.most, self.most):
            batch = self._next(queues)
            key = queues[batch][0].key
            room -= self._weight(key)
            if keys and key not in keys and (room < 0 or self._alone(key) or self._alone(jobs[0].key)):
                break
            jobs.append(queues[batch].popleft())
            keys[key] = None
            self._served[batch] += 1
            if not queues[batch]:
                del queues[batch]
        if not queues:
            del self._waiting[kind]
        self._forget(jobs)
        return Call(self._source, tuple(jobs), tuple(keys))

    def _single(self, kind: Kind) -> Call:
        queues = self._waiting[kind]
        batch = self._next(queues)
        job = queues[batch].popleft()
        self._served[batch] += 1
        if not queues[batch]:
            del queues[batch]
            if not queues:
                del self._waiting[kind]
        self._held[batch, job.delayed] -= 1
        self._size -= 1
        return Call(self._source, (job,), (job.key,))

    def _next(self, queues: dict[BatchId, deque[Job]]) -> BatchId:
        return next(iter(queues)) if len(queues) == 1 else min(queues, key=self._turn)

    def _turn(self, batch: BatchId) -> tuple[int, int, int]:
        return -self._priority(batch), self._served[batch], batch

    def _forget(self, jobs: Iterable[Job]) -> None:
        for job in jobs:
            self._held[job.batch, job.delayed] -= 1
            self._size -= 1

"""Which sources take their IDs from whose items, as they are declared now; and the IDs that items make."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from collector.model import BatchId, Found, Item, Job, MorePages, Offspring, Outcome, Trouble
from collector.sources.spec import Spec
from collector.sources.tree import CannotTell, as_text, finder
from collector.store.batches import Batch, Batches

LONGEST_KEY = 500  # characters of what is no ID
LOST = "\ufffd"  # in place of what cannot be kept


@dataclass(frozen=True, slots=True)
class _Follower:
    """How a source takes its IDs from an item."""

    find: Callable[[Any], Any]  # the IDs in an item
    match: Callable[[str], str | None]
    most: int


class Lineage:
    """From the items of a batch to the IDs of the batches below it."""

    def __init__(self, batches: Batches) -> None:
        self._batches = batches
        self._followers: dict[tuple[str, str], _Follower] = {}  # by the source whose items they are, and its own name
        self._after: dict[str, str] = {}  # a source to the one whose items feed it, as declared now

    def declare(self, specs: Mapping[str, Spec]) -> None:
        """Takes up the sources as they are declared now. What is in the air may still need one that is gone, or that
        follows another one now."""
        self._after = {name: spec.feed.source for name, spec in specs.items() if spec.feed}
        self._followers |= {
            (spec.feed.source, name): _Follower(finder(spec.feed.path), spec.match, spec.max_children)
            for name, spec in specs.items()
            if spec.feed
        }

    def whole(self, batch: Batch) -> bool:
        """True where each source that follows a batch is declared so: else its items would make no IDs."""
        return all(
            self._after.get(child.source) == batch.source
            for child in self._batches.children(batch.id)
            if child.finished_at is None
        )

    def troubles(self) -> tuple[Trouble, ...]:
        """Batches that wait since their chain is not declared whole."""
        waiting = [batch for batch in self._batches.ongoing() if not self.whole(batch)]
        return tuple(Trouble("chain", self._why(batch), batch.folder, batch.created_at) for batch in waiting)

    def _why(self, batch: Batch) -> str:
        lost = [c.source for c in self._batches.children(batch.id) if self._after.get(c.source) != batch.source]
        told = f"its items make the IDs of {', '.join(lost)}, which is not declared with `from` {batch.source} any more"
        return f"{told}: declare it so again, then `collector reload`, or cancel the batch. No ID is lost"

    def of_outcomes(self, outcomes: Sequence[tuple[Job, Outcome]]) -> tuple[Offspring, ...]:
        """What the outcomes of a call make for the batches below those of its jobs."""
        if not self._batches.has_chains or not any(map(self._batches.children, {job.batch for job, _ in outcomes})):
            return ()
        items: dict[str, tuple[Item, ...]] = {}  # the same ID for another batch has its items with the first
        made: dict[BatchId, list[Item]] = {}
        for job, outcome in outcomes:
            if isinstance(outcome, Found | MorePages):
                made.setdefault(job.batch, []).extend(items.setdefault(job.key, outcome.items))
        return tuple(born for batch, its in made.items() for born in self.offspring(batch, its))

    def offspring(self, batch: BatchId, items: Iterable[Item]) -> tuple[Offspring, ...]:
        """What items of a batch make for those below it."""
        heirs = self._heirs(self._batches.get(batch))
        if not heirs:
            return ()
        trees = [msgspec.json.decode(item.body) for item in items]
        return tuple(_born(child, follower, trees) for child, follower in heirs)

    def _heirs(self, batch: Batch) -> list[tuple[Batch, _Follower]]:
        return [
            (child, follower)
            for child in self._batches.children(batch.id)
            if child.finished_at is None and (follower := self._followers.get((batch.source, child.source)))
        ]


def _born(child: Batch, follower: _Follower, trees: Iterable[Any]) -> Offspring:
    keys: dict[str, None] = {}
    malformed: dict[str, None] = {}
    for tree in trees:
        for value in _values(follower.find, tree):
            text = as_text(value)
            key = follower.match(text) if _is_id(value) else None
            if key is None:
                malformed[text.replace("\0", LOST)[:LONGEST_KEY]] = None
            else:
                keys[key] = None
    return Offspring(child.id, child.source, tuple(keys), tuple(malformed), follower.most)


def _values(find: Callable[[Any], Any], tree: Any) -> list[Any]:
    """What stands at the path: an ID, or a list of them; nothing in an item of another shape."""
    try:
        value = find(tree)
    except CannotTell:
        return []
    values = value if isinstance(value, list) else [value]
    return [one for one in values if one is not None]


def _is_id(value: Any) -> bool:
    """True for a text or a whole number: a float has lost its last digits, and a text with a NUL would be kept up to
    there, as another ID."""
    return "\0" not in value if isinstance(value, str) else type(value) is int

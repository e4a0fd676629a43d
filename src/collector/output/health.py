"""Whether the service does its work, for `/healthz`."""

import msgspec

from collector.model import Live
from collector.store.store import Store


class Health(msgspec.Struct, frozen=True):
    """Whether the service does its work; `why` not, in a plain sentence, or what it waits out by itself."""

    ok: bool
    why: str | None = None


def health(store: Store, live: Live) -> Health:
    """Ill where nothing can be written, or where a source is stopped that owes IDs: both want somebody."""
    ill = [trouble.what for trouble in live.troubles if trouble.kind == "disk"]
    ill += [
        f"source {name} is stopped: {source.why}"
        for name, source in live.sources.items()
        if source.state == "stopped" and _owes(store, name)
    ]
    down = [f"source {name} is down: {source.why}" for name, source in live.sources.items() if source.state == "down"]
    return Health(not ill, "; ".join([*ill, *down]) or None)


def _owes(store: Store, source: str) -> bool:
    return any(store.books.open_in(batch.id) for batch in store.batches.open_of(source))

"""Sources that take their IDs from the items of others: which follows which."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from collector.errors import Problem
from collector.model import Heir
from collector.sources.spec import Spec


def root(sources: Mapping[str, Spec], source: str) -> str:
    """Where the chain that ends with a source begins: the source itself where it follows none."""
    while feed := sources[source].feed:
        source = feed.source
    return source


def line(sources: Mapping[str, Spec], source: str) -> tuple[str, ...]:
    """What has to follow the root for a source to be reached, itself at the end; empty for a root."""
    above: list[str] = []
    while feed := sources[source].feed:
        above.append(source)
        source = feed.source
    return tuple(reversed(above))


def next_of(sources: Mapping[str, Spec], source: str, wanted: Collection[str]) -> tuple[str, ...]:
    """Those of the wanted sources that take their IDs from a source's items."""
    return tuple(name for name in wanted if name in sources and (feed := sources[name].feed) and feed.source == source)


def heirs(sources: Mapping[str, Spec], source: str, wanted: Collection[str]) -> tuple[Heir, ...]:
    """The batches below one of `source` from which the wanted ones are reached."""
    return tuple(_heir(sources, name, wanted) for name in next_of(sources, source, wanted))


def all_of(heirs: Iterable[Heir]) -> Iterator[str]:
    """The source of each of them and of all below."""
    for heir in heirs:
        yield heir.source
        yield from all_of(heir.heirs)


def _heir(sources: Mapping[str, Spec], source: str, wanted: Collection[str]) -> Heir:
    below = tuple(name for name in wanted if name != source and name in sources and source in line(sources, name))
    return Heir(source, below, heirs(sources, source, below))


def problems(sources: Mapping[str, Spec], declared: Mapping[str, Any]) -> list[Problem]:
    """Chains that begin nowhere: with a source that is not declared, or in a circle."""
    return list(_problems(sources, declared))


def _problems(sources: Mapping[str, Spec], declared: Mapping[str, Any]) -> Iterator[Problem]:
    for name, source in sources.items():
        if source.feed is None:
            continue
        key, value = f"source.{name}.from", repr(f"{source.feed.source}.{source.feed.path}")
        if source.feed.source not in declared:
            yield Problem(key, value, f"a declared source before the dot ({', '.join(declared)})")
        elif _in_a_circle(sources, name):
            yield Problem(key, value, "a source that does not follow this one: a chain in a circle never ends")


def _in_a_circle(sources: Mapping[str, Spec], name: str) -> bool:
    seen, source = {name}, sources.get(name)
    while source and source.feed:
        if source.feed.source in seen:
            return True
        seen.add(source.feed.source)
        source = sources.get(source.feed.source)
    return False

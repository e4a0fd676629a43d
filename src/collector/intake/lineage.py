"""What a file for a source is a batch of, where sources take their IDs from the items of others. Pure."""

from collections.abc import Mapping, Sequence

from collector.errors import UsageError
from collector.sources import chain
from collector.sources.spec import Spec


def asked(sources: Mapping[str, Spec], source: str, then: Sequence[str] = ()) -> tuple[str, tuple[str, ...]]:
    """The source whose IDs are in a file for `source`, and what is to follow it: all between the two, the source
    itself, and `then` with all between. UsageError where one of `then` does not follow the source."""
    wanted = dict.fromkeys(chain.line(sources, source))
    for name in then:
        if name not in sources:
            raise UsageError(f"no source {name!r}; {_followers(sources, source)}")
        if source not in above(sources, name):
            raise UsageError(f"{name} does not follow {source}; {_followers(sources, source)}")
        wanted |= dict.fromkeys(chain.line(sources, name))
    return chain.root(sources, source), tuple(wanted)


def above(sources: Mapping[str, Spec], source: str) -> tuple[str, ...]:
    """The sources that a source follows, the root first; empty for one that follows none."""
    return (chain.root(sources, source), *chain.line(sources, source))[:-1]


def fed(sources: Mapping[str, Spec], source: str) -> str | None:
    """Where the IDs of a source come from, in words; None for one that follows none."""
    feed = sources[source].feed
    return f"`{feed.path}` of the items of {feed.source}" if feed else None


def _followers(sources: Mapping[str, Spec], source: str) -> str:
    below = [f"{name} (its IDs are {fed(sources, name)})" for name in sources if source in above(sources, name)]
    return f"what follows {source}: {', '.join(below)}" if below else f"nothing follows {source}"

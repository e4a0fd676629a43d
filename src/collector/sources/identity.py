"""Who a budget belongs to: a credential and an endpoint group, never a source's name."""

import hashlib
import hmac
import re
from collections.abc import Mapping

from collector.budget.limit import Limit, strictest
from collector.host.secret import Secret
from collector.sources.spec import Spec


def identity(spec: Spec, secrets: Mapping[str, Secret], key: bytes) -> str:
    """The same text for sources that draw on the same limit: same secrets, method, origin and path template, or the
    same function.

    Hashed under a key of the database's own, so that it says nothing of the secrets.
    """
    path = re.sub(r"\{secret\.[^}]*\}", "{secret}", spec.url.partition("?")[0])
    parts = (
        ["call", spec.call]
        if spec.call
        else [spec.method, path, *(secrets[name].reveal() for name in sorted(spec.secrets))]
    )
    text = "\0".join(parts).encode()
    return hmac.new(key, text, hashlib.sha256).hexdigest()[:32]


def sharing(sources: Mapping[str, Spec], secrets: Mapping[str, Secret]) -> list[tuple[str, ...]]:
    """The names of the sources in groups that draw on the same limit, in order; most are alone in theirs.

    A secret that was not fetched counts as another one than those of other names.
    """
    known = {name: secrets.get(name, Secret(f"\0{name}")) for spec in sources.values() for name in spec.secrets}
    groups: dict[str, list[str]] = {}
    for name, spec in sources.items():
        groups.setdefault(identity(spec, known, b""), []).append(name)
    return [tuple(group) for group in groups.values()]


def limits(source: str, sources: Mapping[str, Spec], secrets: Mapping[str, Secret]) -> tuple[Limit, ...]:
    """The limits that hold for a source: its own, and stricter ones of those that it shares a budget with."""
    return limits_of_all(sources, secrets)[source]


def limits_of_all(sources: Mapping[str, Spec], secrets: Mapping[str, Secret]) -> dict[str, tuple[Limit, ...]]:
    """The limits that hold for each source."""
    found: dict[str, tuple[Limit, ...]] = {}
    for group in sharing(sources, secrets):
        found |= dict.fromkeys(group, strictest(limit for name in group for limit in sources[name].limit))
    return found

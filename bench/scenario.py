"""What the service is measured in: a limiter, what is declared of it, and who else is there."""

import msgspec

from bench.limiter import Limiter

LIMITERS = ("fixed-x", "fixed", "moving", "swc", "fixed-silent", "moving-silent", "swc-silent", "leaky")
WORDS = ("two-keys", "ahead", "behind", "draft7", "draft8")
OTHERS = ("rival", "rival-moving", "counting")
SECOND_LIMITS = ("hidden", "day", "long", "long-hidden")
SCENARIOS = (*WORDS, *OTHERS, *SECOND_LIMITS)


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """One of LIMITERS, with nothing in the way, or one of SCENARIOS."""

    limiter: Limiter
    declared: tuple[str, ...]  # the `limit` of the source
    rival: bool = False  # another client uses the same key
    pack: int = 1  # IDs a call
    spent: bool = False  # another client has just spent the window when the service starts
    note: str = ""

    @property
    def keys(self) -> dict[str, int]:
        """Each credential that is used, with its limit."""
        return self.limiter.keys or {"": self.limiter.limit}


def scenario(name: str, limit: int, window: int) -> Scenario:
    """What a name stands for; KeyError for none of LIMITERS and SCENARIOS."""
    x = Limiter(name=name, policy="fixed", headers="x", limit=limit, window=window)
    if name in WORDS:
        return _of_words(name, x)
    if name in OTHERS:
        return _with_others(name, x)
    if name in SECOND_LIMITS:
        return _with_a_second_limit(name, x)
    if name not in LIMITERS:
        raise KeyError(name)
    policy, _, headers = name.partition("-")
    headers = "silent" if policy == "leaky" else headers or "plain"
    return _told(msgspec.structs.replace(x, policy=policy, headers=headers))


def _told(limiter: Limiter) -> Scenario:
    """The service knows the limiter's first limit."""
    return Scenario(limiter=limiter, declared=(f"{limiter.limit}/{limiter.window}s",))


def _of_words(name: str, x: Limiter) -> Scenario:
    """Other headers, another clock, another credential beside the first."""
    keys = {"Bearer one": x.limit, "Bearer two": max(1, x.limit // 3)}
    changes: dict[str, dict[str, object]] = {
        "two-keys": {"keys": keys},
        "ahead": {"skew": 7},
        "behind": {"skew": -7},
        "draft7": {"headers": "draft7"},
        "draft8": {"headers": "draft8"},
    }
    return _told(msgspec.structs.replace(x, **changes[name]))


def _with_others(name: str, x: Limiter) -> Scenario:
    """Somebody else draws on the same limit, or has just drawn all of it."""
    change = msgspec.structs.replace
    if name == "counting":
        note = "refused requests count too, and the window is spent when the service starts"
        return change(_told(change(x, policy="counting", headers="silent")), spent=True, note=note)
    limiter = x if name == "rival" else change(x, policy="moving", headers="plain")
    return change(_told(limiter), rival=True, note="another client, at a third of the limit, uses the same key")


def _with_a_second_limit(name: str, x: Limiter) -> Scenario:
    """Of which no header speaks; the hidden ones are not declared either."""
    limit, window = x.limit, x.window
    seconds = {
        "hidden": (max(1, limit // 6), 1),
        "day": (4 * limit, 86_400),  # what four windows' worth of IDs spend to the last
        "long": (limit * 20 // 9, 4 * window),  # is spent long before it is over
        "long-hidden": (limit * 20 // 9, 4 * window),
    }
    second = seconds[name]
    hidden, told = name.endswith("hidden"), f"{second[0]} in {second[1]} s besides"
    change = msgspec.structs.replace
    if hidden:
        made = _told(change(x, second=second, hidden=True))
        return change(made, note=f"{told}, of which neither the configuration nor a header speaks")
    made = _told(change(x, headers="plain", second=second))
    declared = (*made.declared, f"{second[0]}/{second[1]}s")
    return change(made, declared=declared, note=f"{told}, declared; no header speaks of it")

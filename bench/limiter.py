"""The rate limiters that the service is measured against, and what is made hard about each."""

import msgspec

LATENCY = (0.02, 0.05)  # seconds, there and back


class Limiter(msgspec.Struct, frozen=True, kw_only=True):
    """One server: who counts, what it allows, and what it says of it."""

    name: str
    policy: str  # fixed, moving and swc count by flask-limiter, leaky and counting by pyrate-limiter
    headers: str = "plain"  # plain: flask-limiter's own · x: X's names, no Retry-After · draft7, draft8 · silent
    limit: int = 90
    window: int = 9  # seconds
    keys: dict[str, int] = {}  # credentials that have a limit of their own
    second: tuple[int, int] | None = None  # another limit, in another number of seconds
    hidden: bool = False  # no header speaks of the second one
    skew: int = 0  # seconds that the server's clock is ahead

    @property
    def burst(self) -> int:
        """Calls that a leaky bucket takes above its rate."""
        return max(1, self.limit // 5) if self.policy == "leaky" else 0

    def head(self) -> dict[str, object]:
        """The first line of the log of verdicts."""
        limits = ",".join(f"{key}={limit}" for key, limit in self.keys.items())
        granted_as = "moving" if self.policy == "counting" else self.policy
        head = {"policy": granted_as, "server": self.name, "limit": self.limit, "window": self.window}
        return head | {"burst": self.burst, "token_limits": limits, "second": self.second}


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """A limiter, what the service is told of it, and who else is there."""

    limiter: Limiter
    declared: tuple[str, ...]  # the `limit` of the source
    rival: bool = False  # another client uses the same key
    spent: bool = False  # another client has just spent the window when the service starts
    note: str = ""

    @property
    def keys(self) -> dict[str, int]:
        """Each credential that is used, with its limit."""
        return self.limiter.keys or {"": self.limiter.limit}


LIMITERS = ("fixed-x", "fixed", "moving", "swc", "fixed-silent", "moving-silent", "swc-silent", "leaky")
SCENARIOS = (
    "two-keys",
    "ahead",
    "behind",
    "draft7",
    "draft8",
    "rival",
    "rival-moving",
    "hidden",
    "day",
    "long",
    "long-hidden",
    "counting",
)


def trial(name: str, limit: int, window: int) -> Trial:
    """What a name stands for; KeyError for none of LIMITERS and SCENARIOS."""
    change = msgspec.structs.replace
    x = Limiter(name=name, policy="fixed", headers="x", limit=limit, window=window)
    declared = (f"{limit}/{window}s",)
    if name in LIMITERS:
        policy, _, headers = name.partition("-")
        headers = "silent" if policy == "leaky" else headers or "plain"
        return Trial(limiter=change(x, policy=policy, headers=headers), declared=declared)
    day = (4 * limit, 86_400)
    long = (max(1, limit * 20 // 9), window * 4)  # is spent long before it is over
    short = (max(1, limit // 6), 1)
    keys = {"Bearer one": limit, "Bearer two": max(1, limit // 3)}
    return {
        "two-keys": Trial(limiter=change(x, keys=keys), declared=declared),
        "ahead": Trial(limiter=change(x, skew=7), declared=declared),
        "behind": Trial(limiter=change(x, skew=-7), declared=declared),
        "draft7": Trial(limiter=change(x, headers="draft7"), declared=declared),
        "draft8": Trial(limiter=change(x, headers="draft8"), declared=declared),
        "rival": Trial(limiter=x, declared=declared, rival=True),
        "rival-moving": Trial(limiter=change(x, policy="moving", headers="plain"), declared=declared, rival=True),
        "hidden": Trial(
            limiter=change(x, second=short, hidden=True),
            declared=declared,
            note=f"{short[0]} a second besides, of which no header speaks: 429 with remaining above 0",
        ),
        "day": Trial(
            limiter=change(x, headers="plain", second=day),
            declared=(*declared, f"{day[0]}/24h"),
            note=f"{day[0]} in 24 hours besides, declared: the IDs of four windows spend it whole",
        ),
        "long": Trial(
            limiter=change(x, headers="plain", second=long),
            declared=(*declared, f"{long[0]}/{long[1]}s"),
            note=f"{long[0]} in {long[1]} s besides, declared; no header speaks of it, so it is spread evenly",
        ),
        "long-hidden": Trial(
            limiter=change(x, second=long, hidden=True),
            declared=declared,
            note=f"{long[0]} in {long[1]} s besides, of which neither the configuration nor a header speaks",
        ),
        "counting": Trial(
            limiter=change(x, policy="counting", headers="silent"),
            declared=declared,
            spent=True,
            note="refused requests count too, and the window is spent when the service starts",
        ),
    }[name]

"""A rate limiter that the service is measured against."""

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

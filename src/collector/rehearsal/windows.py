"""The limit windows of every credential and endpoint, and the headers that tell of them."""

import math

from collector.rehearsal.settings import Settings
from collector.rehearsal.verdicts import Fixed, Sliding, Standing

POLICIES: dict[str, type[Fixed] | type[Sliding]] = {"fixed": Fixed, "sliding": Sliding}


class Windows:
    """One for each credential and endpoint, from its first request on."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._windows: dict[tuple[str, str], Fixed | Sliding] = {}

    def take(self, key: str, route: str, now: tuple[float, float]) -> Standing | None:
        """Count a request; None where there is no limit. `now` is monotonic and wall time."""
        limit = self._settings.limits.get(route, self._settings.limit)
        if limit is None:
            return None
        found = self._windows.get((key, route))
        if found is None:
            found = self._windows[key, route] = POLICIES[self._settings.policy](limit, self._settings.window)
        return found.take(*now)

    def headers(self, standing: Standing) -> dict[str, str]:
        """What an answer tells of its window."""
        found = {}
        if self._settings.headers:
            found["x-rate-limit-limit"] = str(standing.limit)
            found["x-rate-limit-remaining"] = str(standing.remaining)
            found["x-rate-limit-reset"] = str(math.ceil(standing.resets_at))
        if self._settings.retry_after and not standing.granted:
            found["Retry-After"] = str(math.ceil(standing.left))
        return found

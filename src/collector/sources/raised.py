"""What a function of a Python source raises to say more than a return value can."""

from collector import quantity


class Raised(Exception):
    """A word of a function about the ID that it was asked for."""


class Gone(Raised):
    """There is nothing under this ID: `reason` is a short code to group by, `detail` is for people."""

    def __init__(self, reason: str, detail: str = "") -> None:
        self.reason, self.detail = reason, detail
        super().__init__(reason, detail)


class Invalid(Raised):
    """The ID itself is at fault: `reason` is a short code to group by, `detail` is for people."""

    def __init__(self, reason: str, detail: str = "") -> None:
        self.reason, self.detail = reason, detail
        super().__init__(reason, detail)


class RetryLater(Raised):
    """Not now: the function is called again for this ID `after` so many seconds, or after `"15m"`; no try is spent.
    ValueError where it is neither."""

    def __init__(self, after: float | str) -> None:
        self.seconds = quantity.seconds(after) if isinstance(after, str) else float(after)
        if not self.seconds >= 0:
            raise ValueError(f'RetryLater({after!r}): expected seconds from 0, or a duration as "15m"')
        super().__init__(after)


class StopSource(Raised):
    """No further ID can do better until a person has mended what `reason` says: the source stops."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)

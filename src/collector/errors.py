"""Every error that collector raises on purpose.

CollectorError                what, where and what to do, for an operator; the command line prints it and exits 1
├── UsageError                wrong words or a wrong configuration; exits 2
│   ├── ConfigError           every problem of a configuration at once
│   └── Held                  another process works in this state folder
├── StoreError                the database cannot be used
│   ├── NotLoading            the batch left its loading, as by a cancel: what is read of its file is not taken in
│   └── StoreBusy             it cannot now, but may soon: disk full, I/O error, lock; try again with backoff
├── Drained                   nothing new is taken in until somebody resumes that
├── UnreadableFile            an ID file that cannot be taken in at all; the text goes to NAME.why.txt
├── RequestError              no answer came from an API: `reason` is a short code
├── NoPermit                  a wire request had no permit left; the call is broken off and its jobs put off
├── NoThread                  the machine begins no further thread
├── Refused                   the service answered a Client with an error: `status` and why
└── Unreachable               the service did not answer a Client
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType

# Behind what this user may not use.
NOT_YOURS = "run this as the service's user or root, or join its group"
_LONGEST = 60  # characters of a name


class CollectorError(Exception):
    """An error whose text is meant to be read by an operator; `facts` are for programs, beside the text."""

    facts: Mapping[str, object] = MappingProxyType({})
    beside = False  # on standard error for programs too, since results go out on standard output


class UsageError(CollectorError):
    """Wrong words on the command line or in the configuration."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault of a configuration: where it is, what stands there, what was expected."""

    key: str
    value: str
    expected: str

    def __str__(self) -> str:
        return escaped(f"{self.key} = {self.value}: expected {self.expected}")


def escaped(text: str) -> str:
    """A text that no terminal obeys: whatever does not show is written as an escape."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def shortened(text: str) -> str:
    """A name as a message holds it: a long one by its beginning."""
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


class ConfigError(UsageError):
    """A configuration with its problems, all of them; `text` says it where there is no file to name."""

    def __init__(self, where: str, problems: list[Problem], text: str = "") -> None:
        self.where, self.problems = where, problems
        plural = "problem" if len(problems) == 1 else "problems"
        lines = "\n".join(f"  {problem}" for problem in problems)
        super().__init__(text or f"{where}: {len(problems)} {plural}\n{lines}")
        self.facts = {"config": where, "problems": [asdict(problem) for problem in problems]}


class Held(UsageError):
    """Another process holds the state folder."""


class StoreError(CollectorError):
    """The database cannot be used."""


class NotLoading(StoreError):
    """A batch that was to be loaded on is not loading any more."""


class StoreBusy(StoreError):
    """The database cannot be used now; the same call may succeed later."""


class UnreadableFile(CollectorError):
    """A file from which nothing can be taken in."""


class RequestError(CollectorError):
    """No usable answer came over the wire."""

    def __init__(self, reason: str, detail: str) -> None:
        self.reason, self.detail = reason, detail
        super().__init__(f"{reason}: {detail}")


class Drained(CollectorError):
    """Nothing new is taken in until somebody resumes that."""

    def __init__(self) -> None:
        super().__init__(
            "nothing new is taken in, since somebody drains the service; `collector resume --all` ends that"
        )


class NoPermit(CollectorError):
    """A redirect or a silent resend had no free permit, and such a draw never waits."""


class NoThread(CollectorError):
    """A function cannot be called now, since no thread can begin."""


class Refused(CollectorError):
    """The service answered with an error."""

    def __init__(self, status: int, why: str) -> None:
        self.status = status
        super().__init__(why)


class Unreachable(CollectorError):
    """The service did not answer, or broke off."""

"""A list of IDs in, what an API says of each out: one process, one SQLite file, no broker."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collector.client import Client
    from collector.errors import CollectorError, Refused, Unreachable
    from collector.sources.raised import Gone, Invalid, RetryLater, StopSource
    from collector.sources.work import Work

__version__ = "0.1.0"
__all__ = [
    "Client",
    "CollectorError",
    "Gone",
    "Invalid",
    "Refused",
    "RetryLater",
    "StopSource",
    "Unreachable",
    "Work",
]

_PLACES = {
    "client": ("Client",),
    "errors": ("CollectorError", "Refused", "Unreachable"),
    "sources.raised": ("Gone", "Invalid", "RetryLater", "StopSource"),
    "sources.work": ("Work",),
}


def __getattr__(name: str) -> Any:
    """What other programs and the functions of Python sources use, found when it is asked for: `import collector` alone
    loads nothing."""
    for place, names in _PLACES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{place}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

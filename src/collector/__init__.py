"""A list of IDs in, what an API says of each out: one process, one SQLite file, no broker."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collector.sources.raised import Gone, Invalid, RetryLater, StopSource
    from collector.sources.work import Work

__version__ = "0.1.0"
__all__ = ["Gone", "Invalid", "RetryLater", "StopSource", "Work"]


def __getattr__(name: str) -> Any:
    """What a Python source's function uses, found when it is asked for: `import collector` alone loads nothing."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.sources.{'work' if name == 'Work' else 'raised'}"), name)

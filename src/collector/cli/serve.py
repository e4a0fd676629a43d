"""`run`: the service itself, until it is told to stop."""

from __future__ import annotations

import gc
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from collector.cli import option

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine

SELDOM = 20_000  # objects more than were let go of, until the youngest are looked through for cycles


@click.command()
@option.config_file
@click.option("--verbose", "-v", is_flag=True, help="Log every detail.")
@click.option("--json", "as_json", is_flag=True, help="Log JSON lines, on a terminal too.")
def run(config_path: Path | None, verbose: bool, as_json: bool) -> None:
    """Run the service: take in, ask, write the results.

    It works until Ctrl-C or SIGTERM, and a start goes on where it stopped, however it did. Calls in the air may finish
    for a while (`grace`); a second Ctrl-C does not wait. SIGHUP lets it read its configuration again.
    """
    # What a call makes goes without the collector of cycles, so that is to look seldom, and while importing not at all.
    gc.set_threshold(SELDOM, 20, 50)
    _leave_out_rich()
    from collector.app import App
    from collector.errors import CollectorError
    from collector.host import logs

    config = option.load(config_path)
    logs.configure(verbose=verbose, json=as_json or None)
    app = App(config)
    gc.freeze()  # modules and classes stay to the end: nobody need look through them again
    try:
        in_loop(app.run())
    except* CollectorError:
        raise
    except* Exception as error:
        import structlog

        structlog.get_logger().critical("service_died", exc_info=error)
        raise


def _leave_out_rich() -> None:
    """structlog loads rich where it is installed, for tracebacks that the service never shows: 3 MB for nothing."""
    if "rich" in sys.modules:
        return
    sys.modules["rich"] = None  # type: ignore[assignment] # not to be found
    try:
        import_module("structlog")
    finally:
        del sys.modules["rich"]


def in_loop(work: Coroutine[Any, Any, Any]) -> Any:
    """What the coroutine comes to, on uvloop where there is one."""
    import asyncio

    with asyncio.Runner(loop_factory=_loop()) as runner:
        return runner.run(work)


def _loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop

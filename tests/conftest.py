"""What holds for all tests."""

import os
from collections.abc import Generator
from typing import Any

import pytest

# Where this is set, each of hundreds of starts compiles all of the service anew, and each worker all of the tests.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """More than there are cores: a test with a real service waits for most of its time, for a window or a limit."""
    return len(os.sched_getaffinity(0)) + 2


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Those that may take long go first, dealt out to the workers, each of which takes its share in one piece: one that
    is left to the end keeps a worker busy while the others have nothing to do. Of the longest, those that wait have the
    longest timeout, so that one that measures a rate does not begin beside those that work."""
    items.sort(key=_patience, reverse=True)
    workers = getattr(config, "workerinput", {}).get("workercount", 1)
    items[:] = [item for first in range(workers) for item in items[first::workers]]


def _patience(item: pytest.Item) -> float:
    timeout = item.get_closest_marker("timeout")
    return timeout.args[0] if timeout else 0


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where COLLECTOR_CI=1 promises that every tool is there, a test that is skipped has failed."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("COLLECTOR_CI") == "1":
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, where nothing may be: {call.excinfo and call.excinfo.value}"
    return report

"""What holds for all tests."""

import os
from collections.abc import Generator
from typing import Any

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slow ones go first: one that is left to the end keeps a worker busy while the others have nothing to do."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


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

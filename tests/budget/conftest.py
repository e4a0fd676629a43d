"""What the tests of the budgets share."""

from pathlib import Path

import pytest


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a ledger keeps what it knows."""
    return tmp_path / "ledger"

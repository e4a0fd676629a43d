"""`report`: of a batch that has ended and of one that goes on, with a service and without."""

import json
from pathlib import Path

from .conftest import Run, unanswered

IDS = [str(number) for number in range(1000, 1010)]


def test_a_batch_is_reported_while_it_goes_on_and_when_it_has_ended(tmp_path: Path, run: Run) -> None:
    """Of the first what the database knows, of the second the very file."""
    with unanswered(tmp_path, IDS) as service:
        config = ("--config", str(service.config))
        told = run("report", "1", *config)
        assert told.exit_code == 0
        for line in (
            "# Collection report: ids",
            "| open | 10 |",
            "- 10 IDs not answered yet (open).",
            "None has ended so as yet.",
        ):
            assert line in told.stdout.splitlines()
        assert " on with collector " in told.stdout
        assert "10 (100.0%) are not answered yet." in told.stdout
        run("cancel", "1", *config)
        service.until("results_written")
        service.terminate()
        service.ended()
        file = service.root / "batches/0001-ids/report.md"
        assert run("report", "0001-ids", *config).stdout == file.read_text()
        facts = json.loads(run("report", "1", "--json", *config).stdout)
        assert (facts["state"], facts["total"], facts["open"], facts["report"]) == ("cancelled", 10, 0, str(file))
        assert (facts["reasons"], len(facts["sha256"])) == ({"cancelled": {"cancelled": 10}}, 64)
        told = run("report", "7", "--json", *config)
        assert (told.exit_code, "the latest: 0001-ids" in json.loads(told.stdout)["error"]) == (2, True)

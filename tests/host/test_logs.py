"""What the log says, to machines and to people. Each in a process of its own: a log's set-up is for a whole process."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

HEAD = """
import io, logging, sys, warnings
import structlog
from collector.host import logs
log = structlog.get_logger()
"""
TERMINAL = """
class Terminal(io.StringIO):
    def isatty(self):
        return True
stream = Terminal()
"""


def said(code: str, **environment: str) -> str:
    """What a process that runs the code writes to standard error."""
    env = {key: value for key, value in os.environ.items() if key != "JOURNAL_STREAM"} | environment
    done = subprocess.run([sys.executable, "-c", HEAD + code], capture_output=True, text=True, check=True, env=env)
    return done.stderr + done.stdout


def lines(code: str) -> list[dict[str, Any]]:
    """The JSON lines that a process logs."""
    return [json.loads(line) for line in said(code).splitlines()]


def test_a_log_that_is_no_terminal_is_json_with_utc_times() -> None:
    """One object a line: time with Z, level, the constant event, the facts."""
    [line] = lines("logs.configure(); log.warning('budget_frozen', budget='x', seconds=1.5)")
    assert list(line)[:3] == ["at", "level", "event"]
    assert line.pop("at").endswith("Z")
    assert line == {"level": "warning", "event": "budget_frozen", "budget": "x", "seconds": 1.5}


def test_a_terminal_gets_columns_and_systemd_gets_json() -> None:
    """$JOURNAL_STREAM decides over a terminal."""
    code = TERMINAL + "logs.configure(stream=stream); log.info('started', n=1); print(stream.getvalue())"
    assert "\x1b[" in said(code)
    assert "\x1b[" not in said(code, NO_COLOR="1")
    assert json.loads(said(code, JOURNAL_STREAM="8:1"))["event"] == "started"


@pytest.mark.parametrize(("verbose", "count"), [(False, 1), (True, 2)])
def test_details_are_logged_only_when_asked_for(verbose: bool, count: int) -> None:
    """`debug` lines need --verbose."""
    assert len(lines(f"logs.configure(verbose={verbose}); log.debug('detail'); log.info('fact')")) == count


def test_the_words_of_libraries_are_lines_of_ours() -> None:
    """A library is named by the event, its sentence stands beside it; so are warnings."""
    code = "logs.configure(); logging.getLogger('aiohttp.server').error('a %s', 'b'); warnings.warn('careful')"
    first, second = lines(code)
    assert (first["event"], first["message"]) == ("aiohttp.server", "a b")
    assert second["event"] == "py.warnings"


def test_a_malformed_request_is_one_line_without_a_traceback() -> None:
    """A peer that speaks no HTTP cannot fill the log; another error keeps its traceback."""
    code = """
from aiohttp.http_exceptions import BadStatusLine
logs.configure()
for error in (BadStatusLine("x"), ValueError("y")):
    try:
        raise error
    except Exception:
        logging.getLogger("aiohttp.server").exception("Error handling request")
"""
    malformed, fault = lines(code)
    assert "exception" not in malformed
    assert malformed["error"].startswith("BadStatusLine")
    assert "Traceback" in fault["exception"]


@pytest.mark.parametrize("console", [True, False])
def test_a_traceback_never_shows_the_values_of_names(console: bool) -> None:
    """A secret in a local name stays out of the log."""
    code = (
        TERMINAL
        + f"""
def die():
    token = "-".join(["hidden", "value"])
    raise ValueError("dead")
logs.configure(stream=stream, json={not console})
try:
    die()
except ValueError:
    log.exception("died")
print(stream.getvalue())
"""
    )
    told = said(code)
    assert "ValueError: dead" in told
    assert "hidden-value" not in told


JOURNAL = """
import os
end = os.fstat(sys.stderr.fileno())
os.environ["JOURNAL_STREAM"] = f"{end.st_dev}:{end.st_ino}"
logs.configure()
"""


def test_a_line_of_the_journal_begins_with_its_priority() -> None:
    """So that `journalctl -p warning` knows which lines to show; a traceback is part of its line."""
    code = (
        JOURNAL
        + """
log.info("a"); log.warning("b"); log.error("c")
try:
    raise ValueError("two\\nlines")
except ValueError:
    log.exception("d")
logging.getLogger("aiosqlite").warning("e")
"""
    )
    first = [line[:3] for line in said(code).splitlines()]
    assert first == ["<6>", "<4>", "<3>", "<3>", "<4>"]


def test_a_redirect_to_a_file_has_no_priorities() -> None:
    """$JOURNAL_STREAM stays what it was when somebody redirects the log of a service."""
    [line] = said("logs.configure(); log.warning('b')", JOURNAL_STREAM="8:1").splitlines()
    assert json.loads(line)["event"] == "b"


def test_lines_alike_are_told_once_a_second_with_their_number() -> None:
    """Of a library too."""
    code = """
logs.configure()
for n in range(50):
    log.warning("refused", n=n)
    logging.getLogger("x").error("y")
"""
    told = [(line["event"], line.get("n"), line.get("left_out")) for line in lines(code)]
    assert told == [("refused", 0, None), ("x", None, None), ("refused", 49, 48), ("x", None, 48)]

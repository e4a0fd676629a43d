"""The service in one line, for `systemctl status`. Pure."""

from datetime import datetime, timedelta, tzinfo

from collector.clock import unstamp
from collector.output.snapshot import Snapshot, Waiting
from collector.output.text import plain
from collector.quantity import things

_MOST_WAITS = 3
_TODAY, _THIS_WEEK = "%H:%M", "%a %H:%M"


def headline(snapshot: Snapshot, zone: tzinfo | None = None) -> str:
    """What it waits for and when it will be done, as `812 waiting for x_posts until 14:30, ends Tue 14:20 UTC`. Times
    are those of `zone`, else of this machine."""
    now = _in(snapshot.now, zone)
    parts = [*_ill(snapshot), *_work(snapshot)]
    waits = [_wait(wait, now, zone) for wait in snapshot.waiting if wait.jobs][:_MOST_WAITS]
    ends = [f"ends {_when(snapshot.finish_at, now, zone)}"] if snapshot.finish_at and snapshot.jobs.open else []
    timed = any(wait.until for wait in snapshot.waiting if wait.jobs) or ends
    return plain(", ".join([*parts, *waits, *ends]) + (f" {now:%Z}" if timed else ""))


def _ill(snapshot: Snapshot) -> list[str]:
    """What wants somebody's hand comes first."""
    if snapshot.stopping:
        return ["stopping"]
    disk = [f"degraded: {trouble.what}" for trouble in snapshot.troubles if trouble.kind == "disk"]
    return disk + [f"{name} is {it.state}" for name, it in snapshot.sources.items() if it.state in ("stopped", "down")]


def _work(snapshot: Snapshot) -> list[str]:
    owed, ongoing = snapshot.jobs.open, [batch.state for batch in snapshot.batches if batch.finished_at is None]
    parts = [f"{owed:,} of {things(snapshot.jobs.total, 'ID')} open"] if owed else []
    states = [state for state in ("loading", "held", "paused") if state in ongoing]
    parts += [f"{things(ongoing.count(state), 'batch')} {state}" for state in states]
    draining = ["draining"] if snapshot.state == "draining" and not snapshot.stopping else []
    return draining + (parts or ["nothing to do"])


def _wait(wait: Waiting, now: datetime, zone: tzinfo | None) -> str:
    until = f" until {_when(wait.until, now, zone)}" if wait.until else ""
    return f"{wait.jobs:,} waiting for {wait.budget}{until}"


def _when(stamped: str, now: datetime, zone: tzinfo | None) -> str:
    """Shorter the nearer it is; to the minute, so that the line does not change all the time."""
    moment = _in(stamped, zone)
    if moment.date() == now.date():
        return f"{moment:{_TODAY}}"
    return f"{moment:{_THIS_WEEK if moment - now < timedelta(days=6) else '%Y-%m-%d'}}"


def _in(stamped: str, zone: tzinfo | None) -> datetime:
    return datetime.fromtimestamp(unstamp(stamped), zone or datetime.now().astimezone().tzinfo)

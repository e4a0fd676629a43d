"""What one tried call was and what it came to, with every secret masked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, assert_never

import msgspec

from collector.budget import freeze, headers
from collector.budget.freeze import Signal
from collector.dispatch.consumer import heard, without_answer
from collector.errors import RequestError
from collector.host.secret import Secret
from collector.model import Found, Gone, Invalid
from collector.output.table import Table
from collector.sources import answer
from collector.sources.answer import (
    Answer,
    Denied,
    Faulty,
    Good,
    Later,
    Missing,
    Reading,
    Refused,
    Stopped,
    Unreadable,
)
from collector.sources.request import Endpoint, Request
from collector.sources.ruling import ruling
from collector.sources.words import BROKEN

_TOLD_HEADER = re.compile(r"(x-)?rate-?limit(-.*)?|retry-after|date|content-type|link|location", re.IGNORECASE)
_MOST_TEXT, _MOST_LINES = 3_000, 60  # of the body
_MOST_ITEMS = 5  # of one ID


@dataclass(frozen=True, slots=True)
class Trial:
    """One call, before and after it was made."""

    source: str
    endpoint: Endpoint
    keys: tuple[str, ...]
    refused: tuple[str, ...]  # IDs given that do not match the pattern
    request: Request | None = None
    sent: int = 0
    got: Answer | None = None
    error: RequestError | None = None
    at: float = 0.0  # wall time of the answer

    def shown_request(self) -> Request:
        """The request with every secret as `***`, made so and not replaced; RequestError as `Endpoint.build`."""
        names = self.endpoint.spec.secrets
        return Endpoint(self.endpoint.spec, dict.fromkeys(names, Secret("***"))).build(self.keys)

    def ended(self, request: Request, sent: int, came: Answer | RequestError, at: float) -> Trial:
        """With what came of it."""
        got, error = (came, None) if isinstance(came, Answer) else (None, came)
        return replace(self, request=request, sent=sent, got=got, error=error, at=at)

    def masked(self, text: str) -> str:
        """What an API said, without our secrets: some repeat the URL or a header."""
        return self.endpoint.masked(text.encode()).decode(errors="replace")


def facts(trial: Trial, service: str | None) -> dict[str, Any]:
    """Everything that is told, masked."""
    got, waits = trial.got, False
    reading: Reading
    if got is not None:
        fits = ruling(trial.endpoint.spec, trial.keys, got.status, got.body)
        waits = freeze.signal(heard(got.status, fits), headers.read(got.headers, trial.at)) is Signal.WAIT
        reading = answer.read_by(fits, trial.endpoint.spec, trial.keys, got)
    else:
        assert trial.error is not None
        reading = without_answer(trial.error)
    good = reading if isinstance(reading, Good) else None
    ids = [_told_to_wait(key) for key in trial.keys] if waits else list(_became(trial, reading))
    ids += [
        _id(text, "refused", f"it does not match the id pattern, {trial.endpoint.spec.id}") for text in trial.refused
    ]
    return {
        "source": trial.source,
        "ok": not waits and (good is not None or (isinstance(reading, Missing) and len(trial.keys) == 1)),
        "request": _request(trial),
        "answer": got and _answer(trial, got),
        "error": trial.error and {"reason": trial.error.reason, "detail": trial.masked(trial.error.detail)},
        "ids": ids,
        "returned": good.returned if good else None,
        "also": list(msgspec.json.decode(good.extra.body)) if good and good.extra else [],
        "next": trial.masked(good.next) if good and good.next else None,
        "service": service,
    }


def _request(trial: Trial) -> dict[str, Any]:
    request, spec = trial.request, trial.endpoint.spec
    assert request is not None
    sent_with = dict(request.headers)
    if spec.auth:
        sent_with.setdefault("Authorization", "Bearer ***")
    body = None if request.body is None else _plain_stars(request.body.decode())
    url = _plain_stars(str(request.url))
    return {"method": request.method, "url": url, "headers": sent_with, "body": body, "sent": trial.sent}


def _plain_stars(text: str) -> str:
    return text.replace("%2A%2A%2A", "***")


def _answer(trial: Trial, got: Answer) -> dict[str, Any]:
    body = trial.masked(_pretty(got.body))
    shown = "\n".join(body[:_MOST_TEXT].split("\n")[:_MOST_LINES])
    told = {name: trial.masked(value) for name, value in got.headers.items() if _TOLD_HEADER.fullmatch(name)}
    return {
        "status": got.status,
        "seconds": round(got.seconds, 3),
        "bytes": len(got.body),
        "headers": told,
        "body": shown,
        "more": len(body) - len(shown),
    }


def _pretty(body: bytes) -> str:
    """JSON on lines of its own, each number in its own digits; anything else as it is."""
    try:
        return msgspec.json.format(body, indent=2).decode()
    except BROKEN:
        return body.decode(errors="replace")


def _became(trial: Trial, reading: Reading) -> Iterator[dict[str, Any]]:
    if isinstance(reading, Good):
        table = Table(trial.endpoint.spec.columns, trial.endpoint.spec.key)
        for key in trial.keys:
            yield _of_good(trial, table, key, reading.found.get(key) or reading.gone.get(key))
        return
    words = trial.endpoint.masked_words(reading.reason, reading.detail)
    became, why = _of_all(reading, pack=len(trial.keys) > 1)
    for key in trial.keys:
        yield _id(key, became, why) | {name: trial.masked(text) for name, text in words.items()}


def _of_good(trial: Trial, table: Table, key: str, said: Found | Gone | Invalid | None) -> dict[str, Any]:
    match said:
        case None:
            return _id(key, "absent", "not a word about it: asked once more, then gone")
        case Gone(reason, detail) | Invalid(reason, detail):
            words = trial.endpoint.masked_words(reason, detail)
            return _id(key, "gone", "the API says that it is not there") | words
        case Found(items):
            shown = [
                {
                    "key": trial.masked(item.key),
                    "columns": {
                        name: value and trial.masked(value) for name, value in table.values_of(item.body).items()
                    },
                }
                for item in items[:_MOST_ITEMS]
            ]
            return _id(key, "found", "") | {"items": shown, "more": len(items) - len(shown)}


def _of_all(
    reading: Missing | Refused | Denied | Faulty | Unreadable | Stopped | Later, *, pack: bool
) -> tuple[str, str]:
    """What a whole call without a good answer makes of each of its IDs, and what the service would do."""
    halves = ("asked in halves", "to find out which ID it is")
    match reading:
        case Missing():
            return halves if pack else ("gone", "the API says that it is not there")
        case Refused():
            return halves if pack else ("invalid", "the API refused it")
        case Denied():
            return (
                "put off",
                "this may not be asked; the same for another ID stops the source: look at the key and the plan",
            )
        case Faulty():
            return "put off", "no fault of the ID: tried again"
        case Unreadable():
            return (
                halves if pack else ("put off", "the answer cannot be understood: a failed try; look at items and key")
            )
        case Stopped():
            return "put off", "the source stops, and waits for `collector resume`"
        case Later():
            return "put off", "asked again later"
        case _:
            assert_never(reading)


def _told_to_wait(key: str) -> dict[str, Any]:
    return _id(key, "put off", "the API says to wait: all who share the budget do, and no try is spent")


def _id(text: str, became: str, why: str) -> dict[str, Any]:
    return {"id": text, "became": became, "why": why}

"""What lies between a client and a limiter: the way there and back, the server's clock, the log of verdicts."""

import json
import threading
import time
from collections.abc import Callable, Iterable
from email.utils import formatdate
from pathlib import Path
from random import Random
from typing import Any

from bench.limiter import LATENCY, Limiter

Headers = list[tuple[str, str]]
Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_TOLD = {"X-RateLimit-Limit": "limit", "X-RateLimit-Remaining": "remaining", "X-RateLimit-Reset": "reset"}


def spoken(headers: Headers, limiter: Limiter, now: float) -> Headers:
    """flask-limiter's headers as another server puts them, by a clock that may be wrong; `now` is the true time."""
    told = {_TOLD[name]: int(value) for name, value in headers if name in _TOLD}
    rest = [(name, value) for name, value in headers if name not in _TOLD]
    rest.append(("Date", formatdate(now + limiter.skew, usegmt=True)))
    if not told:
        return rest
    limit, left, to_go = told["limit"], told["remaining"], max(0, told["reset"] - int(now))
    reset = told["reset"] + limiter.skew
    match limiter.headers:
        case "x":
            rest = [(name, value) for name, value in rest if name != "Retry-After"]
            names = {"x-rate-limit-limit": limit, "x-rate-limit-remaining": left, "x-rate-limit-reset": reset}
        case "draft7":
            value = f"limit={limit}, remaining={left}, reset={to_go}"
            return [*rest, ("RateLimit", value), ("RateLimit-Policy", f"{limit};w={limiter.window}")]
        case "draft8":
            policy = f'"default";q={limit};w={limiter.window}'
            return [*rest, ("RateLimit", f'"default";r={left};t={to_go}'), ("RateLimit-Policy", policy)]
        case _:
            names = {"X-RateLimit-Limit": limit, "X-RateLimit-Remaining": left, "X-RateLimit-Reset": reset}
    return [*rest, *((name, str(value)) for name, value in names.items())]


class Wire:
    """The outermost layer of the server. A line of the log, when an answer has gone, says when the request came
    (`came`), when it had its verdict (`t`), when the answer had gone (`went`), and what it said of the rest."""

    def __init__(self, app: Wsgi, limiter: Limiter, log: Path) -> None:
        self._app, self._limiter = app, limiter
        self._random = Random()
        self._verdict = threading.Lock()  # one at a time: limits' memory is not safe from two threads, and answers 500
        self._writing, self._log = threading.Lock(), log.open("a", buffering=1)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        came = time.time()
        self._travel()
        answer: list[Any] = []
        with self._verdict:
            asked = time.time()
            body = self._app(environ, lambda status, headers, exc_info=None: answer.extend((status, headers)))
        status, headers = answer
        headers = spoken(headers, self._limiter, asked)
        self._travel()
        start_response(status, headers)
        left = next((value for name, value in headers if name.lower().endswith("remaining")), None)
        self._note(
            t=round(asked, 4),
            status=int(status.split()[0]),
            key=environ.get("HTTP_AUTHORIZATION") or "anon",
            uri=environ["PATH_INFO"],
            who=environ.get("HTTP_USER_AGENT", ""),
            came=round(came, 4),
            went=round(time.time(), 4),
            left=None if left is None else int(left),
        )
        return body

    def _travel(self) -> None:
        time.sleep(self._random.uniform(*LATENCY) / 2)

    def _note(self, **line: object) -> None:
        with self._writing:
            self._log.write(json.dumps(line) + "\n")

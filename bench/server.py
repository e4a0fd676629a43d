"""One real rate limiter in a process of its own: `python -m bench.server LIMITER LOG`, LIMITER as JSON.

Says READY and its port, answers `GET /items/ID` and `GET /packs/ID,ID,…` by credential, and ends with its standard
input.
"""

import logging
import os
import socket
import sys
import threading
from pathlib import Path
from typing import cast

import flask
import msgspec
import waitress  # type: ignore[import-untyped]  # it has no types
from flask_limiter import Limiter as FlaskLimiter
from pyrate_limiter import GCRA, AbstractBucket, InMemoryBucket, MonotonicClock, Rate, RateItem, StateBucket

from bench.limiter import Limiter
from bench.wire import Wire, Wsgi

THREADS = 40  # more than come at once: nobody waits for one
STRATEGIES = {"fixed": "fixed-window", "moving": "moving-window", "swc": "sliding-window-counter"}
FOREVER = 1_000_000_000


def credential() -> str:
    """Whom the limit counts for."""
    return flask.request.headers.get("Authorization") or "anon"


class Buckets:
    """pyrate-limiter's buckets, one for each credential."""

    def __init__(self, limiter: Limiter) -> None:
        self._limiter, self._clock = limiter, MonotonicClock()
        self._buckets: dict[str, AbstractBucket] = {}
        self._lock = threading.Lock()

    def grants(self, key: str) -> bool:
        """Counts a request."""
        with self._lock:
            bucket = self._buckets.setdefault(key, self._made())
            put = bool(bucket.put(RateItem(key, self._clock.now())))
            if self._limiter.policy != "counting":
                return put
            bucket.leak(self._clock.now())  # every request is in the log, whatever it was told
            return cast(int, bucket.count()) <= self._limiter.limit

    def _made(self) -> AbstractBucket:
        limit, seconds = self._limiter.limit, self._limiter.window
        if self._limiter.policy == "counting":
            return InMemoryBucket([Rate(FOREVER, seconds * 1000)])
        if self._limiter.policy == "leaky":
            return StateBucket([Rate(limit, seconds * 1000, burst=self._limiter.burst + 1)], GCRA())
        assert self._limiter.second, "a limiter of flask-limiter's has buckets for its hidden limit only"
        limit, seconds = self._limiter.second
        return InMemoryBucket([Rate(limit, seconds * 1000)])


def application(limiter: Limiter) -> flask.Flask:
    """The server as Flask knows it."""
    app = flask.Flask(__name__)
    buckets = Buckets(limiter)
    bucketed = limiter.hidden or limiter.policy not in STRATEGIES

    def one(key: str) -> dict[str, object]:
        return {"id": key, "text": f"item {key} " + "x" * 200}

    def answer(key: str = "", keys: str = "") -> tuple[dict[str, object], int]:
        if bucketed and not buckets.grants(credential()):
            return {"title": "Too Many Requests"}, 429
        return {"data": [one(each) for each in keys.split(",")]} if keys else one(key), 200

    view = answer
    if limiter.policy in STRATEGIES:
        strategy = STRATEGIES[limiter.policy]
        counter = FlaskLimiter(
            credential,
            app=app,
            storage_uri="memory://",
            strategy=strategy,
            headers_enabled=limiter.headers != "silent",
        )
        view = counter.shared_limit(lambda: rule(limiter), "all")(answer)
    app.add_url_rule("/items/<path:key>", "item", view)
    app.add_url_rule("/packs/<keys>", "pack", view)
    return app


def rule(limiter: Limiter) -> str:
    """The limits of whoever asks, as flask-limiter reads them."""
    text = f"{limiter.keys.get(credential(), limiter.limit)} per {limiter.window} second"
    if limiter.second and not limiter.hidden:
        text += f"; {limiter.second[0]} per {limiter.second[1]} second"
    return text


def main() -> None:
    """Serves until standard input ends, as it does when whoever started this has gone."""
    limiter, log = msgspec.json.decode(sys.argv[1], type=Limiter), Path(sys.argv[2])
    log.write_bytes(msgspec.json.encode(limiter.head()) + b"\n")
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    listening = socket.create_server(("127.0.0.1", 0))
    print(f"READY {listening.getsockname()[1]}", flush=True)
    wire = Wire(cast(Wsgi, application(limiter)), limiter, log)
    server = waitress.create_server(wire, sockets=[listening], threads=THREADS, connection_limit=1000)
    threading.Thread(target=server.run, daemon=True).start()
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()

"""How the stand-in API behaves."""

from pathlib import Path
from typing import Literal

import msgspec

from collector.rehearsal.cursors import Lifetime
from collector.rehearsal.fates import Faults, Share
from collector.rehearsal.oauth import Client
from collector.rehearsal.usage import Caps
from collector.rehearsal.users import People


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How the API behaves."""

    limit: int | None = 900  # for each credential and endpoint; None: no windows
    limits: dict[str, int | None] = {}  # the same for single endpoints, named as in the log
    window: float = 900.0
    policy: Literal["fixed", "sliding"] = "fixed"
    headers: bool = True  # x-rate-limit-* on every answer that the window has seen
    retry_after: bool = False  # on a 429; X sends none
    bearer: str | None = None  # the one token that is known; None: any, or none
    client: Client = Client()  # who may fetch tokens, and whether they are asked for everywhere
    missing: int = 200  # the status of a single lookup that finds nothing; 404 as X's newer documents say
    latency: tuple[float, float] = (0.020, 0.050)  # seconds, there and back
    faults: Faults = Faults()
    people: People = People()
    tokens: Lifetime = Lifetime()  # of X's pages
    caps: Caps = Caps()
    merged: Share = 0.1  # of the works, papers and repositories: those that answer under another ID
    link: str = "absolute"  # how a Link header leads on: absolute, relative, or to the origin given here
    seed: int = 0
    log: Path | None = None  # a JSON line a request

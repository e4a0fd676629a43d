"""A preset as a configuration has it: asked for IDs, and its answers read."""

import json
from collections.abc import Mapping
from typing import Any

import jmespath

from collector.budget import freeze, headers
from collector.host.secret import Secret
from collector.sources.answer import Answer, Good, Reading, read
from collector.sources.presets import shipped
from collector.sources.request import Endpoint, Request
from collector.sources.spec import Spec


def spec(name: str) -> Spec:
    return Spec.model_validate(shipped()[name].table | {"use": name})


def endpoint(name: str) -> Endpoint:
    source = spec(name)
    return Endpoint(source, {secret: Secret(f"the-{secret}") for secret in source.secrets})


def request(name: str, *keys: str) -> Request:
    return endpoint(name).build(keys)


def asked(name: str, *keys: str) -> tuple[str, list[tuple[str, str]]]:
    """Where a call for these IDs goes, and its query, decoded, in order."""
    url = request(name, *keys).url
    return str(url.with_query(None)), list(url.query.items())


def key(name: str, line: str) -> str | None:
    """The ID that a line of a file holds."""
    return spec(name).match(line)


def answered(name: str, *keys: str, status: int = 200, body: object = None) -> Reading:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read(spec(name), keys, Answer(status, {}, raw, 0.1))


def sorted_out(name: str, *keys: str, body: object) -> tuple[dict[str, str], dict[str, str], tuple[str, ...]]:
    """Each ID's item by its own ID, each missing one's reason, and those of which not a word is said."""
    reading = answered(name, *keys, body=body)
    assert isinstance(reading, Good), reading
    found = {asked: item.key for asked, found in reading.found.items() for item in found.items}
    return found, {asked: gone.reason for asked, gone in reading.gone.items()}, reading.absent


def waits(status: int, told: Mapping[str, str]) -> bool:
    """True where an answer says "slow down" by its status and headers alone."""
    return freeze.signal(status, headers.read(told, 1_700_000_000.0)) is freeze.Signal.WAIT


def columns(name: str, item: Any) -> dict[str, Any]:
    """The columns of one item."""
    return {column: jmespath.search(path, item) for column, path in spec(name).columns.items()}

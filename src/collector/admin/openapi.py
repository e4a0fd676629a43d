"""`/openapi.json`: every path, what it takes and answers; a test holds it against the routes and real answers."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec
from aiohttp import web

from collector import __version__
from collector.admin import reply
from collector.admin.batches import MOST, PAGE, BatchDetail, BatchPage, JobDetail, JobPage
from collector.admin.standing import Again, Draining, Paused, Resumed, Stood
from collector.model import State
from collector.output.health import Health
from collector.output.snapshot import Snapshot
from collector.reload import Reloaded
from collector.store.retries import RETRIED


class Error(msgspec.Struct, frozen=True):
    """What went wrong, in a plain sentence."""

    error: str


class Done(msgspec.Struct, frozen=True):
    """It is done."""

    ok: bool


class Operation(msgspec.Struct, frozen=True):
    """One method of one path."""

    summary: str
    answers: object  # a type, or the name of a media type
    query: Mapping[str, dict[str, Any]] = {}
    status: int = 200
    body: Mapping[str, dict[str, Any]] = {}  # by media type
    also: tuple[int, ...] = ()  # statuses beside those that everything may answer
    also_answers: Mapping[int, object] = {}
    open: bool = False  # without the token, on this machine
    also_as: str | None = None  # another media type of the answer


_TEXT: dict[str, Any] = {"type": "string"}
_BYTES: dict[str, Any] = {"type": "string", "format": "binary"}
_LIMIT = {"type": "integer", "minimum": 1, "maximum": MOST, "default": PAGE}
_RETRY = {"state": {"type": "string", "description": f"some of {', '.join(RETRIED)}, with commas"}, "reason": _TEXT}
_PRIORITY = {"to": {"type": "integer", "minimum": -999_999, "maximum": 999_999}}
_UPLOAD = {
    "source": _TEXT,
    "name": _TEXT,
    "column": _TEXT,
    "then": {"type": "array", "items": _TEXT},
    "hold": {"type": "string", "enum": ["true", "false"]},
}
_FORM = {"type": "object", "properties": {"file": _BYTES, "ids": _TEXT, **_UPLOAD}}
_LOGIN = {"type": "object", "properties": {"token": _TEXT}, "required": ["token"]}
_NEEDED = {"to"}

_EVERYWHERE = {"": "everything", "/sources/{source}": "a source", "/batches/{batch}": "a batch and all below it"}


def _orders() -> dict[tuple[str, str], Operation]:
    made: dict[tuple[str, str], Operation] = {}
    for where, what in _EVERYWHERE.items():
        whole = (Paused, Resumed) if "{batch}" not in where else (Stood, Stood)
        missing = (404,) if where else ()
        made |= {
            ("post", f"{where}/pause"): Operation(f"Asks no more of {what}.", whole[0], also=missing),
            ("post", f"{where}/resume"): Operation(f"Lets {what} go on.", whole[1], also=missing),
            ("post", f"{where}/cancel"): Operation(f"Ends {what}.", Stood, also=missing),
            ("post", f"{where}/retry"): Operation(
                f"Asks again for what has ended of {what}.", Again, _RETRY, also=(400, *missing)
            ),
            ("post", f"{where}/priority"): Operation(
                f"Puts {what} first or last.", Stood, _PRIORITY, also=(400, *missing)
            ),
        }
    return made


OPERATIONS: Mapping[tuple[str, str], Operation] = {
    ("get", "/status"): Operation(
        "The whole service.",
        Snapshot,
        {"format": {"type": "string", "enum": ["json", "text"]}},
        also=(400,),
        open=True,
        also_as="text/plain",
    ),
    ("get", "/healthz"): Operation("Whether the service does its work.", Health, also_answers={503: Health}, open=True),
    ("get", "/metrics"): Operation("For Prometheus.", "text/plain", open=True),
    ("get", "/openapi.json"): Operation("This document.", "application/json"),
    ("post", "/login"): Operation(
        "Gives a cookie for the token.",
        Done,
        body={"application/x-www-form-urlencoded": _LOGIN, "application/json": _LOGIN},
        also=(400, 408, 413, 429),
        open=True,
    ),
    ("post", "/logout"): Operation("Ends the cookie.", Done),
    ("post", "/drain"): Operation("Takes nothing new in, and finishes what is open.", Draining),
    ("post", "/reload"): Operation("Reads the configuration again.", Reloaded, also_answers={422: Reloaded}),
    ("get", "/batches"): Operation(
        "Batches, the latest first.",
        BatchPage,
        {"before": {"type": "integer", "minimum": 1}, "limit": _LIMIT},
        also=(400,),
    ),
    ("post", "/batches"): Operation(
        "Takes IDs in: text, CSV or JSON, any of them in gzip.",
        BatchDetail,
        _UPLOAD,
        202,
        {"application/octet-stream": _BYTES, "text/plain": _BYTES, "multipart/form-data": _FORM},
        also=(400, 408, 415, 422, 500, 507),
    ),
    ("get", "/batches/{batch}"): Operation("One batch.", BatchDetail, also=(404,)),
    ("get", "/batches/{batch}/jobs"): Operation(
        "Its IDs, in their order.",
        JobPage,
        {
            "state": {"type": "string", "enum": [state.value for state in State]},
            "reason": _TEXT,
            "after": _TEXT,
            "limit": _LIMIT,
        },
        also=(400, 404),
    ),
    ("get", "/batches/{batch}/jobs/{key}"): Operation(
        "One ID, its calls and its objects.", JobDetail, {"after": _TEXT, "limit": _LIMIT}, also=(400, 404)
    ),
    ("get", "/batches/{batch}/found.jsonl"): Operation("What was found.", "application/jsonl", also=(404,)),
    ("get", "/batches/{batch}/found.csv"): Operation("The same as a table.", "text/csv", also=(404,)),
    ("get", "/batches/{batch}/gone.csv"): Operation("What is gone.", "text/csv", also=(404,)),
    ("get", "/batches/{batch}/failed.csv"): Operation("What failed.", "text/csv", also=(404,)),
    ("get", "/batches/{batch}/report.md"): Operation("The collection report.", "text/markdown", also=(404,)),
    **_orders(),
}


class OpenApi:
    """The handler."""

    def routes(self) -> list[web.RouteDef]:
        """Its path."""
        return [web.get("/openapi.json", self.get)]

    async def get(self, _: web.Request) -> web.Response:
        """The document."""
        return reply.json(document())


@cache
def document() -> dict[str, Any]:
    """OpenAPI 3.1."""
    types = {operation.answers for operation in OPERATIONS.values() if isinstance(operation.answers, type)}
    ordered = sorted({*types, Error}, key=lambda kind: kind.__name__)
    schemas, components = msgspec.json.schema_components(ordered, ref_template="#/components/schemas/{name}")
    refs = dict(zip(ordered, schemas, strict=True))
    paths: dict[str, Any] = {}
    for (method, path), operation in OPERATIONS.items():
        paths.setdefault(path, {})[method] = _operation(path, operation, refs)
    whole = {
        "openapi": "3.1.0",
        "info": {"title": "collector", "version": __version__},
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}},
    }
    told: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(whole))  # as JSON has it: no tuples
    return told


def _operation(path: str, operation: Operation, refs: Mapping[type, Any]) -> dict[str, Any]:
    named = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    parameters = [{"name": name, "in": "path", "required": True, "schema": _TEXT} for name in named]
    parameters += [
        {"name": name, "in": "query", "required": name in _NEEDED, "schema": schema}
        for name, schema in operation.query.items()
    ]
    errors = {401, 403, 421, 503, *operation.also}
    answers = {operation.status: operation.answers, **operation.also_answers}
    responses = {str(status): _answer("An error.", refs[Error]) for status in sorted(errors - answers.keys())}
    for status, answer in answers.items():
        schema = refs[answer] if isinstance(answer, type) else {}
        responses[str(status)] = _answer(
            operation.summary, schema, answer if isinstance(answer, str) else "application/json"
        )
    if operation.also_as:
        responses[str(operation.status)]["content"][operation.also_as] = {}
    made: dict[str, Any] = {"summary": operation.summary, "parameters": parameters, "responses": responses}
    if operation.body:
        made["requestBody"] = {"content": {kind: {"schema": schema} for kind, schema in operation.body.items()}}
    if operation.open:
        made["security"] = [{}, {"bearer": []}]
    return made


def _answer(what: str, schema: Any, kind: str = "application/json") -> dict[str, Any]:
    return {"description": what, "content": {kind: {"schema": schema} if schema else {}}}

"""A tried call as text that no terminal obeys."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from collector.errors import escaped
from collector.quantity import things

_LONGEST = 120  # characters of a cell


def text(told: dict[str, Any]) -> str:
    """What `trial.facts` tells, for people."""
    lines = [*_request_lines(told["request"]), *_answer_lines(told["answer"], told["error"])]
    lines += [line for one in told["ids"] for line in _id_lines(one)]
    if told["also"]:
        lines.append(f"kept beside them: {', '.join(told['also'])}")
    if told["next"]:
        lines.append(f"next page: {_short(told['next'])}")
    sent = told["request"]["sent"]
    counts = f"{things(sent, 'request')} counted at the API" if sent else "nothing was sent"
    lines += ["", f"{counts}; nothing was stored"]
    if told["service"] and sent:
        lines.append(f"a service is running and draws from the same limit ({told['service']}): this came on top")
    return "\n".join(map(escaped, lines))


def _request_lines(request: dict[str, Any]) -> list[str]:
    lines = [f"{request['method']} {request['url']}"]
    lines += [f"  {name}: {value}" for name, value in request["headers"].items()]
    return lines + ([] if request["body"] is None else ["", *_indented(request["body"])])


def _answer_lines(got: dict[str, Any] | None, error: dict[str, str] | None) -> list[str]:
    if got is None:
        assert error is not None
        return ["", f"no answer, {error['reason']}: {error['detail']}", ""]
    phrases = {status.value: f" {status.phrase}" for status in HTTPStatus}
    lines = ["", f"{got['status']}{phrases.get(got['status'], '')} in {got['seconds']:.3f} s, {got['bytes']:,} bytes"]
    lines += [f"  {name}: {value}" for name, value in got["headers"].items()]
    lines += ["", *_indented(got["body"])]
    return [*lines, *([f"  … {got['more']:,} characters more"] if got["more"] else []), ""]


def _id_lines(one: dict[str, Any]) -> Iterator[str]:
    words = ": ".join(word for word in (one.get("reason"), one.get("detail")) if word)
    why = "; ".join(word for word in (words, one["why"]) if word)
    yield f"{one['id']}: {one['became']}" + (f" ({why})" if why else "")
    for item in one.get("items", ()):
        yield f"  {item['key']}"
        yield from (f"    {name} = {_short(value)}" for name, value in item["columns"].items())
    if one.get("more"):
        yield f"  … {one['more']:,} items more"


def _indented(body: str) -> list[str]:
    return [f"  {line}" for line in body.split("\n")]


def _short(value: str | None) -> str:
    if value is None:
        return "nothing there"
    return value if len(value) <= _LONGEST else f"{value[:_LONGEST]}…"

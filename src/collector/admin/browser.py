"""What a browser gets where a program gets JSON: after an order the page again, and faults in words."""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from collector.admin import flash, reply
from collector.admin.guard import LOGIN
from collector.admin.render import page
from collector.quantity import things

_DONE = {"pause": "Paused", "resume": "Goes on", "cancel": "Cancelled", "priority": "Its priority is changed"}
_OURS = re.compile("/|/batch/[0-9]{1,18}(/job)?")  # pages that orders are given on
_MOST_NAMED = 5
_HEADINGS = {404: "There is nothing here", 503: "Not now"}


@web.middleware
async def for_browsers(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Passes through whatever is asked by a program, and what is no JSON."""
    answer = await handler(request)
    if "text/html" not in request.headers.get(hdrs.ACCEPT, "") or answer.content_type != "application/json":
        return answer
    if answer.status < 400 and request.method != hdrs.METH_POST:
        return answer
    assert isinstance(answer, web.Response)
    told = msgspec.json.decode(answer.text or "null")
    if answer.status < 400:
        return _after(request, answer, told)
    return _fault(request, answer, str(told.get("error", "")) if isinstance(told, dict) else "")


def _after(request: web.Request, answer: web.Response, told: Any) -> web.Response:
    back = web.Response(status=303, headers={hdrs.LOCATION: _back(request, answer)})
    if words := done(request.path.rpartition("/")[2], told):
        flash.say(back, words)
    return back


def _fault(request: web.Request, answer: web.Response, why: str) -> web.Response:
    if answer.status == 401 or request.path == LOGIN:
        back = web.Response(status=303, headers={hdrs.LOCATION: LOGIN})
        if request.path == LOGIN:
            flash.say(back, f"Not logged in: {why}.")
        return back
    heading = _HEADINGS.get(answer.status, "That was not done" if request.method == hdrs.METH_POST else "Not possible")
    return reply.html(page("problem.html", here="", said=None, heading=heading, why=why, back="/"), answer.status)


def _back(request: web.Request, answer: web.Response) -> str:
    """The page of a new batch, or the one that the order was given on."""
    if place := answer.headers.get(hdrs.LOCATION):
        return place.replace("/batches/", "/batch/", 1)
    came = urlsplit(request.headers.get(hdrs.REFERER, ""))
    if not _OURS.fullmatch(came.path):
        return "/"
    return f"{came.path}?{came.query}" if came.query else came.path


def done(verb: str, told: Mapping[str, Any]) -> str:
    """What an order came to, from its answer."""
    match told:
        case {"retried": 0}:
            return "None is left to be asked again."
        case {"retried": int(jobs)}:
            return f"{things(jobs, 'ID')} {'is' if jobs == 1 else 'are'} asked again."
        case {"batches": list(batches)}:
            return _named(_DONE.get(verb, "Done"), [batch["folder"] for batch in batches if batch["changed"]])
        case {"paused": list(names)} | {"resumed": list(names)}:
            return _named(_DONE[verb], names)
        case _:
            return ""


def _named(words: str, names: Sequence[str]) -> str:
    if not names:
        return "It was so already: nothing is changed."
    more = f" and {len(names) - _MOST_NAMED:,} more" if len(names) > _MOST_NAMED else ""
    return f"{words}: {', '.join(names[:_MOST_NAMED])}{more}."

"""Bodies that say what is wrong, in X's words."""

from collections.abc import Iterable

import msgspec

from collector.rehearsal.fates import Fate

PATTERN = "^[0-9]{1,19}$"
CAP_LIMIT = 40_000  # what X's headers tell beside a usage cap, of a window that is as good as unused

_PROBLEM = "https://api.twitter.com/2/problems/"


class Reply(msgspec.Struct, frozen=True):
    """A status and a JSON body; `items` are the objects in it that a usage cap counts."""

    status: int
    body: bytes
    items: int = 0
    headers: dict[str, str] = {}


def good(body: object, items: int = 0, headers: dict[str, str] | None = None) -> Reply:
    """A 200 with anything that JSON can hold."""
    return Reply(200, msgspec.json.encode(body), items, headers or {})


def problem(
    status: int,
    title: str,
    detail: str | None = None,
    kind: str = "about:blank",
    headers: dict[str, str] | None = None,
) -> Reply:
    """An answer that tells of a fault of the whole call."""
    body = {"title": title, "type": kind, "status": status, "detail": detail or title}
    return Reply(status, msgspec.json.encode(body), 0, headers or {})


def credits_depleted() -> Reply:
    """The account has no money left: waiting does not help."""
    return problem(
        402,
        "CreditsDepleted",
        "Your enrolled account does not have any credits to fulfill this request.",
        _PROBLEM + "credits",
    )


def forbidden() -> Reply:
    """The plan lacks the endpoint: waiting does not help."""
    body = {
        "title": "Client Forbidden",
        "detail": "You must use keys and tokens from a developer App that is attached to a Project.",
        "reason": "client-not-enrolled",
        "required_enrollment": "Appropriate Level of API Access",
        "type": _PROBLEM + "client-forbidden",
    }
    return Reply(403, msgspec.json.encode(body))


def usage_capped() -> Reply:
    """The month's items are used up: waiting for the window that the headers tell of does not help."""
    body = {
        "account_id": 0,
        "product_name": "standard-basic",
        "title": "UsageCapExceeded",
        "period": "Monthly",
        "scope": "Product",
        "detail": "Usage cap exceeded: Monthly product cap",
        "type": _PROBLEM + "usage-capped",
    }
    told = {"x-rate-limit-limit": str(CAP_LIMIT), "x-rate-limit-remaining": str(CAP_LIMIT - 1)}
    return Reply(429, msgspec.json.encode(body), 0, told)


def refusal(parameter: str, value: str, message: str) -> Reply:
    """400: X does not understand a parameter."""
    body = {
        "errors": [{"parameters": {parameter: [value]}, "message": message}],
        "title": "Invalid Request",
        "detail": "One or more parameters to your request was invalid.",
        "type": _PROBLEM + "invalid-request",
    }
    return Reply(400, msgspec.json.encode(body))


def bad_value(parameter: str, value: str, why: str, whole: str | None = None) -> Reply:
    """400 about one value, `whole` being all that the parameter held."""
    message = f"The `{parameter}` query parameter value [{value}] {why}"
    return refusal(parameter, value if whole is None else whole, message)


def too_many(parameter: str, values: tuple[str, ...], most: int) -> Reply:
    """400 about the length of a list."""
    count = f"The number of values in the `{parameter}` query parameter list [{len(values)}]"
    return refusal(parameter, ",".join(values), f"{count} is not between 1 and {most}")


def spoilt(fates: Iterable[Fate]) -> Reply | None:
    """The answer to a call that carries an ID which breaks the server: 500, or a 200 that names none of them."""
    fates = frozenset(fates)
    if Fate.POISON in fates:
        return problem(500, "Internal Server Error")
    if Fate.SPOILT in fates:
        return good({"errors": [{"message": "Internal error", "code": 131}]})
    return None


def not_found(parameter: str, key: str, kind: str = "tweet") -> dict[str, str]:
    """An entry of `errors`: there is no such thing."""
    detail = f"Could not find {kind} with {parameter}: [{key}]."
    return _error(kind, parameter, key, detail, "Not Found Error", "resource-not-found")


def not_authorized(parameter: str, key: str, kind: str = "tweet") -> dict[str, str]:
    """An entry of `errors`: it is there, and not for us."""
    thing = {"tweet": "Tweet", "user": "User"}[kind]
    detail = f"Sorry, you are not authorized to see the {thing} with {parameter}: [{key}]."
    error = _error(kind, parameter, key, detail, "Authorization Error", "not-authorized-for-resource")
    return {**error, "section": "data"}


def suspended(parameter: str, key: str) -> dict[str, str]:
    """An entry of `errors`: the user has been suspended; its `type` is that of one that was deleted."""
    return _error("user", parameter, key, f"User has been suspended: [{key}].", "Forbidden", "resource-not-found")


def _error(resource: str, parameter: str, key: str, detail: str, title: str, kind: str) -> dict[str, str]:
    about = {"resource_type": resource, "parameter": parameter, "resource_id": key, "type": _PROBLEM + kind}
    return {"value": key, "detail": detail, "title": title, **about}

"""Who draws on the same limit."""

from typing import Any

from collector.budget.limit import Limit
from collector.host.secret import Secret
from collector.sources import identity
from collector.sources.spec import Spec


def spec(url: str = "https://a.org/{id}", **keys: Any) -> Spec:
    return Spec.model_validate({"url": url, "headers": {"Authorization": "{secret.key}"}, **keys})


KEY = {"key": Secret("k"), "again": Secret("k"), "other": Secret("o")}
SOURCES = {
    "one": spec(limit=["900/15m", "5 units/1d"]),
    "elsewhere": spec("https://a.org/other/{id}"),
    "query": spec("https://a.org/{id}?full=1", limit=["300/15m", "1/1s"]),
    "same key": spec(headers={"X-Key": "{secret.again}"}),
    "other key": spec(headers={"X-Key": "{secret.other}"}),
    "posted": spec(method="POST"),
}


def test_secrets_method_and_url_say_who_shares() -> None:
    """The query does not, and the name of a secret does not either."""
    assert identity.sharing(SOURCES, KEY) == [
        ("one", "query", "same key"), ("elsewhere",), ("other key",), ("posted",)
    ]  # fmt: skip


def test_secrets_that_were_not_fetched_are_told_apart_by_their_names() -> None:
    """Who plans need not have the key."""
    assert identity.sharing(SOURCES, {})[0] == ("one", "query")


def test_the_strictest_limit_of_each_window_holds() -> None:
    """For all who share; others keep theirs."""
    strictest = tuple(map(Limit.parse, ("1/1s", "300/15m", "5 units/1d")))
    assert identity.limits("one", SOURCES, KEY) == strictest
    assert identity.limits("same key", SOURCES, KEY) == strictest
    assert identity.limits("posted", SOURCES, KEY) == ()

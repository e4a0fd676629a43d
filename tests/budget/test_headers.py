"""Limit headers as real servers send them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from collector.budget.headers import Said, read

NOW = 1_700_000_000  # Tue, 14 Nov 2023 22:13:20 GMT
DATE = "Tue, 14 Nov 2023 22:13:20 GMT"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"x-rate-limit-limit": "9", "x-rate-limit-remaining": "8", "x-rate-limit-reset": str(NOW + 6)}, (9, 8, 7.0)),
        ({"X-RateLimit-Limit": "30", "X-RateLimit-Remaining": "14", "X-RateLimit-Reset": str(NOW + 5)}, (30, 14, 6.0)),
        ({"X-RateLimit-Limit": "300", "X-RateLimit-Remaining": "7", "X-RateLimit-Reset": "2023-11-14T22:18:20.500Z"},
         (300, 7, 300.55)),
        ({"X-Ratelimit-Used": "1", "X-Ratelimit-Remaining": "999.0", "X-Ratelimit-Reset": "412"}, (None, 999, 413.0)),
        ({"RateLimit-Limit": "90, 90;w=300", "RateLimit-Remaining": "0", "RateLimit-Reset": "10.5"}, (90, 0, 10.55)),
        ({"RateLimit-Limit": "9", "RateLimit-Remaining": "3", "RateLimit-Reset": f"{NOW + 9}250"}, (9, 3, 9.3)),
        ({"x-ratelimit-limit": "50", "x-ratelimit-used": "48"}, (50, 2, None)),
        ({"RateLimit": "limit=9, remaining=5, reset=3"}, (9, 5, 4.0)),
        ({"RateLimit": '"day";r=50;t=30, "burst";r=2;t=1', "RateLimit-Policy": '"day";q=100;w=60,"burst";q=5;w=2'},
         (5, 2, 2.0)),
        ({"X-RateLimit-Reset": DATE.replace("22:13:20", "22:14:20")}, (None, None, 61.0)),
    ],
)  # fmt: skip
def test_every_family_is_read(headers: dict[str, str], expected: tuple[int, int, float | None]) -> None:
    """Limit, remaining and the seconds to the reset, with the margin for rounding."""
    said = read({"Date": DATE, **headers}, wall=0.0)
    assert (said.limit, said.remaining, said.reset and round(said.reset, 6)) == expected


@pytest.mark.parametrize(
    ("headers", "window"),
    [
        ({"RateLimit-Policy": "5000;w=3600", "RateLimit-Limit": "5000"}, 3600.0),
        ({"RateLimit-Limit": "100, 100;w=60"}, 60.0),
        ({"X-Rate-Limit-Limit": "50", "X-Rate-Limit-Interval": "1s"}, 1.0),
        ({"X-Rate-Limit-Interval": "10"}, 10.0),
    ],
)
def test_the_length_of_the_window_is_read(headers: dict[str, str], window: float) -> None:
    """From `w=` of a policy or a limit, or from an interval."""
    assert read(headers, wall=NOW).window == window


@pytest.mark.parametrize(
    ("text", "to_go"),
    [
        ("30", 30.0),
        ("0", 0.0),
        (DATE.replace("22:13:20", "22:13:50"), 30.0),
        (DATE.replace("22:13:20 GMT", "22:13:50 -0000"), 30.0),
        (DATE.replace("22:13:20 GMT", "22:13:10 GMT"), -10.0),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str, to_go: float | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A date in `-0000` is in UTC and not in the zone of this machine."""
    monkeypatch.setenv("TZ", "America/New_York")
    assert read({"Date": DATE, "Retry-After": text}, wall=0.0).retry_after == to_go


def test_a_reset_is_measured_against_the_answers_own_date() -> None:
    """Our clock may be off by any amount."""
    headers = {"x-rate-limit-remaining": "0", "x-rate-limit-reset": str(NOW + 20), "date": DATE}
    assert read(headers, wall=NOW + 7_000.0).reset == 21.0
    assert read({**headers, "date": "yesterday"}, wall=NOW + 5.0).reset == 16.0


@pytest.mark.parametrize(
    "text", [str(NOW - 2), "2023-11-14T22:13:10Z", "-5", "nan", "inf", "1e9", "٣٠", "9" * 400, "2023-99-01"]
)
def test_a_reset_that_is_past_or_strange_says_nothing(text: str) -> None:
    """A negative wait would be a busy loop."""
    assert read({"Date": DATE, "x-ratelimit-reset": text}, wall=NOW).reset is None


def test_other_headers_of_a_like_name_are_left_alone() -> None:
    """Only the whole name counts: tokens, bytes and days are other limits."""
    assert read({"x-ratelimit-remaining-tokens": "0", "x-app-limit-24hour-remaining": "0"}, wall=NOW) == Said()


@pytest.mark.parametrize("name", ["Date", "date", "DATE"])
def test_an_answer_that_tells_of_no_limit_still_tells_the_time(name: str) -> None:
    """By it a reset is measured that a later answer names."""
    assert read(CIMultiDict({"Content-Type": "text/plain", name: DATE}), wall=0.0) == Said(date=float(NOW))


@pytest.mark.parametrize(
    "name", ["RateLimit-Remaining", "x-rate-limit-remaining", "X-RATELIMIT-REMAINING", "Retry-After"]
)
def test_no_spelling_of_a_header_is_passed_over(name: str) -> None:
    """A limit is heard among other headers, whatever comes before it."""
    said = read({"Server": "nginx", "Vary": "Accept", name: "7", "Via": "proxy"}, wall=NOW)
    assert 7 in (said.remaining, said.retry_after)


def test_a_list_that_comes_in_two_headers_is_one() -> None:
    """As HTTP has it: the least that is left counts."""
    headers = CIMultiDict([("RateLimit", '"day";r=50;t=30'), ("Date", DATE), ("ratelimit", '"burst";r=2;t=1')])
    assert read(headers, wall=NOW).remaining == 2


names = st.sampled_from(
    [
        "date",
        "retry-after",
        "ratelimit",
        "ratelimit-policy",
        "x-ratelimit-limit",
        "x-ratelimit-reset",
        "ratelimit-interval",
    ]
)
values = st.text(max_size=30) | st.from_regex(r"[0-9,;=a-z\" :+-]{0,30}", fullmatch=True) | st.datetimes().map(str)


@settings(deadline=None)
@given(st.dictionaries(names, values))
def test_no_header_breaks_the_reader(headers: dict[str, str]) -> None:
    """Whatever a server sends, the answer itself can still be read."""
    said = read(headers, wall=NOW)
    assert said.reset is None or said.reset > 0

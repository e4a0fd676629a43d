"""What the person who dropped a file reads."""

import msgspec

from collector.intake import receipt
from collector.intake.idfile import Refused
from collector.intake.receipt import Receipt

WHOLE = Receipt(
    batch=7,
    file="ids.csv",
    source="posts",
    at=1_800_000_000.0,
    layout='CSV, column 2 "tweet_id"',
    lines=2_115,
    headers=1,
    blank=2,
    ids=2_100,
    refused=7,
    first=tuple(Refused(n, "1.77465E+18", "a number that passed through a float") for n in range(3, 8)),
    warnings=(),
    digest="ab" * 32,
    estimate=("21 requests", "about 20 s", "0.21 USD"),
)


def test_it_names_every_line_of_the_file() -> None:
    """Lines = IDs + repeats + refused, with what is no line beside it."""
    text = receipt.text(WHOLE)
    assert "lines          2,115 (and 1 header line and 2 blank lines)\n" in text
    assert "IDs taken in   2,100\nrepeats        8\nrefused lines  7\n" in text
    assert "2027-01-15T08:00:00.000Z" in text


def test_it_shows_the_first_refused_lines_and_where_the_others_are() -> None:
    """Five lines with number, text and why; refused.csv has them all."""
    text = receipt.text(WHOLE)
    assert "  line 3: 1.77465E+18: a number that passed through a float\n" in text
    assert text.count("  line ") == 5
    assert "and 2 more; all of them are in refused.csv" in text


def test_warnings_come_first_and_loud() -> None:
    """Nobody reads past them."""
    text = receipt.text(msgspec.structs.replace(WHOLE, warnings=("all IDs are rounded " * 10, "the gzip is cut short")))
    assert text.startswith("!! WARNING: all IDs are rounded")
    assert all(line.startswith("!! ") for line in text.split("\n\n")[0].splitlines())
    assert "\n!! WARNING: the gzip is cut short\n" in text


def test_a_clean_file_has_a_short_receipt() -> None:
    """No warning, no refused line, nothing said of them."""
    text = receipt.text(msgspec.structs.replace(WHOLE, refused=0, first=(), headers=0, blank=0, lines=2_100))
    assert "WARNING" not in text
    assert "refused.csv" not in text
    assert "lines          2,100\n" in text


def test_a_long_estimate_is_wrapped_beside_its_name() -> None:
    """Several limits fill more than one line."""
    said = "; ".join(["1,000 requests of up to 100 IDs", *["12 windows of 3,500 calls in 15 min"] * 4])
    text = receipt.text(msgspec.structs.replace(WHOLE, estimate=(said, "about 20 s")))
    lines = text[text.index("estimate") : text.index("SHA")].splitlines()
    assert max(map(len, lines)) <= 88
    assert [line[:17] for line in lines[1:]] == [*[" " * 17] * (len(lines) - 2), " " * 15 + "ab"]
    assert " ".join(" ".join(lines).split()) == f"estimate {said} about 20 s"


def test_the_estimate_has_its_lines_below_each_other() -> None:
    """Requests, time and price."""
    assert "estimate       21 requests\n               about 20 s\n               0.21 USD\nSHA" in receipt.text(WHOLE)

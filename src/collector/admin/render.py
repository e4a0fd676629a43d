"""Values to HTML. Nothing that is shown, whoever wrote it, is more than text."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import quote

from markupsafe import Markup

from collector.admin import bars
from collector.clock import unstamp
from collector.output.snapshot import BatchStatus, Snapshot
from collector.output.text import moment, why
from collector.quantity import spoken, things

if TYPE_CHECKING:
    from jinja2 import Environment

# Control characters, and those that turn the direction of the text around them or take no room. Joiners stay: emoji
# and Persian are written with them.
_UNSEEN = re.compile(
    "[\\0-\\x08\\x0b-\\x1f\\x7f-\\x9f\\xad\\u061c\\u180e\\u200b\\u200e\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff\\ufff9-\\ufffb"
    "\\ud800-\\udfff\\U000e0000-\\U000e007f]"
)


def inert(value: object) -> str:
    """A value as text in which what nobody would see is visible."""
    text = value if isinstance(value, str) else str(value)
    return type(text)(_UNSEEN.sub("\ufffd", text)) if _UNSEEN.search(text) else text


def when(stamped: str | None, *, exact: bool = False) -> Markup:
    """A time in UTC, which the script turns into the reader's zone; to the second only where that is `exact`."""
    if stamped is None:
        return Markup("")
    shown = moment(stamped).removesuffix("Z") if exact else moment(stamped)[:-4]
    return Markup('<time datetime="{}"{}>{} UTC</time>').format(stamped, Markup(" data-exact") * exact, shown)


def until(stamped: str, now: str) -> str:
    """How long it is from now, as `4 min 3 s`."""
    return spoken(max(round(unstamp(stamped) - unstamp(now)), 1))


def is_wide(end: Snapshot | BatchStatus) -> bool:
    """Whether the range of a finish time says more than the time."""
    return (
        bool(end.finish_from and end.finish_to) and unstamp(end.finish_to or "") - unstamp(end.finish_from or "") > 90
    )


def percent(done: int, total: int) -> str:
    """Rounded down: 100 % says that nothing is left."""
    return f"{done * 1000 // total / 10:.1f} %" if total else "0 %"


@cache
def _templates() -> Environment:
    """Made for the first page: a service at which nobody looks needs none."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("collector.admin"),
        auto_reload=False,
        autoescape=True,
        undefined=StrictUndefined,
        finalize=inert,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "number": lambda value: f"{value:,}",
        "part": lambda value: quote(str(value), safe=""),
        "spoken": spoken,
        "when": when,
    }
    made.globals |= {
        "bar": bars.bar, "gauge": bars.gauge, "is_wide": is_wide, "percent": percent, "things": things, "until": until,
        "why": why,
    }  # fmt: skip
    return made


def page(template: str, **values: object) -> str:
    """A page of these values; a name that the template does not know is a fault of ours."""
    return _templates().get_template(template).render(values)

"""What a page of a list leads to: the next page, the end, or the first page once more. Pure."""

from random import Random

import msgspec

from collector.dispatch import retry
from collector.model import Cursor, Failed, Found, Job, MorePages, PutOff

EXPIRED = "cursor-expired"


def turned(job: Job, found: Found, following: str | None, max_pages: int | None) -> Found | MorePages:
    """The outcome of a page that came, with the cursor of the one that follows it."""
    before = job.cursor or Cursor("")
    pages = before.pages + 1
    if following is None:
        return found
    if max_pages is not None and pages >= max_pages:
        cut = f"its list was cut after {pages} {'page' if pages == 1 else 'pages'}, as max_pages says"
        return msgspec.structs.replace(found, detail=cut)
    # An API may give the same cursor for each page, as for a scroll that it remembers; whether such a page brings
    # anything new is seen where it is stored.
    if following == before.mark and following != before.next:
        return msgspec.structs.replace(found, detail=f"after {pages} pages its list led back to an earlier page")
    # A mark at each power of two is met again by a circle of any length (Brent's algorithm).
    mark = following if pages & (pages - 1) == 0 else before.mark
    return MorePages(found.items, Cursor(following, pages, before.restarts, mark, before.known))


def begun_anew(job: Job, detail: str, tries: int, random: Random) -> PutOff | Failed:
    """The outcome where the API no longer knows the cursor: what is stored stays, and the first page is asked again."""
    before = job.cursor or Cursor("")
    restarts = before.restarts + 1
    if restarts > tries:
        told = f"its list was begun anew {before.restarts} times and never came to its end; what came is kept. {detail}"
        return Failed(EXPIRED, told)
    anew = Cursor("", restarts=restarts, known=max(before.pages, before.known))
    return PutOff(retry.delay(restarts, random), EXPIRED, detail, cursor=anew)

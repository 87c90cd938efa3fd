"""Pages of a collection: what each must look like, and what they must add up to."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from connectors.http_session import Reply
from connectors.strict_json import bad

_ENVELOPE = frozenset({"data", "next", "total", "as_of"})
_NEWLINES = bytes.maketrans(b"\r\n", b"  ")


def moment(text: Any, what: str) -> datetime:
    """ISO 8601 with an offset. Raises: TransientError `bad_response`."""
    try:
        value = datetime.fromisoformat(text)
    except (ValueError, TypeError):
        raise bad(what, "[as_of] is not a moment in ISO 8601") from None
    if value.tzinfo is None:
        raise bad(what, "[as_of] has no offset from UTC")
    return value


@dataclass(frozen=True)
class Page:
    """One page. `line` is its body as it came, on one line; `digest` names its rows."""

    line: bytes = field(repr=False)
    digest: bytes
    rows: int
    next: str | None = field(repr=False)
    total: int
    as_of: str


def parse(reply: Reply, what: str) -> Page:
    """An envelope with exactly [data], [next], [total] and [as_of].

    A member beside these may change what the page means ("partial"), so it is refused. In valid JSON a
    raw line break can only be white space between tokens: it becomes a blank, nothing else is touched.

    Raises: TransientError `bad_response`.
    """
    value = reply.json(what)
    if not isinstance(value, dict) or value.keys() != _ENVELOPE:
        raise bad(what, "the envelope is not data, next, total and as_of")
    data, cursor, total = value["data"], value["next"], value["total"]
    if not isinstance(data, list) or not all(isinstance(row, dict) for row in data):
        raise bad(what, "[data] is not a list of objects")
    if cursor is not None and not (isinstance(cursor, str) and 0 < len(cursor) <= 4096):
        raise bad(what, "[next] is neither null nor a cursor")
    if type(total) is not int or total < 0:
        raise bad(what, "[total] is not a count")
    moment(value["as_of"], what)
    # surrogatepass: a lone surrogate is for the contract to refuse, row by row
    digest = hashlib.sha256(repr(data).encode("utf-8", "surrogatepass")).digest()
    return Page(reply.body.translate(_NEWLINES), digest, len(data), cursor, total, value["as_of"])


class Walk:
    """The pages of one collection in one snapshot, checked against each other."""

    def __init__(self, as_of: str):
        self._as_of = as_of
        self._total: int | None = None
        self._cursors: set[str] = set()
        self._digests: set[bytes] = set()
        self.rows = 0

    def take(self, page: Page, what: str) -> None:
        """Raises: TransientError `bad_response` where a page does not fit those before it."""
        if page.as_of != self._as_of:
            raise bad(what, "[as_of] is not the snapshot that was asked for")
        if self._total is None:
            self._total = page.total
        self.rows += page.rows
        if page.total != self._total:
            raise bad(what, "[total] changed between pages")
        if page.rows and page.digest in self._digests:
            raise bad(what, "the page repeats an earlier one")
        if page.next is None:
            if self.rows != page.total:
                raise bad(what, f"{self.rows} rows came, [total] says {page.total}")
            return
        if not page.rows:
            raise bad(what, "an empty page promises more")
        if self.rows >= page.total:
            raise bad(what, f"more pages than the {page.total} rows of [total]")
        if page.next in self._cursors:
            raise bad(what, "the cursor leads in a circle")
        self._digests.add(page.digest)
        self._cursors.add(page.next)

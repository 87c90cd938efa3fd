"""Feeds behind an HTTP interface: every page as it came, one snapshot for all tables.

What a night lands:

- `<table>.jsonl` (role rows): one page body a line, rows changed since the watermark less the overlap.
  A line ends at a line feed and nowhere else. Empty (0 bytes) where the agency answered "not modified".
- `<table>.keys.jsonl` (role keys): the same, with the key columns of *every* row in the snapshot: a key
  that is absent here was deleted. **No keys member means no deletion**: the table has not changed since
  the watermark, and no changed table refers to it.
- `extract.json` (role extract): `{"night", "since": {table: ISO|null}, "until": ISO, "unchanged": […]}`.

The watermark of the drop is `{table: as_of, "etag:<table>": entity tag}`. An entity tag is asked about
only together with the moment it belongs to, so "not modified" always means: since the last applied drop.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, timedelta
from typing import BinaryIO
from urllib.parse import quote

from connectors import rest_pages
from connectors.base import Arrival, Connection, Connector
from connectors.http_session import DEFAULT, Budget, HttpSession
from connectors.strict_json import bad
from leadhub.foundation import clock, files
from leadhub.foundation.vocabulary import TableFacts
from leadhub.intake.feeds import Feed
from leadhub.intake.landing import Drop, DropWriter, Landing

_ETAG = re.compile(r'(W/)?"[\x21\x23-\x7e]{1,256}"')
_IDEMPOTENCY_KEY = re.compile(r"[A-Za-z0-9._:-]{1,128}")
#: a row of keys is a fraction of a whole row
_KEY_ROWS_PER_ROW = 4

CHANGES_PATH = "/v1/diversion-status/changes"


class RestConnector(Connector):
    """Reads a feed of connector `rest`. `mapping.source` of a table is the name of its resource."""

    def __init__(
        self,
        feed: Feed,
        tables: Mapping[str, TableFacts],
        connection: Connection,
        *,
        budget: Budget = DEFAULT,
    ):
        super().__init__(feed, tables, connection)
        self.budget = budget

    def read(self, landing: Landing, night: str, since: Mapping[str, str]) -> list[Arrival]:
        """One delta drop of all tables as of one moment; see the module for its members.

        Raises: TransientError `source_unreachable`, `source_timeout`, `rate_limited`, `bad_response`;
        TerminalError `credentials_refused`, `host_key_changed`, `schema_drift`, `too_large`,
        `settings_invalid`.
        """
        clock.check_night(night)
        known = {drop.drop_id for drop in landing.drops(self.feed.id)}
        writer = landing.writer(self.feed.id, night)
        try:
            with HttpSession(self.connection, self.budget) as session:
                drop = self._land(session, writer, night, since)
        except BaseException:
            writer.abandon()
            raise
        return [Arrival("duplicate" if drop.drop_id in known else "landed", drop.origin, drop)]

    def _land(self, session: HttpSession, writer: DropWriter, night: str, since: Mapping[str, str]) -> Drop:
        as_of = _snapshot(session)
        watermark: dict[str, str] = {}
        asked: dict[str, str | None] = {}
        unchanged: list[str] = []
        for table in self.feed.tables:
            asked[table] = self._updated_since(since.get(table))
            earlier = since.get(f"etag:{table}") if table in since else None
            modified, etag = self._land_rows(session, writer, table, as_of, asked[table], earlier)
            watermark[table] = as_of
            if etag:
                watermark[f"etag:{table}"] = etag
            if not modified:
                unchanged.append(table)
        for table in self._with_keys(unchanged):
            path = f"{self._path(table)}/keys"
            limit = str(self.feed.page_rows * _KEY_ROWS_PER_ROW)
            with writer.member(f"{table}.keys.jsonl", table=table, role="keys", format="jsonl") as handle:
                _pages(session, handle, path, {"as_of": as_of, "limit": limit}, None)
        extract = {"night": night, "since": asked, "until": as_of, "unchanged": unchanged}
        with writer.member("extract.json", table=None, role="extract", format="json") as handle:
            handle.write(files.canonical_json(extract))
        origin = tuple(mapping.source for mapping in self.feed.tables.values())
        return writer.commit(mode="delta", watermark=watermark, origin=origin)

    def _land_rows(
        self,
        session: HttpSession,
        writer: DropWriter,
        table: str,
        as_of: str,
        updated_since: str | None,
        earlier: str | None,
    ) -> tuple[bool, str | None]:
        query = {"as_of": as_of, "limit": str(self.feed.page_rows)}
        if updated_since:
            query["updated_since"] = updated_since
        with writer.member(f"{table}.jsonl", table=table, role="rows", format="jsonl") as handle:
            return _pages(session, handle, self._path(table), query, earlier)

    def _path(self, table: str) -> str:
        return f"/v1/{quote(self.feed.tables[table].source, safe='')}"

    def _updated_since(self, mark: str | None) -> str | None:
        if mark is None:
            return None
        begin = rest_pages.moment(mark, "the watermark") - timedelta(minutes=self.feed.overlap_minutes)
        return begin.astimezone(UTC).isoformat().replace("+00:00", "Z")

    def _with_keys(self, unchanged: list[str]) -> list[str]:
        """Changed tables, and those that they refer to: their keys are what references are checked with."""
        changed = [table for table in self.feed.tables if table not in unchanged]
        referred = {r.table for table in changed for r in self.tables[table].references}
        return [table for table in self.feed.tables if table in changed or table in referred]


def _snapshot(session: HttpSession) -> str:
    what = "the snapshot request"
    value = session.send("GET", "/v1/snapshot", what=what).json(what)
    if not isinstance(value, dict) or value.keys() != {"as_of"}:
        raise bad(what, "the answer is not [as_of] alone")
    rest_pages.moment(value["as_of"], what)
    return value["as_of"]


def _pages(
    session: HttpSession, handle: BinaryIO, path: str, query: Mapping[str, str], earlier: str | None
) -> tuple[bool, str | None]:
    """All pages of a collection into `handle`. Gives: was it modified since `earlier`, and its tag."""
    walk = rest_pages.Walk(query["as_of"])
    headers = {"if-none-match": earlier} if earlier else {}
    etag, number = None, 0
    while query:
        number += 1
        what = f"page {number} of [{path}]"
        reply = session.send("GET", path, what=what, query=query, headers=headers)
        if reply.status == 304:
            handle.rows = 0  # type: ignore[attr-defined]
            return False, earlier
        page = rest_pages.parse(reply, what)
        walk.take(page, what)
        handle.write(page.line + b"\n")
        if number == 1 and _ETAG.fullmatch(reply.headers.get("etag", "")):
            etag = reply.headers["etag"]
        headers = {}
        query = {"cursor": page.next, "limit": query["limit"]} if page.next else {}
    handle.rows = walk.rows  # type: ignore[attr-defined]
    return True, etag


def push_changes(
    connection: Connection,
    payload: bytes,
    idempotency_key: str,
    *,
    path: str = CHANGES_PATH,
    budget: Budget = DEFAULT,
) -> dict[str, object]:
    """Post a file of changes (JSON). Every try carries the same key, so it takes effect once.

    Gives `{"receipt": SHA-256 of what arrived, "received_at": ISO, "replayed": bool}`.
    Raises: as `HttpSession.send`; TerminalError `conflicting_resubmission` where the key was used with
    another payload; TransientError `bad_response` where the receipt is not that of this payload.
    """
    if not _IDEMPOTENCY_KEY.fullmatch(idempotency_key):
        raise ValueError("an idempotency key has 1 to 128 letters, digits, dots, colons, hyphens")
    what = f"the delivery to [{path}]"
    headers = {"idempotency-key": idempotency_key, "content-type": "application/json"}
    with HttpSession(connection, budget) as session:
        reply = session.send("POST", path, what=what, headers=headers, content=payload)
    answer = reply.json(what)
    if not isinstance(answer, dict) or answer.get("receipt") != hashlib.sha256(payload).hexdigest():
        raise bad(what, "the receipt is not that of the payload")
    replayed = reply.headers.get("idempotency-replayed", "false").lower() == "true"
    return {"receipt": answer["receipt"], "received_at": answer.get("received_at"), "replayed": replayed}

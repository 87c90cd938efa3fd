"""Revoked lines of consents that their provider no longer sends: what a client took back stays taken back.

A revocation also ends what the client had signed before for the same recipient and information
(`permission.consent`). Were it forgotten with its row, an older paper would count again. Where the line is
still sent, its provider's word counts, also that the revocation was a mistake; its absence lifts nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import polars as pl
import pyarrow as pa

from leadhub.identity import keyed, rekeying
from leadhub.steps import tables
from leadhub.steps.site import Site

TABLE, CONSENTS = "consents_revoked", "consents"


def tonight(site: Site, feeds: Mapping[str, Any], base: Mapping[str, Any]) -> pa.Table | None:
    """Rows of the providers' consents, with their `feed`, that were revoked and are gone; None while there
    are none. `base`: the committed night before."""
    kept = []
    for feed in site.feeds.values():
        if base["night"] is None or feed.contract != "provider" or CONSENTS not in feeds[feed.id]["tables"]:
            continue
        counts = feeds[feed.id]["tables"][CONSENTS]
        held = [of(site, base, [feed.id])]
        if counts.get("removed"):
            known = base["feeds"][feed.id]["tables"][CONSENTS]["version"]
            held.append(_of_feed(tables.read(site, feed.id, CONSENTS, known), feed.id))
        now = tables.read(site, feed.id, CONSENTS, counts["version"], ["record_id"])
        there = pl.Series(now.column("record_id").to_pylist(), dtype=pl.String)
        for rows in (pl.DataFrame(pl.from_arrow(table)) for table in held if table is not None):
            gone = rows.filter(
                pl.col("revoked_at").is_not_null() & ~pl.col("record_id").is_in(there.implode())
            )
            kept.append(gone)
    found = pl.concat(kept, how="diagonal").unique("record_id").sort("feed", "record_id") if kept else None
    return keyed.to_arrow(found) if found is not None and found.height else None


def of(site: Site, manifest: Mapping[str, Any], feeds: Collection[str]) -> pa.Table | None:
    """The rows that a night kept of these feeds, with ids of the newest key version; None where none."""
    version = manifest["tables"].get(TABLE)
    if version is None:
        return None
    every = pl.DataFrame(pl.from_arrow(site.lake.read(TABLE, version)))
    found = []
    for feed in (f for f in site.feeds.values() if f.id in feeds and f.contract == "provider"):
        mine = keyed.to_arrow(every.filter(pl.col("feed") == feed.id))
        facts = site.facts(feed)[CONSENTS]
        found.append(rekeying.up_to_date(mine, facts, agency=feed.agency, keys=site.keys))
    return pa.concat_tables(found) if found else None


def added(consents: pa.Table, gone: pa.Table | None) -> pa.Table:
    """The consents that are there, and the revoked ones that are not."""
    if gone is None:
        return consents
    return pa.concat_tables([consents, gone.select(consents.column_names)], promote_options="permissive")


def _of_feed(table: pa.Table, feed: str) -> pa.Table:
    return table.append_column("feed", pa.array([feed] * table.num_rows, pa.string()))

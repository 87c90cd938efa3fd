"""A feed's state tables in the lake, with ids of the newest key version (`identity.rekeying`)."""

from __future__ import annotations

import pyarrow as pa

from leadhub.identity import rekeying
from leadhub.steps.site import Site


def core_table(feed_id: str, table: str) -> str:
    """Name in the lake."""
    return f"core_{feed_id}__{table}"


def read(site: Site, feed_id: str, table: str, version: int, columns: list[str] | None = None) -> pa.Table:
    """One version of a feed's table. Raises: TerminalError `state_invalid`, `wrong_key`."""
    held = site.lake.read(core_table(feed_id, table), version, columns)
    feed = site.feeds.get(feed_id)
    facts = site.facts(feed).get(table) if feed and site.keys.versions else None
    if feed is None or facts is None:
        return held
    return rekeying.up_to_date(held, facts, agency=feed.agency, keys=site.keys)

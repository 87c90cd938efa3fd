"""The consent registry for a steward: what a client signed, whether it counts, and FHIR R4 in and out.

The way in is the agency's own number of its client; nothing here names anybody.
"""

from __future__ import annotations

import json
from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from leadhub.foundation.errors import TerminalError
from leadhub.identity import sealing
from leadhub.intake.feeds import Feed
from leadhub.permission import consent, fhir
from leadhub.steps import doubts, past_consents, tables
from leadhub.steps.site import Site

_SEALED = ("consent_id", "client_id", "docket_no")


def lines(site: Site, agency: str, local_id: str, at: datetime) -> pl.DataFrame:
    """`consent.valid_at` of what the last night holds of the client, the agency's ids opened.

    `at` asks by what is known now: a line that the provider has since taken out is gone, though not that
    it was revoked.

    Raises: TerminalError `state_invalid` where the agency is no provider or has no such client.
    """
    manifest = site.lake.night(site.lake.nights()[-1]) if site.lake.nights() else None
    feeds = [f for f in site.feeds.values() if f.agency == agency and f.contract == "provider"]
    if manifest is None or not feeds:
        raise TerminalError("state_invalid", f"no night holds consents of a provider [{agency}]")
    sealed = sealing.seal(pa.array([local_id]), agency, site.keys)[0].as_py()
    clients, consents, episodes = (
        _state(site, manifest, feeds, name, sealed) for name in ("clients", "consents", "episodes")
    )
    if clients is None or clients.num_rows == 0 or consents is None:
        raise TerminalError("state_invalid", f"[{agency}] has no client of that number in the last night")
    found = consent.valid_at(
        consents,
        clients,
        list(site.agreements.values()),
        at=at,
        time_zone=site.settings.time_zone,
        episodes=episodes,
        justice_events=site.lake.read("justice_events", manifest["tables"]["justice_events"]),
        doubted=doubts.consents(site, manifest["tables"]),
        past=past_consents.register(site),
    )
    opened = {c: sealing.open_sealed(found[c].to_arrow(), agency, site.keys) for c in _SEALED}
    return found.with_columns(pl.Series(c, pl.from_arrow(ids)) for c, ids in opened.items())


def exported(site: Site, agency: str, local_id: str, at: datetime) -> dict[str, Any]:
    """The client's lines as a FHIR R4 Bundle of Consents, a line each. Raises: as `lines`."""
    plain = lines(site, agency, local_id, at).select(fhir.COLUMNS)
    return fhir.bundle(plain.unique(maintain_order=True).to_dicts(), agency)


def imported(path: Path, feed: Feed) -> bytes:
    """Consents of a FHIR R4 file as rows of the feed's own drop, which the contract then judges.

    Raises: TerminalError `unreadable_file` naming file, resource, path and rule; `feed_invalid`.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TerminalError("unreadable_file", f"[{path.name}] is missing") from None
    except ValueError:  # of JSON or of UTF-8: their messages quote what they read
        raise TerminalError("unreadable_file", f"[{path.name}] is no JSON in UTF-8") from None
    return as_drop(fhir.rows(content, feed.agency, name=path.name), feed)


def as_drop(rows: list[fhir.Row], feed: Feed) -> bytes:
    """CSV in the feed's own columns, codes, date formats, delimiter and encoding. Where the feed writes
    minutes alone a revocation falls on the minute's beginning: never later than it was.

    Raises: TerminalError `feed_invalid` where the feed takes no drops of consents, `unreadable_file` for a
    character that its encoding does not have.
    """
    if "consents" not in feed.tables or feed.drop is None:
        raise TerminalError("feed_invalid", f"[{feed.id}] takes no drops of consents")
    table = feed.tables["consents"]
    told = {
        source: [_cell(row[c], table.formats.get(c), table.codes.get(c, {})) for row in rows]
        for c, source in table.columns.items()
    }
    frame = pl.DataFrame(told, schema=dict.fromkeys(told, pl.String))
    try:
        return frame.write_csv(separator=feed.drop.delimiter).encode(feed.drop.encoding)
    except UnicodeEncodeError:  # it quotes what it could not write
        raise TerminalError(
            "unreadable_file", f"a consent holds a character that the encoding of [{feed.id}] does not have"
        ) from None


def _cell(value: Any, format: str | None, codes: dict[str, str]) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        value = "Y" if value else "N"
    if isinstance(value, date):
        return value.strftime(format) if format else value.isoformat()
    return {code: source for source, code in codes.items()}.get(value, value)


def _state(
    site: Site, manifest: dict[str, Any], feeds: list[Feed], name: str, client: str
) -> pa.Table | None:
    """The client's rows of a state table over the agency's feeds; None where none ever sent it."""
    parts = []
    for feed in feeds:
        held = manifest["feeds"].get(feed.id, {}).get("tables", {})
        if name in held:
            table = pl.DataFrame(pl.from_arrow(tables.read(site, feed.id, name, held[name]["version"])))
            mine = table.filter(pl.col("client_id") == client).with_columns(feed=pl.lit(feed.id))
            parts.append(mine)
    return pl.concat(parts).to_arrow() if parts else None

"""Whose records linkage may not use: forbidden evidence is never made into tokens.

- **Sealed**: a defendant of whom the office holds sealed cases alone. CPL 160.50 seals the record of the
  case, and that the office knows the person is part of it; an open case keeps the person linkable.
- **Not consented**: where a feed's agreement asks for it (`linkage_consent` in `feeds/<id>.yaml`), a client
  of whom no consent of the types it names counts now (42 CFR 2.31; `consent` says what counts). A provider
  whose hub is a qualified service organisation may do without (42 CFR 2.12(c)(4)).

Both are judged anew with every drop of the feed. Who may be linked again is so from the night on which the
source sends the record again: until then nothing is there to make tokens of.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pyarrow as pa

from leadhub.casework.seals import ARREST, CASE, in_force
from leadhub.identity import keyed
from leadhub.identity.pseudonymise import Linkable
from leadhub.intake.feeds import Feed, LinkageConsent
from leadhub.permission import consent


@dataclass(frozen=True)
class _Asks:
    """What `consent.judged` reads of an agreement."""

    partner: str
    consent: LinkageConsent


def linkable(
    feed: Feed,
    tables: dict[str, pa.Table],
    seals: pa.Table,
    *,
    at: datetime,
    time_zone: str,
    doubted: pl.DataFrame | None = None,
    past: pl.DataFrame | None = None,
) -> Linkable | None:
    """Of the feed's persons, from its other state tables and the register of seals; None where all may be
    linked. `doubted`, `past`: as `consent.judged` takes them."""
    if "dispositions" in tables and "cases" in tables:
        day = at.astimezone(ZoneInfo(time_zone)).date()
        barred = _sealed(feed, tables, seals, day)
        return Linkable("defendant_id", barred, listed=False)
    if feed.linkage_consent is None:
        return None
    asks = _Asks(feed.linkage_consent.recipient, feed.linkage_consent)
    told = {"at": at, "time_zone": time_zone, "doubted": doubted, "past": past}
    return Linkable("client_id", _consenting(feed.id, asks, tables, told), listed=True)


def _sealed(feed: Feed, tables: dict[str, pa.Table], seals: pa.Table, day: date) -> pl.Series:
    """Defendants all of whose cases are sealed."""
    cases = keyed.to_frame(tables["cases"])
    stated = keyed.to_frame(tables["dispositions"]).filter(pl.col("sealed_under").is_not_null())
    what = ["scope", "da_case_no", "arrest_no_token", "cjtn_token"]
    known = [keyed.to_frame(seals).filter(pl.col("feed") == feed.id).select(what)]
    if "seal_orders" in tables:
        known.append(in_force(keyed.to_frame(tables["seal_orders"]), day).select(what))
    remembered = pl.concat(known)
    arrests = remembered.filter(pl.col("scope") == ARREST)
    sealed = pl.concat(
        [
            stated.select("da_case_no"),
            remembered.filter(pl.col("scope") == CASE).select("da_case_no"),
            *(
                cases.join(arrests.drop_nulls(token), on=token, how="semi").select("da_case_no")
                for token in ("arrest_no_token", "cjtn_token")
            ),
        ]
    ).unique()
    case = cases.select("da_case_no", "defendant_id")
    still_open = case.join(sealed, on="da_case_no", how="anti").select("defendant_id")
    return case.join(still_open, on="defendant_id", how="anti").get_column("defendant_id").unique().sort()


def _consenting(feed: str, asks: _Asks, tables: dict[str, pa.Table], told: dict[str, Any]) -> pl.Series:
    # of the clients themselves nothing is known yet: all are held to the stricter rule, Part 2's
    nobody = pa.table({n: pa.array([], pa.string()) for n in ("feed", "client_id")})
    nobody = nobody.append_column("part2_program", pa.array([], pa.bool_()))
    named = {
        n: t.append_column("feed", pa.array([feed] * t.num_rows, pa.string())) for n, t in tables.items()
    }
    lines = consent.active(named["consents"], nobody, asks, episodes=named.get("episodes"), **told)
    return lines.get_column("client_id").unique().sort()

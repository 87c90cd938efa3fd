"""Restrictions that nobody could read: refused rows that may be a revocation, an end of treatment or a
seal, while open.

Landing says whose they are (`named`), publishing withholds what they may take back (`consents`, `cases`).
Default deny (42 CFR 2.13(a), CPL 160.50): an agency's slip keeps data in, never lets them out. A row that
names nobody withholds every consent of its feed, one of episodes every consent that ends with the
treatment; but no case, since it would be all of them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import polars as pl
import pyarrow as pa

from leadhub.casework.seals import UNREAD
from leadhub.identity import keyed, rekeying
from leadhub.identity import pseudonymise as pseudonyms
from leadhub.intake import mapping
from leadhub.intake.feeds import Feed
from leadhub.intake.mapping import Mapped
from leadhub.intake.quarantine import NAMED, RESTRICTIONS, SCHEMA, TAKE_BACK
from leadhub.intake.tabular import ROW
from leadhub.intake.validation import Judged
from leadhub.permission import consent, consent_ends
from leadhub.steps import tables
from leadhub.steps.site import Site

_WHERE = ("feed", "drop_id", "table", "row")
#: by table, what a row that names nobody withholds; of several the first
_WITHHELD = {
    "consents": "no consent of this feed counts until it is put right",
    "episodes": "no consent of this feed that ends with the treatment counts until it is put right",
}


def named(
    site: Site,
    feed: Feed,
    judged: Mapping[str, Judged],
    mapped: Mapping[str, Mapped],
    listed: Mapping[str, pa.Table],
    before: Mapping[str, Any],
) -> dict[str, pa.Table]:
    """By table of `RESTRICTIONS`, of its refused rows: `row`, its ids as state tables hold them,
    `names_nobody`.

    A number names somebody where the source holds it now, accepted or not, or where the feed's tables of
    the night `before` hold it; that of an arrest does without, since others issue it. An empty row takes
    nothing back, nor does one that stands twice what its twin, which was accepted, does not; nor one that
    plainly leaves empty what alone takes back (`TAKE_BACK`), as of a treatment that goes on.
    """
    found = {}
    for table in RESTRICTIONS.keys() & judged.keys():
        facts = site.facts(feed)[table]
        columns = [facts.column(name) for name in RESTRICTIONS[table]]
        refused = _refused(judged[table], mapped[table].frame, list(facts.key), TAKE_BACK.get(table))
        read = mapped[table].frame.select(pl.col(ROW).alias("row"), *RESTRICTIONS[table])
        rows = refused.join(read, on="row", how="left", maintain_order="left")
        plain = mapping.to_arrow(rows.drop("row"), facts)
        ids = pseudonyms.ids(plain, columns, agency=feed.agency, keys=site.keys)
        sealed = keyed.to_frame(ids)
        known = [
            _held(site, feed, rows[c.name], sealed[c.name], table, mapped, listed, before) for c in columns
        ]
        nobody = ~pl.DataFrame(known).select(pl.any_horizontal(pl.all())).to_series()
        found[table] = keyed.to_arrow(sealed.with_columns(rows["row"], names_nobody=nobody))
    return found


def _refused(
    judged: Judged, frame: pl.DataFrame, key: list[str], take_back: tuple[str, ...] | None
) -> pl.DataFrame:
    """`row` of the refused rows, sorted, without empty ones, twins of accepted ones, and those that plainly
    take nothing back."""
    faults, row = keyed.to_frame(judged.refused), pl.col(ROW).alias("row")
    accepted = keyed.to_frame(judged.accepted).select(key)
    twins = frame.select(row, *key).join(accepted, on=key, how="semi")
    empty = frame.filter(pl.all_horizontal(pl.exclude(ROW).is_null()))
    reason = pl.col("reason")
    # a cell that could not be read is null, too
    unsaid = reason.is_in(["missing_value", "blank_line"]) | reason.str.starts_with("rule:")
    column = pl.col("column")
    why = faults.group_by("row").agg(
        twice=(reason == "duplicate_key").all(),
        unsaid=unsaid.all(),
        blank=(reason == "blank_line").all(),
        plain=(column.is_not_null() & ~column.is_in(take_back or ())).all(),
    )
    harmless = frame.filter(pl.all_horizontal(pl.col(take_back).is_null())) if take_back else frame.clear()
    silent = (
        (pl.col("twice") & pl.col("row").is_in(twins["row"].implode()))
        | (pl.col("unsaid") & pl.col("row").is_in(empty[ROW].implode()))
        | pl.col("blank")
        | (pl.col("plain") & pl.col("row").is_in(harmless[ROW].implode()))
    )
    return why.filter(~silent).select("row").sort("row")


def _held(
    site: Site,
    feed: Feed,
    plain: pl.Series,
    sealed: pl.Series,
    table: str,
    mapped: Mapping[str, Mapped],
    listed: Mapping[str, pa.Table],
    before: Mapping[str, Any],
) -> pl.Series:
    """Of each value of a column whether it names somebody."""
    name, named = plain.name, plain.is_not_null()
    issuing = [t for t, facts in site.facts(feed).items() if facts.key == (name,)]
    if not issuing:
        return named
    now = [mapped[t].frame[name] for t in issuing if t in mapped]
    now += [keyed.to_series(listed[t].column(name)) for t in issuing if t in listed]
    known = plain.is_in(pl.concat([plain.clear(), *now]).implode()).fill_null(value=False)
    if (named & ~known).any():
        held = [
            keyed.to_series(tables.read(site, feed.id, t, before[t]["version"], [name]).column(name))
            for t in (*issuing, table)
            if t in before
        ]
        known |= sealed.is_in(pl.concat([sealed.clear(), *held]).implode()).fill_null(value=False)
    return (named & known).alias(name)


def versions(feeds: Mapping[str, Any], before: Mapping[str, int]) -> dict[str, int]:
    """Of each feed's quarantine the version that counts: tonight's (`feeds`: how they closed), or where it
    was judged on no drop that of the night's tables `before`."""
    names = {feed: f"quarantine_{feed}" for feed in feeds}
    found = {
        names[feed]: said["quarantine"]["version"] if said["quarantine"] else before.get(names[feed])
        for feed, said in feeds.items()
    }
    return {name: version for name, version in found.items() if version is not None}


def unread(site: Site, versions: Mapping[str, int], names: Collection[str]) -> pl.DataFrame:
    """Columns of `quarantine.SCHEMA`: open refused rows of these tables over all feeds, with ids of the
    newest key version. `versions`: a night's tables."""
    found = [pl.DataFrame(SCHEMA.empty_table())]
    for feed in site.feeds.values():
        if f"quarantine_{feed.id}" in versions:
            opened = site.lake.read(f"quarantine_{feed.id}", versions[f"quarantine_{feed.id}"])
            current = keyed.to_frame(brought_up(site, feed, opened))
            found.append(current.filter(pl.col("table").is_in(list(names))))
    return pl.concat(found)


def brought_up(site: Site, feed: Feed, opened: pa.Table) -> pa.Table:
    """A feed's quarantine with ids of the newest key version; its rows in any order."""
    rows = keyed.to_frame(opened)
    known = sorted(RESTRICTIONS.keys() & feed.tables.keys())
    found = [rows.filter(~pl.col("table").is_in(known))]
    for name in known:
        mine = keyed.to_arrow(rows.filter(pl.col("table") == name))
        facts = site.facts(feed)[name]
        current = rekeying.up_to_date(mine, facts, agency=feed.agency, keys=site.keys)
        found.append(keyed.to_frame(current))
    return keyed.to_arrow(pl.concat(found))


def consents(site: Site, versions: Mapping[str, int]) -> pl.DataFrame:
    """`consent.DOUBTED` of a night's tables."""
    whose = pl.when(~pl.col("names_nobody")).then("client_id")
    refused = unread(site, versions, ["consents", "episodes"]).filter(
        pl.col("names_nobody") | pl.col("client_id").is_not_null()
    )
    of_line = pl.col("table") == "consents"
    told = refused.select(
        "feed",
        whose.alias("client_id"),
        pl.when(of_line).then("record_id").alias("record_id"),
        pl.when(~of_line).then(pl.lit(consent_ends.TREATMENT)).alias("expiry_event"),
    )
    return told.unique().sort(*consent.DOUBTED)


def cases(site: Site, versions: Mapping[str, int]) -> pa.Table:
    """`casework.seals.UNREAD` of a night's tables."""
    refused = unread(site, versions, ["dispositions", "seal_orders"]).sort(*_WHERE, "opened_on")
    refused = refused.unique([*_WHERE], keep="first", maintain_order=True)
    named = pl.col("names_nobody") | pl.any_horizontal(pl.col(NAMED).is_not_null())
    return keyed.to_arrow(refused.filter(named).select(UNREAD).sort(UNREAD, nulls_last=True))


def nameless(opened: pa.Table) -> list[dict[str, Any]]:
    """Of a feed's quarantine, by drop, table and row, what may take something back and names nobody:
    `_WHERE` and `faults`, each a column and its rule."""
    rows = keyed.to_frame(opened).filter("names_nobody")
    fault = pl.concat_str(pl.col("column").fill_null("the row"), pl.lit(": "), "reason")
    return rows.group_by(_WHERE).agg(faults=fault.sort()).sort(_WHERE).to_dicts()


def told(rows: list[dict[str, Any]]) -> str:
    """`nameless` rows in words for a steward: where, why, what is withheld, and how it ends."""
    named = [
        f"row {r['row']} of [{r['table']}] in drop {r['drop_id'][:8]} ({', '.join(r['faults'])})"
        for r in rows
    ]
    tables = {r["table"] for r in rows}
    effect = next(
        (said for table, said in _WITHHELD.items() if table in tables),
        "nothing is withheld for it, what it seals may still be delivered",
    )
    return (
        f"refused and names nobody: {'; '.join(named)}. It may be a revocation, an end of treatment or a "
        f"seal; {effect}. Ask the agency for a corrected row; where it says that none is needed, "
        "`leadhub quarantine dismiss` it"
    )

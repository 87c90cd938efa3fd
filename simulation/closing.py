"""The table at the end of a demo: what came in, who was found, what left, and where it lies."""

from __future__ import annotations

from typing import Any

import polars as pl
from rich import box
from rich.console import Console
from rich.table import Table

from connectors.base import connection_from_environment
from leadhub.foundation import clock, ledger
from leadhub.identity import pseudonymise
from leadhub.permission import linking
from leadhub.steps import seals
from leadhub.steps.site import Site, open_site
from leadhub.steps.tables import core_table
from simulation.county import County


def site() -> Site:
    """The site of this environment, without Airflow."""
    return open_site(connection_from_environment)


def partners(of: Site) -> list[str]:
    return sorted({a.partner for a in of.agreements.values()})


def linkage_quality(of: Site, truth: pl.DataFrame, night: str) -> dict[str, Any]:
    """Pairwise precision and recall of the crosswalk over the person records that were accepted and may be
    linked; `barred`: those that may not (`permission.linking`).

    `truth`: feed, table, local_id, person. Pairs are counted from group sizes, over all feeds.
    """
    manifest = of.lake.night(night)
    crosswalk = pl.DataFrame(pl.from_arrow(of.lake.read("crosswalk", manifest["tables"]["crosswalk"])))
    parts = []
    for (feed_id, table), rows in truth.group_by("feed", "table"):
        facts = of.facts(of.feeds[feed_id])[table]
        keyed = rows.select(pl.col("local_id").alias(facts.key[0])).to_arrow()
        ids = pseudonymise.record_ids(keyed, facts, feed=feed_id, keys=of.keys)
        parts.append(rows.select("person").with_columns(record_id=pl.Series(ids, dtype=pl.String)))
    barred = _barred(of, manifest)
    accepted = pl.concat(parts).join(crosswalk, on="record_id")
    known = accepted.filter(~pl.col("record_id").is_in(barred.implode()))

    def pairs(*by: str) -> int:
        sizes = known.group_by(*by).len().get_column("len").cast(pl.Int64)
        return int((sizes * (sizes - 1) // 2).sum())

    found, true, right = pairs("person_id"), pairs("person"), pairs("person_id", "person")
    return {
        "records": known.height,
        "barred": accepted.height - known.height,
        "persons_found": known.get_column("person_id").n_unique(),
        "persons_true": known.get_column("person").n_unique(),
        "precision": right / found if found else None,
        "recall": right / true if true else None,
    }


def _barred(of: Site, manifest: dict[str, Any]) -> pl.Series:
    """Records of persons whom linkage may not use."""
    ids = [pl.Series(dtype=pl.String)]
    for feed_id, said in manifest["feeds"].items():
        feed, facts = of.feeds[feed_id], of.facts(of.feeds[feed_id])
        tables = {t: of.lake.read(core_table(feed_id, t), c["version"]) for t, c in said["tables"].items()}
        register = seals.register(of)
        may = linking.linkable(feed, tables, register, at=clock.now(), time_zone=of.settings.time_zone)
        for name in (t for t in tables if may and facts[t].holds_persons):
            persons = pl.DataFrame(pl.from_arrow(tables[name]))
            ids.append(persons.filter(~may.among(persons.get_column(may.key))).get_column("record_id"))
    return pl.concat(ids)


def summary(of: Site, county: County, seconds: dict[str, float]) -> dict[str, Any]:
    """What `var/demo/summary.json` holds; no value of any row."""
    nights = []
    for number, (night, took) in enumerate(seconds.items(), start=1):
        manifest = of.lake.night(night)
        feeds = {
            feed: {"status": said["status"], "as_of": said["as_of"], **said["counts"]}
            for feed, said in manifest["feeds"].items()
        }
        deliveries = []
        for agreement in of.agreements.values():
            said = of.lake.receipt(night, agreement.id, "deliver")
            deliveries.append(
                {
                    "partner": agreement.partner,
                    "dataset": agreement.dataset,
                    "sequence": said["sequence"],
                    "rows": said["rows"],
                    "where": f"sftp/{agreement.partner}/outbox/{said['remote']}",
                }
            )
        nights.append(
            {
                "night": night,
                "seconds": round(took, 1),
                "feeds": feeds,
                "linkage": linkage_quality(of, county.truth(number), night),
                "deliveries": deliveries,
                "discrepancies": of.lake.receipt(night, "night", "reconcile")["rows"]["discrepancies"],
            }
        )
    ledgers = {p: ledger.head(of.settings.var / "ledger" / f"{p}.jsonl").seq for p in partners(of)}
    return {"persons": county.persons, "seed": county.seed, "nights": nights, "ledger_entries": ledgers}


def _table(*headers: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title_justify="left")
    for header in headers:
        table.add_column(header, overflow="fold")
    return table


def show(found: dict[str, Any], console: Console) -> None:
    """The summary as tables for a steward."""
    for night in found["nights"]:
        feeds = _table("feed", "status", "read", "accepted", "quarantined", "as of")
        feeds.title = f"night {night['night']}: {night['seconds']} s"
        for column in feeds.columns[2:5]:
            column.justify = "right"
        for name, said in night["feeds"].items():
            counts = [f"{said[c]:,}" for c in ("read", "accepted", "quarantined")]
            feeds.add_row(name, said["status"], *counts, said["as_of"] or "never")
        console.print(feeds)
        linked = night["linkage"]
        console.print(
            f"linked {linked['records']:,} records to {linked['persons_found']:,} persons "
            f"(truth {linked['persons_true']:,}): precision {linked['precision']:.4f}, "
            f"recall {linked['recall']:.4f}; {linked['barred']} more may not be linked; "
            f"{night['discrepancies']} discrepancies for the stewards"
        )
        sent = _table("partner", "dataset", "delivery", "rows", "where")
        sent.columns[3].justify = "right"
        for said in night["deliveries"]:
            row = [said["partner"], said["dataset"], f"no. {said['sequence']}", f"{said['rows']:,}"]
            sent.add_row(*row, f"var/{said['where']}")
        console.print(sent)
        console.print()

"""The night over all feeds: what the agencies say together, and the commit."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from leadhub.foundation import clock, failpoints, files
from leadhub.foundation.errors import TerminalError
from leadhub.foundation.lease import lease
from leadhub.permission import consent_ends
from leadhub.steps import approvals, departed, doubts, past_consents, seals
from leadhub.steps import tables as state_tables
from leadhub.steps.ingest import Receipt
from leadhub.steps.site import Site

if TYPE_CHECKING:
    from leadhub.casework import Casework, Inputs

SCOPE = "night"
_CASE = ("feed", "da_case_no")


def closed_feeds(site: Site, night: str) -> dict[str, Receipt]:
    """What each feed's `close` said. Raises: TerminalError `night_incomplete` naming the open ones."""
    closed = {f: site.lake.receipt(night, f, "close") for f in site.feeds}
    still_open = sorted(f for f, receipt in closed.items() if receipt is None)
    if still_open:
        raise TerminalError(
            "night_incomplete", f"night {night} is still open for {still_open}; let their `close` run first"
        )
    return {f: r for f, r in closed.items() if r is not None}


def inputs(site: Site, feeds: dict[str, Receipt], linked: Receipt, before: dict[str, int]) -> Inputs:
    """Casework's inputs: state tables by contract kind, over all its feeds, and what `link` found.
    `before`: the tables of the last committed night."""
    from leadhub.casework import Inputs

    tables: dict[str, dict[str, list[pa.Table]]] = defaultdict(lambda: defaultdict(list))
    for feed_id, receipt in feeds.items():
        feed = site.feeds[feed_id]
        for name, counts in receipt["tables"].items():
            table = state_tables.read(site, feed_id, name, counts["version"])
            named = table.append_column("feed", pa.array([feed_id] * table.num_rows, pa.string()))
            tables[feed.contract][name].append(named)
    joined = {
        kind: {name: pa.concat_tables(parts) for name, parts in by_name.items()}
        for kind, by_name in tables.items()
    }
    return Inputs(
        police=joined.get("police", {}),
        da=joined.get("da", {}),
        provider=joined.get("provider", {}),
        disputes=joined.get("disputes", {}),
        crosswalk=site.lake.read("crosswalk", linked["tables"]["crosswalk"]),
        pairs=site.lake.read("linkage_pairs", linked["tables"]["linkage_pairs"]),
        seals=seals.register(site),
        unread=doubts.cases(site, doubts.versions(feeds, before)),
    )


def reconcile(site: Site, night: str) -> Receipt:
    """One diversion record a referral, the statements behind it, and who disagrees."""
    from leadhub import casework

    with lease(site.leases, "night"):
        done = site.lake.receipt(night, SCOPE, "reconcile")
        if done:
            return done
        linked, closed = site.lake.receipt(night, SCOPE, "link"), closed_feeds(site, night)
        if linked is None:
            raise TerminalError("night_incomplete", f"night {night} is not linked yet")
        base = site.lake.base(night)
        told = inputs(site, closed, linked, base["tables"])
        found = casework.reconcile(told, night=night, time_zone=site.settings.time_zone)
        versions, rows, hashes = {}, {}, {}
        for name, table in found.tables().items():
            versions[name], rows[name] = site.lake.write(name, table), table.num_rows
            hashes[name] = content_hash(table)
            failpoints.reach("reconcile.between_tables")
        gone = departed.tonight(site, night, closed, base)
        versions[departed.TABLE] = site.lake.write(departed.TABLE, gone)
        _keep(site, night, told, found)
        receipt = {
            "status": "reconciled",
            "night": night,
            "tables": versions,
            "rows": rows,
            "hashes": hashes,
        }
        return site.lake.put_receipt(night, SCOPE, "reconcile", receipt)


def _keep(site: Site, night: str, told: Inputs, found: Casework) -> None:
    """What outlives every table: consents that are over, seals, and how sealed cases had ended."""
    import polars as pl

    from leadhub.casework import outcomes
    from leadhub.casework.frames import Frames
    from leadhub.casework.seals import vacated

    if "consents" in told.provider:
        lines, episodes = told.provider["consents"], told.provider.get("episodes")
        over = consent_ends.over(lines, date.fromisoformat(night), episodes, found.justice_events)
        past_consents.remember(site, night, over)
    new = seals.remember(site, night, found.seals)
    if "seal_orders" in told.da:
        orders = pl.DataFrame(pl.from_arrow(told.da["seal_orders"]))
        seals.vacate(site, night, vacated(orders, date.fromisoformat(night)))
    if new:
        named = [{name: seal[name] for name in _CASE} for seal in new]
        cases = pl.DataFrame(named, schema=dict.fromkeys(_CASE, pl.String)).drop_nulls()
        frames = Frames.of(told, night=night, time_zone=site.settings.time_zone)
        seals.count(site, night, outcomes.counted(frames, cases))


def content_hash(table: pa.Table) -> str:
    """Of the rows in their order, whatever version number they were written as."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table.combine_chunks())
    return files.sha256_bytes(sink.getvalue())


def commit(site: Site, night: str) -> Receipt:
    """The commit: one renamed manifest that names the version of every table."""
    with lease(site.leases, "night"):
        done = site.lake.night(night)
        if done:
            return _receipt(done)
        base, feeds = site.lake.base(night), closed_feeds(site, night)
        linked = site.lake.receipt(night, SCOPE, "link")
        reconciled = site.lake.receipt(night, SCOPE, "reconcile")
        if linked is None or reconciled is None:
            raise TerminalError("night_incomplete", f"night {night} is not reconciled yet")
        tables = {
            state_tables.core_table(f, t): c["version"]
            for f, r in feeds.items()
            for t, c in r["tables"].items()
        }
        manifest = {
            "night": night,
            "previous": base["night"],
            "committed_at": clock.stamp(clock.now()),
            "feeds": feeds,
            "tables": {
                **tables,
                **doubts.versions(feeds, base["tables"]),
                **linked["tables"],
                **reconciled["tables"],
            },
            "hashes": reconciled["hashes"],
            "person_counter": linked["person_counter"],
            "linkage": linked["linkage"],
            "asked_bits": approvals.asked_bits(site, base.get("asked_bits", ())),
            "key_version": site.keys.version,
        }
        failpoints.reach("night.before_commit")
        site.lake.commit_night(night, manifest)
        failpoints.reach("night.after_commit")
        return _receipt(manifest)


def _receipt(manifest: dict[str, Any]) -> Receipt:
    return {
        "status": "committed",
        "night": manifest["night"],
        "feeds": {f: r["status"] for f, r in manifest["feeds"].items()},
        "tables": len(manifest["tables"]),
    }

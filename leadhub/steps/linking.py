"""A night's linking: who is who.

Under the frozen model only what changed since the last committed night is compared; what comes out is what
linking everything would give (`incremental`). Everything is linked where there is no such night, where a
steward approved another model since, or where too much changed for that to be quicker.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl
import pyarrow as pa

from leadhub.foundation import failpoints
from leadhub.foundation.errors import TerminalError
from leadhub.foundation.lease import lease
from leadhub.identity import crosswalk, keyed, linkage, overlap
from leadhub.identity import tokens as linkage_tokens
from leadhub.identity.linkage import carrying, decisions, incremental
from leadhub.identity.linkage.schema import person
from leadhub.steps import models, numbers, review
from leadhub.steps.ingest import Receipt
from leadhub.steps.night import SCOPE, closed_feeds
from leadhub.steps.site import Site

#: of the token files, those that linking writes
FOLDERS = ("limits", "pairs", "overlap")
#: share of the records beyond which linking everything is quicker
MOST_CHANGED = 0.2


@dataclass(frozen=True)
class Tonight:
    """Token files by feed, all their rows, and what else decides how records are linked: `numbers` that
    join two (`shared_numbers`), and what stewards `decided`."""

    files: dict[str, str]
    table: pa.Table
    one_per_person: frozenset[str]
    numbers: list[dict[str, Any]]
    decided: list[dict[str, Any]]
    #: links of records whose tokens did not outlive a rotation of the linkage key (`linkage_rotation`)
    carried: list[dict[str, str]]
    #: records that may not be linked
    barred: set[str]
    #: while two versions of the linkage key are side by side: what a rotation said of it, with tonight's
    #: `file`, and the records that have tokens of the older one
    overlap: Receipt | None
    late: pa.Table | None

    @property
    def said(self) -> list[dict[str, Any]]:
        """Of a pair the last word counts: the steward's."""
        return self.saying(self.decided)

    def saying(self, decided: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [*self.numbers, *self.carried, *decisions.permitted(decided, self.barred)]


def link(site: Site, night: str) -> Receipt:
    """Tokens of all feeds become clusters, clusters become persons with ids that last."""
    with lease(site.leases, "night"):
        done = site.lake.receipt(night, SCOPE, "link")
        if done:
            return done
        base = site.lake.base(night)
        tonight = gather(site, closed_feeds(site, night), base["linkage"] if base["night"] else {})
        linked, changed = _linked(site, base, tonight)
        previous = base["tables"].get("crosswalk")
        assigned = crosswalk.assign(
            site.lake.read("crosswalk", previous) if previous is not None else None,
            linked.clusters,
            night=night,
            counter=base["person_counter"],
            keys=site.keys,
            decided=tonight.decided,
        )
        events = assigned.events
        known = base["tables"].get("crosswalk_events")
        if known is not None:
            # events from before decisions were named have none
            earlier = site.lake.read("crosswalk_events", known)
            events = pa.concat_tables([earlier, events], promote_options="default")
        tables = {
            "crosswalk": assigned.crosswalk,
            "crosswalk_events": events,
            "linkage_left_out": linked.left_out,
            "linkage_pairs": review.without_evidence(site, linked.pairs, base.get("asked_bits", ())),
        }
        versions = {name: site.lake.write(name, table) for name, table in tables.items()}
        used = models.keep(site, linked) | {"pairs": site.lake.write_tokens("pairs", linked.pairs)}
        failpoints.reach("link.before_commit")
        receipt = {
            "status": "linked",
            "night": night,
            "tables": versions,
            "records": assigned.crosswalk.num_rows,
            "compared_anew": changed,
            "persons": len(assigned.crosswalk["person_id"].unique()),
            "events": assigned.events.num_rows,
            "person_counter": assigned.counter,
            "linkage": {
                **used,
                "one_per_person": sorted(tonight.one_per_person),
                "decisions": len(tonight.decided),
                "carried": tonight.carried,
                "overlap": tonight.overlap,
            },
        }
        return site.lake.put_receipt(night, SCOPE, "link", receipt)


def gather(site: Site, feeds: dict[str, Receipt], before: Receipt) -> Tonight:
    """Tokens alone: no row of an agency's tables. `before`: what the night before said of its linkage.

    Raises: TerminalError `night_incomplete` where no feed ever brought a person.
    """
    files = {f: r["token_file"] for f, r in feeds.items() if r["token_file"]}
    if not files:
        raise TerminalError("night_incomplete", "no feed has ever brought a person")
    table = pa.concat_tables(site.lake.read_tokens(name) for name in files.values())
    kept, late = before.get("overlap"), None
    if kept:
        older, newer = (
            linkage_tokens.marker(person(), site.settings.linkage_tier, keys)
            for keys in (site.keys.at("linkage", kept["version"]), site.keys)
        )
        late = overlap.under(table, older)
        named = [kept["file"], *(r["overlap_file"] for r in feeds.values() if r.get("overlap_file"))]
        known = overlap.wanted((site.lake.read_tokens(name) for name in named), late)
        kept = kept | {"file": site.lake.write_tokens("overlap", known), "records": late.num_rows}
        table = overlap.brought_up(table, known, older, newer)
    quoted = [r["numbers_file"] for r in feeds.values()]
    barred = numbers.barred(site, quoted)
    carried = before.get("carried", [])
    without = set(linkage_tokens.tokenless(table)) if carried else set()
    return Tonight(
        files,
        table,
        frozenset(f for f in feeds if site.feeds[f].one_record_per_person),
        numbers.joined(site, quoted),
        review.made(site),
        carrying.still(carried, without, barred),
        barred,
        kept,
        late,
    )


def _linked(site: Site, base: Receipt, tonight: Tonight) -> tuple[linkage.Linked, int]:
    """And how many records were compared anew."""
    frozen = models.in_force(site, base, tonight.table.num_rows)
    facts: dict[str, Any] = {"one_per_person": tonight.one_per_person, "decided": tonight.said}
    if frozen:
        facts |= {"model": frozen.model, "limits": frozen.limits}
        changed = changes(site, base, tonight) if frozen.in_use else None
        if changed is not None and len(changed) <= MOST_CHANGED * tonight.table.num_rows:
            before = _before(site, base, frozen)
            found = incremental.link_changes(tonight.table, changed=changed, before=before, **facts)
            if found is not None:
                return found, len(changed)
    linked = linkage.link(tonight.table, **facts, tier=site.settings.linkage_tier)
    return linked, tonight.table.num_rows


def changes(site: Site, base: Receipt, tonight: Tonight) -> set[str] | None:
    """Records that are new or have other tokens than on the night of `base`, and those that a steward
    decided about since. None where feeds hold persons otherwise than then."""
    if base["linkage"]["one_per_person"] != sorted(tonight.one_per_person):
        return None
    changed = set()
    for feed, name in tonight.files.items():
        earlier = base["feeds"].get(feed, {}).get("token_file")
        if name != earlier:
            changed |= _differing(site, name, earlier)
    changed |= _otherwise_known(site, base, tonight)
    known = [r["numbers_file"] for f, r in base["feeds"].items() if f in site.feeds]
    # of one without tokens nothing else changes when it is barred, yet what joined it counts no more
    changed |= numbers.barred(site, known) ^ tonight.barred
    before = numbers.joined(site, known)
    then, now = ({(p["left"], p["right"]) for p in found} for found in (before, tonight.numbers))
    changed |= {record for pair in then ^ now for record in pair}
    for decision in tonight.decided[base["linkage"]["decisions"] :]:
        changed |= {decision["left"], decision["right"]}
    return changed


def _differing(site: Site, name: str, earlier: str | None) -> set[str]:
    before = site.lake.read_tokens(earlier) if earlier is not None else None
    return set(linkage_tokens.differing(site.lake.read_tokens(name), before))


def _otherwise_known(site: Site, base: Receipt, tonight: Tonight) -> set[str]:
    """Records of which a token of the older linkage key is known by its newer one since `base`."""
    if not tonight.late or not tonight.overlap:
        return set()
    marker = tonight.late.column("marker")[0].as_py()
    then, now = (
        overlap.brought_up(tonight.late, site.lake.read_tokens(said["file"]), marker, marker)
        for said in (base["linkage"]["overlap"], tonight.overlap)
    )
    return set(linkage_tokens.differing(now, then))


def files_of(facts: dict[str, Any]) -> set[str]:
    """Token files that a night's `linkage` names."""
    kept = facts.get("overlap")
    return models.files_of(facts) | {facts["pairs"]} | ({kept["file"]} if kept else set())


def _before(site: Site, base: Receipt, frozen: models.Frozen) -> linkage.Linked:
    """What the last committed night found, from its tables: a person was a cluster."""
    read = {n: site.lake.read(n, base["tables"][n]) for n in ("crosswalk", "linkage_left_out")}
    known = keyed.to_frame(read["crosswalk"])
    clusters = known.select("record_id", "feed", cluster=pl.col("record_id").min().over("person_id"))
    return linkage.Linked(
        pairs=review.pairs_of(site, base),
        clusters=keyed.to_arrow(clusters),
        left_out=read["linkage_left_out"],
        model=frozen.model,
        limits=frozen.limits,
        grown=base["linkage"]["grown"],
    )

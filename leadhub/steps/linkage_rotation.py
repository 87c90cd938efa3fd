"""A new version of the linkage key: every token anew from what landing still holds, no agency asked.

First everything is written beside what there is; then one file, the plan, names what takes whose place;
then it is carried out. Interrupted before the plan, nothing happened; after it, nothing else runs until it
is finished. Records whose drops retention has destroyed have no tokens until they are sent again: their
links are carried over from the crosswalk.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from leadhub.foundation import files
from leadhub.foundation import keys as key_ring
from leadhub.foundation.keys import Keys
from leadhub.identity import keyed, linkage
from leadhub.identity import pseudonymise as pseudonyms
from leadhub.identity import tokens as linkage_tokens
from leadhub.identity.linkage import carrying
from leadhub.identity.linkage import limits as linkage_limits
from leadhub.identity.linkage.records import encode
from leadhub.identity.linkage.schema import person
from leadhub.intake.feeds import Feed
from leadhub.steps import models
from leadhub.steps.ingest import Receipt
from leadhub.steps.site import PLAN, Site


def rotate(site: Site, keys: Keys) -> dict[str, Any]:
    """`keys`: the ring with the new version, not yet recorded. Returns the plan that was carried out."""
    nights = site.lake.nights()
    manifest = (site.lake.night(nights[-1]) or {}) if nights else {"feeds": {}}
    held = {f: r["token_file"] for f, r in manifest["feeds"].items() if r["token_file"] and f in site.feeds}
    before = {feed: site.lake.read_tokens(name) for feed, name in held.items()}
    now = {
        feed: _anew(site, site.feeds[feed], table, manifest["feeds"][feed], keys)
        for feed, table in before.items()
    }
    lost = pl.concat([pl.Series([], dtype=pl.String), *(_lost(before[f], now[f]) for f in before)])
    plan = {
        "night": nights[-1] if nights else None,
        "version": keys.version_of("token:link"),
        "token_files": {held[f]: site.lake.write_tokens(f, table) for f, table in now.items()},
        "limits": _limits(site, manifest, list(before.values()), list(now.values())) if before else {},
        "carried": _links(site, manifest, lost),
        "tokens_anew": sum(t.num_rows for t in now.values()) - len(lost),
        "without_tokens": len(lost),
    }
    files.write_json(_plan(site), plan)
    return finish(site) or plan


def finish(site: Site) -> dict[str, Any] | None:
    """Carry out a plan that stands; None without one. Run again, the same."""
    if not _plan(site).exists():
        return None
    plan = files.read_json(_plan(site))
    manifest = site.lake.night(plan["night"]) if plan["night"] else None
    if manifest:
        for receipt in manifest["feeds"].values():
            receipt["token_file"] = plan["token_files"].get(receipt["token_file"], receipt["token_file"])
        _put_limits(manifest["linkage"], plan)
        manifest["linkage"]["carried"] = plan["carried"]
        site.lake.commit_night(plan["night"], manifest)
    for path in sorted(models.folder(site).glob("*.json")):
        facts = files.read_json(path)
        _put_limits(facts, plan)
        files.write_json(path, facts)
    if site.keys.versions.get("linkage", site.keys.version) < plan["version"]:
        key_ring.rotated(site.keys, site.settings.key_state, "linkage")
    _plan(site).unlink()
    return plan


def _plan(site: Site) -> Path:
    return site.settings.var / PLAN


def _put_limits(facts: dict[str, Any], plan: dict[str, Any]) -> None:
    name = facts["limits"]["file"]
    facts["limits"]["file"] = plan["limits"].get(name, name)


def _anew(site: Site, feed: Feed, known: pa.Table, receipt: Receipt, keys: Keys) -> pa.Table:
    """`known` under `keys`: the same records in their order. Tokenless where it was, or where no drop that
    is still held has the record."""
    made = []
    for drop in site.landing.drops(feed.id):
        for name, facts in site.facts(feed).items():
            there = site.landing.path(drop, f"accepted/{name}").exists()
            if facts.holds_persons and there and drop.drop_id in receipt["applied"]:
                rows = site.landing.read_accepted(drop, name)
                made.append(
                    pseudonyms.pseudonymise(
                        rows,
                        facts,
                        feed=feed.id,
                        agency=feed.agency,
                        night=drop.night,
                        keys=keys,
                        tier=site.settings.linkage_tier,
                    ).tokens
                )
    old = pl.DataFrame(pl.from_arrow(known))
    marker = linkage_tokens.marker(person(), site.settings.linkage_tier, keys)
    plain = old.select("record_id", "feed", marker=pl.lit(marker))
    if not made:
        return keyed.to_arrow(pl.concat([old.clear(), plain], how="diagonal"))
    every = pl.concat([pl.DataFrame(pl.from_arrow(t)) for t in made])
    last = every.unique("record_id", keep="last", maintain_order=True)
    barred = linkage_tokens.tokenless(known)
    found = plain.join(last.drop("feed", "marker"), on="record_id", how="left", maintain_order="left")
    return linkage_tokens.without(keyed.to_arrow(found.select(every.columns)), barred)


def _lost(before: pa.Table, now: pa.Table) -> pl.Series:
    gone, never = linkage_tokens.tokenless(now), linkage_tokens.tokenless(before)
    return gone.filter(~gone.is_in(never.implode()))


def _limits(site: Site, manifest: Receipt, before: list[pa.Table], now: list[pa.Table]) -> dict[str, str]:
    """Limits file → the file that takes its place: of the models in use, approved and proposed."""
    named = [manifest["linkage"], *models.approved(site), models.proposal(site)]
    alone = frozenset(manifest["linkage"]["one_per_person"])
    old, new = (encode(pa.concat_tables(tables), alone, person()) for tables in (before, now))
    placed: dict[str, str] = {}
    for facts in filter(None, named):
        name = facts["limits"]["file"]
        if name in placed or linkage.fitting(facts["model"], site.settings.linkage_tier) is None:
            continue
        told = {k: v for k, v in facts["limits"].items() if k != "file"}
        known = linkage_limits.from_facts(told, site.lake.read_tokens(name))
        placed[name] = site.lake.write_tokens("limits", carrying.limits(known, old, new).table())
    return placed


def _links(site: Site, manifest: Receipt, lost: pl.Series) -> list[dict[str, str]]:
    carried = manifest.get("linkage", {}).get("carried", [])
    if not len(lost):
        return carried
    crosswalk = site.lake.read("crosswalk", manifest["tables"]["crosswalk"])
    persons = pl.DataFrame(pl.from_arrow(crosswalk)).select("record_id", "person_id")
    return [*carried, *carrying.links(persons, lost)]

"""A new version of the linkage key: every token anew from what landing still holds, no agency asked.

Records whose drops retention has destroyed keep the tokens that they have, for an overlap window
(`identity.overlap`), which a second word ends: `retire`. From then on those have no tokens until they are
sent again, and their links are carried over from the crosswalk.

First everything is written beside what there is; then one file, the plan, names what takes whose place;
then it is carried out. Interrupted before the plan, nothing happened; after it, nothing else runs until it
is finished.
"""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from leadhub.foundation import clock, files
from leadhub.foundation import keys as key_ring
from leadhub.foundation.errors import TerminalError
from leadhub.foundation.keys import Keys
from leadhub.identity import keyed, linkage, overlap
from leadhub.identity import tokens as linkage_tokens
from leadhub.identity.linkage import carrying
from leadhub.identity.linkage import limits as linkage_limits
from leadhub.identity.linkage.records import encode
from leadhub.identity.linkage.schema import person
from leadhub.intake.feeds import Feed
from leadhub.steps import models, state, upkeep
from leadhub.steps.ingest import Receipt
from leadhub.steps.site import PLAN, Site


def rotate(site: Site, keys: Keys) -> dict[str, Any]:
    """`keys`: the ring with the new version, not yet recorded. Returns the plan that was carried out.

    Raises: TerminalError `state_invalid` while the version before last is still kept.
    """
    manifest, held = _held(site)
    if manifest["linkage"].get("overlap"):
        raise TerminalError(
            "state_invalid",
            "an older version of the linkage key is still kept beside the newest; end that first: "
            "`leadhub keys retire`",
        )
    before = {feed: site.lake.read_tokens(name) for feed, name in held.items()}
    now = {
        feed: _anew(site, site.feeds[feed], table, manifest["feeds"][feed], keys)
        for feed, table in before.items()
    }
    markers = _marker(site, site.keys), _marker(site, keys)
    late = [overlap.under(table, markers[0]) for table in now.values()]
    records = sum(table.num_rows for table in late)
    kept, one = None, list(now.values())
    if records:
        both = (
            overlap.versions(overlap.under(before[f], markers[0]), overlap.under(now[f], markers[1]))
            for f in before
        )
        known = overlap.wanted(both, pa.concat_tables(late))
        one = [overlap.brought_up(table, known, *markers) for table in one]
        kept = {
            "version": site.keys.version_of("token:link"),
            "until": _window_ends(site),
            "records": records,
            "file": site.lake.write_tokens("overlap", known),
        }
    return _carry_out(
        site,
        manifest,
        {
            "version": keys.version_of("token:link"),
            "token_files": {held[f]: site.lake.write_tokens(f, table) for f, table in now.items()},
            "limits": _limits(site, manifest, list(before.values()), one) if before else {},
            "carried": manifest["linkage"].get("carried", []),
            "overlap": kept,
            "tokens_anew": sum(t.num_rows for t in now.values()) - records,
            "kept_older": records,
            "without_tokens": 0,
        },
    )


def retire(site: Site) -> dict[str, Any]:
    """End the overlap window: no token of the older version is kept. Returns the plan that was carried out.

    Raises: TerminalError `state_invalid` where none is kept.
    """
    manifest, held = _held(site)
    kept = manifest["linkage"].get("overlap")
    if not kept:
        raise TerminalError("state_invalid", "no older version of the linkage key is kept; all is done")
    markers = _marker(site, site.keys.at("linkage", kept["version"])), _marker(site, site.keys)
    known = site.lake.read_tokens(kept["file"])
    before = {feed: site.lake.read_tokens(name) for feed, name in held.items()}
    done = {feed: overlap.ended(table, known, *markers) for feed, table in before.items()}
    lost = pl.concat([pl.Series([], dtype=pl.String), *(lost for _, lost in done.values())])
    one = [overlap.brought_up(table, known, *markers) for table in before.values()]
    return _carry_out(
        site,
        manifest,
        {
            "version": site.keys.version_of("token:link"),
            "token_files": {held[f]: site.lake.write_tokens(f, table) for f, (table, _) in done.items()},
            "limits": _limits(site, manifest, one, [table for table, _ in done.values()]),
            "carried": _links(site, manifest, lost),
            "overlap": None,
            "retired": kept["version"],
            "tokens_anew": kept["records"] - len(lost),
            "kept_older": 0,
            "without_tokens": len(lost),
        },
    )


def _held(site: Site) -> tuple[Receipt, dict[str, str]]:
    """The last night's manifest, and the token files of the feeds in it."""
    nights = site.lake.nights()
    manifest = (site.lake.night(nights[-1]) if nights else None) or {
        "night": None,
        "feeds": {},
        "linkage": {},
    }
    feeds = manifest["feeds"].items()
    return manifest, {f: r["token_file"] for f, r in feeds if r["token_file"] and f in site.feeds}


def _marker(site: Site, keys: Keys) -> str:
    return linkage_tokens.marker(person(), site.settings.linkage_tier, keys)


def _window_ends(site: Site) -> str:
    today = date.fromisoformat(clock.tonight(site.settings.time_zone))
    return (today + timedelta(days=site.settings.linkage_overlap_days)).isoformat()


def _carry_out(site: Site, manifest: Receipt, plan: dict[str, Any]) -> dict[str, Any]:
    plan |= {"night": manifest["night"]}
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
            receipt["overlap_file"] = None if plan["overlap"] is None else receipt.get("overlap_file")
        _put_limits(manifest["linkage"], plan)
        manifest["linkage"] |= {"carried": plan["carried"], "overlap": plan["overlap"]}
        site.lake.commit_night(plan["night"], manifest)
    for path in sorted(models.folder(site).glob("*.json")):
        facts = files.read_json(path)
        _put_limits(facts, plan)
        files.write_json(path, facts)
    if site.keys.versions.get("linkage", site.keys.version) < plan["version"]:
        key_ring.rotated(site.keys, site.settings.key_state, "linkage")
    # what earlier nights left, too: only then is the older version's end true
    upkeep.forget_unnamed(site)
    if plan.get("retired"):
        key_ring.destroyed(site.settings.key_state, "linkage", plan["retired"], "every token made with it")
    _plan(site).unlink()
    return plan


def _plan(site: Site) -> Path:
    return site.settings.var / PLAN


def _put_limits(facts: dict[str, Any], plan: dict[str, Any]) -> None:
    name = facts["limits"]["file"]
    facts["limits"]["file"] = plan["limits"].get(name, name)


def _anew(site: Site, feed: Feed, before: pa.Table, receipt: Receipt, keys: Keys) -> pa.Table:
    """`before` under `keys`: the same records, in order of their ids. Tokenless where it was; as it was
    where no drop that is still held has the record."""
    drops = [d for d in site.landing.drops(feed.id) if d.drop_id in receipt["applied"]]
    old = keyed.to_frame(before)
    made = [
        newer.filter(newer["record_id"].is_in(_as_held(older, before, _marker(site, site.keys)).implode()))
        for older, newer in state.in_two(site, feed, drops, (site.keys, keys))
    ]
    anew = pl.concat([old.clear(), *made], how="diagonal").unique("record_id", keep="last")
    found = anew.join(old.select("record_id"), on="record_id", how="semi")
    barred = linkage_tokens.tokenless(before)
    marker = pl.lit(_marker(site, keys))
    plain = old.filter(pl.col("record_id").is_in(barred.implode())).with_columns(marker=marker)
    kept = old.join(
        pl.concat([found.select("record_id"), plain.select("record_id")]), on="record_id", how="anti"
    )
    every = pl.concat([found.join(plain, on="record_id", how="anti"), plain, kept], how="diagonal")
    return keyed.to_arrow(every.sort("record_id"))


def _as_held(older: pa.Table, before: pa.Table, marker: str) -> pl.Series:
    """Records whose row gives the tokens that are held `before`, in whatever order drops were applied: no
    other row of theirs may speak for them. Under another marker, of an earlier linkage schema, any may."""
    ids = keyed.to_series(older.column("record_id"))
    other = keyed.to_frame(before).filter(pl.col("marker") != marker)["record_id"]
    differ = linkage_tokens.differing(older, before)
    return ids.filter(~ids.is_in(differ.implode()) | ids.is_in(other.implode()))


def _limits(site: Site, manifest: Receipt, before: list[pa.Table], now: list[pa.Table]) -> dict[str, str]:
    """Limits file → the file that takes its place: of the models in use, approved last and proposed."""
    # of earlier approved ones retention keeps no limits
    named = [manifest["linkage"], *models.approved(site)[-1:], models.proposal(site)]
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
    persons = keyed.to_frame(crosswalk).select("record_id", "person_id")
    return [*carried, *carrying.links(persons, lost)]

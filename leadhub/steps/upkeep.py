"""Upkeep: retention that destroys keys, and drops that a steward releases."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

import pyarrow as pa

from leadhub.foundation import clock, files
from leadhub.foundation.errors import TerminalError, TransientError
from leadhub.foundation.lease import lease
from leadhub.intake.quarantine import rows_of
from leadhub.steps import ingest, judgement, linking, models
from leadhub.steps.ingest import Receipt
from leadhub.steps.night import SCOPE
from leadhub.steps.site import Site

#: committed nights whose tables stay readable ("what did we know on that night?")
NIGHTS_KEPT = 30
#: of a feed's receipt, what names a token file
_NAMED = ("token_file", "numbers_file", "overlap_file")


def retention(site: Site) -> Receipt:
    """The three below, one after another."""
    kept = (keep_feeds(site), keep_linkage(site), keep_casework(site))
    counts = ("table_files_removed", "token_files_removed")
    return kept[0] | {name: sum(part[name] for part in kept) for name in counts}


def keep_feeds(site: Site) -> Receipt:
    """Destroy drops past their feed's `retention_days`, and of the feeds the table versions and tokens that
    no kept night names.

    Each destroyed drop leaves a certificate (`destroyed.json`) where it was.
    """
    today = date.fromisoformat(clock.tonight(site.settings.time_zone))
    destroyed = []
    with lease(site.leases, "night"), contextlib.ExitStack() as held:
        # a feed at work has written token files that no receipt names yet: another day, for that one
        busy = {feed for feed in site.feeds if not _taken(site, held, feed)}
        for feed in (f for name, f in site.feeds.items() if name not in busy):
            last = (today - timedelta(days=feed.retention_days)).isoformat()
            for drop in site.landing.drops(feed.id):
                if drop.night < last and not site.landing.path(drop, "destroyed.json").exists():
                    destroyed.append(site.landing.destroy(drop)["drop_id"])
        folders = {p.name for p in (site.lake.root / "tokens").glob("*")} - set(linking.FOLDERS) - busy
        return _purged(site, "feeds", folders) | {"destroyed_drops": destroyed}


def keep_linkage(site: Site) -> Receipt:
    """Remove what no kept night names of linkage's own tables and files."""
    with lease(site.leases, "night"):
        return _purged(site, "linkage", linking.FOLDERS)


def keep_casework(site: Site) -> Receipt:
    """Remove the versions of casework's tables that no kept night names."""
    with lease(site.leases, "night"):
        return _purged(site, "casework", ())


def _taken(site: Site, held: contextlib.ExitStack, feed: str) -> bool:
    try:
        held.enter_context(lease(site.leases, f"ingest-{feed}"))
    except TransientError:
        return False
    return True


def forget_unnamed(site: Site) -> None:
    """Remove every token file that nothing names any more, at once; the caller holds all leases."""
    folders = {p.name for p in (site.lake.root / "tokens").glob("*")}
    site.lake.drop_tokens(folders, _kept(site)[1])


def _purged(site: Site, zone: str, folders: Iterable[str]) -> Receipt:
    versions, tokens = _kept(site)
    return {
        "status": "kept",
        "table_files_removed": site.lake.vacuum(zone, versions),
        "token_files_removed": site.lake.drop_tokens(folders, tokens),
    }


def _kept(site: Site) -> tuple[dict[str, set[int]], set[str]]:
    """Table versions of the kept nights; token files of the last one alone, outside any history, and of
    the linkage model that was approved or proposed."""
    versions: dict[str, set[int]] = {}
    tokens: set[str | None] = {*models.files_named(site)}
    nights = site.lake.nights()[-NIGHTS_KEPT:]
    for night in nights:
        manifest = site.lake.night(night) or {}
        for name, version in manifest["tables"].items():
            versions.setdefault(name, set()).add(version)
        if night == nights[-1]:
            tokens |= {f.get(name) for f in manifest["feeds"].values() for name in _NAMED}
            tokens |= linking.files_of(manifest["linkage"])
    # what an uncommitted night has written so far
    for night in site.lake.nights_begun():
        if night > (nights[-1] if nights else ""):
            said = [site.lake.receipt(night, f, s) for f in site.feeds for s in ("pseudonymise", "close")]
            tokens |= {one.get(name) for one in said if one for name in _NAMED}
            linked = site.lake.receipt(night, SCOPE, "link")
            tokens |= linking.files_of(linked["linkage"]) if linked else set()
    return versions, {name for name in tokens if name}


def _last(site: Site) -> dict[str, Any]:
    nights = site.lake.nights()
    return (site.lake.night(nights[-1]) if nights else None) or {"tables": {}, "feeds": {}}


def opened(site: Site, feed_id: str) -> pa.Table | None:
    """A feed's quarantine as the last night left it; None before its first."""
    version = _last(site)["tables"].get(f"quarantine_{site.feed(feed_id).id}")
    return site.lake.read(f"quarantine_{feed_id}", version) if version is not None else None


def drop_named(site: Site, feed_id: str, beginning: str) -> str:
    """The one drop whose id begins so. Raises: TerminalError `state_invalid` where there is not one."""
    drops = site.landing.drops(site.feed(feed_id).id)
    found = [d.drop_id for d in drops if d.drop_id.startswith(beginning)]
    if len(found) != 1:
        raise TerminalError(
            "state_invalid",
            f"{len(found)} drops of [{feed_id}] have an id beginning so; see `leadhub drop list {feed_id}`",
        )
    return found[0]


def dismiss_row(site: Site, feed_id: str, drop_id: str, table: str, row: int, *, by: str, why: str) -> None:
    """A steward's word that an open row takes nothing back: from the feed's next night on it is not open.

    Raises: TerminalError `state_invalid` where that row is not open, or name or reason are missing.
    """
    with lease(site.leases, f"ingest-{feed_id}"):
        drop = site.landing.find(site.feed(feed_id).id, drop_id)
        if drop is None or row not in rows_of(opened(site, feed_id), drop, table):
            raise TerminalError(
                "state_invalid",
                f"row {row} of [{table}] in drop [{drop_id}] is not open; see "
                f"`leadhub quarantine show {feed_id}`",
            )
        if not by.strip() or not why.strip():
            raise TerminalError("state_invalid", "say --by and --why: nothing is dismissed without")
        mark = site.landing.path(drop, "dismissed.json")
        said = files.read_json(mark)["rows"] if mark.exists() else []
        words = {"by": by.strip(), "why": why.strip(), "at": clock.stamp(clock.now())}
        files.write_json(mark, {"rows": [*said, {"table": table, "row": row} | words]})


def release_drop(site: Site, feed_id: str, drop_id: str) -> str:
    """A steward's word: judge a held drop again, with the next night.

    Raises: TerminalError `state_invalid` where there is no such held drop.
    """
    drop = site.landing.find(site.feed(feed_id).id, drop_id)
    mark = site.landing.path(drop, "held.json") if drop else None
    if drop is None or mark is None or not mark.exists():
        raise TerminalError(
            "state_invalid", f"[{feed_id}] holds no drop [{drop_id}]; see `leadhub drop list`"
        )
    mark.unlink()
    return f"drop {drop_id} of {feed_id} will be judged with the next night"


def replay_drop(site: Site, feed_id: str, drop_id: str) -> tuple[int, int]:
    """A steward's word, after a mapping or code list was put right: judge a drop's open rows again.

    The next night applies those that pass. Gives how many are open, and how many would pass now.

    Raises: TerminalError `state_invalid` where the drop has no open rows, or its values are destroyed.
    """
    feed = site.feed(feed_id)
    drop = site.landing.find(feed.id, drop_id)
    applied = _last(site)["feeds"].get(feed_id, {}).get("applied", {})
    found = opened(site, feed_id)
    if drop is None or not any(rows_of(found, drop, t) for t in feed.tables):
        raise TerminalError(
            "state_invalid",
            f"no row of drop [{drop_id}] of [{feed_id}] is open; see `leadhub quarantine list`",
        )
    if ingest.is_held(site, drop):
        raise TerminalError(
            "state_invalid",
            f"drop [{drop_id}] of [{feed_id}] is held, or its values are destroyed; release it, or ask the "
            "agency to send it again",
        )
    _, judged = judgement.open_rows(site, feed, drop, found)
    files.write_json(site.landing.path(drop, "replay.json"), {"applied_on": applied[drop_id]})
    return sum(j.read for j in judged.values()), sum(j.accepted.num_rows for j in judged.values())

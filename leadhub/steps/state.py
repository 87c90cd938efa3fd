"""A feed's state: accepted rows become pseudonymous tables, and the feed's night is closed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import polars as pl
import pyarrow as pa

from leadhub.foundation import clock, failpoints
from leadhub.foundation.errors import TerminalError
from leadhub.foundation.keys import Keys
from leadhub.foundation.lease import lease
from leadhub.foundation.vocabulary import TableFacts
from leadhub.identity import keyed, overlap
from leadhub.identity import pseudonymise as pseudonyms
from leadhub.identity import tokens as linkage_tokens
from leadhub.identity.linkage.schema import person
from leadhub.identity.pseudonymise import Linkable
from leadhub.intake.feeds import Feed
from leadhub.intake.landing import Drop
from leadhub.steps import doubts, judgement, numbers, tables
from leadhub.steps.ingest import Receipt, base_of
from leadhub.steps.linkable import linkable
from leadhub.steps.site import Site


def pseudonymise(site: Site, feed_id: str, night: str) -> Receipt:
    """Apply the night's accepted rows to the feed's tables; identifiers end here.

    A key that the source no longer holds is a tombstone. A refused row's last accepted version stays as
    long as the source holds its key.
    """
    feed = site.feed(feed_id)
    with lease(site.leases, f"ingest-{feed_id}"):
        done = site.lake.receipt(night, feed_id, "pseudonymise")
        if done:
            return done
        validated = site.lake.receipt(night, feed_id, "validate")
        if validated is None:
            raise TerminalError("night_incomplete", f"[{feed_id}] has no validated drops for night {night}")
        again = {d["drop_id"] for d in validated["drops"] if d["replay"] and d["tables"]}
        new = {d["drop_id"] for d in validated["drops"] if not d["replay"] and not d["held"]}
        drops = [d for d in site.landing.drops(feed_id) if d.drop_id in again | new]
        latest = [d for d in drops if d.drop_id in new]
        base = base_of(site, feed_id, night)
        tables, token_file, overlap_file, keys = {}, base["token_file"], None, dict(base["keys"])
        if not drops:
            tables = {t: {**c, "upserted": 0, "removed": 0} for t, c in base["tables"].items()}
        else:
            facts, states = site.facts(feed), dict[str, pa.Table]()
            refused = doubts.versions({feed_id: validated}, {})
            # what bars a person from linkage is known before they are tokenised
            for name in sorted(feed.tables, key=lambda t: facts[t].holds_persons):
                may = linkable(site, feed, states, refused) if facts[name].holds_persons else None
                tables[name], states[name], tokens = _advance(
                    site, feed, name, base, drops, again, night, may
                )
                if tokens is not None:
                    overlap_file = _in_both(site, feed, drops, may, tokens, token_file, night, again)
                    token_file = site.lake.write_tokens(feed_id, tokens)
                failpoints.reach("pseudonymise.between_tables")
            for drop in latest:
                keys |= judgement.key_counts(site, drop, feed.tables)
        failpoints.reach("pseudonymise.before_commit")
        receipt = {
            "status": "pseudonymised",
            "feed": feed_id,
            "night": night,
            "tables": tables,
            "token_file": token_file,
            "overlap_file": overlap_file,
            "keys": keys,
            "applied": {d.drop_id: night for d in drops},
            "watermark": latest[-1].watermark if latest else base["watermark"],
        }
        return site.lake.put_receipt(night, feed_id, "pseudonymise", receipt)


def _advance(
    site: Site,
    feed: Feed,
    name: str,
    base: Receipt,
    drops: list[Drop],
    again: set[str],
    night: str,
    linkable: Linkable | None,
) -> tuple[dict[str, int], pa.Table, pa.Table | None]:
    """One table through the night's drops, from the base version to a new one: its counts, its rows, and of
    persons their tokens.

    Of drops judged `again` only the rows count, not what their source held then.
    """
    facts = site.facts(feed)[name]
    known = base["tables"].get(name)
    state = tables.read(site, feed.id, name, known["version"]) if known else None
    tokens = (
        site.lake.read_tokens(base["token_file"]) if facts.holds_persons and base["token_file"] else None
    )
    upserted, removed = 0, 0
    for drop in drops:
        accepted = judgement.accepted_as(name, night if drop.drop_id in again else None)
        if not site.landing.path(drop, f"accepted/{accepted}").exists():
            continue
        rows = site.landing.read_accepted(drop, accepted)
        made = pseudonyms.pseudonymise(
            rows,
            facts,
            feed=feed.id,
            agency=feed.agency,
            night=night,
            keys=site.keys,
            tier=site.settings.linkage_tier,
            linkable=linkable,
        )
        source_ids = None
        if drop.drop_id not in again and site.landing.path(drop, f"accepted/keys.{name}").exists():
            held = site.landing.read_accepted(drop, f"keys.{name}")
            source_ids = pseudonyms.record_ids(held, facts, feed=feed.id, keys=site.keys)
        mode: Literal["full", "delta"] = "delta" if source_ids is None else drop.mode
        applied = pseudonyms.apply(state, made.rows, source_ids=source_ids, mode=mode)
        state, upserted, removed = (
            applied.state,
            upserted + applied.upserted,
            removed + len(applied.removed_ids),
        )
        if made.tokens is not None:
            tokens = pseudonyms.apply(tokens, made.tokens, source_ids=source_ids, mode=mode).state
    if state is None:
        raise TerminalError("state_invalid", f"[{feed.id}] sent no rows member for its table [{name}]")
    version = site.lake.write(tables.core_table(feed.id, name), state)
    counts = {"version": version, "rows": state.num_rows, "upserted": upserted, "removed": removed}
    if tokens is not None and linkable:
        barred = ~linkable.among(pl.Series(state.column(linkable.key).to_pylist(), dtype=pl.String))
        ids = pl.Series(state.column("record_id").to_pylist(), dtype=pl.String)
        tokens = linkage_tokens.without(tokens, ids.filter(barred))
    return counts, state, tokens


def tokens_of(
    site: Site,
    feed: Feed,
    drops: list[Drop],
    keys: Keys,
    linkable: Linkable | None,
    only: pl.Series,
    again: set[str],
    night: str,
) -> pa.Table | None:
    """Tokens of these records (`only`) in what `night` applies, as their last row says; None where it
    holds no persons."""
    made = []
    for drop in drops:
        for name, facts in site.facts(feed).items():
            accepted = judgement.accepted_as(name, night if drop.drop_id in again else None)
            if not facts.holds_persons or not site.landing.path(drop, f"accepted/{accepted}").exists():
                continue
            rows = site.landing.read_accepted(drop, accepted)
            ids = pseudonyms.record_ids(rows, facts, feed=feed.id, keys=keys)
            rows = rows.filter(keyed.to_series(ids).is_in(only.implode()).to_arrow())
            made.append(_tokenised(site, feed, facts, rows, night, keys, linkable))
    if not made:
        return None
    every = pl.concat([keyed.to_frame(table) for table in made])
    return keyed.to_arrow(every.unique("record_id", keep="last", maintain_order=True))


def in_two(
    site: Site, feed: Feed, drops: list[Drop], keys: tuple[Keys, Keys]
) -> Iterator[tuple[pa.Table, pl.DataFrame]]:
    """Of whatever landing holds of persons in `drops`, part by part: the same rows' tokens under both."""
    for drop in drops:
        for name, facts in site.facts(feed).items():
            for accepted in judgement.accepted(site, drop, name) if facts.holds_persons else ():
                rows = site.landing.read_accepted(drop, accepted)
                older, newer = (
                    _tokenised(site, feed, facts, rows, drop.night, each, None) for each in keys
                )
                yield older, keyed.to_frame(newer)


def _tokenised(
    site: Site,
    feed: Feed,
    facts: TableFacts,
    rows: pa.Table,
    night: str,
    keys: Keys,
    linkable: Linkable | None,
) -> pa.Table:
    about: dict[str, Any] = {"feed": feed.id, "agency": feed.agency, "night": night, "keys": keys}
    tier = site.settings.linkage_tier
    return pseudonyms.pseudonymise(rows, facts, **about, tier=tier, linkable=linkable).tokens


def _in_both(
    site: Site,
    feed: Feed,
    drops: list[Drop],
    linkable: Linkable | None,
    tokens: pa.Table,
    before: str | None,
    night: str,
    again: set[str],
) -> str | None:
    """While an older version of the linkage key is kept: the file that says what tonight's new tokens are
    under it (`overlap.versions`)."""
    kept = (site.lake.base(night).get("linkage") or {}).get("overlap")
    if not kept:
        return None
    fresh = linkage_tokens.differing(tokens, site.lake.read_tokens(before) if before else None)
    keys = site.keys.at("linkage", kept["version"])
    older = tokens_of(site, feed, drops, keys, linkable, fresh, again, night)
    if older is None:
        return None
    # else the older key would test guesses on people who need no overlap
    late = _late(site, linkage_tokens.marker(person(), site.settings.linkage_tier, keys), night)
    known = overlap.wanted([overlap.versions(older, tokens)], late) if late else None
    return site.lake.write_tokens(feed.id, known) if known else None


def _late(site: Site, marker: str, night: str) -> pa.Table | None:
    """Token rows of all feeds that stood under an older marker on the night before."""
    named = [r["token_file"] for r in site.lake.base(night)["feeds"].values() if r["token_file"]]
    found = [overlap.under(site.lake.read_tokens(name), marker) for name in named]
    return pa.concat_tables(found) if found else None


def close(site: Site, feed_id: str, night: str) -> Receipt:
    """Say how the feed's night ended: `complete`, `missing` or `stopped`; runs whatever came before.

    Whatever is not complete carries the last state forward, with its as-of night.
    """
    with lease(site.leases, f"ingest-{feed_id}"):
        done = site.lake.receipt(night, feed_id, "close")
        # an unfinished feed may be mended and closed again until the night is committed
        if done and (done["status"] == "complete" or site.lake.night(night)):
            return done
        steps = {s: site.lake.receipt(night, feed_id, s) for s in ("land", "validate", "pseudonymise")}
        landed, validated, applied = steps["land"], steps["validate"], steps["pseudonymise"]
        base = base_of(site, feed_id, night)
        held = [d["held"] for d in (validated or {"drops": []})["drops"] if d["held"]]
        if applied and not (held and not applied["applied"]):
            status, reason = "complete", None
        elif landed and landed["status"] == "missing":
            status, reason = "missing", "incomplete_drop"
        else:
            status, reason = "stopped", held[0] if held else "night_incomplete"
        counts = _counts(validated)
        # refused rows go with the tables that they were judged beside: what mends one is not applied yet
        kept = validated["quarantine"] if validated and status == "complete" else None
        state = applied if status == "complete" and applied else base
        receipt: dict[str, Any] = {
            "status": status,
            "reason": reason,
            "feed": feed_id,
            "night": night,
            "as_of": night if status == "complete" else base["as_of"],
            "closed_at": clock.stamp(clock.now()),
            "counts": counts,
            "tables": state["tables"],
            "token_file": state["token_file"],
            "overlap_file": applied["overlap_file"] if applied else None,
            "numbers_file": site.lake.write_tokens(feed_id, _numbers(site, feed_id, state, night, kept)),
            "keys": state["keys"],
            "applied": base["applied"] | (applied["applied"] if applied else {}),
            "watermark": state["watermark"],
            "quarantine": kept,
        }
        failpoints.reach("close.before_commit")
        return site.lake.put_receipt(night, feed_id, "close", receipt)


def _numbers(site: Site, feed_id: str, state: Receipt, night: str, quarantine: Receipt | None) -> pa.Table:
    versions = {table: counts["version"] for table, counts in state["tables"].items()}
    before = site.lake.base(night)["tables"]
    refused = doubts.versions({feed_id: {"quarantine": quarantine}}, before)
    return numbers.of_feed(site, feed_id, versions, night, refused)


def _counts(validated: Receipt | None) -> dict[str, int]:
    """Over all tables of the drops that were taken. Raises: TerminalError `counts_differ`."""
    total = {"read": 0, "accepted": 0, "quarantined": 0}
    for drop in (validated or {"drops": []})["drops"]:
        for table in drop["tables"].values():
            for name in total:
                total[name] += table[name]
    if total["read"] != total["accepted"] + total["quarantined"]:
        raise TerminalError("counts_differ", "read is not accepted + quarantined; restore the receipts")
    return total

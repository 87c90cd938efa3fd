"""A feed's night: land → validate → pseudonymise → close, and the acknowledgement to its agency.

Every step starts from the last committed night manifest (`Lake.base`), so a night that was killed, or
never committed, is simply run again; drops that no committed night has applied are taken up by the
next one.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa

from leadhub.foundation import clock, failpoints, files
from leadhub.foundation.errors import LeadhubError, TerminalError
from leadhub.foundation.lease import lease
from leadhub.foundation.vocabulary import TableFacts
from leadhub.intake import acknowledgement, mapping, plausibility, quarantine, tabular, validation
from leadhub.intake.feeds import Feed
from leadhub.intake.landing import Drop, Member
from leadhub.steps.site import Site

Receipt = dict[str, Any]
#: refusals of a whole drop: it is held, kept, told to its agency, and the others go on
HELD = (
    "schema_drift",
    "unreadable_file",
    "too_many_refused",
    "implausible_batch",
    "decryption_failed",
    "too_large",
)


def _base(site: Site, feed_id: str, night: str) -> dict[str, Any]:
    empty: dict[str, Any] = {"watermark": {}, "applied": {}, "as_of": None, "keys": {}}
    return site.lake.base(night)["feeds"].get(feed_id, empty)


def _past_cutoff(site: Site, feed: Feed, night: str) -> bool:
    zone = ZoneInfo(site.settings.time_zone)
    moment = datetime.fromisoformat(f"{night}T{feed.cutoff}").replace(tzinfo=zone)
    return clock.now() >= moment


def land(site: Site, feed_id: str, night: str) -> Receipt:
    """Bring in what the agency has. `waiting` until a nightly feed has come or its cut-off has passed.

    Raises: TransientError; TerminalError `incomplete_drop` where a nightly feed did not come in time.
    """
    feed, night = site.feed(feed_id), clock.check_night(night)
    done = site.lake.receipt(night, feed_id, "land")
    if done:
        return _in_time(done)
    with lease(site.leases, f"ingest-{feed_id}"):
        base = _base(site, feed_id, night)
        connector = site.connector(feed)
        arrivals = connector.read(site.landing, night, base["watermark"])
        held = {a.drop.drop_id for a in arrivals if a.drop and a.status == "held"}
        to_apply = [
            d.drop_id
            for d in site.landing.drops(feed_id)
            if d.night <= night and d.drop_id not in base["applied"] and d.drop_id not in held
            if not _is_held(site, d)
        ]
        for arrival in arrivals:
            if arrival.status == "held" and arrival.drop:
                _hold(site, arrival.drop, arrival.reason or "conflicting_resubmission")
        if not to_apply and feed.cadence == "nightly" and not _past_cutoff(site, feed, night):
            return {"status": "waiting", "feed": feed_id, "night": night}
        receipt = {
            "status": "landed" if to_apply or feed.cadence == "irregular" else "missing",
            "feed": feed_id,
            "night": night,
            "drops": to_apply,
            "arrivals": [
                {
                    "status": a.status,
                    "names": list(a.names),
                    "drop_id": a.drop.drop_id if a.drop else None,
                    "reason": a.reason,
                    "message": a.message,
                }
                for a in arrivals
            ],
        }
        site.lake.put_receipt(night, feed_id, "land", receipt)
        connector.finish(arrivals)
    return _in_time(receipt)


def _in_time(receipt: Receipt) -> Receipt:
    if receipt["status"] == "missing":
        raise TerminalError(
            "incomplete_drop",
            f"feed [{receipt['feed']}] had nothing complete by its cut-off on night {receipt['night']}; "
            "its last state is carried forward; ask the agency, late data join the next night",
        )
    return receipt


def _hold(site: Site, drop: Drop, reason: str) -> None:
    path = site.landing.path(drop, "held.json")
    if not path.exists():
        files.write_json(path, {"reason": reason, "held_at": clock.stamp(clock.now())})


def _is_held(site: Site, drop: Drop) -> bool:
    return (
        site.landing.path(drop, "held.json").exists()
        or site.landing.path(drop, "destroyed.json").exists()
    )


def _parsed(site: Site, feed: Feed, drop: Drop, member: Member) -> tabular.Parsed:
    data, format = site.landing.read(drop, member), member.format
    if format.endswith(".pgp"):
        from leadhub.foundation import openpgp

        data, format = openpgp.decrypt(data, site.settings.decryption_key), format.removesuffix(".pgp")
    rules = feed.drop
    return tabular.parse(
        data,
        format,
        name=member.name,
        delimiter=rules.delimiter if rules else ",",
        encoding=rules.encoding if rules else "utf-8",
    )


def _source_keys(site: Site, feed: Feed, drop: Drop, facts: dict[str, TableFacts]) -> dict[str, pa.Table]:
    """The keys that the source holds now, under contract names, where the drop lists them."""
    keys = {}
    for member in drop.of("keys"):
        table = member.table or ""
        columns = feed.tables[table].columns
        names = {columns[k]: k for k in facts[table].key}
        parsed = _parsed(site, feed, drop, member).table
        keys[table] = parsed.select(list(names)).rename_columns(list(names.values()))
    return keys


def _judgeable(facts: dict[str, TableFacts], drop: Drop, known: set[str]) -> dict[str, TableFacts]:
    """Without the references into tables of which the source said only that nothing changed."""
    if drop.mode == "full":
        return facts
    return {
        name: replace(f, references=tuple(r for r in f.references if r.table in known))
        for name, f in facts.items()
    }


def _validate_drop(site: Site, feed: Feed, drop: Drop, base: dict[str, Any], night: str) -> Receipt:
    facts, models = site.facts(feed), site.contracts(feed)
    mapped = {}
    for table, rules in feed.tables.items():
        for member in drop.of("rows", table):
            parsed = _parsed(site, feed, drop, member)
            mapped[table] = mapping.apply(parsed, facts[table], rules, name=member.name)
    keys = _source_keys(site, feed, drop, facts)
    judged = validation.judge(mapped, models, _judgeable(facts, drop, set(keys)), keys)
    validation.check_share(judged, feed.refused_share_limit)
    verdict = _plausible(site, feed, drop, night, mapped, keys, base)
    if not verdict:
        raise TerminalError(
            "implausible_batch",
            f"drop [{drop.drop_id}] of [{feed.id}] is not plausible; see reports/plausibility/{night}/{feed.id}.html, "
            "ask the agency, then `leadhub drop release` or a re-drop",
        )
    counts = {}
    refused = []
    for table, result in judged.items():
        site.landing.write_accepted(drop, table, result.accepted)
        refused.append(quarantine.pointers(result.refused, feed=feed.id, table=table, drop=drop))
        counts[table] = {
            "read": result.read,
            "accepted": result.accepted.num_rows,
            "quarantined": result.read - result.accepted.num_rows,
        }
    site.landing.write_accepted(drop, "_refused", pa.concat_tables(refused))
    for table, held in keys.items():
        site.landing.write_accepted(drop, f"_keys.{table}", held)
    return {"drop_id": drop.drop_id, "held": None, "tables": counts}


def _plausible(site, feed, drop, night, mapped, keys, base) -> bool:
    """Great Expectations on the batch; the result is an HTML page for the stewards."""
    frames = {table: m.frame for table, m in mapped.items()}
    for table, m in mapped.items():
        held = keys.get(table)
        key = site.facts(feed)[table].key
        frames[f"{table}.keys"] = m.frame.select(key[0]) if held is None else pl.from_arrow(held).select(key[0])
    history = [n["feeds"][feed.id]["keys"] for n in _history(site, feed.id, night)]
    verdict = plausibility.judge(
        site.settings.expectations, feed.id, frames, plausibility.volume_parameters(history)
    )
    page = site.settings.var / "reports" / "plausibility" / night / f"{feed.id}.html"
    plausibility.render(verdict, page, title=feed.title, night=night)
    return verdict.success


def validate(site: Site, feed_id: str, night: str) -> Receipt:
    """Judge every drop that is to be applied; a drop that cannot be judged is held, the others go on."""
    feed = site.feed(feed_id)
    done = site.lake.receipt(night, feed_id, "validate")
    if done:
        return done
    landed = site.lake.receipt(night, feed_id, "land") or {"drops": []}
    results = []
    with lease(site.leases, f"ingest-{feed_id}"):
        base = _base(site, feed_id, night)
        for drop_id in landed["drops"]:
            drop = site.landing.find(feed_id, drop_id)
            try:
                results.append(_validate_drop(site, feed, drop, base, night))
            except TerminalError as error:
                if error.reason not in HELD:
                    raise
                _hold(site, drop, error.reason)
                results.append(
                    {"drop_id": drop_id, "held": error.reason, "message": error.message, "tables": {}}
                )
        failpoints.reach("validate.before_commit")
        receipt = {"status": "validated", "feed": feed_id, "night": night, "drops": results}
        return site.lake.put_receipt(night, feed_id, "validate", receipt)

"""A feed's night: land → validate → pseudonymise → close, and the acknowledgement to its agency.

Every step starts from the last committed night manifest (`Lake.base`), so a night that was killed, or
never committed, is simply run again; drops that no committed night applied are taken up by the next.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa

from leadhub.foundation import clock, failpoints, files
from leadhub.foundation.errors import TerminalError
from leadhub.foundation.lease import lease
from leadhub.intake import acknowledgement, quarantine
from leadhub.intake.feeds import Feed
from leadhub.intake.landing import Drop
from leadhub.steps import doubts, judgement
from leadhub.steps.site import Site

Receipt = dict[str, Any]

#: reasons for which a whole drop is held: kept, told to its agency, and the others go on
HELD = frozenset(
    {
        "schema_drift",
        "unreadable_file",
        "too_many_refused",
        "implausible_batch",
        "decryption_failed",
        "too_large",
        "counts_differ",
    }
)


def base_of(site: Site, feed_id: str, night: str) -> Receipt:
    """What the last committed night says of a feed."""
    empty: Receipt = {
        "watermark": {},
        "applied": {},
        "as_of": None,
        "keys": {},
        "tables": {},
        "token_file": None,
    }
    return site.lake.base(night)["feeds"].get(feed_id, empty)


def _history(site: Site, feed_id: str, night: str, length: int = 14) -> list[dict[str, int]]:
    earlier = [n for n in site.lake.nights() if n < night][-length:]
    manifests = [site.lake.night(n) or {} for n in earlier]
    return [m["feeds"][feed_id]["keys"] for m in manifests if feed_id in m.get("feeds", {})]


def hold(site: Site, drop: Drop, reason: str) -> None:
    """Keep a drop unapplied until a steward releases it."""
    path = site.landing.path(drop, "held.json")
    if not path.exists():
        files.write_json(path, {"reason": reason, "held_at": clock.stamp(clock.now())})


def is_held(site: Site, drop: Drop) -> bool:
    marks = ("held.json", "destroyed.json")
    return any(site.landing.path(drop, mark).exists() for mark in marks)


def _asked_again(site: Site, drop: Drop, base: Receipt) -> bool:
    """Has a steward asked to judge an applied drop's open rows again, and no night done so since?"""
    mark, applied_on = site.landing.path(drop, "replay.json"), base["applied"].get(drop.drop_id)
    return applied_on is not None and mark.exists() and files.read_json(mark)["applied_on"] == applied_on


def land(site: Site, feed_id: str, night: str) -> Receipt:
    """Bring in what the agency has. `waiting` until a nightly feed has come or its cut-off has passed.

    Raises: TransientError; TerminalError `incomplete_drop` where a nightly feed did not come in time.
    """
    feed, night = site.feed(feed_id), clock.check_night(night)
    with lease(site.leases, f"ingest-{feed_id}"):
        receipt = site.lake.receipt(night, feed_id, "land")
        if receipt is None:
            base = base_of(site, feed_id, night)
            site.landing.tidy(feed_id)
            connector = site.connector(feed)
            arrivals = connector.read(site.landing, night, base["watermark"])
            for arrival in arrivals:
                if arrival.status == "held" and arrival.drop:
                    hold(site, arrival.drop, arrival.reason or "conflicting_resubmission")
            drops = [d for d in site.landing.drops(feed_id) if d.night <= night and not is_held(site, d)]
            to_apply = [d.drop_id for d in drops if d.drop_id not in base["applied"]]
            replays = [d.drop_id for d in drops if _asked_again(site, d, base)]
            if not to_apply and feed.cadence == "nightly" and not _past_cutoff(site, feed, night):
                return {"status": "waiting", "feed": feed_id, "night": night}
            receipt = {
                "status": "landed" if to_apply or feed.cadence == "irregular" else "missing",
                "feed": feed_id,
                "night": night,
                "drops": to_apply,
                "replays": replays,
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
    if receipt["status"] == "missing":
        raise TerminalError(
            "incomplete_drop",
            f"feed [{feed_id}] had nothing complete by its cut-off on night {night}; its last state is "
            "carried forward; ask the agency, late data join the next night",
        )
    return receipt


def _past_cutoff(site: Site, feed: Feed, night: str) -> bool:
    zone = ZoneInfo(site.settings.time_zone)
    return clock.now() >= datetime.fromisoformat(f"{night}T{feed.cutoff}").replace(tzinfo=zone)


def validate(site: Site, feed_id: str, night: str) -> Receipt:
    """Judge every drop that is to be applied; one that cannot be judged is held, the others go on."""
    feed = site.feed(feed_id)
    with lease(site.leases, f"ingest-{feed_id}"):
        done = site.lake.receipt(night, feed_id, "validate")
        if done:
            return done
        landed = site.lake.receipt(night, feed_id, "land")
        if landed is None:
            raise TerminalError("night_incomplete", f"[{feed_id}] has not landed for night {night}")
        name = f"quarantine_{feed_id}"
        version = site.lake.base(night)["tables"].get(name)
        opened = site.lake.read(name, version) if version is not None else None
        results = []
        # older first: what a new drop says of a record stands above an old one's
        for drop_id in [*landed["replays"], *landed["drops"]]:
            drop = site.landing.find(feed_id, drop_id)
            if drop is None:
                raise TerminalError(
                    "state_invalid", f"drop [{drop_id}] of [{feed_id}] is gone from landing"
                )
            again = drop_id in landed["replays"]
            result, opened = _judge_drop(site, feed, drop, night, opened, again)
            results.append(result)
        for arrival in landed["arrivals"]:
            if arrival["drop_id"] not in landed["drops"]:
                _write_untaken(site, feed, night, arrival)
        failpoints.reach("validate.before_commit")
        if opened is None:
            opened = quarantine.SCHEMA.empty_table()
        opened = quarantine.without(doubts.brought_up(site, feed, opened), _dismissed(site, feed_id))
        receipt = {
            "status": "validated",
            "feed": feed_id,
            "night": night,
            "drops": results,
            "quarantine": {"version": site.lake.write(name, opened), "open": opened.num_rows},
        }
        return site.lake.put_receipt(night, feed_id, "validate", receipt)


def _dismissed(site: Site, feed_id: str) -> set[tuple[str, str, int]]:
    """Drop, table and row of what stewards dismissed from quarantine."""
    marks = {d.drop_id: site.landing.path(d, "dismissed.json") for d in site.landing.drops(feed_id)}
    said = {drop: files.read_json(mark)["rows"] for drop, mark in marks.items() if mark.exists()}
    return {(drop, row["table"], row["row"]) for drop, rows in said.items() for row in rows}


def _judge_drop(
    site: Site, feed: Feed, drop: Drop, night: str, opened: pa.Table | None, again: bool
) -> tuple[Receipt, pa.Table | None]:
    """The result of one drop, and the quarantine after it. Its words for the agency are written beside."""
    before = base_of(site, feed.id, night)["tables"]
    try:
        if again:
            found = judgement.judge_again(site, feed, drop, opened, night, before)
        else:
            found = judgement.judge(site, feed, drop, _history(site, feed.id, night), night, before)
    except TerminalError as error:
        if error.reason not in HELD:
            raise
        if again:
            # its rows stay open as they were; tonight's drops must not wait for that
            return _result(drop, again=True, message=error.message), opened
        hold(site, drop, error.reason)
        _write_words(site, feed, night, drop, status="held", reason=error.reason, detail=error.message)
        return _result(drop, held=error.reason, message=error.message), opened
    state = quarantine.refresh(
        opened,
        drop=drop,
        judged=found.judged,
        record_ids=found.record_ids,
        mode="delta" if again else drop.mode,
        whole=found.whole,
        accepted_ids=found.accepted_ids,
        named=found.named,
    )
    on, nameless = night if again else drop.night, found.nameless()
    said = {"judged": found.judged, "cleared": state.cleared.num_rows, "nameless": nameless}
    _write_words(site, feed, night, drop, on=on, status="landed", **said)
    report = acknowledgement.rejection_report(feed, drop, found.judged, nameless)
    if any(j.refused.num_rows for j in found.judged.values()):
        name = acknowledgement.rejection_name(on, drop.drop_id)
        files.write_bytes(_words(site, feed.id, night) / "rejections" / name, report)
    return _result(drop, again=again, tables=found.counts(), cleared=state.cleared.num_rows), state.open


def _result(
    drop: Drop,
    *,
    held: str | None = None,
    again: bool = False,
    message: str = "",
    tables: dict[str, dict[str, int]] | None = None,
    cleared: int = 0,
) -> Receipt:
    return {
        "drop_id": drop.drop_id,
        "held": held,
        "replay": again,
        "message": message,
        "tables": tables or {},
        "cleared": cleared,
    }


def _words(site: Site, feed_id: str, night: str):
    return site.lake.intake(night, feed_id) / "outbox"


def _write_words(site: Site, feed: Feed, night: str, drop: Drop, *, on: str = "", **said: Any) -> None:
    names, on = drop.origin or tuple(m.name for m in drop.members), on or drop.night
    text = acknowledgement.acknowledgement(feed=feed.id, night=on, names=names, drop=drop, **said)
    name = acknowledgement.acknowledgement_name(on, drop.drop_id)
    files.write_bytes(_words(site, feed.id, night) / "acknowledgements" / name, text)


def _write_untaken(site: Site, feed: Feed, night: str, arrival: Receipt) -> None:
    text = acknowledgement.acknowledgement(
        feed=feed.id,
        night=night,
        status=arrival["status"],
        names=arrival["names"],
        reason=arrival["reason"],
        detail=arrival["message"],
    )
    name = acknowledgement.acknowledgement_name(night, acknowledgement.arrival_id(arrival["names"]))
    files.write_bytes(_words(site, feed.id, night) / "acknowledgements" / name, text)


def acknowledge(site: Site, feed_id: str, night: str) -> Receipt:
    """Tell the agency, in its outbox, what became of each drop and which rows it must correct.

    Raises: TerminalError, once the agency was told, where a steward is needed: with the reason of a held
    drop; `restriction_unread` while a refused row is open that may take something back and names nobody.
    """
    feed = site.feed(feed_id)
    receipt = site.lake.receipt(night, feed_id, "acknowledge")
    validated = site.lake.receipt(night, feed_id, "validate") or {"drops": []}
    if receipt is None:
        told = 0
        folder = _words(site, feed_id, night)
        waiting = sorted(p for p in folder.glob("*/*") if p.is_file())
        if feed.outbox and waiting:
            from connectors.sftp import Outbox

            with Outbox(site.connect(feed.outbox)) as outbox:
                for path in waiting:
                    outbox.put_file(f"{path.parent.name}/{path.name}", path.read_bytes())
                    told += 1
        receipt = {"status": "acknowledged", "feed": feed_id, "night": night, "files": told}
        site.lake.put_receipt(night, feed_id, "acknowledge", receipt)
    held = [d for d in validated["drops"] if d["held"]]
    if held:
        raise TerminalError(
            held[0]["held"], f"{len(held)} drop(s) of [{feed_id}] are held: {held[0]['message']}"
        )
    if "quarantine" in validated:
        opened = site.lake.read(f"quarantine_{feed_id}", validated["quarantine"]["version"])
        if rows := doubts.nameless(opened):
            raise TerminalError("restriction_unread", f"[{feed_id}] {doubts.told(rows)}")
    return receipt

"""One agreement, one night: stage what it allows, deliver it, push its changes where agreed."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Set
from dataclasses import fields
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from leadhub.casework import Casework
from leadhub.foundation import clock, files, ledger
from leadhub.foundation.errors import TerminalError
from leadhub.foundation.vocabulary import Protection, Sensitivity, TableFacts
from leadhub.identity import sealing
from leadhub.permission import agreements, consent, disclosure
from leadhub.permission import frame as frames
from leadhub.permission.agreements import Agreement
from leadhub.release import changes, checkpoints, datasets
from leadhub.release.documents import DisputeFile
from leadhub.release.package import Package
from leadhub.release.publication import Channel, Content, Identity, Publication
from leadhub.steps import review
from leadhub.steps.ingest import Receipt, core_table
from leadhub.steps.site import Site

_CASEWORK = tuple(f.name for f in fields(Casework))


def _facts(agreement: Agreement) -> TableFacts:
    from schemas import releases
    from schemas.contract import facts

    model = releases.RELEASES.get(agreement.dataset)
    if model is None:
        raise TerminalError("agreement_invalid", f"[{agreement.id}] names a dataset without a contract")
    return facts(model)


def _night(site: Site, night: str) -> dict[str, Any]:
    manifest = site.lake.night(clock.check_night(night))
    if manifest is None:
        raise TerminalError("night_incomplete", f"night {night} is not committed; nothing can be published")
    return manifest


def _provider_tables(site: Site, manifest: dict[str, Any], name: str, covered: Set[str]) -> pa.Table:
    """A table over all provider feeds that a sharing agreement covers, with a `feed` column."""
    parts = []
    for feed_id, receipt in manifest["feeds"].items():
        provider = feed_id in covered and site.feeds[feed_id].contract == "provider"
        if provider and name in receipt["tables"]:
            table = site.lake.read(core_table(feed_id, name), receipt["tables"][name]["version"])
            parts.append(table.append_column("feed", pa.array([feed_id] * table.num_rows, pa.string())))
    if not parts:
        raise TerminalError(
            "night_incomplete",
            f"no provider under a sharing agreement has ever sent [{name}]; nothing can be judged",
        )
    return pa.concat_tables(parts)


def _content(
    site: Site, agreement: Agreement, manifest: dict[str, Any], active: pl.DataFrame, covered: Set[str]
) -> Content:
    casework = Casework(**{t: site.lake.read(t, manifest["tables"][t]) for t in _CASEWORK})
    permitted = disclosure.permit(pl.DataFrame(pl.from_arrow(casework.statements)), active, agreement)
    own = [f for f, feed in site.feeds.items() if feed.agency == agreement.own_ids_of]
    own_clients = disclosure.own_clients(
        _provider_tables(site, manifest, "clients", covered),
        site.lake.read("crosswalk", manifest["tables"]["crosswalk"]),
        review.pairs_of(site, manifest),
        active,
        agreement,
        own_feeds=own,
    )
    built = datasets.build(agreement, datasets.Sources(casework, permitted, own_clients, own))
    site.lake.put_receipt(
        manifest["night"],
        agreement.id,
        "withheld",
        {"withheld": built.withheld, "rows": built.rows.num_rows},
    )
    return Content(built.rows, built.grounds)


def _opener(site: Site, agreement: Agreement, facts: TableFacts) -> Callable[[pa.Table], pa.Table]:
    """Opens the partner's own ids, and only those."""
    own = [c.name for c in facts.of(Sensitivity.LOCAL_ID)]

    def open_ids(table: pa.Table) -> pa.Table:
        for place, name in enumerate(table.column_names):
            if name in own:
                opened = sealing.open_sealed(table.column(name), agreement.own_ids_of, site.keys)
                table = table.set_column(place, name, opened)
        return table

    return open_ids


def _dispute_file(site: Site, agreement: Agreement) -> DisputeFile | None:
    """How this partner disputes a row, where it has a feed for it."""
    for feed in site.feeds.values():
        if feed.contract == "disputes" and feed.agency == agreement.partner:
            facts = next(iter(site.facts(feed).values()))
            return DisputeFile(
                name=f"{facts.name}_<YYYYMMDD>_<NN>.csv",
                completion=f"{feed.id}_<YYYYMMDD>_<NN>.manifest.json",
                columns=facts.columns,
            )
    return None


def _certificate(site: Site, agreement: Agreement) -> bytes | None:
    path = site.settings.var / "keys" / "partners" / f"{agreement.partner}.asc"
    if not agreement.recipient.encrypt:
        return None
    if not path.exists():
        raise TerminalError(
            "key_missing",
            f"no certificate of [{agreement.partner}] at keys/partners/{path.name}; ask for it",
        )
    return path.read_bytes()


def _publication(site: Site, agreement: Agreement) -> Publication:
    from connectors.sftp import Outbox

    connection = site.connect(agreement.recipient.connection)

    def deliver(folder: Path, remote: str) -> object:
        with Outbox(connection) as outbox:
            return outbox.deliver_folder(folder, remote)

    def read(remote: str) -> bytes | None:
        with Outbox(connection) as outbox:
            return outbox.read(remote)

    return Publication(
        var=site.settings.var,
        partner=agreement.partner,
        dataset=agreement.dataset,
        signing_key=site.settings.signing_key,
        channel=Channel(deliver, read),
    )


def stage(site: Site, agreement_id: str, night: str) -> Receipt:
    """Build, sign, verify and account what the agreement allows tonight.

    Raises: TerminalError `agreement_not_in_force`, `stale_input`, `recipient_key_mismatch`, …
    """
    agreement, manifest = site.agreement(agreement_id), _night(site, night)
    today = date.fromisoformat(clock.tonight(site.settings.time_zone))
    frame = site.frame()
    frames.check_in_force(agreement, frame, today)
    as_of = {f: r["as_of"] for f, r in manifest["feeds"].items()}
    agreements.check_fresh(agreement, as_of, date.fromisoformat(night))
    facts = _facts(agreement)
    agreements.check_contract(agreement, facts)
    frames.check(agreement, frame, {f: feed.agency for f, feed in site.feeds.items()}, facts)
    covered = frame.feeds(agreement)
    columns = tuple(c for c in facts.columns if c.name in agreement.columns)
    active = consent.active(
        _provider_tables(site, manifest, "consents", covered),
        _provider_tables(site, manifest, "clients", covered),
        agreement,
        at=clock.now(),
        time_zone=site.settings.time_zone,
        episodes=_provider_tables(site, manifest, "episodes", covered),
        justice_events=site.lake.read("justice_events", manifest["tables"]["justice_events"]),
    )
    certificate = _certificate(site, agreement)
    package = Package(
        partner=agreement.partner,
        dataset=agreement.dataset,
        title=agreement.title,
        night=night,
        agreement=agreement.id,
        agreement_version=agreement.version,
        agreement_sha256=agreements.digest(agreement),
        purpose=agreement.purpose,
        legal_basis="; ".join(b.citation for b in agreement.legal_basis),
        contact=site.settings.steward_contact,
        columns=columns,
        key=facts.key,
        inputs={f: as_of.get(f) for f in agreement.inputs},
        use_limits=tuple(agreement.use_limits),
        notice=agreement.notice,
        dispute=_dispute_file(site, agreement),
        encrypt=agreement.recipient.encrypt,
        recipient=agreement.recipient.fingerprint,
        retention_days=agreement.retention_days,
    )
    identity = Identity(
        night=night,
        agreement_sha256=agreements.digest(agreement),
        inputs={t: manifest["hashes"][t] for t in _CASEWORK},
        restrictions=consent.state(active),
    )
    stated = [c.name for c in columns if c.protection == Protection.PART2 and c.name not in facts.key]
    receipt = _publication(site, agreement).stage(
        package,
        identity,
        lambda: _content(site, agreement, manifest, active, covered),
        open_ids=_opener(site, agreement, facts),
        diff=partial(changes.diff, key=facts.key, stated=stated),
        recipient_certificate=certificate,
    )
    pinned = receipt | {"agreement_sha256": identity.agreement_sha256}
    return site.lake.put_receipt(night, agreement_id, "stage", pinned)


def deliver(site: Site, agreement_id: str, night: str) -> Receipt:
    """Deliver what was staged, once.

    Restrictions are read again at this moment: where a consent has ended since, what was staged is
    discarded and staged anew. Raises: TransientError; TerminalError `agreement_changed` where the
    agreement was edited since.
    """
    agreement = site.agreement(agreement_id)
    before = site.lake.receipt(night, agreement_id, "stage")
    if before is None:
        raise TerminalError("night_incomplete", f"[{agreement_id}] is not staged for night {night}")
    if before["agreement_sha256"] != agreements.digest(agreement):
        raise TerminalError(
            "agreement_changed", f"agreement [{agreement_id}] was edited after staging; stage it again"
        )
    staged = stage(site, agreement_id, night)
    receipt = _publication(site, agreement).deliver(
        staged["release_id"], agreement_sha256=agreements.digest(agreement)
    )
    _leave_checkpoint(site, agreement, receipt)
    if agreement.recipient.push_connection:
        receipt = receipt | {"pushed": _push(site, agreement, receipt)}
    return site.lake.put_receipt(night, agreement_id, "deliver", receipt)


def _leave_checkpoint(site: Site, agreement: Agreement, receipt: Receipt) -> None:
    from connectors.sftp import Outbox

    chain = site.settings.var / "ledger" / f"{agreement.partner}.jsonl"
    entry = next(e for e in ledger.entries(chain) if e.seq == receipt["ledger"]["seq"])
    with Outbox(site.connect(agreement.recipient.connection)) as outbox:
        outbox.put_file(
            checkpoints.name(agreement.dataset, receipt["sequence"]),
            checkpoints.make(agreement.partner, entry, site.keys),
        )


def _push(site: Site, agreement: Agreement, receipt: Receipt) -> dict[str, Any]:
    """Give the partner's API the change file as it was delivered (before the first: the whole dataset).

    The key is the delivery's own, so a push that is tried again is one push.
    """
    from connectors.rest import push_changes

    channel, remote = _publication(site, agreement).channel, receipt["remote"]
    manifest = channel.read(f"{remote}/manifest.json")
    listed = json.loads(manifest)["files"] if manifest else []
    names = {f["name"]: f.get("encrypted", f)["name"] for f in listed}
    changed = f"{agreement.dataset}_changes.csv"
    name = names.get(changed) or names.get(f"{agreement.dataset}.csv", changed)
    data = channel.read(f"{remote}/{name}")
    if data is None:
        # whoever empties the outbox has the delivery: there is nothing left to tell
        return {"status": "fetched_before"}
    payload = {
        "dataset": agreement.dataset,
        "night": receipt["night"],
        "sequence": receipt["sequence"],
        "manifest_sha256": receipt["manifest_sha256"],
        "file": name,
        "content_base64": base64.b64encode(data).decode(),
    }
    key = f"{agreement.dataset}-{receipt['sequence']:06d}-{receipt['manifest_sha256'][:16]}"
    connection = site.connect(agreement.recipient.push_connection or "")
    return push_changes(connection, files.canonical_json(payload), key) | {"idempotency_key": key}

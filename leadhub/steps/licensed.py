"""What one agreement allows on one night: its facts, its checks, its rows. Nothing leaves from here."""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import dataclass, fields
from datetime import date
from typing import Any

import polars as pl
import pyarrow as pa

from leadhub.casework import Casework
from leadhub.foundation import clock
from leadhub.foundation.errors import TerminalError
from leadhub.foundation.vocabulary import ColumnFacts, Sensitivity, TableFacts
from leadhub.identity import rekeying, sealing, tokens
from leadhub.permission import agreements, consent, disclosure, gate
from leadhub.permission import frame as frames
from leadhub.permission.agreements import Agreement
from leadhub.permission.frame import Frame
from leadhub.release import accounting, datasets
from leadhub.release.documents import DisputeFile
from leadhub.release.package import Package
from leadhub.release.publication import Identity
from leadhub.release.shipment import Content
from leadhub.steps import doubts, past_consents, statistics, tables, terms
from leadhub.steps.site import Site, dataset_facts
from leadhub.steps.terms import Approved

_CASEWORK = tuple(f.name for f in fields(Casework))


@dataclass(frozen=True)
class Licensed:
    """One licence on one night. `active`: the consent lines that count at this moment."""

    agreement: Agreement
    frame: Frame
    manifest: dict[str, Any]
    facts: TableFacts
    active: pl.DataFrame
    package: Package
    identity: Identity
    gate: gate.Gate
    #: columns, not of the key, that rest on somebody's consent
    stated: tuple[str, ...]


def _columns(agreement: Agreement, facts: TableFacts) -> tuple[ColumnFacts, ...]:
    return tuple(c for c in facts.columns if c.name in agreement.columns)


def prepare(site: Site, agreement_id: str, night: str, approved: Approved | None = None) -> Licensed:
    """Read the agreement and what stands above it (or take them as they were `approved`), the night and the
    consents of this moment; nothing is judged or built yet.

    Raises: TerminalError `agreement_invalid`, `night_incomplete`.
    """
    agreement = approved.agreement if approved else site.agreement(agreement_id)
    frame = approved.frame if approved else site.frame()
    manifest, facts = _night(site, night), dataset_facts(agreement)
    agreements.check_contract(agreement, facts)
    needs = gate.compiled(agreement, facts, approved.visible if approved else terms.visible(agreement))
    active = _active(site, manifest, agreement, frame, withdrawing=approved is not None)
    columns = _columns(agreement, facts)
    as_of = _as_of(manifest)
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
        scope=needs.scope,
        dispute=_dispute_file(site, agreement),
        encrypt=agreement.recipient.encrypt,
        recipient=agreement.recipient.fingerprint,
        retention_days=agreement.retention_days,
        acknowledge_within_days=agreement.acknowledge_within_days,
        aggregate=agreement.identifiability == "aggregate",
    )
    identity = Identity(
        night=night,
        agreement_sha256=agreements.digest(agreement),
        inputs={t: manifest["hashes"][t] for t in _CASEWORK},
        restrictions=consent.state(active),
    )
    stated = tuple(name for name in needs.categories if name not in facts.key)
    return Licensed(agreement, frame, manifest, facts, active, package, identity, needs, stated)


def _active(
    site: Site, manifest: dict[str, Any], agreement: Agreement, frame: Frame, *, withdrawing: bool
) -> pl.DataFrame:
    """`consent.active` of this moment; empty where the agreement asks for no consent. Where no provider is
    left nobody consents, and what was told on consents is withdrawn; nothing new is released.

    Raises: TerminalError `night_incomplete`.
    """
    if agreement.consent is None:
        return pl.DataFrame(schema=consent.ACTIVE)
    covered = frame.feeds(agreement)
    told = {
        name: _provider_tables(site, manifest, name, covered)
        for name in ("consents", "clients", "episodes")
    }
    if told["consents"] is None or told["clients"] is None:
        if withdrawing:
            return pl.DataFrame(schema=consent.ACTIVE)
        raise TerminalError(
            "night_incomplete",
            f"[{agreement.id}]: no provider under its sharing agreements has sent consents and clients; "
            "nothing can be judged",
        )
    return consent.active(
        told["consents"],
        told["clients"],
        agreement,
        at=clock.now(),
        time_zone=site.settings.time_zone,
        episodes=told["episodes"],
        justice_events=site.lake.read("justice_events", manifest["tables"]["justice_events"]),
        doubted=doubts.consents(site, manifest["tables"]),
        past=past_consents.register(site),
    )


def check(site: Site, licence: Licensed) -> None:
    """In force in all three tiers, on inputs that are fresh enough, within its sharing agreements.

    Raises: TerminalError `agreement_not_in_force`, `stale_input`, `agreement_invalid`.
    """
    agreement, frame = licence.agreement, licence.frame
    today = date.fromisoformat(clock.tonight(site.settings.time_zone))
    frames.check_in_force(agreement, frame, today)
    agreements.check_fresh(agreement, _as_of(licence.manifest), date.fromisoformat(licence.package.night))
    frames.check(agreement, frame, {f: feed.agency for f, feed in site.feeds.items()}, licence.facts)


def _as_of(manifest: dict[str, Any]) -> dict[str, str | None]:
    return {f: r["as_of"] for f, r in manifest["feeds"].items()}


def _night(site: Site, night: str) -> dict[str, Any]:
    manifest = site.lake.night(clock.check_night(night))
    if manifest is None:
        raise TerminalError("night_incomplete", f"night {night} is not committed; nothing can be published")
    return manifest


def _provider_tables(site: Site, manifest: dict[str, Any], name: str, covered: Set[str]) -> pa.Table | None:
    """A table over all provider feeds that a sharing agreement covers, with a `feed` column; None where
    none of them has it."""
    parts = []
    for feed_id, receipt in manifest["feeds"].items():
        feed = site.feeds.get(feed_id) if feed_id in covered else None
        if feed and feed.contract == "provider" and name in receipt["tables"]:
            table = tables.read(site, feed_id, name, receipt["tables"][name]["version"])
            parts.append(table.append_column("feed", pa.array([feed_id] * table.num_rows, pa.string())))
    return pa.concat_tables(parts) if parts else None


def content(site: Site, licence: Licensed, *, kept: bool = True) -> Content:
    """Permitted rows with sealed ids, and the grounds of each; or the counts made so far. `kept`: tables of
    counts that are due are made for good; else they are shown, and made anew another time."""
    agreement, manifest, active = licence.agreement, licence.manifest, licence.active
    if licence.package.aggregate:
        made = (
            [] if licence.package.withdrawals_only else statistics.made(site, manifest, agreement.dataset)
        )
        if kept:
            statistics.keep(site, made)
        counts = statistics.published(site, agreement.dataset, agreement.columns, made)
        return Content(counts, accounting.GROUNDS.empty_table())
    covered = licence.frame.feeds(agreement)
    casework = Casework(**{t: site.lake.read(t, manifest["tables"][t]) for t in _CASEWORK})
    permitted = _permitted(site, licence, pl.DataFrame(pl.from_arrow(casework.statements)))
    own = [f for f, feed in site.feeds.items() if feed.agency == agreement.own_ids_of]
    clients = _provider_tables(site, manifest, "clients", covered)
    own_clients = disclosure.own_clients(
        disclosure.NO_CLIENTS if clients is None else clients,
        site.lake.read("crosswalk", manifest["tables"]["crosswalk"]),
        site.lake.read("linkage_pairs", manifest["tables"]["linkage_pairs"]),
        active,
        agreement,
        own_feeds=own,
    )
    built = datasets.build(agreement, datasets.Sources(casework, permitted, own_clients, own), licence.gate)
    site.lake.put_receipt(
        manifest["night"],
        agreement.id,
        "withheld",
        {"withheld": built.withheld, "rows": built.rows.num_rows},
    )
    return Content(built.rows, built.grounds)


def _permitted(site: Site, licence: Licensed, said: pl.DataFrame) -> disclosure.Permitted:
    """By consent, or for a purpose against the person by the order of a court that is in force today."""
    order, agency = licence.agreement.court_order, licence.agreement.own_ids_of
    if licence.agreement.purpose not in agreements.AGAINST_THE_PERSON:
        return disclosure.permit(said, licence.active)
    today = date.fromisoformat(clock.tonight(site.settings.time_zone))
    if order is None or agency is None or not order.in_force(today):
        return disclosure.permit_by_order(said, [], [])
    plain = sealing.open_sealed(pa.array(order.proceedings, pa.string()), agency, site.keys)
    dockets = tokens.shared_id_token(plain, "docket_no", site.keys)
    return disclosure.permit_by_order(said, dockets.to_pylist(), order.categories)


def opener(site: Site, licence: Licensed) -> Callable[[pa.Table], pa.Table]:
    """Opens the partner's own ids, and only those."""
    agency = licence.agreement.own_ids_of
    own = [c.name for c in licence.facts.of(Sensitivity.LOCAL_ID)]

    def open_ids(table: pa.Table) -> pa.Table:
        for place, name in enumerate(table.column_names):
            if name in own and agency:
                opened = sealing.open_sealed(table.column(name), agency, site.keys)
                table = table.set_column(place, name, opened)
        return table

    return open_ids


def up_to_date(site: Site, agreement: Agreement) -> Callable[[pa.Table], pa.Table]:
    """Kept rows with the partner's own ids sealed under the newest key version."""
    facts, agency = dataset_facts(agreement), agreement.own_ids_of
    if agency is None:
        return lambda rows: rows
    return lambda rows: rekeying.up_to_date(rows, facts, agency=agency, keys=site.keys)


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

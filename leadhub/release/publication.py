"""Publication of one dataset to one partner: stage → intent → deliver → committed.

::

    staged      the release folder is there, verified         (release.store)
    intended    … and the ledger has `intent`: a possible disclosure
    committed   … and the ledger has `committed`: a disclosure

A release is named by its night, agreement, inputs and restrictions. The same again returns its
receipt; a changed state is the next sequence number and supersedes. Staging takes no number for good:
what was never sent gives its number back, so a partner sees no gap. Killed at any instant, running
again ends in the same release, delivered once and committed once.

Agency ids are opened in the package alone; what the hub keeps, and compares with the next release, is
sealed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from leadhub.foundation import failpoints, files, ledger, openpgp
from leadhub.foundation.errors import TerminalError, TransientError
from leadhub.foundation.lease import lease
from leadhub.foundation.ledger import Entry
from leadhub.release import accounting, encoding, package, shipment
from leadhub.release.channel import Channel
from leadhub.release.package import Package
from leadhub.release.shipment import Content, Shipment
from leadhub.release.store import Latest, Store

Receipt = dict[str, Any]
NEVER_ARRIVED = "given up for a newer state; the outbox does not hold it"


@dataclass(frozen=True)
class Identity:
    """What names a release. `inputs`: input → version or hash; `restrictions`: hash of consents, seals;
    `terms_sha256`: of all that two people approved (`approval.Terms`)."""

    night: str
    agreement_sha256: str
    inputs: Mapping[str, str]
    restrictions: str
    withdrawals_only: bool = False
    terms_sha256: str = ""

    @property
    def release_id(self) -> str:
        """Sixteen hex digits. It stays inside the hub: it changes with what the partner may not know of."""
        return files.sha256_bytes(files.canonical_json(asdict(self)))[:16]


@dataclass(frozen=True)
class Publication:
    """One dataset of one partner. `signing_key` is the hub's OpenPGP secret key file."""

    var: Path
    partner: str
    dataset: str
    signing_key: Path
    channel: Channel
    #: sealed ids of kept rows as they would be sealed now
    up_to_date: Callable[[pa.Table], pa.Table] = lambda rows: rows

    @cached_property
    def store(self) -> Store:
        return Store(self.var, self.partner, self.dataset)

    @cached_property
    def _certificate(self) -> bytes:
        return openpgp.certificate(self.signing_key)

    def latest(self) -> Latest | None:
        """As `Store.latest`, with ids of the newest key version."""
        found = self.store.latest()
        return found and replace(found, rows=self.up_to_date(found.rows))

    def stage(
        self,
        facts: Package,
        identity: Identity,
        content: Callable[[], Content],
        *,
        open_ids: Callable[[pa.Table], pa.Table],
        stated: Sequence[str],
        recipient_certificate: bytes | None = None,
    ) -> Receipt:
        """Build and verify the release of this state, unless that was done already; nothing is visible yet.

        `content` is called only where there is something to build. `open_ids` opens the partner's own
        ids in rows or changes. `stated`: columns that rest on a consent (`changes.diff`). The receipt's
        `status`: `staged`; `committed`: this state was delivered before; `unchanged`: another state of
        the same night of which this partner sees nothing, so the earlier release stands (a new number
        would tell it that somebody's restrictions changed), or no count but what it has;
        `nothing_to_withdraw`, where withdrawals alone were asked for (`shipment`). Run it again before
        `deliver` with restrictions read at that moment: a state that has passed is then discarded.
        Raises: TerminalError `out_of_order` (a later night was delivered), `counts_differ`, and those of
        `package.build`; TransientError.
        """
        if any(
            getattr(facts, n) != getattr(identity, n)
            for n in ("night", "agreement_sha256", "withdrawals_only")
        ):
            raise ValueError("package and identity are not of one night, agreement and kind")
        named = identity.release_id
        with files.io_errors(f"publishing {self.dataset}"), lease(self.store.folder, "release"):
            done = self.store.standing(named)
            if done:
                return self._finish(done)
            self._settle(named)
            last = self.store.committed()
            if last and str(last.night) > facts.night:
                raise TerminalError(
                    "out_of_order",
                    f"[{self.dataset}] of night {last.night} is delivered; {facts.night} comes too late",
                )
            sequence = self.store.next_sequence()
            release = self.store.folder / f"{sequence:06d}_{named}"
            if not self._is_whole(release):
                found, before = content(), self.latest()
                numbered = replace(
                    facts, sequence=sequence, previous_sequence=before.sequence if before else None
                )
                kind = shipment.withdrawals if facts.withdrawals_only else shipment.whole
                shipped = kind(facts, found, before.rows if before else None, stated=stated)
                if shipped is None:
                    self.store.discard_uncommitted()
                    return {"status": "nothing_to_withdraw", "partner": self.partner, "rows": 0}
                if facts.aggregate and last and shipped.no_change:
                    self.store.discard_uncommitted()
                    return self._finish(last) | {"status": "unchanged"}
                seen = _fingerprint(facts, found.rows)
                if last and last.night == facts.night and self._fingerprint_of(last) == seen:
                    self.store.discard_uncommitted()
                    return self._finish(last) | {"status": "unchanged"}
                self._build(release, numbered, shipped, seen, open_ids, recipient_certificate)
            failpoints.reach("release.staged")
            return self._receipt(self.store.entry("intent", release), "staged")

    def _build(
        self,
        release: Path,
        facts: Package,
        shipped: Shipment,
        fingerprint: str,
        open_ids: Callable[[pa.Table], pa.Table],
        recipient_certificate: bytes | None,
    ) -> None:
        self.store.discard_uncommitted()
        with self.store.staging(release.name) as staging:
            package.build(
                facts,
                open_ids(shipped.rows),
                None if shipped.changes is None else open_ids(shipped.changes),
                staging / "package",
                signing_key=self.signing_key,
                recipient_certificate=recipient_certificate,
            )
            manifest = package.verify(staging / "package", self._certificate)
            if manifest["rows"] != shipped.rows.num_rows:
                raise TerminalError(
                    "counts_differ",
                    f"{shipped.rows.num_rows} rows staged, {manifest['rows']} written; do not deliver",
                )
            recorded = {
                "release_id": release.name.partition("_")[2],
                "night": facts.night,
                "sequence": facts.sequence,
                "manifest_sha256": files.sha256_file(staging / "package" / package.MANIFEST),
                "accounting_sha256": accounting.write(shipped.accounted, staging / "inside"),
                "rows": shipped.rows.num_rows,
                "withdrawn": shipped.withdrawn,
                "agreement": facts.agreement,
                "agreement_version": facts.agreement_version,
                "agreement_sha256": facts.agreement_sha256,
                "fingerprint": fingerprint,
            }
            self.store.put(staging, shipped.held, recorded)

    def deliver(self, release_id: str, *, agreement_sha256: str) -> Receipt:
        """Deliver, once, what `stage` named; returns the receipt, the same one each time.

        Raises: TransientError `not_ready` where it is not staged (any more), and those of the channel;
        TerminalError `agreement_changed` where the agreement was edited since, `signature_invalid`
        where the staged files were, `state_invalid` where the outbox holds another delivery of that name.
        """
        with files.io_errors(f"publishing {self.dataset}"), lease(self.store.folder, "release"):
            done = self.store.standing(release_id)
            if done:
                return self._finish(done)
            release = self._staged(release_id)
            intent = self.store.entry("intent", release)
            if intent.agreement_sha256 != agreement_sha256:
                raise TerminalError(
                    "agreement_changed",
                    f"agreement [{intent.agreement}] was edited after staging; stage the release again",
                )
            package.verify(release / "package", self._certificate)
            failpoints.reach("release.before_intent")
            if self.store.open_intent() is None:
                ledger.append(self.store.chain, intent)
            failpoints.reach("release.after_intent")
            arrived = self._arrived(intent)
            if arrived is None:
                # from now on an empty outbox may be one that the partner has emptied
                files.write_bytes(self._sending(intent), b"")
                self.channel.deliver(release / "package", self._remote(intent))
                arrived = self._arrived(intent)
            if arrived is None:
                raise TransientError(
                    "delivery_failed", f"[{self._remote(intent)}] is not in the outbox after delivery"
                )
            failpoints.reach("release.before_committed")
            committed = self._commit(replace(intent, manifest_sha256=arrived))
            failpoints.reach("release.after_committed")
            return self._finish(committed)

    def _commit(self, intent: Entry) -> Entry:
        last = self.store.committed()
        if last and last.night == intent.night:
            known = {e.sequence for e in self.store.entries("superseded")}
            if last.sequence not in known:
                ledger.append(self.store.chain, replace(last.facts(), kind="superseded"))
        return ledger.append(self.store.chain, replace(intent.facts(), kind="committed"))

    def _settle(self, wanted: str) -> None:
        """An open intent of another state: it became visible and is recorded so, or it is given up. One
        that was being sent counts as made though the outbox is empty: the partner may have fetched it."""
        intent = self.store.open_intent()
        if intent is None or intent.release_id == wanted:
            return
        arrived = self._arrived(intent)
        if arrived is not None:
            self._commit(replace(intent, manifest_sha256=arrived))
        elif self._sending(intent).exists():
            self._commit(replace(intent, note=accounting.PERHAPS))
        else:
            ledger.append(self.store.chain, replace(intent.facts(), kind="note", note=NEVER_ARRIVED))

    def _sending(self, intent: Entry) -> Path:
        """Is there once the delivery itself has begun."""
        return self.store.release(intent) / "inside" / "sending"

    def _arrived(self, intent: Entry) -> str | None:
        package_of_it = self.store.release(intent) / "package"
        return self.channel.arrived(intent, self._remote(intent), package_of_it, self._certificate)

    def _staged(self, release_id: str) -> Path:
        release = self.store.folder / f"{self.store.next_sequence():06d}_{release_id}"
        intent = self.store.open_intent()
        if not release.is_dir() or (intent is not None and intent.release_id != release_id):
            raise TransientError("not_ready", f"[{self.dataset}] is not staged in this state; stage first")
        return release

    def _is_whole(self, release: Path) -> bool:
        try:
            package.verify(release / "package", self._certificate)
        except TerminalError:
            return False
        return True

    def _fingerprint_of(self, entry: Entry) -> str:
        return self.store.facts(self.store.release(entry))["fingerprint"]

    def _remote(self, entry: Entry) -> str:
        return package.folder(self.dataset, entry.sequence or 0, entry.night or "")

    def _finish(self, committed: Entry) -> Receipt:
        self.store.tidy()
        return self._receipt(committed, "committed")

    def _receipt(self, entry: Entry, status: str) -> Receipt:
        """What a step tells: nothing of a row."""
        return {
            "status": status,
            "partner": self.partner,
            "dataset": self.dataset,
            "night": entry.night,
            "sequence": entry.sequence,
            "release_id": entry.release_id,
            "rows": entry.rows,
            "manifest_sha256": entry.manifest_sha256,
            "accounting_sha256": entry.accounting_sha256,
            "remote": self._remote(entry),
            "ledger": {"seq": entry.seq, "hash": entry.hash} if entry.hash else None,
        }


def _fingerprint(facts: Package, rows: pa.Table) -> str:
    """Of all that the partner would see, but the sequence number."""
    content = files.sha256_bytes(encoding.parquet(encoding.in_order(rows)))
    stated = asdict(replace(facts, sequence=0, previous_sequence=None))
    return files.sha256_bytes(files.canonical_json({"package": stated, "rows": content}))

"""One agreement, one night: stage what it allows, deliver it, push its changes where agreed."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from leadhub.foundation import files, ledger, openpgp
from leadhub.foundation.errors import TerminalError
from leadhub.permission import agreements
from leadhub.permission.agreements import Agreement
from leadhub.release import checkpoints, documents
from leadhub.release.approval import Terms
from leadhub.release.channel import Channel
from leadhub.release.publication import Publication
from leadhub.steps import approvals, licensed, terms
from leadhub.steps.ingest import Receipt
from leadhub.steps.licensed import Licensed
from leadhub.steps.site import Site
from leadhub.steps.terms import Approved

if TYPE_CHECKING:
    from connectors.sftp import Outbox


@dataclass(frozen=True)
class _Door:
    """The way to one partner: a publication, and the outbox that its channel uses."""

    publication: Publication
    outbox: Callable[[], Outbox]


@contextlib.contextmanager
def _door(site: Site, agreement: Agreement) -> Iterator[_Door]:
    """One SFTP session for all that a step has to do there, opened by whoever needs it first."""
    from connectors.sftp import Outbox

    connection = site.connect(agreement.recipient.connection)
    with contextlib.ExitStack() as stack:

        @cache
        def outbox() -> Outbox:
            return stack.enter_context(Outbox(connection))

        channel = Channel(
            lambda folder, remote: outbox().deliver_folder(folder, remote),
            lambda remote: outbox().read(remote),
        )
        publication = Publication(
            var=site.settings.var,
            partner=agreement.partner,
            dataset=agreement.dataset,
            signing_key=site.settings.signing_key,
            channel=channel,
            up_to_date=licensed.up_to_date(site, agreement),
        )
        yield _Door(publication, outbox)


def stage(site: Site, agreement_id: str, night: str) -> Receipt:
    """Build, sign, verify and account what the agreement allows tonight.

    Where it allows nothing (not in force, not approved, on inputs too old), what must be withdrawn is
    delivered all the same (T10). Status `awaiting_approval`: two people have yet to answer (`approvals`).
    Raises: TerminalError `agreement_not_in_force`, `stale_input`, `recipient_key_mismatch`, …
    """
    with _withdrawing(site, agreement_id, night):
        licence = licensed.prepare(site, agreement_id, night)
        licensed.check(site, licence)
        asked = terms.of(site, licence.agreement, licence.frame)
        key = terms.certificate(site, licence.agreement)
    pinned = {"agreement_sha256": licence.identity.agreement_sha256}
    if not approvals.standing(site, agreement_id, asked).approved:
        withdraw(site, agreement_id, night)
        waiting = {"status": approvals.AWAITING, "partner": licence.package.partner, "rows": 0}
        return site.lake.put_receipt(night, agreement_id, "stage", waiting | pinned)
    receipt = _stage(site, licence, key, asked)
    return site.lake.put_receipt(night, agreement_id, "stage", receipt | pinned)


@contextlib.contextmanager
def _withdrawing(site: Site, agreement_id: str, night: str) -> Iterator[None]:
    """What stops a release stops no withdrawal."""
    try:
        yield
    except TerminalError:
        withdraw(site, agreement_id, night)
        raise


def _stage(site: Site, licence: Licensed, key: bytes | None, asked: Terms) -> Receipt:
    """`key`: the partner's certificate, of the fingerprint that was approved with the terms."""
    with _door(site, licence.agreement) as door:
        return door.publication.stage(
            replace(licence.package, recipient=terms.fingerprint(asked)),
            replace(licence.identity, terms_sha256=asked.subject),
            lambda: licensed.content(site, licence),
            open_ids=licensed.opener(site, licence),
            stated=licence.stated,
            recipient_certificate=key,
        )


def withdraw(site: Site, agreement_id: str, night: str) -> Receipt:
    """Deliver keys of rows that may no longer be at the partner, and nothing else; none, no delivery.

    To whom, how encrypted, and what of it is permitted: as two people approved last. A licence that one
    person edited says nothing yet; before the first approval nothing was ever told.
    Raises: TransientError; TerminalError `agreement_invalid`.
    """
    approved = approvals.approved(site, agreement_id)
    if approved is None:
        return {"status": "nothing_to_withdraw", "rows": 0}
    licence = licensed.prepare(site, agreement_id, night, approved)
    alone = replace(
        licence,
        package=replace(licence.package, withdrawals_only=True),
        identity=replace(licence.identity, withdrawals_only=True),
    )
    staged = _stage(site, alone, _key(site, approved), approved.terms)
    if staged["status"] == "nothing_to_withdraw":
        return staged
    receipt = _deliver(site, alone.agreement, staged["release_id"])
    return site.lake.put_receipt(night, agreement_id, "withdraw", receipt)


def _key(site: Site, approved: Approved) -> bytes | None:
    """The partner's certificate as it is now (its subkeys may have been renewed), unless it is another's
    than was approved: then as it was."""
    if approved.key is None:
        return None
    try:
        now = terms.certificate(site, approved.agreement)
        same = now is not None and openpgp.fingerprint(now) == openpgp.fingerprint(approved.key)
    except TerminalError:
        return approved.key
    return now if same else approved.key


def deliver(site: Site, agreement_id: str, night: str) -> Receipt:
    """Deliver what was staged, once.

    Restrictions and approval are read again at this moment: where a consent has ended since, what was
    staged is discarded and staged anew. Raises: TransientError; TerminalError `agreement_changed` where
    the agreement was edited since, `approval_pending` where two people have not approved it.
    """
    before = site.lake.receipt(night, agreement_id, "stage")
    if before is None:
        raise TerminalError("night_incomplete", f"[{agreement_id}] is not staged for night {night}")
    with _withdrawing(site, agreement_id, night):
        agreement = site.agreement(agreement_id)
        if before["agreement_sha256"] != agreements.digest(agreement):
            raise TerminalError(
                "agreement_changed", f"agreement [{agreement_id}] was edited after staging; stage it again"
            )
    staged = stage(site, agreement_id, night)
    if staged["status"] == approvals.AWAITING:
        raise TerminalError(
            "approval_pending",
            f"[{agreement_id}] version {agreement.version} waits for two people; its last delivery stands; "
            "see `leadhub release pending`",
        )
    receipt = _deliver(site, agreement, staged["release_id"])
    return site.lake.put_receipt(night, agreement_id, "deliver", receipt)


def _deliver(site: Site, agreement: Agreement, release_id: str) -> Receipt:
    with _door(site, agreement) as door:
        receipt = door.publication.deliver(release_id, agreement_sha256=agreements.digest(agreement))
        _leave_checkpoint(site, agreement, receipt, door.outbox())
        if agreement.recipient.push_connection:
            receipt = receipt | {"pushed": _push(site, agreement, receipt, door.outbox())}
        return receipt


def _leave_checkpoint(site: Site, agreement: Agreement, receipt: Receipt, outbox: Outbox) -> None:
    chain = site.settings.var / "ledger" / f"{agreement.partner}.jsonl"
    entry = next(e for e in ledger.entries(chain) if e.seq == receipt["ledger"]["seq"])
    for name, succession in checkpoints.successions(site.keys).items():
        if outbox.read(name) is None:
            outbox.put_file(name, succession)
    outbox.put_file(
        checkpoints.name(agreement.dataset, receipt["sequence"]),
        checkpoints.make(agreement.partner, entry, site.keys),
    )


def _push(site: Site, agreement: Agreement, receipt: Receipt, outbox: Outbox) -> dict[str, Any]:
    """Give the partner's API the change file as it was delivered (before the first: the whole dataset).

    The key is the delivery's own, so a push that is tried again is one push.
    """
    from connectors.rest import push_changes

    remote = receipt["remote"]
    manifest = outbox.read(f"{remote}/manifest.json")
    listed = json.loads(manifest)["files"] if manifest else []
    names = {f["name"]: f.get("encrypted", f)["name"] for f in listed}
    changed = f"{agreement.dataset}_changes.csv"
    name = names.get(changed) or names.get(f"{agreement.dataset}.csv", changed)
    data = outbox.read(f"{remote}/{name}")
    if data is None:
        # whoever empties the outbox has the delivery: there is nothing left to tell
        return {"status": "fetched_before"}
    told = json.loads(manifest) if manifest else {}
    payload = {
        # a disclosure of its own (42 CFR 2.32): notice and scope go with it
        "notice": told.get("notice"),
        "notice_text": documents.notice(agreement.notice).text.decode() if agreement.notice else None,
        "consent_scope": told.get("consent_scope"),
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

"""What two people say before anything leaves under a new or changed licence (`release.approval`)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from leadhub.foundation import files, ledger
from leadhub.foundation.errors import TerminalError
from leadhub.permission import licences
from leadhub.release import approval
from leadhub.release.approval import Role, Standing, Terms
from leadhub.release.store import Store
from leadhub.steps import licensed, terms
from leadhub.steps.ingest import Receipt
from leadhub.steps.site import Site
from leadhub.steps.terms import Approved

#: status of a dataset that waits
AWAITING = "awaiting_approval"


def _store(site: Site, agreement_id: str) -> Store:
    """By its id alone: what was approved and delivered is there, whatever became of its file."""
    named = licences.named(agreement_id)
    if named is None:
        raise TerminalError("agreement_invalid", f"[{agreement_id}] is no id of a licence")
    return Store(site.settings.var, named.partner, named.dataset)


def _terms(site: Site, agreement_id: str) -> Terms:
    return terms.of(site, site.agreement(agreement_id), site.frame())


def standing(site: Site, agreement_id: str, asked: Terms | None = None) -> Standing:
    """Where this licence stands, as its documents are now, or as they were `asked`.

    Raises: TerminalError `ledger_broken`, and as `terms.of`.
    """
    asked = asked or _terms(site, agreement_id)
    return approval.standing(ledger.entries(_store(site, agreement_id).chain), asked.dataset, asked.subject)


def last_night(site: Site) -> str:
    """The last committed night. Raises: TerminalError `night_incomplete` before the first."""
    nights = site.lake.nights()
    if not nights:
        raise TerminalError("night_incomplete", "no night is committed yet: nothing waits to leave")
    return nights[-1]


def pending(site: Site) -> list[dict[str, Any]]:
    """Every licence that waits for two people: agreement, version, partner, state, who proposed it."""
    found = []
    for agreement_id in site.licences:
        try:
            asked = _terms(site, agreement_id)
        except TerminalError:
            continue  # nobody can answer: `stopped`
        now = standing(site, agreement_id, asked)
        if not now.approved:
            found.append(
                {
                    "agreement": agreement_id,
                    "version": asked.version,
                    "partner": asked.documents["licence"]["partner"],
                    "state": now.state,
                    "proposed_by": now.proposed_by,
                }
            )
    return found


def stopped(site: Site) -> list[TerminalError]:
    """Why nobody can answer, of each licence of which a document or the partner's key cannot be read."""
    found = []
    for agreement_id in site.licences:
        try:
            _terms(site, agreement_id)
        except TerminalError as error:
            found.append(error)
    return found


def preview(site: Site, agreement_id: str, night: str) -> Receipt:
    """What would leave (`release.approval.preview`), as facts and as Markdown: counts, no value of a row.

    Raises: TerminalError where the licence allows nothing tonight, whoever approves it.
    """
    licence = licensed.prepare(site, agreement_id, night)
    licensed.check(site, licence)
    asked = terms.of(site, licence.agreement, licence.frame)
    before, now = _before(site, agreement_id), standing(site, agreement_id, asked)
    held = _store(site, agreement_id).latest()
    shown = approval.preview(
        licence.package,
        licensed.content(site, licence, kept=False),
        licensed.up_to_date(site, licence.agreement)(held.rows) if held else None,
        before.terms.documents if before else None,
        terms=asked.documents,
        stated=licence.stated,
    )
    return {
        "subject_sha256": asked.subject,
        "state": now.state,
        "proposed_by": now.proposed_by,
        "preview": shown,
        "preview_sha256": approval.digest(shown),
        "markdown": approval.markdown(shown, now),
    }


def _before(site: Site, agreement_id: str) -> Approved | None:
    """As `approved`; where that cannot be read back all is shown as new: who answers keeps it again."""
    try:
        return approved(site, agreement_id)
    except TerminalError as error:
        if error.reason != "agreement_invalid":
            raise
        return None


def answer(
    site: Site,
    agreement_id: str,
    role: Role,
    *,
    by: str,
    preview_sha256: str | None = None,
    subject_sha256: str | None = None,
) -> Receipt:
    """One person's answer, into the partner's ledger. The same answer again is one answer, and
    keeps what was approved where that was lost.

    `preview_sha256`, `subject_sha256`: what this person saw, and of which documents.
    Raises: TerminalError `approval_refused` (`approval.check_answer`), also where a document changed since
    they looked.
    """
    asked = _terms(site, agreement_id)
    if subject_sha256 not in (None, asked.subject):
        raise TerminalError("approval_refused", "a document changed since you looked; look again")
    now = standing(site, agreement_id, asked)
    said = {"proposed": now.proposed_by, "approved": now.approved_by}.get(role)
    again = now.state == role and said == by.strip()
    if not again:
        approval.check_answer(now, role, by)
    if role == "approved":
        key = terms.certificate(site, site.agreement(agreement_id))
        files.write_json(_kept(site, agreement_id, asked.subject), terms.kept(asked, key))
    if not again:
        ledger.append(_store(site, agreement_id).chain, approval.entry(asked, role, by, preview_sha256))
    return {"agreement": agreement_id, "version": asked.version, "state": role, "by": by.strip()}


def approved(site: Site, agreement_id: str) -> Approved | None:
    """What two people approved last, None before they ever did.

    Raises: TerminalError `ledger_broken`, `agreement_invalid`.
    """
    store = _store(site, agreement_id)
    subject = approval.last_approved(ledger.entries(store.chain), store.dataset)
    if subject is None:
        return None
    try:
        return terms.approved(files.read_json(_kept(site, agreement_id, subject)), subject)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        raise TerminalError(
            "agreement_invalid",
            f"the facts of [{agreement_id}] that were approved last are not in ledger/approved, or not as "
            "they were; restore them from a backup, or let whoever approved last approve again",
        ) from None


def asked_bits(site: Site, before: Iterable[float]) -> list[float]:
    """Thresholds of link evidence that approved licences ask for; those of the night `before`, too, where
    one cannot be known: a ledger that stops one partner stops no night."""
    found: set[float] = set()
    for agreement_id in site.licences:
        try:
            held = approved(site, agreement_id)
        except TerminalError:
            found |= set(before)
            continue
        evidence = held.agreement.link_evidence if held else None
        if evidence and evidence.min_bits is not None:
            found.add(float(evidence.min_bits))
    return sorted(found)


def _kept(site: Site, agreement_id: str, subject: str) -> Path:
    """What was approved, so that a later preview can say what changed, and withdrawals leave by it."""
    return site.settings.approved / agreement_id / f"{subject}.json"

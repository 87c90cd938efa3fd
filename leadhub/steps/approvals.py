"""What two people say before anything leaves under a new or changed licence (`release.approval`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from leadhub.foundation import files, ledger
from leadhub.foundation.errors import TerminalError
from leadhub.permission.agreements import Agreement
from leadhub.release import approval
from leadhub.release.approval import Role, Standing
from leadhub.release.store import Store
from leadhub.steps import licensed
from leadhub.steps.ingest import Receipt
from leadhub.steps.site import Site

#: status of a dataset that waits
AWAITING = "awaiting_approval"


def _store(site: Site, agreement_id: str) -> Store:
    agreement = site.agreement(agreement_id)
    return Store(site.settings.var, agreement.partner, agreement.dataset)


def standing(site: Site, agreement_id: str) -> Standing:
    """Where this licence stands. Raises: TerminalError `ledger_broken`."""
    terms = licensed.terms(site, agreement_id)
    return approval.standing(ledger.entries(_store(site, agreement_id).chain), terms.dataset, terms.subject)


def last_night(site: Site) -> str:
    """The last committed night. Raises: TerminalError `night_incomplete` before the first."""
    nights = site.lake.nights()
    if not nights:
        raise TerminalError("night_incomplete", "no night is committed yet: nothing waits to leave")
    return nights[-1]


def pending(site: Site) -> list[dict[str, Any]]:
    """Every licence that is not approved: agreement, version, partner, state, who proposed it."""
    found = []
    for agreement_id, agreement in site.agreements.items():
        now = standing(site, agreement_id)
        if not now.approved:
            found.append(
                {
                    "agreement": agreement_id,
                    "version": agreement.version,
                    "partner": agreement.partner,
                    "state": now.state,
                    "proposed_by": now.proposed_by,
                }
            )
    return found


def preview(site: Site, agreement_id: str, night: str) -> Receipt:
    """What would leave (`release.approval.preview`), as facts and as Markdown: counts, no value of a row.

    Raises: TerminalError where the licence allows nothing tonight, whoever approves it.
    """
    licence = licensed.prepare(site, agreement_id, night)
    licensed.check(site, licence)
    store, now = _store(site, agreement_id), standing(site, agreement_id)
    held = store.latest()
    approved = approval.last_approved(ledger.entries(store.chain), licence.package.dataset)
    shown = approval.preview(
        licence.package,
        licensed.content(site, licence),
        licensed.up_to_date(site, licence.agreement)(held.rows) if held else None,
        files.read_json(_kept(site, approved)) if approved else None,
        agreement=licence.agreement.model_dump(mode="json"),
        stated=licence.stated,
    )
    return {
        "state": now.state,
        "proposed_by": now.proposed_by,
        "preview": shown,
        "preview_sha256": approval.digest(shown),
        "markdown": approval.markdown(shown, now),
    }


def answer(
    site: Site, agreement_id: str, role: Role, *, by: str, preview_sha256: str | None = None
) -> Receipt:
    """One person's answer, into the partner's ledger. The same answer again is one answer.

    Raises: TerminalError `approval_refused` (`approval.check_answer`).
    """
    terms, now = licensed.terms(site, agreement_id), standing(site, agreement_id)
    said = {"proposed": now.proposed_by, "approved": now.approved_by}.get(role)
    if now.state != role or said != by.strip():
        approval.check_answer(now, role, by)
        if role == "approved":
            facts = site.agreement(agreement_id).model_dump(mode="json")
            files.write_json(_kept(site, terms.subject), facts)
        ledger.append(_store(site, agreement_id).chain, approval.entry(terms, role, by, preview_sha256))
    return {"agreement": agreement_id, "version": terms.version, "state": role, "by": by.strip()}


def approved_facts(site: Site, agreement_id: str) -> Agreement | None:
    """The licence as two people approved it last, None before they ever did.

    Raises: TerminalError `ledger_broken`, `agreement_invalid`.
    """
    store = _store(site, agreement_id)
    subject = approval.last_approved(ledger.entries(store.chain), store.dataset)
    if subject is None:
        return None
    try:
        return Agreement.model_validate(files.read_json(_kept(site, subject)))
    except (FileNotFoundError, ValueError):
        raise TerminalError(
            "agreement_invalid",
            f"the facts of [{agreement_id}] that were approved last are not in ledger/approved, or not as "
            "they were; restore them from a backup",
        ) from None


def _kept(site: Site, subject: str) -> Path:
    """The facts of an approved licence, so that a later preview can say what changed."""
    return site.settings.var / "ledger" / "approved" / f"{subject}.json"

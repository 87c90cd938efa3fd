"""Agreements: the only thing that decides what leaves; one YAML a partner and dataset."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Literal

from pydantic import Field

from leadhub.foundation import facts_file, files
from leadhub.foundation.errors import TerminalError
from leadhub.foundation.facts_file import Facts

_ID = r"^[a-z][a-z0-9_]{2,40}$"


class LegalBasis(Facts):
    """Why this may leave: for which records, by which citation, and in words what that permits here."""

    covers: Literal["justice_record", "consented_statement"]
    citation: str
    permits: str


class LinkEvidence(Facts):
    """What must join two agencies' records before this partner sees them side by side.

    `deterministic`: an identifier that both agencies wrote down. `person`: the same person by linkage.
    """

    kind: Literal["deterministic", "person"]
    why: str


class ConsentRule(Facts):
    """Which consent a provider's statement needs. Types are the consent registry's."""

    category: str
    purposes: list[str] = Field(min_length=1)
    #: for clients of a Part 2 programme; a general release never satisfies 42 CFR 2.31
    part2_types: list[str] = Field(min_length=1)
    #: for all other clients
    other_types: list[str] = Field(min_length=1)


class Recipient(Facts):
    """Where a delivery goes, and for whose key."""

    #: Airflow connection id of the partner's SFTP account
    connection: str
    encrypt: bool
    #: fingerprint of the partner's OpenPGP certificate, once known; a different one is refused
    fingerprint: str | None = None
    #: Airflow connection id of an API that also gets the change file
    push_connection: str | None = None


class Agreement(Facts):
    """One data-use licence. Read aloud, it says who gets what, why, from whom, until when."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]{2,80}$")
    title: str
    version: str
    partner: str = Field(pattern=_ID)
    signatories: list[str] = Field(min_length=2)
    valid_from: date
    valid_until: date
    purpose: Literal[
        "DIVERSION_COORDINATION", "CARE_COORDINATION", "PROGRAMME_EVALUATION", "REFERRAL_FEEDBACK"
    ]
    use_limits: list[str] = Field(min_length=1)
    legal_basis: list[LegalBasis] = Field(min_length=1)
    dataset: str = Field(pattern=_ID)
    columns: list[str] = Field(min_length=1)
    #: agency whose sealed ids the partner may have opened: its own, and no other
    own_ids_of: str = Field(pattern=_ID)
    #: feeds this partner may know of, with their as-of dates
    inputs: list[str] = Field(min_length=1)
    #: nights after which an input is too old to publish on
    stale_after_nights: int = Field(ge=1)
    link_evidence: LinkEvidence
    consent: ConsentRule
    recipient: Recipient
    #: name of the notice that goes with every delivery
    notice: str | None = None
    #: days after which the partner must have destroyed a delivery
    retention_days: int = Field(ge=1)

    def basis(self, covers: str) -> str:
        """The citations for records of a kind, as the accounting writes them."""
        return "; ".join(b.citation for b in self.legal_basis if b.covers == covers)


def load_all(folder: Path) -> dict[str, Agreement]:
    """Every agreement by id. Raises: TerminalError `agreement_invalid` naming file and key."""
    found = {}
    for path in sorted(folder.glob("*.yaml")):
        agreement = facts_file.read(path, Agreement, "agreement_invalid")
        if agreement.id != path.stem or agreement.id != f"{agreement.partner}__{agreement.dataset}":
            raise TerminalError(
                "agreement_invalid", f"[{path.name}] must be named <partner>__<dataset>.yaml, as its id"
            )
        found[agreement.id] = agreement
    return found


def check_in_force(agreement: Agreement, day: date) -> None:
    """Raises: TerminalError `agreement_not_in_force`."""
    if not agreement.valid_from <= day <= agreement.valid_until:
        raise TerminalError(
            "agreement_not_in_force",
            f"[{agreement.id}] is in force from {agreement.valid_from} to {agreement.valid_until}; nothing "
            "was released; ask its signatories to renew it",
        )


def check_fresh(agreement: Agreement, as_of: Mapping[str, str | None], night: date) -> None:
    """No release on an input older than agreed. Raises: TerminalError `stale_input` naming the feed."""
    for feed in agreement.inputs:
        known = as_of.get(feed)
        if known is None or (night - date.fromisoformat(known)).days > agreement.stale_after_nights:
            raise TerminalError(
                "stale_input",
                f"[{agreement.id}] needs feed [{feed}] of the last {agreement.stale_after_nights} nights; "
                f"its last is {known or 'not there yet'}; nothing was released",
            )


def digest(agreement: Agreement) -> str:
    """Hash of what was agreed; pinned at stage time and written into the ledger."""
    return files.sha256_bytes(files.canonical_json(agreement.model_dump(mode="json")))

"""Agreements: the only thing that decides what leaves; one YAML a partner and dataset.

Facts alone, so that a lawyer can read one aloud. What an agreement does not name does not leave.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from leadhub.foundation import files
from leadhub.foundation.errors import TerminalError
from leadhub.foundation.facts_file import Facts
from leadhub.foundation.vocabulary import Protection, RecipientKind, Sensitivity, TableFacts
from leadhub.permission import documents, licences
from leadhub.permission.court_orders import CourtOrder
from leadhub.permission.documents import Folder, Signed
from leadhub.permission.licences import LicenceId

#: a purpose that is not here cannot be agreed upon. The last two are shut for what is protected unless a
#: court opened them (`gate`): 42 CFR 2.12(d), 2.13(a)
Purpose = Literal[
    "DIVERSION_COORDINATION",
    "CARE_COORDINATION",
    "PROGRAMME_EVALUATION",
    "REFERRAL_FEEDBACK",
    "INVESTIGATION",
    "PROSECUTION",
]
AGAINST_THE_PERSON = ("INVESTIGATION", "PROSECUTION")


#: `identified_by_own_id`: rows say whom they mean by the partner's own numbers, and by nothing else;
#: `limited_dataset`: by nobody's, dates may stand (45 CFR 164.514(e)); `safe_harbor`: nor dates
#: (164.514(b)(2)(i)(C)); `aggregate`: rows are counts (`statistics`)
Identifiability = Literal["identified_by_own_id", "limited_dataset", "safe_harbor", "aggregate"]
Covers = Literal["justice_record", "consented_statement", "court_ordered_statement", "counts"]


class LegalBasis(Facts):
    """Why this may leave: for which records, by which citation, and in words what that permits here."""

    covers: Covers
    citation: str = Field(min_length=3)
    permits: str


class LinkEvidence(Facts):
    """What must join two agencies' records before this partner sees them side by side.

    `deterministic`: identifiers that both agencies wrote down. `person`: the same person by linkage, with
    at least `min_bits` of evidence between the two records themselves.
    """

    kind: Literal["deterministic", "person"]
    min_bits: float | None = Field(default=None, ge=0)
    why: str

    @model_validator(mode="after")
    def _bits_where_they_count(self) -> LinkEvidence:
        if (self.kind == "person") != (self.min_bits is not None):
            raise ValueError("min_bits goes with kind person, and with it alone")
        return self


class ConsentRule(Facts):
    """Which consent a provider's statement needs, in the words of the consent registry."""

    #: of information; they are those of the columns that rest on a consent, no more and no fewer (`gate`)
    categories: list[str] = Field(min_length=1)
    purposes: list[Literal["DIVERSION_COORDINATION", "CARE_COORDINATION", "PROGRAMME_EVALUATION"]] = Field(
        min_length=1
    )
    #: for clients of a Part 2 programme. A general release is none of these (42 CFR 2.31)
    part2_types: list[Literal["PART2_SPECIFIC", "PART2_CJ_2_35"]] = Field(min_length=1)
    #: for all other clients, besides the Part 2 types
    other_types: list[Literal["LEAD_ROI", "HIPAA_AUTH", "MHL_33_13"]] = Field(min_length=1)


class Recipient(Facts):
    """Where a delivery goes, and for whose key."""

    #: what it is in the eyes of the laws on sealed records (`casework.provisions`)
    kind: RecipientKind
    #: Airflow connection id of the partner's SFTP account
    connection: str
    encrypt: bool
    #: fingerprint of the partner's OpenPGP certificate, once known; a different one is refused
    fingerprint: str | None = Field(default=None, pattern=r"^[0-9A-Fa-f ]{40,80}$")
    #: Airflow connection id of an API that also gets the change file
    push_connection: str | None = None


class Agreement(Signed):
    """One data-use licence. Read aloud, it says who gets what, why, from whom, until when."""

    partner: str = Field(pattern=licences.PART)
    #: the data-sharing agreements (`frame`) that cover every record that goes into the dataset
    under: list[str] = Field(min_length=1)
    purpose: Purpose
    use_limits: list[str] = Field(min_length=1)
    legal_basis: list[LegalBasis] = Field(min_length=1)
    dataset: str = Field(pattern=licences.PART)
    #: which rows, in the word of the dataset's contract
    cohort: str
    identifiability: Identifiability
    columns: list[str] = Field(min_length=1)
    #: agency whose sealed ids the partner may have opened: its own, and no other
    own_ids_of: str | None = Field(default=None, pattern=licences.PART)
    #: feeds this partner may know of, with their as-of dates
    inputs: list[str] = Field(min_length=1)
    #: nights after which an input is too old to publish on
    stale_after_nights: int = Field(ge=1)
    #: without it, nothing is joined by linkage
    link_evidence: LinkEvidence | None = None
    #: without it, no statement of a provider is told
    consent: ConsentRule | None = None
    #: for a purpose against the person, in place of a consent
    court_order: CourtOrder | None = None
    recipient: Recipient
    #: name of the notice that goes with every delivery
    notice: str | None = None
    #: days in which the partner must acknowledge a delivery that withdraws rows
    acknowledge_within_days: int = Field(ge=1)
    #: days after which the partner must have destroyed a delivery
    retention_days: int = Field(ge=1)

    @model_validator(mode="after")
    def _says_one_thing(self) -> Agreement:
        if licences.named(self.id) != LicenceId(self.partner, self.dataset):
            raise ValueError("id must be <partner>__<dataset>, and nowhere else a double underscore")
        if len(set(self.columns)) != len(self.columns):
            raise ValueError("columns names a column twice")
        against = self.purpose in AGAINST_THE_PERSON
        if self.consent is not None and against:
            raise ValueError("no consent that the hub knows permits a purpose against the person")
        if self.court_order is not None and not against:
            raise ValueError("a court_order goes with a purpose against the person, and with it alone")
        if {b.covers for b in self.legal_basis} != self._covered():
            raise ValueError(f"legal_basis must cover {' and '.join(sorted(self._covered()))}")
        of_persons = (self.own_ids_of, self.link_evidence, self.consent if not against else "")
        given = [fact is not None for fact in of_persons]
        if self.identifiability == "identified_by_own_id" and not all(given):
            raise ValueError("rows identified_by_own_id need own_ids_of, link_evidence and consent")
        if self.identifiability == "aggregate" and any(given):
            raise ValueError("counts have no own_ids_of, link_evidence or consent")
        return self

    def _covered(self) -> set[Covers]:
        """What kinds of records there can be."""
        if self.identifiability == "aggregate":
            return {"counts"}
        if self.purpose not in AGAINST_THE_PERSON:
            return {"justice_record", "consented_statement"}
        return {"justice_record", "court_ordered_statement"} if self.court_order else {"justice_record"}

    def basis(self, covers: Covers) -> str:
        """The citations for records of a kind, as the accounting writes them."""
        return "; ".join(b.citation for b in self.legal_basis if b.covers == covers)


def load(folder: Path, agreement_id: str) -> Agreement:
    """One licence. Raises: TerminalError `agreement_invalid` naming file, key or line, and rule."""
    if licences.named(agreement_id) is None or not (folder / f"{agreement_id}.yaml").exists():
        raise TerminalError(
            "agreement_invalid",
            f"there is no agreement [{agreement_id}]; agreements/*.yaml name them; where its file was "
            "removed, put it back",
        )
    return documents.read(folder / f"{agreement_id}.yaml", Agreement)


def load_all(folder: Path) -> Folder[Agreement]:
    """Every licence by id, each for itself."""
    return documents.read_all(folder, Agreement)


def check_in_force(agreement: Signed, day: date) -> None:
    """In its time, and that of the court's order that it cites, and signed by every signatory.

    Raises: TerminalError `agreement_not_in_force`.
    """
    order = agreement.court_order if isinstance(agreement, Agreement) else None
    if order is not None and not order.in_force(day):
        raise TerminalError(
            "agreement_not_in_force",
            f"[{agreement.id}] cites a court order from {order.ordered_on} to {order.ends_on}; nothing was "
            "released",
        )
    if not agreement.valid_from <= day <= agreement.valid_until:
        raise TerminalError(
            "agreement_not_in_force",
            f"[{agreement.id}] is in force from {agreement.valid_from} to {agreement.valid_until}; nothing "
            "was released; ask its signatories to renew it",
        )
    signed = {a.signatory for a in agreement.approvals if a.signed_on <= day}
    lacking = [s for s in agreement.signatories if s not in signed]
    if lacking:
        raise TerminalError(
            "agreement_not_in_force",
            f"[{agreement.id}] version {agreement.version} is not signed by {lacking}; nothing was "
            "released; ask them",
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


def check_contract(agreement: Agreement, contract: TableFacts) -> None:
    """The agreement names columns of its dataset's release contract, in their order, with the key.

    Raises: TerminalError `agreement_invalid` naming the columns.
    """
    known = [c.name for c in contract.columns]
    if agreement.dataset != contract.name:
        raise TerminalError("agreement_invalid", f"[{agreement.id}] is not about [{contract.name}]")
    if [c for c in known if c in agreement.columns] != agreement.columns:
        raise TerminalError(
            "agreement_invalid",
            f"[{agreement.id}] columns must be among those of its dataset, in their order: {known}",
        )
    lacking = [k for k in contract.key if k not in agreement.columns]
    if lacking:
        raise TerminalError("agreement_invalid", f"[{agreement.id}] columns lacks the key: {lacking}")
    if agreement.cohort != contract.cohort:
        raise TerminalError(
            "agreement_invalid",
            f"[{agreement.id}] is about {agreement.cohort}, its dataset about {contract.cohort}",
        )
    _check_profile(agreement, contract)
    protected = [
        c.name for c in contract.columns if c.protection == Protection.PART2 and c.name in agreement.columns
    ]
    if protected and agreement.notice is None:
        raise TerminalError(
            "agreement_invalid",
            f"[{agreement.id}] columns {protected} may carry Part 2 data; name a notice (42 CFR 2.32)",
        )


def _check_profile(agreement: Agreement, contract: TableFacts) -> None:
    told = [c for c in contract.columns if c.name in agreement.columns]
    own = [c.name for c in told if c.sensitivity == Sensitivity.LOCAL_ID]
    dates = [c.name for c in told if c.type in ("date", "timestamp")]
    identified = agreement.identifiability == "identified_by_own_id"
    if identified != bool(own):
        raise TerminalError(
            "agreement_invalid",
            f"[{agreement.id}] identifiability is {agreement.identifiability}, but its own ids are {own}",
        )
    if agreement.identifiability == "safe_harbor" and dates:
        raise TerminalError(
            "agreement_invalid",
            f"[{agreement.id}] identifiability is safe_harbor, which has no dates but years: {dates}",
        )
    # 45 CFR 164.514(e)(3): research, public health, health care operations
    if agreement.identifiability == "limited_dataset" and agreement.purpose != "PROGRAMME_EVALUATION":
        raise TerminalError(
            "agreement_invalid", f"[{agreement.id}] purpose of a limited_dataset is PROGRAMME_EVALUATION"
        )


def digest(agreement: Agreement) -> str:
    """Hash of what was agreed; pinned at stage time, compared at delivery, written into the ledger."""
    return files.sha256_bytes(files.canonical_json(agreement.model_dump(mode="json")))


def json_schema() -> dict[str, Any]:
    """The JSON Schema of an agreement, as published in `docs/schemas/`."""
    return Agreement.model_json_schema()

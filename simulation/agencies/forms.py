"""How agencies that drop files write them: names, codes, dates, delimiter, encoding (see feeds/)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Form:
    """`columns`: table → contract column → column in the file; `codes`: contract column → contract code →
    the agency's; `date` and `moment` are strftime formats."""

    columns: dict[str, dict[str, str]]
    codes: dict[str, dict]
    date: str
    moment: str
    delimiter: str = ","
    line_end: str = "\n"
    encoding: str = "utf-8"


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


_YES = {True: "Y", False: "N"}
HARBOR = Form(
    columns={
        "clients": {
            **_same("client_id", "last_name", "first_name", "middle_name"),
            "date_of_birth": "dob",
            **_same("sex", "ssn4", "phone"),
            "address_line": "address",
            **_same("city", "zip"),
            "part2_program": "part2",
        },
        "consents": _same(
            "consent_id",
            "client_id",
            "consent_type",
            "recipient",
            "info_category",
            "purpose",
            "signed_on",
            "expires_on",
            "expiry_event",
            "docket_no",
            "revoked_at",
            "document_sha256",
            "notice_version",
            "discloser",
            "signer",
            "revocable",
            "revocation_channel",
            "tpo_statement",
            "known_false",
        ),
        "intakes": {
            **_same("intake_id", "client_id"),
            "referral_no": "lead_referral_no",
            **_same("first_contact_on", "outcome", "outcome_on"),
        },
        "episodes": {
            **_same("episode_id", "client_id"),
            "referral_no": "lead_referral_no",
            **_same("service_type", "enrolled_on", "exited_on", "exit_reason"),
        },
    },
    codes={"part2_program": _YES, "tpo_statement": _YES, "known_false": _YES},
    date="%Y-%m-%d",
    moment="%Y-%m-%dT%H:%M:%SZ",
)


def _numbered(*codes: str) -> dict[str, str]:
    return {code: str(i) for i, code in enumerate(codes, 1)}


#: service and discharge codes follow TEDS, with own numbers beyond it
RIVERSIDE = Form(
    columns={
        "clients": {
            "client_id": "ClientNo",
            "last_name": "Surname",
            "first_name": "GivenName",
            "middle_name": "MiddleName",
            "date_of_birth": "BirthDate",
            "sex": "Gender",
            "ssn4": "SSN4",
            "phone": "Telephone",
            "address_line": "Street",
            "city": "Town",
            "zip": "ZipCode",
            "part2_program": "Part2",
            "counselor": "Counselor",
        },
        "consents": {
            "consent_id": "ConsentNo",
            "client_id": "ClientNo",
            "consent_type": "ConsentType",
            "recipient": "Recipient",
            "info_category": "InfoCategory",
            "purpose": "Purpose",
            "signed_on": "SignedDate",
            "expires_on": "ExpiryDate",
            "expiry_event": "ExpiryEvent",
            "docket_no": "DocketNo",
            "revoked_at": "RevokedAt",
            "document_sha256": "DocumentHash",
            "notice_version": "NoticeVersion",
            "discloser": "Discloser",
            "signer": "Signer",
            "revocable": "Revocable",
            "revocation_channel": "RevocationChannel",
            "tpo_statement": "TpoStatement",
            "known_false": "KnownFalse",
        },
        "intakes": {
            "intake_id": "IntakeNo",
            "client_id": "ClientNo",
            "referral_no": "LeadReferralNo",
            "first_contact_on": "FirstContact",
            "outcome": "Outcome",
            "outcome_on": "OutcomeDate",
        },
        "episodes": {
            "episode_id": "EpisodeNo",
            "client_id": "ClientNo",
            "referral_no": "LeadReferralNo",
            "service_type": "Service",
            "enrolled_on": "AdmitDate",
            "exited_on": "DischargeDate",
            "exit_reason": "DischargeReason",
        },
    },
    codes={
        "sex": {"M": "1", "F": "2", "X": "3", "U": "9"},
        "part2_program": {True: "1", False: "0"},
        "tpo_statement": {True: "1", False: "0"},
        "known_false": {True: "1", False: "0"},
        "discloser": _numbered("THIS_PROGRAMME", "LEAD_PROVIDERS", "TREATING_PROVIDERS"),
        "signer": _numbered("PATIENT", "PATIENT_AND_PARENT", "PARENT", "GUARDIAN", "PERSONAL_REP"),
        "revocable": _numbered("IN_WRITING", "ORALLY_OR_IN_WRITING", "NOT_BEFORE_EVENT"),
        "revocation_channel": _numbered("IN_WRITING", "ORALLY"),
        "consent_type": _numbered(
            "PART2_SPECIFIC",
            "PART2_TPO",
            "PART2_COUNSELING_NOTES",
            "PART2_PROCEEDINGS",
            "PART2_CJ_2_35",
            "RESEARCH",
            "HIPAA_AUTH",
            "MHL_33_13",
            "LEAD_ROI",
            "HMIS_ROI",
        ),
        "recipient": _numbered(
            "district_attorney",
            "police",
            "harbor_case_management",
            "riverside_treatment",
            "public_defender",
            "housing",
        ),
        "info_category": _numbered(
            "DEMOGRAPHICS",
            "PROGRAMME_STATUS",
            "ATTENDANCE",
            "ASSESSMENT",
            "DIAGNOSIS",
            "TREATMENT_PLAN",
            "DISCHARGE",
            "HOUSING",
            "JUSTICE_EVENTS",
            "COUNSELING_NOTES",
        ),
        "purpose": _numbered(
            "DIVERSION_COORDINATION", "CARE_COORDINATION", "PROGRAMME_EVALUATION", "PAYMENT"
        ),
        "expiry_event": _numbered("FINAL_DISPOSITION", "END_OF_TREATMENT", "NONE"),
        "outcome": _numbered(
            "SCHEDULED", "COMPLETED", "WINDOW_LAPSED", "NO_SHOW", "REFUSED", "UNABLE_TO_LOCATE"
        ),
        "service_type": _numbered(
            "DETOX_HOSPITAL",
            "DETOX_RESIDENTIAL",
            "REHAB_HOSPITAL",
            "RESIDENTIAL_SHORT",
            "RESIDENTIAL_LONG",
            "OUTPATIENT_INTENSIVE",
            "OUTPATIENT",
            "DETOX_AMBULATORY",
            "CASE_MANAGEMENT",
        ),
        "exit_reason": _numbered(
            "GOALS_MET",
            "WITHDREW",
            "PROGRAMME_TERMINATED",
            "TRANSFERRED",
            "INCARCERATED_LONG",
            "DECEASED",
            "OTHER",
            "MOVED",
            "LOST_CONTACT",
        ),
    },
    date="%m/%d/%Y",
    moment="%m/%d/%Y %H:%M %z",
    delimiter=";",
    line_end="\r\n",
    encoding="windows-1252",
)
DISPUTES = Form(
    columns={
        "disputes": {
            "dispute_id": "dispute_id",
            "da_case_no": "case_number",
            "da_defendant_id": "defendant_ref",
            "disputed_column": "field",
            "problem": "problem",
            "stated_on": "stated_on",
        }
    },
    codes={},
    date="%Y-%m-%d",
    moment="%Y-%m-%dT%H:%M:%SZ",
)

"""How agencies that drop files write them: their own names, codes and dates, and proof of completeness."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date

import polars as pl

Encrypt = Callable[[bytes], bytes]


@dataclass(frozen=True)
class AgencyDrop:
    """Files in the order in which the agency uploads them to its SFTP `account`."""

    account: str
    feed: str
    files: list[tuple[str, bytes]] = field(repr=False)


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
    codes={"part2_program": _YES},
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


def source(tables: dict[str, pl.DataFrame], form: Form) -> dict[str, pl.DataFrame]:
    """The tables as text in the agency's own words."""
    return {
        table: tables[table].select(
            _text(tables[table], column, form).alias(name) for column, name in columns.items()
        )
        for table, columns in form.columns.items()
    }


def _text(frame: pl.DataFrame, column: str, form: Form) -> pl.Expr:
    dtype = frame.schema[column]
    if column in form.codes:
        return pl.col(column).replace_strict(form.codes[column], default=None, return_dtype=pl.String)
    if dtype == pl.Date:
        return pl.col(column).dt.strftime(form.date)
    if isinstance(dtype, pl.Datetime):
        local = pl.col(column).dt.convert_time_zone("America/New_York")
        return (local if "%z" in form.moment else pl.col(column)).dt.strftime(form.moment)
    return pl.col(column).cast(pl.String)


def write(frame: pl.DataFrame, form: Form, long_rows: list[int]) -> bytes:
    """The CSV file; rows numbered in `long_rows` get a cell too many."""
    text = frame.write_csv(separator=form.delimiter, line_terminator=form.line_end)
    if long_rows:
        lines = text.split(form.line_end)
        for row in long_rows:
            lines[row + 1] += f"{form.delimiter}see file"
        text = form.line_end.join(lines)
    return text.encode(form.encoding)


def with_manifest(
    account: str,
    feed: str,
    night: date,
    sequence: int,
    members: dict[str, tuple[bytes, int]],
    *,
    mode: str = "FULL",
    supersedes: int | None = None,
) -> AgencyDrop:
    """Plain files, then a manifest that says what must be there. `members`: table → content, rows."""
    stem = f"{night:%Y%m%d}_{sequence:02d}"
    files = [(f"{table}_{stem}.csv", data) for table, (data, _) in members.items()]
    manifest = {
        "feed": feed,
        "night": night.isoformat(),
        "sequence": sequence,
        "mode": mode,
        "generated_at": f"{night.isoformat()}T05:{10 + sequence}:00Z",
        "supersedes": supersedes,
        "files": [
            {
                "name": f"{table}_{stem}.csv",
                "table": table,
                "sha256": hashlib.sha256(data).hexdigest(),
                "bytes": len(data),
                "rows": rows,
            }
            for table, (data, rows) in members.items()
        ],
    }
    text = json.dumps(manifest, indent=1).encode()
    return AgencyDrop(account, feed, [*files, (f"{feed}_{stem}.manifest.json", text)])


def with_sidecars(
    account: str, feed: str, night: date, sequence: int, members: dict[str, bytes], encrypt: Encrypt
) -> AgencyDrop:
    """Encrypted files, each followed by `<sha256>  <name>` of what was uploaded."""
    files = []
    for table, data in members.items():
        name, sealed = f"{table}_{night:%Y%m%d}_{sequence:02d}.csv.pgp", encrypt(data)
        digest = hashlib.sha256(sealed).hexdigest()
        files += [(name, sealed), (f"{name}.sha256", f"{digest}  {name}\n".encode())]
    return AgencyDrop(account, feed, files)

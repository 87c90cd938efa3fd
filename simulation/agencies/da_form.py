"""How the District Attorney's interface names and codes what it gives (see feeds/da_cases.yaml)."""

from __future__ import annotations

import polars as pl

#: table → its fields in the interface, contract name first
COLUMNS = {
    "defendants": {
        "defendant_id": "defendantRef",
        "last_name": "surname",
        "first_name": "givenName",
        "middle_name": "middleName",
        "date_of_birth": "birthDate",
        "sex": "gender",
        "nysid": "nysidNumber",
        "address_line": "street",
        "city": "town",
        "zip": "postalCode",
        "updated_at": "updated_at",
    },
    "cases": {
        "da_case_no": "caseNumber",
        "defendant_id": "defendantRef",
        "docket_no": "docketNumber",
        "arrest_no": "policeArrestNumber",
        "cjtn": "trackingNumber",
        "received_on": "receivedDate",
        "case_type": "severity",
        "updated_at": "updated_at",
    },
    "charges": {
        "da_case_no": "caseNumber",
        "charge_seq": "count",
        "law_code": "statute",
        "law_category": "grade",
        "filed_on": "filedDate",
        "updated_at": "updated_at",
    },
    "decisions": {
        "decision_id": "decisionRef",
        "da_case_no": "caseNumber",
        "decision": "outcome",
        "decided_on": "decidedDate",
        "decline_reason": "declineReason",
        "abeyance_until": "heldUntil",
        "updated_at": "updated_at",
    },
    "dispositions": {
        "disposition_id": "dispositionRef",
        "da_case_no": "caseNumber",
        "disposition": "result",
        "disposed_on": "disposedDate",
        "sealed_under": "sealProvision",
        "updated_at": "updated_at",
    },
    "seal_orders": {
        "order_id": "orderRef",
        "seal_type": "provision",
        "effective_on": "effectiveDate",
        "scope": "scope",
        "da_case_no": "caseNumber",
        "charge_seq": "count",
        "arrest_no": "policeArrestNumber",
        "cjtn": "trackingNumber",
        "vacated_on": "vacatedDate",
        "updated_at": "updated_at",
    },
}
#: what the interface calls a table, where not by the contract's name
RESOURCES = {"seal_orders": "sealOrders"}
KEYS = {
    "defendants": ["defendantRef"],
    "cases": ["caseNumber"],
    "charges": ["caseNumber", "count"],
    "decisions": ["decisionRef"],
    "dispositions": ["dispositionRef"],
    "sealOrders": ["orderRef"],
}
_CODES = {
    "sex": {"M": "Male", "F": "Female", "X": "X", "U": "Unknown"},
    "case_type": {"FELONY": "Felony", "MISDEMEANOR": "Misdemeanor", "VIOLATION": "Violation"},
    "decision": {"DIVERTED_LEAD": "LEAD", "HELD_IN_ABEYANCE": "ABEYANCE"},
}


def source(tables: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """The resources in the interface's own words."""
    return {
        RESOURCES.get(table, table): tables[table].select(
            _coded(column).alias(name) for column, name in columns.items()
        )
        for table, columns in COLUMNS.items()
    }


def _coded(column: str) -> pl.Expr:
    return pl.col(column).replace(_CODES[column]) if column in _CODES else pl.col(column)

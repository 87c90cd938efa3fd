"""An agreement for tests, and consent asked through it."""

from datetime import datetime
from zoneinfo import ZoneInfo

import polars as pl

from leadhub.casework import Casework
from leadhub.permission import consent
from leadhub.permission.agreements import Agreement
from tests.casework.desk import NIGHT, ZONE, Desk

#: the moment of a release: the morning of the night
AT = datetime.fromisoformat(f"{NIGHT}T05:00:00").replace(tzinfo=ZoneInfo(ZONE))


def agreement(**changed) -> Agreement:
    facts = {
        "id": "district_attorney__diversion_status",
        "title": "Diversion status",
        "version": "1.0",
        "partner": "district_attorney",
        "signatories": ["The office", "The hub"],
        "approvals": [
            {"signatory": "The office", "signed_on": "2025-12-15"},
            {"signatory": "The hub", "signed_on": "2025-12-16"},
        ],
        "valid_from": "2026-01-01",
        "valid_until": "2026-12-31",
        "under": ["police_data", "district_attorney_data", "harbor_case_management_data"],
        "purpose": "DIVERSION_COORDINATION",
        "use_limits": ["For this arrest alone."],
        "legal_basis": [
            {"covers": "justice_record", "citation": "MOU 4", "permits": "Referrals."},
            {"covers": "consented_statement", "citation": "42 CFR 2.31", "permits": "Statements."},
        ],
        "dataset": "diversion_status",
        "cohort": "OWN_CASES_ON_DIVERTED_ARRESTS",
        "identifiability": "identified_by_own_id",
        "columns": [
            "da_case_no",
            "da_defendant_id",
            "referral_status",
            "referral_on",
            "charges_held_until",
            "diversion_status",
            "status_on",
        ],
        "own_ids_of": "district_attorney",
        "inputs": ["police_records", "da_cases"],
        "stale_after_nights": 3,
        "link_evidence": {"kind": "deterministic", "why": "Numbers."},
        "consent": {
            "categories": ["PROGRAMME_STATUS"],
            "purposes": ["DIVERSION_COORDINATION"],
            "part2_types": ["PART2_SPECIFIC", "PART2_CJ_2_35"],
            "other_types": ["LEAD_ROI"],
        },
        "recipient": {"kind": "prosecutor", "connection": "sftp_district_attorney", "encrypt": True},
        "notice": "42cfr2_statement_1_2024",
        "acknowledge_within_days": 10,
        "retention_days": 90,
    } | changed
    return Agreement.model_validate(facts)


def active(desk: Desk, casework: Casework, asked: Agreement, at: datetime = AT) -> pl.DataFrame:
    return consent.active(
        desk.table("provider", "consents"),
        desk.table("provider", "clients"),
        asked,
        at=at,
        time_zone=ZONE,
        episodes=desk.table("provider", "episodes"),
        justice_events=casework.justice_events,
    )

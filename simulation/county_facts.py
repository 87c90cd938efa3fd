"""What is known of a county's tables: the identifiers in them, and how often each thing happened."""

from __future__ import annotations

import polars as pl

from simulation.agencies.mistakes import Tables

PROVIDERS = ("harbor_case_management", "riverside_treatment")
_NUMBERED = {
    "person_no",
    "arrest_no",
    "cjtn",
    "referral_no",
    "defendant_id",
    "da_case_no",
    "docket_no",
    "decision_id",
    "disposition_id",
    "client_id",
    "consent_id",
    "intake_id",
    "episode_id",
    "dispute_id",
}


def identifiers(frame: pl.DataFrame) -> set[str]:
    out: set[str] = set()
    for column in _NUMBERED | {"phone", "address_line", "nysid"}:
        if column in frame.columns:
            out |= set(frame[column].drop_nulls().to_list())
    if "last_name" in frame.columns:
        named = frame.select(
            name=pl.col("first_name") + pl.lit(" ") + pl.col("last_name"),
            born=pl.col("date_of_birth").dt.strftime("%Y-%m-%d"),
        )
        out |= set(named["name"].to_list())
        out |= set((named["name"] + " " + named["born"]).drop_nulls().to_list())
    return out


def summary(shown: dict[str, Tables]) -> dict[str, object]:
    referrals, arrests = (shown["police_records"][t] for t in ("referrals", "arrests"))
    homes = [shown[feed] for feed in PROVIDERS]
    status = pl.col("info_category") == "PROGRAMME_STATUS"
    valid = pl.col("revoked_at").is_null()
    consents = pl.concat(h["consents"] for h in homes)
    return {
        "rows": {
            f"{feed}.{t}": frame.height for feed, tables in shown.items() for t, frame in tables.items()
        },
        "referrals_by_door": _counts(referrals, "referral_door"),
        "offered": int(referrals["offered"].sum()),
        "accepted": int(referrals["accepted"].sum()),
        "diverted_arrests": int(arrests["diverted"].sum()),
        "decisions": _counts(shown["da_cases"]["decisions"], "decision"),
        "intakes_of_referrals": _counts(
            pl.concat(h["intakes"] for h in homes).filter(pl.col("referral_no").is_not_null()), "outcome"
        ),
        "open_episodes": sum(h["episodes"]["exited_on"].null_count() for h in homes),
        "consents_by_type": _counts(consents, "consent_type"),
        "consents_naming_da": consents.filter(status & valid, recipient="district_attorney").height,
        "consents_naming_police": consents.filter(status & valid, recipient="police").height,
        "revoked_consent_lines": consents.height - consents["revoked_at"].null_count(),
    }


def _counts(frame: pl.DataFrame, column: str) -> dict[str, int]:
    return dict(sorted(frame[column].value_counts().iter_rows()))

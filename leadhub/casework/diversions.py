"""The diversion record: what police, DA and providers say of one referral, each in its own columns.

Precedence between agencies: each is believed about its own acts. The police say whether LEAD was offered
and accepted, and what was held; the DA says what was decided and how a case ended; the provider says
what became of intake and enrolment. Nobody overwrites another; where two contradict, see `discrepancies`.
"""

from __future__ import annotations

import polars as pl

from leadhub.casework import statements
from leadhub.casework.frames import Frames


def diversions(frames: Frames, said: pl.DataFrame) -> pl.DataFrame:
    """One row a police referral, sorted by `diversion_id` (its record id)."""
    persons = frames["police.persons"].select("feed", "person_no", "person_id")
    arrests = frames["police.arrests"].select(
        "feed", "arrest_no", "arrest_no_token", "cjtn_token", "diverted", "charges_held_until"
    )
    hub = statements.latest(said.filter("person_agrees")).select(
        "diversion_id", hub_status="status", hub_status_on="stated_on"
    )
    return (
        frames["police.referrals"]
        .join(persons, on=["feed", "person_no"], how="left")
        .join(arrests, on=["feed", "arrest_no"], how="left")
        .with_columns(diversion_id="record_id")
        .join(hub, on="diversion_id", how="left")
        .select(
            "diversion_id",
            "feed",
            "referral_no",
            "referral_no_token",
            "person_id",
            "referral_door",
            "offered",
            "not_offered_reason",
            "accepted",
            "arrest_no_token",
            "cjtn_token",
            "diverted",
            "charges_held_until",
            "hub_status",
            "hub_status_on",
            referral_on=pl.col("contact_at").dt.date(),
            referral_status=pl.when(~pl.col("offered"))
            .then(pl.lit("INELIGIBLE_RETURNED"))
            .when(pl.col("accepted") == False)  # noqa: E712
            .then(pl.lit("PARTICIPANT_DECLINED"))
            .otherwise(pl.lit("REFERRED")),
        )
        .sort("diversion_id")
    )


def cases(frames: Frames, referred: pl.DataFrame) -> pl.DataFrame:
    """One row a diversion and case of the DA, joined by arrest number, else by CJTN: by identifiers that
    the two agencies share, never by who a person seems to be."""
    held = referred.select("diversion_id", "arrest_no_token", "cjtn_token")
    found = frames["da.cases"].rename({"feed": "da_feed", "record_id": "case_record_id"})
    by_arrest = held.drop("cjtn_token").join(
        found.drop("cjtn_token").drop_nulls("arrest_no_token"), on="arrest_no_token"
    )
    by_cjtn = held.drop("arrest_no_token").join(
        found.filter(pl.col("arrest_no_token").is_null()).drop("arrest_no_token"), on="cjtn_token"
    )
    matched = pl.concat([by_arrest.drop("arrest_no_token"), by_cjtn.drop("cjtn_token")], how="vertical")
    decided = _last(frames["da.decisions"], "decided_on").select(
        "da_case_no", "decision", "decided_on", da_feed="feed"
    )
    disposed = _last(frames["da.dispositions"], "disposed_on").select(
        "da_case_no", "disposition", "disposed_on", da_feed="feed"
    )
    return (
        matched.join(decided, on=["da_feed", "da_case_no"], how="left")
        .join(disposed, on=["da_feed", "da_case_no"], how="left")
        .select(
            "diversion_id",
            "da_feed",
            "case_record_id",
            "da_case_no",
            "defendant_id",
            "received_on",
            "decision",
            "decided_on",
            "disposition",
            "disposed_on",
        )
        .sort("diversion_id", "da_feed", "case_record_id")
    )


def _last(rows: pl.DataFrame, day: str) -> pl.DataFrame:
    ordered = rows.sort("feed", "da_case_no", day, "record_id")
    return ordered.group_by("feed", "da_case_no", maintain_order=True).last()

"""The diversion record: what police, DA and providers say of one referral, each in columns of its own.

Precedence between agencies: each is believed about its own acts. The police say whether LEAD was offered
and accepted, and what was held; the DA says what was decided and how a case ended; the provider says
what became of intake and enrolment. Nobody overwrites another; where two contradict, see `discrepancies`.
"""

from __future__ import annotations

import polars as pl

from leadhub.casework import participants
from leadhub.casework.frames import Frames
from leadhub.casework.provisions import strictest, strictest_of
from leadhub.casework.seals import sealed_arrests, sealed_cases


def diversions(frames: Frames, cases: pl.DataFrame) -> pl.DataFrame:
    """One row a police referral, sorted by `diversion_id` (the referral's record id).

    `referral_status` rests on the police's own words alone: INELIGIBLE_RETURNED where they did not offer
    LEAD (for whatever reason, see `not_offered_reason`), PARTICIPANT_DECLINED where they write that the
    person declined, else REFERRED. The columns of the DA are those of the case with the latest decision,
    of `cases`, and `case_count` how many there are. `sealed_under`: of any case, or of the
    arrest. `participant_*`: internal, see `participants`.
    """
    persons = frames["police.persons"].select("feed", "person_no", "person_id")
    arrests = frames["police.arrests"].select(
        "feed", "arrest_no", "cjtn_token", "diverted", "charges_held_until"
    )
    return (
        frames["police.referrals"]
        .join(persons, on=["feed", "person_no"], how="left")
        .join(arrests, on=["feed", "arrest_no"], how="left")
        .with_columns(diversion_id="record_id")
        .join(_of_cases(cases), on="diversion_id", how="left")
        .join(sealed_arrests(frames, "arrest_no_token"), on="arrest_no_token", how="left", suffix="_arrest")
        .join(sealed_arrests(frames, "cjtn_token"), on="cjtn_token", how="left", suffix="_cjtn")
        .with_columns(sealed_under=strictest("sealed_under", "sealed_under_arrest", "sealed_under_cjtn"))
        .join(participants.participant_status(frames), on="diversion_id", how="left")
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
            pl.col("case_count").fill_null(0),
            "case_record_id",
            "da_feed",
            "da_case_no",
            "da_defendant_id",
            "decision",
            "decided_on",
            "disposition",
            "disposed_on",
            "sealed_under",
            "participant_status",
            "participant_status_on",
            "participant_status_by",
            "landed_on",
            referral_on=frames.site_day("contact_at"),
            referral_status=pl.when(~pl.col("offered"))
            .then(pl.lit("INELIGIBLE_RETURNED"))
            .when(pl.col("accepted").eq(other=False))
            .then(pl.lit("PARTICIPANT_DECLINED"))
            .otherwise(pl.lit("REFERRED")),
        )
        .sort("diversion_id")
    )


def _of_cases(cases: pl.DataFrame) -> pl.DataFrame:
    by = pl.col("diversion_id")
    latest = (
        cases.sort("diversion_id", "decided_on", "da_feed", "case_record_id", nulls_last=False)
        .with_columns(
            case_count=pl.len().over(by).cast(pl.Int64), sealed_under=strictest_of("sealed_under").over(by)
        )
        .group_by("diversion_id", maintain_order=True)
        .last()
    )
    return latest.drop("received_on", "matched_by", "docket_no_token", "landed_on")


def diversion_cases(frames: Frames) -> pl.DataFrame:
    """One row a diversion and case of the DA: joined by arrest number, or by CJTN where the case quotes no
    arrest. Both agencies wrote these down; who a person seems to be never joins a case. Sorted."""
    arrests = frames["police.arrests"].select("feed", "arrest_no", "cjtn_token")
    held = (
        frames["police.referrals"]
        .join(arrests, on=["feed", "arrest_no"], how="left")
        .select("arrest_no_token", "cjtn_token", diversion_id="record_id")
    )
    found = frames["da.cases"].rename(
        {"feed": "da_feed", "record_id": "case_record_id", "defendant_id": "da_defendant_id"}
    )
    by_arrest = held.drop("cjtn_token").join(found.drop("cjtn_token"), on="arrest_no_token")
    by_cjtn = held.drop("arrest_no_token").join(
        found.filter(pl.col("arrest_no_token").is_null()).drop("arrest_no_token"), on="cjtn_token"
    )
    matched = pl.concat(
        [
            by_arrest.drop("arrest_no_token").with_columns(matched_by=pl.lit("arrest_no")),
            by_cjtn.drop("cjtn_token").with_columns(matched_by=pl.lit("cjtn")),
        ]
    )
    decided = frames.last("da.decisions", "decided_on").select(
        "da_case_no", "decision", "decided_on", da_feed="feed"
    )
    disposed = frames.last("da.dispositions", "disposed_on").select(
        "da_case_no", "disposition", "disposed_on", da_feed="feed"
    )
    case = ["da_feed", "da_case_no"]
    return (
        matched.join(decided, on=case, how="left")
        .join(disposed, on=case, how="left")
        .join(sealed_cases(frames).rename({"feed": "da_feed"}), on=case, how="left")
        .select(
            "diversion_id",
            "case_record_id",
            *case,
            "da_defendant_id",
            "docket_no_token",
            "matched_by",
            "received_on",
            "decision",
            "decided_on",
            "disposition",
            "disposed_on",
            "sealed_under",
            "landed_on",
        )
        .sort("diversion_id", "da_feed", "case_record_id")
    )

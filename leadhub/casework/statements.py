"""Positive statements of providers about a referral; the only source of a programme status.

A provider's bad news (no show, refused, not found) is no statement for any partner: LEAD's golden rule
is that nobody is worse off because of LEAD, so bad news, no news, no consent and no treatment look alike.
"""

from __future__ import annotations

import polars as pl

from leadhub.casework.frames import Frames

#: what a provider states at intake → what a partner with consent may be told
INTAKE_STATUS = {
    "SCHEDULED": "INTAKE_PENDING",
    "COMPLETED": "INTAKE_COMPLETE",
    "WINDOW_LAPSED": "INTAKE_WINDOW_LAPSED",
}
#: precedence among statements of one day: the further a person has come, the later it was said
ORDER = ("INTAKE_PENDING", "INTAKE_WINDOW_LAPSED", "INTAKE_COMPLETE", "ENROLLED", "NO_LONGER_ENROLLED")


def rank(status: pl.Expr) -> pl.Expr:
    """Position of a status in `ORDER`, for sorting."""
    return status.replace_strict(list(ORDER), list(range(len(ORDER))), return_dtype=pl.Int32)


def statements(frames: Frames) -> pl.DataFrame:
    """One row a statement: diversion_id, feed, client_id (sealed), person_id (of the client),
    person_agrees (the client is the person referred), part2_program, status, stated_on, record_id."""
    intakes = frames["provider.intakes"].select(
        "record_id",
        "feed",
        "client_id",
        "referral_no_token",
        status=pl.col("outcome").replace_strict(INTAKE_STATUS, default=None, return_dtype=pl.String),
        stated_on="outcome_on",
    )
    episodes = frames["provider.episodes"]
    entered = episodes.select(
        "record_id",
        "feed",
        "client_id",
        "referral_no_token",
        status=pl.lit("ENROLLED"),
        stated_on="enrolled_on",
    )
    left = episodes.drop_nulls("exited_on").select(
        "record_id",
        "feed",
        "client_id",
        "referral_no_token",
        status=pl.lit("NO_LONGER_ENROLLED"),
        stated_on="exited_on",
    )
    referred = (
        frames["police.referrals"]
        .join(
            frames["police.persons"].select("feed", "person_no", "person_id"),
            on=["feed", "person_no"],
            how="left",
        )
        .select("referral_no_token", diversion_id="record_id", referred_person="person_id")
    )
    clients = frames["provider.clients"].select("feed", "client_id", "person_id", "part2_program")
    said = pl.concat([intakes, entered, left]).drop_nulls(["status", "referral_no_token"])
    return (
        said.join(referred, on="referral_no_token")
        .join(clients, on=["feed", "client_id"])
        .with_columns(person_agrees=(pl.col("person_id") == pl.col("referred_person")).fill_null(False))
        .select(
            "diversion_id",
            "feed",
            "client_id",
            "person_id",
            "person_agrees",
            "part2_program",
            "status",
            "stated_on",
            "record_id",
        )
        .sort("diversion_id", "stated_on", "status", "feed", "record_id")
    )


def latest(said: pl.DataFrame) -> pl.DataFrame:
    """The statement that counts for each diversion: the latest; on one day the furthest in `ORDER`."""
    return (
        said.with_columns(_rank=rank(pl.col("status")))
        .sort("diversion_id", "stated_on", "_rank", "feed", "record_id")
        .group_by("diversion_id", maintain_order=True)
        .last()
        .drop("_rank")
    )

"""Who says what, where agencies contradict each other: a list for people, instead of a silent overwrite."""

from __future__ import annotations

import polars as pl

from leadhub.casework.frames import Frames

COLUMNS = ("kind", "subject", "one_feed", "one_says", "other_feed", "other_says", "night")


def discrepancies(
    frames: Frames, referred: pl.DataFrame, cases: pl.DataFrame, said: pl.DataFrame, night: str
) -> pl.DataFrame:
    """One row a contradiction: kind, subject (record id), and what each side says (codes only)."""
    known = frames["police.referrals"].select("referral_no_token")
    police = referred.select("diversion_id", "feed", "accepted", "diverted", "referral_status")
    quoted = pl.concat(
        [
            frames[f"provider.{t}"].select("record_id", "feed", "referral_no_token")
            for t in ("intakes", "episodes")
        ]
    ).drop_nulls("referral_no_token")
    unknown = quoted.join(known, on="referral_no_token", how="anti").select(
        kind=pl.lit("referral_unknown"),
        subject="record_id",
        one_feed="feed",
        one_says=pl.lit("REFERRED"),
        other_feed=pl.lit(None, pl.String),
        other_says=pl.lit("NO_SUCH_REFERRAL"),
    )
    spoken = said.join(police, on="diversion_id", suffix="_police")
    another = spoken.filter(~pl.col("person_agrees")).select(
        kind=pl.lit("person_differs"),
        subject="diversion_id",
        one_feed="feed",
        one_says="status",
        other_feed="feed_police",
        other_says="referral_status",
    )
    refused = spoken.filter(pl.col("referral_status") != "REFERRED").select(
        kind=pl.lit("served_though_not_referred"),
        subject="diversion_id",
        one_feed="feed",
        one_says="status",
        other_feed="feed_police",
        other_says="referral_status",
    )
    pairs = said.join(said, on="diversion_id", suffix="_other").filter(
        (pl.col("feed") < pl.col("feed_other"))
        & (pl.col("stated_on") == pl.col("stated_on_other"))
        & (pl.col("status") != pl.col("status_other"))
    )
    providers = pairs.select(
        kind=pl.lit("providers_differ"),
        subject="diversion_id",
        one_feed="feed",
        one_says="status",
        other_feed="feed_other",
        other_says="status_other",
    )
    diverted = (
        cases.filter(pl.col("decision") == "DIVERTED_LEAD")
        .join(police, on="diversion_id")
        .filter(~pl.col("diverted").fill_null(False))
        .select(
            kind=pl.lit("diverted_though_not_held"),
            subject="diversion_id",
            one_feed="da_feed",
            one_says="decision",
            other_feed="feed",
            other_says="referral_status",
        )
    )
    arrests = frames["police.arrests"].select("arrest_no_token")
    orphans = (
        frames["da.cases"]
        .drop_nulls("arrest_no_token")
        .join(arrests, on="arrest_no_token", how="anti")
        .select(
            kind=pl.lit("arrest_unknown"),
            subject="record_id",
            one_feed="feed",
            one_says=pl.lit("ARRESTED"),
            other_feed=pl.lit(None, pl.String),
            other_says=pl.lit("NO_SUCH_ARREST"),
        )
    )
    disputed = frames["disputes.disputes"].select(
        kind=pl.lit("disputed_by_partner"),
        subject="record_id",
        one_feed="feed",
        one_says="problem",
        other_feed=pl.lit(None, pl.String),
        other_says="disputed_column",
    )
    parts = [unknown, another, refused, providers, diverted, orphans, disputed]
    return (
        pl.concat(parts)
        .with_columns(night=pl.lit(night))
        .select(COLUMNS)
        .unique()
        .sort(COLUMNS, nulls_last=True)
    )

"""Who says what, where agencies contradict each other: a list for people, instead of a silent overwrite.

Codes alone, never a value that names somebody. Stewards see the list; no partner does.
"""

from __future__ import annotations

import polars as pl

from leadhub.casework import statements
from leadhub.casework.frames import Frames

#: kind → what it means; the first feed's word stands against the second's
KINDS = {
    "referral_unknown": "a provider quotes a referral number that no police hold",
    "person_differs": "the provider's client is not the person whom the police referred",
    "providers_differ": "two providers state differently of one referral",
    "served_though_not_accepted": "the police say not offered or declined, a provider took the person in",
    "arrest_unknown": "a case quotes an arrest number that no police hold",
    "arrest_ambiguous": "a case quotes the arrest number of one arrest and the CJTN of another",
    "diverted_though_not_held": "the DA says DIVERTED_LEAD, the police did not divert the arrest",
    "restriction_unread": "a refused row may seal a case: what it names is withheld until it is put right",
    "disputed": "a partner says that a row it was given is wrong",
}
_NOBODY = pl.lit(None, pl.String)


def discrepancies(
    frames: Frames, referred: pl.DataFrame, cases: pl.DataFrame, said: pl.DataFrame
) -> pl.DataFrame:
    """One row a contradiction, sorted: kind (of `KINDS`), diversion_id, one_record, one_feed, one_says,
    other_record, other_feed, other_says, first_seen.

    `first_seen` is the night on which both sides had come to stand as they do: the later `landed_on`.
    """
    parts = [
        _unknown_referrals(frames),
        *_against_police(referred, said),
        _providers(said),
        *_arrests(frames, referred),
        _unread(frames, cases),
        _disputes(frames, referred, cases),
    ]
    found = pl.concat(parts).unique()
    return found.sort(found.columns, nulls_last=True)


def _rows(frame: pl.DataFrame, kind: str, **columns: str | pl.Expr) -> pl.DataFrame:
    """`frame` as rows of the list; `landed_on` and, where there are two sides, `landed_on_other`."""
    given = {"diversion_id": _NOBODY, "other_record": _NOBODY, "other_feed": _NOBODY, "other_says": _NOBODY}
    nights = [c for c in ("landed_on", "landed_on_other") if c in frame.columns]
    return frame.select(
        pl.lit(kind).alias("kind"),
        first_seen=pl.max_horizontal(nights),
        **(given | columns),
    ).select(
        "kind",
        "diversion_id",
        "one_record",
        "one_feed",
        "one_says",
        "other_record",
        "other_feed",
        "other_says",
        "first_seen",
    )


def _unknown_referrals(frames: Frames) -> pl.DataFrame:
    known = frames["police.referrals"].select("referral_no_token")
    own = ("record_id", "feed", "landed_on", "referral_no_token")
    quoted = pl.concat(
        [
            frames["provider.intakes"].select(*own, said="outcome"),
            frames["provider.episodes"].select(*own, said=pl.lit("ENROLLED")),
        ]
    ).drop_nulls("referral_no_token")
    orphans = quoted.join(known, on="referral_no_token", how="anti")
    return _rows(orphans, "referral_unknown", one_record="record_id", one_feed="feed", one_says="said")


def _against_police(referred: pl.DataFrame, said: pl.DataFrame) -> list[pl.DataFrame]:
    spoken = said.join(
        referred.select("diversion_id", "feed", "referral_status", "landed_on"),
        on="diversion_id",
        suffix="_other",
    )
    sides: dict[str, str | pl.Expr] = {
        "diversion_id": "diversion_id",
        "one_record": "record_id",
        "one_feed": "feed",
        "one_says": "status",
        "other_record": "diversion_id",
        "other_feed": "feed_other",
        "other_says": "referral_status",
    }
    another = spoken.filter(~pl.col("person_agrees"))
    unasked = spoken.filter(pl.col("referral_status") != "REFERRED")
    return [
        _rows(another, "person_differs", **sides),
        _rows(unasked, "served_though_not_accepted", **sides),
    ]


def _providers(said: pl.DataFrame) -> pl.DataFrame:
    """What prevails of each provider's statements, against the other's."""
    each = statements.prevailing(said, by=("diversion_id", "feed"))
    pairs = each.join(each, on="diversion_id", suffix="_other").filter(
        (pl.col("feed") < pl.col("feed_other")) & (pl.col("status") != pl.col("status_other"))
    )
    return _rows(
        pairs,
        "providers_differ",
        diversion_id="diversion_id",
        one_record="record_id",
        one_feed="feed",
        one_says="status",
        other_record="record_id_other",
        other_feed="feed_other",
        other_says="status_other",
    )


def _arrests(frames: Frames, referred: pl.DataFrame) -> list[pl.DataFrame]:
    own = ("record_id", "feed", "landed_on", "diverted")
    by_number = frames["police.arrests"].select(*own, "arrest_no_token", "cjtn_token")
    by_cjtn = frames["police.arrests"].select(*own, "cjtn_token")
    cases, case_says = frames["da.cases"], {"one_record": "record_id", "one_feed": "feed"}
    unknown = cases.drop_nulls("arrest_no_token").join(by_number, on="arrest_no_token", how="anti")
    quoting = cases.join(by_number, on="arrest_no_token", suffix="_other")
    twofold = quoting.join(by_cjtn.rename({"record_id": "record_of_cjtn"}), on="cjtn_token", suffix="_cjtn")
    twofold = twofold.filter(pl.col("record_of_cjtn") != pl.col("record_id_other"))
    decided = frames.last("da.decisions", "decided_on").filter(pl.col("decision") == "DIVERTED_LEAD")
    tracked = cases.filter(pl.col("arrest_no_token").is_null()).join(
        by_cjtn, on="cjtn_token", suffix="_other"
    )
    arrest = ("feed", "da_case_no", "feed_other", "record_id_other", "landed_on_other", "diverted")
    linked = pl.concat([quoting.select(arrest), tracked.select(arrest)])
    booked = decided.join(linked.filter(~pl.col("diverted")), on=["feed", "da_case_no"])
    police = {"other_record": "record_id_other", "other_feed": "feed_other"}
    return [
        _rows(unknown, "arrest_unknown", **case_says, one_says=pl.lit("QUOTES_ARREST")),
        _rows(
            twofold,
            "arrest_ambiguous",
            **case_says,
            one_says=pl.lit("QUOTES_ARREST"),
            other_record="record_of_cjtn",
            other_feed="feed_cjtn",
            other_says=pl.lit("HOLDS_CJTN"),
        ),
        _rows(
            booked,
            "diverted_though_not_held",
            **case_says,
            one_says="decision",
            **police,
            other_says=pl.lit("NOT_DIVERTED"),
        ),
    ]


def _unread(frames: Frames, cases: pl.DataFrame) -> pl.DataFrame:
    """By the refused row, its table, and whether the case that it names is known."""
    held = frames["da.cases"].select("feed", "da_case_no", case_record_id="record_id")
    diverted = cases.select("diversion_id", "case_record_id")
    refused = frames["unread"].join(held, on=["feed", "da_case_no"], how="left")
    refused = refused.join(diverted, on="case_record_id", how="left").rename({"opened_on": "landed_on"})
    numbers = pl.any_horizontal(pl.col("da_case_no", "arrest_no_token", "cjtn_token").is_not_null())
    return _rows(
        refused,
        "restriction_unread",
        diversion_id="diversion_id",
        one_record="record_id",
        one_feed="feed",
        one_says="table",
        other_record="case_record_id",
        other_feed="feed",
        other_says=pl.when(numbers).then(pl.lit("WITHHELD")).otherwise(pl.lit("NAMES_NO_CASE")),
    )


def _disputes(frames: Frames, referred: pl.DataFrame, cases: pl.DataFrame) -> pl.DataFrame:
    """The disputed row is found by the partner's own sealed case number; a wrong number finds none."""
    held = cases.select("diversion_id", "da_case_no").join(
        referred.select("diversion_id", "feed", "referral_status", landed_on_other="landed_on"),
        on="diversion_id",
    )
    disputed = frames["disputes.disputes"].join(held, on="da_case_no", how="left", suffix="_other")
    return _rows(
        disputed,
        "disputed",
        diversion_id="diversion_id",
        one_record="record_id",
        one_feed="feed",
        one_says=pl.concat_str("disputed_column", "problem", separator=":"),
        other_record="diversion_id",
        other_feed="feed_other",
        other_says=pl.when(pl.col("disputed_column") == "referral_status").then("referral_status"),
    )

"""What providers say of a referral: the only source of a programme status.

A provider's bad news (no show, refused, not found) is no statement for any partner: by LEAD's golden rule
nobody is worse off because of LEAD, so bad news, no news, no consent and no treatment look alike. The hub
itself counts it (`participants`).
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from leadhub.casework.frames import Frames

#: the category of information (`schemas.codes`) that every statement is of
CATEGORY = "PROGRAMME_STATUS"
#: what a provider states at intake → what a partner with consent may be told; every other outcome: nothing
INTAKE_STATUS = {
    "SCHEDULED": "INTAKE_PENDING",
    "COMPLETED": "INTAKE_COMPLETE",
    "WINDOW_LAPSED": "INTAKE_WINDOW_LAPSED",
}
#: what a provider states at intake, and only the hub counts
NOT_TOLD = ("NO_SHOW", "REFUSED", "UNABLE_TO_LOCATE")
#: Precedence among statements about one referral, as (status, stage): the highest stage prevails, whatever
#: its date; within a stage the latest date, and on one day the one that stands further down. A completed
#: intake is not undone by an older appointment, and who left one programme but is in another is enrolled.
PRECEDENCE = (
    ("INTAKE_NOT_COMPLETED", 1),  # of `NOT_TOLD`: inside the hub alone
    ("INTAKE_WINDOW_LAPSED", 1),
    ("INTAKE_PENDING", 1),
    ("INTAKE_COMPLETE", 2),
    ("NO_LONGER_ENROLLED", 3),
    ("ENROLLED", 4),
)
INTAKE = ("INTAKE_PENDING", "INTAKE_COMPLETE", "INTAKE_WINDOW_LAPSED")
#: log₂ odds from which a client's own record and the police's of the person referred are one's: even.
#: The referral number, which both sides wrote down, is not among them.
AGREES_BITS = 0.0
_SAID = ("record_id", "feed", "landed_on", "client_id", "referral_no_token", "status", "stated_on")


def prevailing(said: pl.DataFrame, by: Sequence[str] = ("diversion_id",)) -> pl.DataFrame:
    """Of each group of statements the one that counts, by `PRECEDENCE`; sorted by `by`."""
    order = [status for status, _ in PRECEDENCE]
    ranked = said.with_columns(
        _stage=pl.col("status").replace_strict(dict(PRECEDENCE), return_dtype=pl.Int8),
        _rank=pl.col("status").replace_strict(order, list(range(len(order))), return_dtype=pl.Int8),
    )
    order_by = [*by, "_stage", "stated_on", "_rank", "feed", "record_id"]
    ordered = ranked.sort(list(dict.fromkeys(order_by)), maintain_order=True)
    return ordered.group_by(*by, maintain_order=True).last().drop("_stage", "_rank")


def statements(frames: Frames) -> pl.DataFrame:
    """What partners may be told with consent, one row a statement, sorted.

    diversion_id · feed, client_id (sealed), client_record_id, person_id and part2_program of the client ·
    person_agrees: the client's own record and the police's of the person referred are one person's, by
    these two records alone · status · stated_on · record_id, landed_on of the provider's row.

    By these two alone: through the crosswalk any other client's record could tie them together or win the
    place of one of them, and what a partner reads would tell of somebody who consents to nothing
    (42 CFR 2.13(c)).
    """
    return _of_referrals(frames, _intakes(frames, INTAKE_STATUS))


def internal(frames: Frames) -> pl.DataFrame:
    """The same with what is told to nobody, as INTAKE_NOT_COMPLETED."""
    untold = dict.fromkeys(NOT_TOLD, "INTAKE_NOT_COMPLETED")
    return _of_referrals(frames, _intakes(frames, INTAKE_STATUS | untold))


def _of_referrals(frames: Frames, intakes: pl.DataFrame) -> pl.DataFrame:
    persons = frames["police.persons"].select("feed", "person_no", referred="record_id")
    referrals = (
        frames["police.referrals"]
        .join(persons, on=["feed", "person_no"], how="left")
        .select("referral_no_token", "referred", diversion_id="record_id")
    )
    clients = frames["provider.clients"].select(
        "feed", "client_id", "person_id", "part2_program", client_record_id="record_id"
    )
    return (
        pl.concat([intakes, _enrolments(frames)])
        .drop_nulls(["status", "referral_no_token"])
        .join(referrals, on="referral_no_token")
        .join(clients, on=["feed", "client_id"])
        .join(_agreeing(frames), on=["client_record_id", "referred"], how="left")
        .with_columns(pl.col("person_agrees").fill_null(value=False))
        .select(
            "diversion_id",
            "feed",
            "client_id",
            "client_record_id",
            "person_id",
            "part2_program",
            "person_agrees",
            "status",
            "stated_on",
            "record_id",
            "landed_on",
        )
        .sort("diversion_id", "stated_on", "status", "feed", "record_id")
    )


def _agreeing(frames: Frames) -> pl.DataFrame:
    """client_record_id, referred (a record id), person_agrees (true)."""
    near = frames["linkage.pairs"].filter(pl.col("weight_bits") >= AGREES_BITS)
    either_way = (
        near.select(client_record_id=one, referred=other)
        for one, other in (("left", "right"), ("right", "left"))
    )
    return pl.concat(either_way).unique().with_columns(person_agrees=pl.lit(value=True))


def _intakes(frames: Frames, status: dict[str, str]) -> pl.DataFrame:
    known = frames["provider.intakes"].with_columns(
        status=pl.col("outcome").replace_strict(status, default=None, return_dtype=pl.String),
        stated_on="outcome_on",
    )
    # an appointment lies in the future by its nature, an outcome does not
    return known.filter(
        (pl.col("stated_on") <= frames.night) | (pl.col("status") == "INTAKE_PENDING")
    ).select(_SAID)


def _enrolments(frames: Frames) -> pl.DataFrame:
    """One statement a client and referral: enrolled while any episode is open, else no longer."""
    group = ["feed", "client_id", "referral_no_token"]
    left = pl.col("exited_on").is_not_null() & (pl.col("exited_on") <= frames.night)
    return (
        frames.happened("provider.episodes", "enrolled_on")
        .with_columns(
            status=pl.when(left).then(pl.lit("NO_LONGER_ENROLLED")).otherwise(pl.lit("ENROLLED")),
            stated_on=pl.when(left).then("exited_on").otherwise("enrolled_on"),
        )
        .pipe(prevailing, by=group)
        .select(_SAID)
    )

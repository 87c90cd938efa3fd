"""What is sealed: what the office states tonight, by disposition or by order, and all that was ever stated.

A seal is remembered (NY CPL 160.50, 160.55, 160.57 to 160.59). The office may forget: it takes the case out
of its system, sends an older extract again, or enters it anew under another number. An order has a scope:

- `CASE`: the case, and the arrest that it came from; also where it came back under another number, by CJTN,
  or by the arrest's number where the case itself is gone.
- `ARREST`: the arrest, and every case on it.
- `CHARGE`: one charge of a case. Where no charge is left open, the case is sealed.

An arrest has two numbers, and the police alone write down both: a seal that names one holds for the other.

A refused row of dispositions or seal orders may be a seal that nobody could read: what it names is held as
sealed while that row is open (`IN_DOUBT`), and is not remembered.

It counts from its effective day on. Only the office's own word that it is vacated, or a steward's that it
was a mistake (`steps.seals.lift`), ends it; that it is no longer there does not.
"""

from __future__ import annotations

from datetime import date

import polars as pl

from leadhub.casework.frames import Frames, once
from leadhub.casework.provisions import IN_DOUBT, strictest_of

CASE, ARREST, CHARGE = "CASE", "ARREST", "CHARGE"
_NUMBERS = ("arrest_no", "arrest_no_token", "cjtn", "cjtn_token")
_WHAT = ["feed", "scope", "order_id", "da_case_no", "charge_seq"]
#: of the register: what is sealed (the office's ids, sealed; `order_id` null: by a disposition), the
#: numbers of its arrest (sealed, and as keyed tokens), the provision
COLUMNS = (*_WHAT, *_NUMBERS, "sealed_under")
#: of refused rows that may be a seal: the table and record of each, what it names, since which night
UNREAD = ("feed", "table", "record_id", "da_case_no", *_NUMBERS, "opened_on")


def in_force(orders: pl.DataFrame, day: date) -> pl.DataFrame:
    """The orders that count on `day`."""
    ended = (pl.col("vacated_on") <= day).fill_null(value=False)
    return orders.filter((pl.col("effective_on") <= day) & ~ended)


def vacated(orders: pl.DataFrame, day: date) -> pl.DataFrame:
    """feed, order_id of the orders that the office has taken back by `day`."""
    return orders.filter(pl.col("vacated_on") <= day).select("feed", "order_id")


@once
def seals(frames: Frames) -> pl.DataFrame:
    """`COLUMNS`, one row a seal; sorted."""
    case, nothing, numbers = ["feed", "da_case_no"], pl.lit(None, pl.String), _numbers(frames)
    disposed = (
        frames["da.dispositions"]
        .drop_nulls("sealed_under")
        .join(numbers, on=case, how="left")
        .with_columns(scope=pl.lit(CASE), order_id=nothing, charge_seq=nothing)
    )
    orders = frames["da.seal_orders"]
    ordered = (
        in_force(orders, frames.night)
        .join(numbers, on=case, how="left", suffix="_of_case")
        .with_columns(pl.coalesce(n, f"{n}_of_case") for n in _NUMBERS)
        .with_columns(pl.col("charge_seq").cast(pl.String), sealed_under="seal_type")
    )
    taken_back = vacated(orders, frames.night)
    known = frames["seals"].join(taken_back, on=["feed", "order_id"], how="anti")
    every = pl.concat([part.select(COLUMNS) for part in (disposed, ordered, known)])
    return (
        _both_numbers(every, frames["police.arrests"])
        .group_by(_WHAT)
        .agg(pl.col(*_NUMBERS).drop_nulls().min(), strictest_of("sealed_under"))
        .select(COLUMNS)
        .sort(_WHAT)
    )


@once
def _numbers(frames: Frames) -> pl.DataFrame:
    """feed, da_case_no and the numbers of its arrest, of every case."""
    case = ["feed", "da_case_no"]
    return frames["da.cases"].join(frames["da.case_numbers"], on=case).select(*case, *_NUMBERS)


@once
def in_doubt(frames: Frames) -> pl.DataFrame:
    """`COLUMNS` of what refused rows name: the case, and the arrest whose number stands there."""
    refused, nothing = frames["unread"].select("feed", "da_case_no", *_NUMBERS), pl.lit(None, pl.String)
    cases = refused.select("feed", "da_case_no").drop_nulls()
    cases = cases.join(_numbers(frames), on=["feed", "da_case_no"], how="left")
    arrests = refused.filter(pl.any_horizontal(pl.col(*_NUMBERS).is_not_null()))
    parts = [
        rows.with_columns(
            scope=pl.lit(scope), order_id=nothing, charge_seq=nothing, sealed_under=pl.lit(IN_DOUBT)
        ).select(COLUMNS)
        for rows, scope in ((cases, CASE), (arrests.with_columns(da_case_no=nothing), ARREST))
    ]
    return _both_numbers(pl.concat(parts), frames["police.arrests"])


@once
def _withheld(frames: Frames) -> pl.DataFrame:
    return pl.concat([seals(frames), in_doubt(frames)])


def _both_numbers(sealed: pl.DataFrame, arrests: pl.DataFrame) -> pl.DataFrame:
    """With the token of an arrest's other number, where a seal has one of them and the police know both."""
    both = arrests.select("arrest_no_token", "cjtn_token").drop_nulls().unique()
    for one, other in (("arrest_no_token", "cjtn_token"), ("cjtn_token", "arrest_no_token")):
        known = both.rename({other: "_other"})
        found = sealed.join(known, on=one, how="left").with_columns(
            pl.coalesce(other, "_other").alias(other)
        )
        sealed = found.drop("_other")
    return sealed.unique()


@once
def open_charges(frames: Frames) -> pl.DataFrame:
    """The office's charges without those that are sealed by themselves."""
    sealed = seals(frames).filter(pl.col("scope") == CHARGE).select("feed", "da_case_no", "charge_seq")
    charges = frames["da.charges"].with_columns(pl.col("charge_seq").cast(pl.String))
    return charges.join(sealed, on=["feed", "da_case_no", "charge_seq"], how="anti")


@once
def sealed_cases(frames: Frames) -> pl.DataFrame:
    """feed, da_case_no, sealed_under of every case that is sealed, or may be."""
    known, columns = _withheld(frames), ("feed", "da_case_no", "sealed_under")
    cases, case = frames["da.cases"], ["feed", "da_case_no"]
    of_charges = known.filter(pl.col("scope") == CHARGE).select(columns)
    parts = [
        known.filter(pl.col("scope") == CASE),
        # also where it came back under another number
        cases.join(_by(known, "cjtn_token"), on="cjtn_token"),
        cases.join(_by(known.filter(pl.col("scope") == ARREST), "arrest_no_token"), on="arrest_no_token"),
        cases.filter(pl.col("cjtn_token").is_null()).join(
            _by(known.filter(pl.col("scope") == CASE).join(cases, on=case, how="anti"), "arrest_no_token"),
            on="arrest_no_token",
        ),
        of_charges.join(cases, on=case, how="semi").join(open_charges(frames), on=case, how="anti"),
    ]
    every = pl.concat([part.select(columns) for part in parts])
    return every.group_by(case).agg(strictest_of("sealed_under"))


def sealed_arrests(frames: Frames, token: str) -> pl.DataFrame:
    """`token` (arrest_no_token or cjtn_token), sealed_under: the seal of a case is on its arrest, too."""
    cases = frames["da.cases"].join(sealed_cases(frames), on=["feed", "da_case_no"])
    return _by(pl.concat([_by(_withheld(frames), token), cases.select(token, "sealed_under")]), token)


def _by(known: pl.DataFrame, token: str) -> pl.DataFrame:
    """By an arrest's number: `token`, sealed_under. A charge's seal is on no arrest."""
    if "scope" in known.columns:
        known = known.filter(pl.col("scope") != CHARGE)
    return known.drop_nulls(token).group_by(token).agg(strictest_of("sealed_under"))

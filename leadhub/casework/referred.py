"""Persons referred in a period, as counts, from what the police write alone.

Persons are the police's own records of persons, not those of linkage: no row of a provider can make one of
two, or two of one (42 CFR 2.13(c)).
"""

from __future__ import annotations

from datetime import date

import polars as pl

_PERSON = ["feed", "person_no"]


def persons_referred(
    referrals: pl.DataFrame, persons: pl.DataFrame, diversions: pl.DataFrame, first: date, last: date
) -> pl.DataFrame:
    """race_ethnicity, referral_status, persons: each person once, by the last referral from `first` to
    `last`, both included. Sealed referrals are left out.

    `referrals` and `persons`: state tables of all police feeds, with a `feed` column; `diversions`:
    casework's.
    """
    of_person = referrals.select(*_PERSON, diversion_id="record_id")
    counted = diversions.filter(
        pl.col("referral_on").is_between(first, last), pl.col("sealed_under").is_null()
    )
    return (
        counted.select("diversion_id", "referral_on", "referral_status")
        .join(of_person, on="diversion_id")
        .sort("referral_on", "diversion_id")
        .unique(subset=_PERSON, keep="last", maintain_order=True)
        .join(persons.select(*_PERSON, "race_ethnicity"), on=_PERSON)
        .group_by("race_ethnicity", "referral_status")
        .agg(persons=pl.len())
        .sort("race_ethnicity", "referral_status")
    )

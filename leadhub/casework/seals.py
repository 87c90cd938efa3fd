"""Which cases and arrests are sealed: what the office states tonight, and all that was ever stated.

A seal is remembered (NY CPL 160.50, 160.55, 160.57 to 160.59). The office may forget: it takes the case out
of its system, sends an older extract again, or enters it anew under another number. A case is sealed where
any disposition seals it, or the register knows its number or its CJTN; an arrest where a sealed case came
from it, whether or not the case is still there.
"""

from __future__ import annotations

import polars as pl

from leadhub.casework.frames import Frames

#: of the register: the case (sealed id), the numbers of its arrest (sealed, and as keyed tokens), the
#: provision
COLUMNS = (
    "feed",
    "da_case_no",
    "arrest_no",
    "arrest_no_token",
    "cjtn",
    "cjtn_token",
    "sealed_under",
)

_NUMBERS = ("arrest_no", "arrest_no_token", "cjtn", "cjtn_token")


def seals(frames: Frames) -> pl.DataFrame:
    """`COLUMNS`, one row a case; sorted."""
    stated = (
        frames["da.dispositions"]
        .drop_nulls("sealed_under")
        .join(frames["da.cases"], on=["feed", "da_case_no"], how="left")
        .join(frames["da.case_numbers"], on=["feed", "da_case_no"], how="left")
        .select(COLUMNS)
    )
    return (
        pl.concat([stated, frames["seals"]])
        .group_by("feed", "da_case_no")
        .agg(pl.col(*_NUMBERS).drop_nulls().min(), pl.col("sealed_under").min())
        .select(COLUMNS)
        .sort("feed", "da_case_no")
    )


def sealed_cases(frames: Frames) -> pl.DataFrame:
    """feed, da_case_no, sealed_under of every sealed case, also where it came back under another number."""
    known = seals(frames)
    again = frames["da.cases"].join(_by(known, "cjtn_token"), on="cjtn_token")
    columns = ("feed", "da_case_no", "sealed_under")
    every = pl.concat([known.select(columns), again.select(columns)])
    return every.group_by("feed", "da_case_no").agg(pl.col("sealed_under").min())


def sealed_arrests(frames: Frames, token: str) -> pl.DataFrame:
    """`token` (arrest_no_token or cjtn_token), sealed_under: the seal of a case is on its arrest, too."""
    cases = frames["da.cases"].join(sealed_cases(frames), on=["feed", "da_case_no"])
    return _by(pl.concat([f.select(token, "sealed_under") for f in (seals(frames), cases)]), token)


def _by(known: pl.DataFrame, token: str) -> pl.DataFrame:
    return known.drop_nulls(token).group_by(token).agg(pl.col("sealed_under").min())

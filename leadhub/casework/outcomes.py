"""How sealed cases had ended, as counts: what is left to whoever evaluates the programme.

Every diversion that succeeds ends as a sealed record, so that records alone show the failures. When a case
is sealed, its outcome is added to a counter that names nobody, and cannot be taken apart again.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from leadhub.casework.frames import Frames

#: said wherever the counts are shown
BIAS = (
    "These are cases that the hub saw being sealed. Cases sealed before it began, or never sent to it, are "
    "in no count; a case sealed anew counts once; dates and persons are not kept. Whoever sets them beside "
    "cases that are still open compares the ended with the unended."
)
#: cells below are not shown (CMS cell size policy: 1 to 10)
SHOWN_FROM = 11
_CASE = ["feed", "da_case_no"]


def shown(before: Mapping[str, int], now: Mapping[str, int]) -> dict[str, int]:
    """Which counts (cell → cases) may be looked at, of those shown until now and those that hold now.

    They are renewed all at once, and only when at least `SHOWN_FROM` cases more were sealed: whoever looks
    before and after one case was sealed sees nothing change, and learns of no case how it had ended.
    """
    more = sum(now.values()) - sum(before.values())
    return dict(now if more >= SHOWN_FROM else before)


def counted(frames: Frames, sealed: pl.DataFrame) -> pl.DataFrame:
    """year, referred (to the programme), outcome, cases: of `sealed` (feed, da_case_no), what the office
    last said of each; the year of that word. Cases it says nothing of are left out."""
    said = (
        frames["da.cases"]
        .join(sealed.unique(), on=_CASE, how="semi")
        .join(frames.last("da.decisions", "decided_on"), on=_CASE, how="left")
        .join(frames.last("da.dispositions", "disposed_on"), on=_CASE, how="left", suffix="_disposed")
    )
    referred = frames["police.referrals"].select("arrest_no_token").drop_nulls().unique()
    return (
        said.join(referred.with_columns(referred=True), on="arrest_no_token", how="left")
        .select(
            year=pl.coalesce("disposed_on", "decided_on").dt.year(),
            referred=pl.col("referred").fill_null(value=False),
            outcome=pl.coalesce("disposition", "decision"),
        )
        .drop_nulls()
        .group_by("year", "referred", "outcome")
        .agg(cases=pl.len())
        .sort("year", "referred", "outcome")
    )

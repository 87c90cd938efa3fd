"""Cases that call for a seal and have none: a steward's work list, by rules that are data.

Every diversion that succeeds ends as a record to be sealed: the charge is declined or dismissed. Where
nobody orders it, the person is left with an arrest that is open to everybody.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import polars as pl
from pydantic import Field

from leadhub.casework.frames import Frames
from leadhub.casework.seals import open_charges, sealed_cases
from leadhub.foundation import facts_file
from leadhub.foundation.facts_file import Facts

RULES = Path(__file__).with_name("sealable.yaml")
COLUMNS = ("feed", "da_case_no", "rule", "provision", "due_on")
_CASE = ["feed", "da_case_no"]


class Rule(Facts):
    """A case whose latest decision or disposition is one of these, of these charges, may be sealed
    `after_months`; `filed` (None: no matter) tells whether any charge was filed."""

    id: str
    decision: tuple[str, ...] = ()
    disposition: tuple[str, ...] = ()
    law_category: tuple[str, ...] = ()
    filed: bool | None = None
    after_months: int = Field(ge=0)
    provision: str
    citation: str
    standing: Literal["read", "recalled"]


class Rules(Facts):
    rules: tuple[Rule, ...]


def load(path: Path = RULES) -> tuple[Rule, ...]:
    """Raises: TerminalError `state_invalid` naming file and key."""
    return facts_file.read(path, Rules, "state_invalid").rules


def due(frames: Frames, rules: tuple[Rule, ...]) -> pl.DataFrame:
    """`COLUMNS`: of each unsealed case the first rule that holds by the night, the longest due first."""
    category = pl.col("law_category").cast(pl.Enum(("F", "M", "V", "I"))).min().cast(pl.String)
    charged = (
        open_charges(frames)
        .group_by(_CASE)
        .agg(category, filed=(pl.col("filed_on") <= frames.night).any().fill_null(value=False))
    )
    known = (
        frames["da.cases"]
        .select(_CASE)
        .join(sealed_cases(frames), on=_CASE, how="anti")
        .join(charged, on=_CASE, how="left")
        .join(frames.last("da.decisions", "decided_on"), on=_CASE, how="left")
        .join(frames.last("da.dispositions", "disposed_on"), on=_CASE, how="left", suffix="_disposed")
    )
    found = [pl.DataFrame(schema=dict.fromkeys(COLUMNS[:4], pl.String) | {"due_on": pl.Date})]
    for rule in rules:
        what, on = ("disposition", "disposed_on") if rule.disposition else ("decision", "decided_on")
        ended = pl.col(what).is_in(rule.disposition or rule.decision)
        if rule.law_category:
            ended &= pl.col("law_category").is_in(rule.law_category)
        if rule.filed is not None:
            ended &= pl.col("filed").fill_null(value=False) == pl.lit(rule.filed)
        named = {"rule": pl.lit(rule.id), "provision": pl.lit(rule.provision)}
        met = known.filter(ended).with_columns(
            **named, due_on=pl.col(on).dt.offset_by(f"{rule.after_months}mo")
        )
        found.append(met.filter(pl.col("due_on") <= frames.night).select(COLUMNS))
    every = pl.concat(found).unique(_CASE, keep="first", maintain_order=True)
    return every.sort("due_on", *_CASE)

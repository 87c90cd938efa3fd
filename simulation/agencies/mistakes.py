"""Deliberate bad rows: known, few, each refused for one stated reason.

They strike rows in the agency's own form, of people who are in no LEAD story, so that the story's counts
do not depend on them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import polars as pl

#: tables by name
Tables = dict[str, pl.DataFrame]
#: a reason in place of a column: the row once more, or a cell too many
AGAIN, ONE_CELL_MORE = "duplicate_key", "wrong_field_count"


@dataclass(frozen=True)
class Mistake:
    """`value` is written into contract column `column` of one row among `among` (contract columns).

    Where `column` is `AGAIN` the row stands twice; where it is `ONE_CELL_MORE` it has a field too many.
    """

    table: str
    column: str
    value: Any
    reason: str
    among: pl.Expr | None = None
    #: strikes people of LEAD stories too
    anyone: bool = False


@dataclass(frozen=True)
class Refusal:
    """A row that must be refused: its feed and table, its key at the source, and why."""

    feed: str
    table: str
    key: str
    reason: str


@dataclass(frozen=True)
class Struck:
    """Tables with their bad rows, the refusals, and by table the row numbers with a cell too many."""

    tables: Tables
    refusals: tuple[Refusal, ...]
    long_rows: dict[str, list[int]]


_NOT_DIVERTED = ~pl.col("diverted")
POLICE = (
    Mistake("persons", "sex", "Q", "unknown_code"),
    Mistake("persons", "nysid", "0412-77", "bad_format"),
    Mistake("persons", "date_of_birth", date(2190, 5, 4), "rule:not_in_the_future"),
    Mistake("arrests", "charges_held_until", date(2030, 1, 31), "rule:only_where_diverted", _NOT_DIVERTED),
    Mistake("arrests", "person_no", "MNI0000000", "reference_missing", _NOT_DIVERTED),
    Mistake("charges", "law_code", "220.03 PL", "bad_format"),
    Mistake("charges", "counts", 0, "out_of_range"),
    Mistake(
        "referrals",
        "not_offered_reason",
        None,
        "rule:given_exactly_where_not_offered",
        ~pl.col("offered"),
        anyone=True,
    ),
)
DA = (
    Mistake("defendants", "nysid", "UNKNOWN", "bad_format"),
    Mistake("cases", "received_on", date(9999, 12, 31), "out_of_range"),
    Mistake("charges", "law_category", "Z", "unknown_code"),
    Mistake(
        "decisions",
        "decline_reason",
        None,
        "rule:given_exactly_where_declined",
        pl.col("decision") == "DECLINED",
    ),
    Mistake("decisions", "decision", "GRANTED", "unknown_code", pl.col("decision") != "DECLINED"),
    Mistake("dispositions", "disposed_on", date(1900, 1, 1), "out_of_range"),
)
HARBOR = (
    Mistake("clients", "date_of_birth", "1980-02-31", "unparsable_date"),
    Mistake("clients", "last_name", None, "missing_value"),
    Mistake("clients", AGAIN, None, AGAIN),
    Mistake("consents", "expires_on", None, "rule:date_or_event_given", pl.col("expires_on").is_not_null()),
    Mistake("intakes", "outcome", "DONE", "unknown_code"),
    Mistake("intakes", ONE_CELL_MORE, None, ONE_CELL_MORE),
    Mistake(
        "episodes",
        "exited_on",
        "2001-01-02",
        "rule:not_before_enrolment",
        pl.col("exited_on").is_not_null(),
    ),
    Mistake("episodes", "client_id", "HC000000", "reference_missing", pl.col("exited_on").is_null()),
)
RIVERSIDE = (
    Mistake("clients", "sex", "7", "unknown_code"),
    Mistake("clients", "date_of_birth", "13/45/1990", "unparsable_date"),
    Mistake("clients", "first_name", "=SUM(A1:A9)", "bad_format"),
    Mistake("consents", "revoked_at", "11/05/2025 10:00", "unparsable_timestamp"),
    Mistake("intakes", "outcome_on", None, "missing_value"),
    Mistake("episodes", "service_type", "88", "unknown_code"),
)
_CHANGED = pl.col("changed")
#: by feed, what goes wrong on the second night: among rows that changed, since only these are read again
SECOND_NIGHT = {
    "police_records": (Mistake("persons", "sex", "Q", "unknown_code", _CHANGED),),
    "da_cases": (Mistake("defendants", "date_of_birth", date(1900, 1, 1), "out_of_range", _CHANGED),),
    "harbor_case_management": (Mistake("intakes", "outcome", "DONE", "unknown_code"),),
    "riverside_treatment": (),
    "da_disputes": (Mistake("disputes", "problem", "ODD", "unknown_code"),),
}
FIRST_NIGHT = {
    "police_records": POLICE,
    "da_cases": DA,
    "harbor_case_management": HARBOR,
    "riverside_treatment": RIVERSIDE,
}


def strike(
    rng: np.random.Generator,
    feed: str,
    mistakes: tuple[Mistake, ...],
    shown: Tables,
    source: Tables,
    names: dict[str, dict[str, str]],
    spared: list[int],
) -> Struck:
    """`source` tables with the mistakes in them.

    `shown` holds the same rows in the same order under contract names, with `person`; rows of `spared`
    people are not struck. `names`: table → contract column → column at the source. A mistake that finds
    no row (a county of few people) is not made.
    """
    tables, refusals, long_rows = dict(source), [], {}
    used: dict[str, set[int]] = {}
    for mistake in mistakes:
        table, frame = mistake.table, shown[mistake.table]
        free = mistake.anyone or "person" not in frame.columns
        may = pl.lit(value=True) if free else ~pl.col("person").is_in(spared)
        if mistake.among is not None:
            may = may & mistake.among.fill_null(value=False)
        taken = used.setdefault(table, set())
        rows = [r for r in frame.select(may.alias("may"))["may"].arg_true().to_list() if r not in taken]
        if not rows:
            continue
        row = int(rng.choice(rows))
        taken.add(row)
        key = next(iter(names[table].values()))
        refusals.append(Refusal(feed, table, str(source[table][key][row]), mistake.reason))
        if mistake.column == AGAIN:
            tables[table] = pl.concat([tables[table], tables[table][row]])
        elif mistake.column == ONE_CELL_MORE:
            long_rows.setdefault(table, []).append(row)
        else:
            tables[table] = _written(tables[table], names[table][mistake.column], row, mistake.value)
    return Struck(tables, tuple(refusals), long_rows)


def _written(frame: pl.DataFrame, column: str, row: int, value: Any) -> pl.DataFrame:
    cell = pl.lit(value, frame.schema[column])
    return frame.with_columns(
        pl.when(pl.int_range(pl.len()) == row).then(cell).otherwise(column).alias(column)
    )

"""May this row enter? The contract decides, row by row; what is refused says why and never what it held.

A row is refused once for each fault. A cell that could not be read is not judged again for what follows
from that: it is not also reported missing, and rules across columns are not asked of its row.

Two rows with the same key: where they are identical in every column one is kept and the others are
refused; where they differ, nobody can say which is right, and all of them are refused (`duplicate_key`).
References are judged against what the source *holds*, accepted or not: one refused person does not
drag every arrest of theirs along.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from leadhub.foundation.errors import TerminalError
from leadhub.foundation.vocabulary import Reference, TableFacts
from leadhub.intake.mapping import Mapped, to_arrow
from leadhub.intake.tabular import FAULTS, ROW

#: tables with fewer rows than this count in the share of the whole drop only
SMALL_TABLE = 50

#: pandera check → reason code; a cross-field rule becomes `rule:<name>`
_REASONS = {
    "not_nullable": "missing_value",
    "isin": "unknown_code",
    "str_matches": "bad_format",
    "str_contains": "bad_format",
    "str_startswith": "bad_format",
    "str_endswith": "bad_format",
    "str_length": "bad_format",
    "equal_to": "out_of_range",
    "not_equal_to": "out_of_range",
    "greater_than": "out_of_range",
    "greater_than_or_equal_to": "out_of_range",
    "less_than": "out_of_range",
    "less_than_or_equal_to": "out_of_range",
    "in_range": "out_of_range",
    "field_uniqueness": "duplicate_key",
}


@dataclass(frozen=True)
class Judged:
    """`accepted`: contract columns, typed, and `_row`, by row. `refused`: (row, column, reason), sorted;
    several lines may name one row. `read` = accepted rows + distinct refused rows."""

    accepted: pa.Table = field(repr=False)
    refused: pa.Table = field(repr=False)
    read: int

    @property
    def refused_rows(self) -> int:
        return self.read - self.accepted.num_rows

    def only(self, rows: set[int]) -> Judged:
        """The same judgement of these rows alone."""
        chosen = pa.array(sorted(rows), self.refused.schema.field("row").type)
        refused = self.refused.filter(pc.is_in(self.refused["row"], chosen))
        accepted = self.accepted.filter(pc.is_in(self.accepted[ROW], chosen.cast(self.accepted[ROW].type)))
        return Judged(accepted, refused, accepted.num_rows + len(refused["row"].unique()))


def judge(
    mapped: Mapping[str, Mapped],
    models: Mapping[str, type],
    facts: Mapping[str, TableFacts],
    source_keys: Mapping[str, pa.Table],
) -> dict[str, Judged]:
    """Accepted and refused rows of every table of one drop.

    `models` are the pandera contracts and `facts` what they say, by table. `source_keys` holds, for the
    parents that it names, key columns (contract names) of rows at the source beyond those in `mapped`;
    a partial drop needs it for every table that its rows refer to.

    Raises: TerminalError `validator_disabled`, `schema_drift` (a frame that is not the contract's at
    all), `incomplete_drop` (a parent table neither read nor given), `counts_differ`.
    """
    check_validator()
    return {
        table: _judge_table(table, mapped, models[table], facts[table], source_keys)
        for table in sorted(mapped)
    }


def refused_share(judged: Mapping[str, Judged]) -> float:
    """The largest share of refused rows: of the whole drop, or of any table that is not small.

    A table lost in a large drop would not show in the whole; a table of three rows says nothing.
    """
    counts = [(j.refused_rows, j.read) for j in judged.values()]
    whole = (sum(refused for refused, _ in counts), sum(read for _, read in counts))
    of_note = [whole, *(c for c in counts if c[1] >= SMALL_TABLE)]
    return max(refused / read if read else 0.0 for refused, read in of_note)


def check_share(judged: Mapping[str, Judged], limit: float) -> None:
    """Raises: TerminalError `too_many_refused` where `refused_share` is above `limit`."""
    share = refused_share(judged)
    if share > limit:
        raise TerminalError(
            "too_many_refused",
            f"{share:.1%} of the rows were refused, above the limit of {limit:.1%}; nothing was taken: "
            "correct the source by the rejection report and send the drop again",
        )


def check_validator() -> None:
    """Prove that pandera refuses what it must: a bad value and a null.

    Its environment can switch it off without a word (`PANDERA_VALIDATION_ENABLED=yes` means no), so that
    the effect is asked for, not the setting.

    Raises: TerminalError `validator_disabled`.
    """
    import pandera.errors
    import pandera.polars

    probe = pandera.polars.DataFrameSchema(
        {"probe": pandera.polars.Column(pl.Int64, pandera.polars.Check.ge(1), nullable=False)}
    )
    found: set[str] = set()
    try:
        probe.validate(pl.DataFrame({"probe": [0, None]}, schema={"probe": pl.Int64}), lazy=True)
    except pandera.errors.SchemaErrors as errors:
        found = set(errors.failure_cases["check"])
    if found != {"not_nullable", "greater_than_or_equal_to(1)"}:
        raise TerminalError(
            "validator_disabled",
            "pandera does not check rows; unset PANDERA_VALIDATION_ENABLED and PANDERA_VALIDATION_DEPTH",
        )


def _judge_table(
    table: str,
    mapped: Mapping[str, Mapped],
    model: type,
    facts: TableFacts,
    source_keys: Mapping[str, pa.Table],
) -> Judged:
    own = mapped[table]
    frame = own.frame
    refused = (
        pl.concat(
            [
                own.faults,
                _contract_faults(frame, model, own.faults, table),
                _duplicates(frame, facts, own.faults),
                *(_orphans(frame, r, table, mapped, source_keys) for r in facts.references),
            ]
        )
        .unique()
        .sort("row", "column", "reason", nulls_last=False)
    )
    accepted = frame.join(refused.select(pl.col("row").alias(ROW)), on=ROW, how="anti").sort(ROW)
    if accepted.height + refused["row"].n_unique() != own.read:
        raise TerminalError(
            "counts_differ",
            f"table [{table}]: {own.read} rows read, {accepted.height} accepted and "
            f"{refused['row'].n_unique()} refused; nothing was taken: report this, it is a defect",
        )
    schema = pa.schema([("row", pa.int32()), ("column", pa.string()), ("reason", pa.string())])
    return Judged(to_arrow(accepted, facts), refused.to_arrow().cast(schema), own.read)


def _contract_faults(frame: pl.DataFrame, model: Any, faults: pl.DataFrame, table: str) -> pl.DataFrame:
    """What pandera finds, less the consequences of `faults`. Its failure cases hold values: only row
    number, column and check are taken, and its exception goes no further."""
    import pandera.errors

    try:
        model.validate(frame.drop(ROW), lazy=True)
        return pl.DataFrame(schema=FAULTS)
    except pandera.errors.SchemaErrors as errors:
        cases = errors.failure_cases.select("schema_context", "column", "check", "index")
    whole = cases.filter(pl.col("index").is_null())
    if not whole.is_empty():
        checks = sorted(set(whole["check"].str.extract(r"^([a-z_]+)").drop_nulls()))
        raise TerminalError(
            "schema_drift",
            f"table [{table}] does not fit its contract as a whole (checks {checks}); compare the feed's "
            "mapping with the contract",
        )
    is_rule = pl.col("check").str.contains(":", literal=True) & (pl.col("schema_context") != "Column")
    plain = pl.col("check").str.extract(r"^([a-z_]+)")
    found = cases.select(
        frame[ROW].gather(cases["index"]).alias("row"),
        pl.when(is_rule).then(pl.col("check").str.extract("^([^:]+):")).otherwise("column").alias("column"),
        pl.when(is_rule)
        .then(pl.lit("rule:") + pl.col("check").str.extract("^[^:]+:(.+)$"))
        .otherwise(plain.replace_strict(_REASONS, default=pl.lit("rule:") + plain, return_dtype=pl.String))
        .alias("reason"),
    )
    rules = pl.col("reason").str.starts_with("rule:")
    cells = found.filter(~rules).join(faults, on=["row", "column"], how="anti")
    return pl.concat([cells, found.filter(rules).join(faults, on="row", how="anti")])


def _faults(rows: pl.DataFrame, column: str, reason: str) -> pl.DataFrame:
    return rows.select(
        pl.col(ROW).alias("row"), pl.lit(column).alias("column"), pl.lit(reason).alias("reason")
    )


def _duplicates(frame: pl.DataFrame, facts: TableFacts, faults: pl.DataFrame) -> pl.DataFrame:
    key = list(facts.key)
    whole = frame.drop_nulls(key)
    is_repeated = pl.struct(key).is_duplicated() if len(key) > 1 else pl.col(key[0]).is_duplicated()
    repeated = whole.filter(is_repeated)
    # a faulty cell was emptied: the row no longer shows whether it is identical
    faulty = repeated[ROW].is_in(faults["row"].implode())
    columns = [c.name for c in facts.columns]
    identical = (pl.struct(columns).n_unique().over(key) == 1) & ~pl.lit(faulty).any().over(key)
    kept = identical & (pl.col(ROW) == pl.col(ROW).min().over(key))
    return _faults(repeated.filter(~kept), key[0], "duplicate_key")


def _orphans(
    frame: pl.DataFrame,
    reference: Reference,
    table: str,
    mapped: Mapping[str, Mapped],
    source_keys: Mapping[str, pa.Table],
) -> pl.DataFrame:
    parent = reference.parent_column
    held = []
    if reference.table in source_keys:
        held.append(pl.DataFrame(source_keys[reference.table].select([parent])))
    if reference.table in mapped:
        held.append(mapped[reference.table].frame.select(parent))
    if not held:
        raise TerminalError(
            "incomplete_drop",
            f"table [{table}] refers to [{reference.table}], of which neither rows nor keys came; "
            "send that table with it",
        )
    rows = frame.drop_nulls(reference.column)
    orphans = rows.join(pl.concat(held), left_on=reference.column, right_on=parent, how="anti")
    return _faults(orphans, reference.column, "reference_missing")

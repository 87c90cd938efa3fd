"""Accepted rows → rows without a name: what may become of a column is decided by its sensitivity.

Default deny: a column goes on only by a rule that names its sensitivity.

| sensitivity | becomes |
|---|---|
| LOCAL_ID | sealed under the agency's key, same name |
| SHARED_ID | the same, and `<column>_token` beside it |
| FACT | itself |
| IDENTIFIER | part of linkage tokens, in a table of its own; then gone |
| WITHHELD, and any column the contract does not know | gone |

`record_id` is a keyed token of feed, table and key columns: the same row of the same source has the same
record id every night, in text (key lists) as in typed form (accepted rows).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from leadhub.foundation.errors import TerminalError
from leadhub.foundation.keys import Keys
from leadhub.foundation.vocabulary import IDENTIFIER_KINDS, ColumnFacts, Sensitivity, TableFacts
from leadhub.identity import keyed, sealing, tokens
from leadhub.identity.linkage.schema import Tier

_BOOLEANS = {"y": "true", "n": "false", "1": "true", "0": "false", "t": "true", "f": "false"}


@dataclass(frozen=True)
class Linkable:
    """Which persons linkage may use, by their sealed number `key`: where `listed`, those in `ids`, else all
    others."""

    key: str
    ids: pl.Series
    listed: bool

    def among(self, sealed: pl.Series) -> pl.Series:
        """Of each person, whether they may be linked."""
        named = sealed.is_in(self.ids.implode())
        return named if self.listed else ~named


@dataclass(frozen=True)
class Pseudonymised:
    """`rows`: record_id, sealed ids, tokens of shared ids, facts, landed_on. `tokens`: one row a person
    for linkage (`tokens.COLUMNS`), or None where the table holds no persons. Both sorted by record_id."""

    rows: pa.Table
    tokens: pa.Table | None


def pseudonymise(
    rows: pa.Table,
    facts: TableFacts,
    *,
    feed: str,
    agency: str,
    night: str,
    keys: Keys,
    tier: Tier = "tokens",
    linkable: Linkable | None = None,
) -> Pseudonymised:
    """`rows`: accepted rows with the contract's columns, typed; further columns (`_row`) are dropped. Those
    not `linkable` have a row in the token table, so as to be persons, and no token.

    Raises: TerminalError `state_invalid` where a contract column is absent, or a key is null or stands
    twice.
    """
    absent = sorted({c.name for c in facts.columns} - set(rows.column_names))
    if absent:
        raise TerminalError(
            "state_invalid", f"accepted rows of [{feed}.{facts.name}] lack columns {absent}; validate again"
        )
    ids = record_ids(rows, facts, feed=feed, keys=keys)
    if ids.null_count or len(ids.unique()) != len(ids):
        raise TerminalError(
            "state_invalid",
            f"accepted rows of [{feed}.{facts.name}] hold an empty or a repeated key "
            f"({', '.join(facts.key)}); validate again",
        )
    columns = {"record_id": ids}
    for column in facts.columns:
        columns |= _passed_on(rows.column(column.name), column, agency, keys)
    columns["landed_on"] = pa.array([night] * rows.num_rows, pa.string())
    kept = keyed.to_arrow(keyed.to_frame(pa.table(columns)).sort("record_id"))
    usable = linkable.among(keyed.to_series(columns[linkable.key])) if linkable else None
    return Pseudonymised(kept, _tokens(rows, ids, facts, feed, keys, tier, usable))


def ids(rows: pa.Table, columns: Iterable[ColumnFacts], *, agency: str, keys: Keys) -> pa.Table:
    """These columns alone, each of them an id: sealed, and beside one that agencies quote its token."""
    found: dict[str, pa.Array | pa.ChunkedArray] = {}
    for column in columns:
        found |= _passed_on(rows.column(column.name), column, agency, keys)
    return pa.table(found)


def _passed_on(
    values: pa.ChunkedArray, column: ColumnFacts, agency: str, keys: Keys
) -> dict[str, pa.Array | pa.ChunkedArray]:
    match column.sensitivity:
        case Sensitivity.LOCAL_ID:
            return {column.name: sealing.seal(values, agency, keys)}
        case Sensitivity.SHARED_ID:
            return {
                column.name: sealing.seal(values, agency, keys),
                f"{column.name}_token": tokens.shared_id_token(values, column.kind or column.name, keys),
            }
        case Sensitivity.FACT:
            return {column.name: values}
        case _:
            return {}


def _tokens(
    rows: pa.Table,
    ids: pa.Array,
    facts: TableFacts,
    feed: str,
    keys: Keys,
    tier: Tier,
    usable: pl.Series | None,
) -> pa.Table | None:
    if not facts.holds_persons:
        return None
    named = {c.kind: rows.column(c.name) for c in facts.columns if c.kind in IDENTIFIER_KINDS}
    if usable is not None:
        # what may not be linked never reaches the tokeniser
        nothing = {kind: pa.scalar(None, values.type) for kind, values in named.items()}
        named = {k: pc.if_else(usable.to_arrow(), v, nothing[k]) for k, v in named.items()}
    identifiers = pa.table({"record_id": ids, **named})
    return tokens.stored(tokens.tokenise(identifiers, feed=feed, keys=keys, tier=tier))


def record_ids(table: pa.Table, facts: TableFacts, *, feed: str, keys: Keys) -> pa.Array:
    """``r<key version>:<32 hex digits>`` for each row, from the key columns (contract names and codes).

    Columns may be typed or text; text of a date or timestamp is ISO 8601. Null where a key part is
    missing. Each part is preceded by its length, so that no two keys have one text.

    Raises: TerminalError `state_invalid` where a key column is absent.
    """
    absent = sorted(set(facts.key) - set(table.column_names))
    if absent:
        raise TerminalError("state_invalid", f"keys of [{feed}.{facts.name}] lack columns {absent}")
    parts = [
        _canonical(keyed.to_series(table.column(name), name), facts.column(name).type) for name in facts.key
    ]
    counted = [
        pl.concat_str(pl.col(n).str.len_bytes().cast(pl.String), pl.lit(":"), pl.col(n)) for n in facts.key
    ]
    text = pl.DataFrame(parts).select(
        pl.concat_str(pl.lit(f"{feed}/{facts.name}"), *counted, separator=keyed.SEPARATOR)
    )
    key = keys.hmac_text_key("record")
    return keyed.to_array(keyed.hmac_column(text.to_series(), key, f"r{keys.version}:"))


def _canonical(values: pl.Series, kind: str) -> pl.Series:
    """One text for one value, whether it comes typed or as text. Text that cannot be read as its type
    stays: no accepted row can have such a key."""
    if values.dtype != pl.String:
        if kind == "timestamp" and values.dtype.is_temporal():
            return values.dt.epoch("us").cast(pl.String)
        return values.cast(pl.String)
    plain = values.str.strip_chars().replace("", None)
    if kind == "integer":
        typed = plain.str.to_integer(strict=False).cast(pl.String)
    elif kind == "boolean":
        typed = plain.str.to_lowercase().replace(_BOOLEANS)
    elif kind == "timestamp":
        typed = plain.str.to_datetime(time_unit="us", time_zone="UTC", strict=False)
        typed = typed.dt.epoch("us").cast(pl.String)
    else:
        return plain
    return pl.select(pl.coalesce(typed, plain)).to_series().alias(values.name)


@dataclass(frozen=True)
class Applied:
    """A table after one night: `state` sorted by record_id; counts; ids that are gone at the source.

    previous + new = state + removed, where new are upserted ids that previous did not hold.
    """

    state: pa.Table
    upserted: int
    unchanged: int
    removed_ids: pa.Array


def apply(
    previous: pa.Table | None,
    accepted: pa.Table,
    *,
    source_ids: pa.Array | pa.ChunkedArray | None,
    mode: Literal["full", "delta"],
) -> Applied:
    """Bring the night's accepted rows (of a state or a token table) into the state before.

    `source_ids` are the record ids of every row that the source holds tonight, refused ones too: a row
    of `previous` whose id is among them stays though its new version was refused; one whose id is not is
    removed. A `delta` may come without them, and then removes nothing. A row whose content did not
    change keeps its `landed_on`: the same night applied twice is the same state.

    The columns are those of `accepted`; a column that the contract no longer passes on leaves the rows
    carried forward too.

    Raises: TerminalError `state_invalid` for a full load without `source_ids`.
    """
    if mode == "full" and source_ids is None:
        raise TerminalError("state_invalid", "a full load needs the record ids that its source holds")
    new = keyed.to_frame(accepted)
    if previous is None:
        return Applied(keyed.to_arrow(new.sort("record_id")), new.height, 0, pa.array([], pa.string()))
    old = keyed.to_frame(previous)
    old = pl.concat([new.clear(), old.select(c for c in old.columns if c in new.columns)], how="diagonal")
    content = [c for c in new.columns if c != "landed_on"]
    rows = [f.select("record_id", row=keyed.row_words(f.select(content))) for f in (new, old)]
    same = rows[0].join(rows[1], on=["record_id", "row"], how="semi")
    changed = new.join(same.select("record_id"), on="record_id", how="anti")
    carried = old.join(changed.select("record_id"), on="record_id", how="anti")
    gone = carried.clear()
    if source_ids is not None:
        held = pl.DataFrame({"record_id": keyed.to_series(source_ids).cast(pl.String).unique()})
        gone = carried.join(held, on="record_id", how="anti").join(
            new.select("record_id"), on="record_id", how="anti"
        )
        carried = carried.join(gone.select("record_id"), on="record_id", how="anti")
    state = pl.concat([carried, changed]).sort("record_id")
    removed = keyed.to_array(gone.get_column("record_id").sort())
    return Applied(keyed.to_arrow(state), changed.height, same.height, removed)

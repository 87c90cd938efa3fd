"""How far two records agree, as SQL made from the linkage schema: the codes of `linkage.comparison`.

Tier `fields`: each level is a condition on tokens, each field one CASE over its levels. Parts with several
values agree where their arrays overlap.

Tier `tokens`: which keys a pair shares and which it could share are bit masks; the distinct patterns of
them, few beside the pairs, are deduced on the driver by `deduction.deduce`, and joined back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from leadhub.identity.linkage.deduction import deduce
from leadhub.identity.linkage.records import Records
from leadhub.identity.linkage.schema import DIFFER, UNKNOWN
from leadhub.identity.linkage_spark.candidates import BY_KEY, WORD, masks
from leadhub.identity.linkage_spark.frames import Frames

_NYSID = "l.nysid = r.nysid AS same_nysid"


@dataclass(frozen=True)
class Compared:
    """`pairs`: left, right, `c_<field>` (`levels.code_names`), `r_<feature>` (bits of rarity, float),
    same_nysid (null where a record has none)."""

    pairs: DataFrame
    fields: tuple[str, ...]
    features: tuple[str, ...]

    @property
    def codes(self) -> list[str]:
        return [f"c_{name}" for name in self.fields]


def compare(frames: Frames, pairs: DataFrame) -> Compared:
    """Compare candidate pairs (`candidates.Candidates.pairs`)."""
    if frames.head.tier == "tokens":
        return _by_keys(frames, pairs)
    fields = frames.head.schema.fields
    compared = field_codes(frames.head, _with_value_bits(frames), pairs)
    rare = [
        f"CASE WHEN c_{name} = {len(field.names) - 1} THEN coalesce(bits_{field.rare}, CAST(0 AS FLOAT)) "
        f"ELSE CAST(0 AS FLOAT) END AS r_{field.rare}"
        for name, field in fields.items()
        if field.rare
    ]
    bare = [c for c in compared.columns if not c.startswith("bits_")]
    made = frames.keep(compared.selectExpr(*bare, *rare))
    return Compared(made, tuple(fields), frames.head.rare_parts)


def field_codes(head: Records, rows: DataFrame, pairs: DataFrame) -> DataFrame:
    """Codes of pairs (left, right) in tier `fields`: left, right, same_nysid, `c_<field>`, and
    `bits_<part>` of the left record where `rows` has them."""
    met = (
        pairs.alias("p")
        .join(rows.alias("l"), F.expr("p.left = l.row"))
        .join(rows.alias("r"), F.expr("p.right = r.row"))
    )
    said = [f"l.{c}" for c in rows.columns if c.startswith("bits_")]
    compared = met.selectExpr("p.left", "p.right", _NYSID, *said, *_parts(head))
    done: list[str] = []
    for name in head.schema.fields:
        compared = _field(head, compared, name, done)
    return compared.select("left", "right", "same_nysid", *_names(head), *_last_parts(said))


def _names(head: Records) -> list[str]:
    return [f"c_{name}" for name in head.schema.fields]


def _last_parts(columns: list[str]) -> list[str]:
    return [c.rpartition(".")[2] for c in columns]


def _parts(head: Records) -> list[str]:
    """Whether both records have a part, and whether it is equal; never null, so that NOT means not."""
    made = []
    for name, part in head.schema.parts.items():
        one, other = f"l.p_{name}", f"r.p_{name}"
        same = f"arrays_overlap({one}, {other})" if part.many else f"{one} = {other}"
        made.append(f"({one} IS NOT NULL AND {other} IS NOT NULL) AS known_{name}")
        made.append(f"coalesce({same}, false) AS equal_{name}")
    return made


def _field(head: Records, compared: DataFrame, name: str, done: list[str]) -> DataFrame:
    """With the field's code, after those of the fields that it depends on."""
    if name in done:
        return compared
    fields = head.schema.fields
    field = fields[name]
    for other in (field.unless_known, *field.void_where):
        if other:
            compared = _field(head, compared, other, done)
    known = ["(" + " OR ".join(f"known_{p}" for p in field.known_by) + ")"]
    if field.unless_known:
        known.append(f"c_{field.unless_known} = {UNKNOWN}")
    known += [f"c_{other} <> {fields[other].code(level)}" for other, level in field.void_where.items()]
    reached = [
        f"WHEN {_any_of(level.equal)} THEN {field.code(level_name)}"
        for level_name, level in field.levels.items()
    ]
    case = f"CASE WHEN NOT ({' AND '.join(known)}) THEN {UNKNOWN} {' '.join(reached)} ELSE {DIFFER} END"
    done.append(name)
    return compared.selectExpr("*", f"{case} AS c_{name}")


def _any_of(alternatives: tuple[tuple[str, ...], ...]) -> str:
    return " OR ".join("(" + " AND ".join(f"equal_{p}" for p in parts) + ")" for parts in alternatives)


def _with_value_bits(frames: Frames) -> DataFrame:
    """With `bits_<part>`: how much rarer a record's value is than usual (`Limits.value_bits`)."""
    rows = frames.rows
    for name in frames.head.rare_parts:
        counts = rows.where(f"p_{name} IS NOT NULL").groupBy(f"p_{name}").agg(F.count("*").alias("records"))
        whole = counts.selectExpr(
            "CAST(sum(records) AS DOUBLE) AS known", "sum(CAST(records AS DOUBLE) * records) AS squares"
        ).first()
        known, squares = (whole["known"] or 1.0, whole["squares"] or 1.0) if whole else (1.0, 1.0)
        usual = -np.log2(squares / known**2)
        bits = (
            f"CAST(-log2(records / {known!r}D) AS FLOAT) - CAST({float(usual)!r}D AS FLOAT) AS bits_{name}"
        )
        rows = rows.join(counts.selectExpr(f"p_{name}", bits), f"p_{name}", "left")
    return rows


def _by_keys(frames: Frames, pairs: DataFrame) -> Compared:
    head, words = frames.head, range(masks(frames.head))
    known = frames.rows.selectExpr("row", "nysid", *(f"{_known(head, i)} AS known_{i}" for i in words))
    compared = (
        pairs.alias("p")
        .join(known.alias("l"), F.expr("p.left = l.row"))
        .join(known.alias("r"), F.expr("p.right = r.row"))
        .selectExpr(
            "left",
            "right",
            _NYSID,
            *(f"shared_{i}" for i in words),
            *(f"l.known_{i} & r.known_{i} AS both_{i}" for i in words),
            "coalesce(r_excess, CAST(0 AS FLOAT)) AS r_excess",
            # common values that a key may not hold take nothing away
            "greatest(r_beyond, CAST(0 AS FLOAT)) AS r_beyond",
        )
    )
    seen = [f"{kind}_{i}" for kind in ("shared", "both") for i in words]
    patterns = pl.DataFrame(pl.from_arrow(frames.keep(compared).select(*seen).distinct().toArrow()))
    kinds = dict.fromkeys(seen, pa.int64()) | dict.fromkeys(_names(head), pa.int32())
    joined = compared.join(frames.table(_meanings(head, patterns), kinds), seen).drop(*seen)
    return Compared(frames.keep(joined), tuple(head.schema.fields), BY_KEY)


def _known(head: Records, word: int) -> str:
    """Bit mask of the keys that a record has."""
    keys = range(word * WORD, min((word + 1) * WORD, len(head.schema.key_names)))
    return " | ".join(f"CASE WHEN k_{i} IS NULL THEN 0L ELSE shiftleft(1L, {i % WORD}) END" for i in keys)


def _meanings(head: Records, patterns: pl.DataFrame) -> dict[str, np.ndarray]:
    """Each distinct pattern with its codes, deduced by the single-machine engine's own function."""

    def mask(kind: str) -> np.ndarray:
        names = [f"{kind}_{i}" for i in range(masks(head))]
        return np.stack([patterns.get_column(n).to_numpy().view(np.uint64) for n in names])

    columns = {name: patterns.get_column(name).to_numpy() for name in patterns.columns}
    return columns | dict(zip(_names(head), deduce(head.schema, mask("shared"), mask("both"))))

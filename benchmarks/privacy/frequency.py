"""Frequency alignment: the commonest token stands for the commonest value.

Column by column (`align`), the i-th commonest token of the lake is taken for the i-th commonest value that
the attacker knows: the attack on deterministic encryption of Naveed, Kamara and Wright (2015). Where he
knows something else of each record (the salt), within records that are equal in it. All columns together
(`features`): how often each token of a record occurs is a signature of the record.
"""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa

from leadhub.identity.linkage.schema import LinkageSchema, Tier

NOBODY = -1


def single(schema: LinkageSchema, tier: Tier) -> tuple[str, ...]:
    """Columns with one token a record."""
    many = {f"p_{n}" for n, p in schema.parts.items() if p.many}
    return tuple(c for c in schema.columns(tier) if c not in many)


def words(table: pa.Table, column: str) -> np.ndarray:
    """uint64 a record, 0 where there is no token."""
    return table.column(column).fill_null(0).to_numpy()


def align(
    lake: np.ndarray, roll: np.ndarray, salt: np.ndarray | None = None, known: np.ndarray | None = None
) -> np.ndarray:
    """Of each record of the lake a row of the roll, NOBODY where there is none. `lake`, `roll`: a token
    each (0: none); the roll's stand for the values that made them. `salt`, `known`: what the attacker
    knows of the lake's records, and the same of his own."""
    ranked = [
        _ranked(tokens, np.zeros(len(tokens), np.uint8) if by is None else by)
        for tokens, by in ((lake, salt), (roll, known))
    ]
    firsts = ranked[1].group_by("salt", "rank").agg(guess=pl.col("row").min())
    found = ranked[0].join(firsts, on=["salt", "rank"], how="left").sort("row")
    guess = np.full(len(lake), NOBODY, dtype=np.int64)
    guess[found.get_column("row").to_numpy()] = found.get_column("guess").fill_null(NOBODY).to_numpy()
    return guess


def _ranked(tokens: np.ndarray, salt: np.ndarray) -> pl.DataFrame:
    """row, salt, rank of its token among those of one salt; without records that have none."""
    frame = pl.DataFrame({"row": np.arange(len(tokens)), "token": tokens, "salt": salt})
    frame = frame.filter(pl.col("token") != 0)
    counts = (
        frame.group_by("salt", "token").len().sort("salt", "len", "token", descending=[False, True, False])
    )
    counts = counts.with_columns(rank=pl.int_range(pl.len()).over("salt")).drop("len")
    return frame.join(counts, on=["salt", "token"], maintain_order="left").select("row", "salt", "rank")


def features(table: pa.Table, schema: LinkageSchema, tier: Tier) -> pl.DataFrame:
    """Of each token its frequency, by powers of two."""
    return pl.DataFrame({f"often {c}": _often(words(table, c)) for c in single(schema, tier)})


def _often(tokens: np.ndarray) -> np.ndarray:
    return np.where(tokens == 0, 0, 1 + np.floor(np.log2(np.maximum(1, counts(tokens))))).astype(np.uint64)


def counts(tokens: np.ndarray) -> np.ndarray:
    """How many records have each record's token; 0 where there is none."""
    _, back, often = np.unique(tokens, return_inverse=True, return_counts=True)
    return np.where(tokens == 0, 0, often[back])

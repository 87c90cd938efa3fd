"""Pattern mining: what the structure of a record's tokens says of the values under them.

Christen, Vatsalan et al. (2018) find bits of Bloom filters that are set together in many records, and take
each such set for a frequent bigram. There are no filters here; what is adapted is the idea that
co-occurring tokens betray their common part:

- Tier `tokens`: a key that is missing although its parts are there (other keys hold them) says that its
  value is common. Which keys are missing is one pattern a name (`features`).
- Tier `fields`: a deletion neighbourhood has a token for each letter, and two equal ones where a letter is
  doubled: its length and repetitions are the name's shape. Three years that follow one another share two
  tokens: the chain of all years comes out in order (`years`).
"""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa

from benchmarks.privacy.frequency import words
from leadhub.identity.linkage.schema import LinkageSchema, Tier

ABSENT, THERE, REFUSED = 0, 1, 2


def features(table: pa.Table, schema: LinkageSchema, tier: Tier, *, as_recorded: bool) -> pl.DataFrame:
    """`as_recorded`: the attacker's roll lacks what the agency lacks, so that a missing part tells too."""
    if tier == "tokens":
        return _refused(table, schema, as_recorded)
    many = [n for n, p in schema.parts.items() if p.many]
    shapes = {f"shape {n}": shape(table.column(f"p_{n}")) for n in many}
    if as_recorded:
        shapes |= {f"there {n}": _there(table.column(f"p_{n}")) for n in schema.parts}
    return pl.DataFrame(shapes)


def _there(column: pa.ChunkedArray) -> np.ndarray:
    return np.array(column.is_null(), dtype=np.uint64) + 1


def _refused(table: pa.Table, schema: LinkageSchema, as_recorded: bool) -> pl.DataFrame:
    has = {n: words(table, f"k_{n}") != 0 for n in schema.key_names}
    part = {
        p: np.logical_or.reduce([has[n] for n, key in zip(schema.key_names, schema.match_keys) if p in key])
        for p in {p for key in schema.match_keys for p in key}
    }
    found = {}
    for name, key in zip(schema.key_names, schema.match_keys):
        possible = np.logical_and.reduce([part[p] for p in key])
        state = np.where(has[name], THERE, np.where(possible, REFUSED, ABSENT)).astype(np.uint64)
        found[f"has {name}"] = state + np.uint64(as_recorded)
    return pl.DataFrame(found)


def shape(lists: pa.ChunkedArray) -> np.ndarray:
    """Of each list a word for its length and for which of its tokens are equal; 0 where missing."""
    column = pl.Series(pl.from_arrow(lists))
    coded = column.to_frame("l").with_columns(row=pl.int_range(pl.len())).drop_nulls("l").explode("l")
    coded = coded.with_columns(at=pl.int_range(pl.len()).over("row"))
    first = coded.with_columns(first=pl.col("at").min().over("row", "l"))
    shapes = first.group_by("row").agg(pl.col("first").sort_by("at")).sort("row")
    text = shapes.get_column("first").cast(pl.List(pl.String)).list.join(",")
    # equal in every process: the hash is seeded
    word = np.maximum(text.hash(seed=0).to_numpy(), 1)
    out = np.zeros(len(column), dtype=np.uint64)
    out[shapes.get_column("row").to_numpy()] = word
    return out


def years(table: pa.Table) -> np.ndarray:
    """Each record's place in the chain of birth years, from 0 on; −1 where unknown. A list holds a year,
    the next and the one after, in this order."""
    column = pl.Series(pl.from_arrow(table.column("p_years")))
    own, after = (column.list.get(i).to_numpy() if len(column) else np.zeros(0) for i in (0, 1))
    known = ~np.isnan(own) if own.dtype.kind == "f" else np.ones(len(own), bool)
    own, after = (column.list.get(i).fill_null(0).to_numpy() for i in (0, 1))
    known &= own != 0
    following = dict(zip(own[known].tolist(), after[known].tolist()))
    places: dict[int, int] = {}
    for start in set(following) - set(following.values()):
        # chains begin where nobody was born the year before; the longest is the population
        chain = [start]
        while chain[-1] in following:
            chain.append(following[chain[-1]])
        if len(chain) > len(places):
            places = {token: place for place, token in enumerate(chain)}
    return np.array([places.get(t, -1) for t in own.tolist()])


def anchored(places: np.ndarray, born: np.ndarray) -> np.ndarray:
    """Places in the chain → calendar years, by the shift at which they are distributed most as in
    `born`."""
    known = born[born > 0]
    low, high = int(known.min()), int(known.max())
    usual = np.bincount(known - low, minlength=high - low + 1).astype(float)
    mine = np.bincount(places[places >= 0]).astype(float)
    padded = np.concatenate([np.zeros(len(mine)), usual, np.zeros(len(mine))])
    fit = np.correlate(padded, mine, mode="valid")
    shift = int(fit.argmax()) - len(mine)
    return np.where(places >= 0, places + low + shift, -1)

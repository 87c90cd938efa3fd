"""Graph matching: who shares tokens with whom in the lake, and who is alike in the roll.

After Culnane, Rubinstein and Teague (2017) and Vidanage, Christen et al. (2020): records are nodes, shared
tokens edges, and an edge is labelled by which keys the two share. Nodes are matched by what surrounds them
(`features`: degree, labels of their edges, and the neighbours' labels, two rounds of colour refinement
after Weisfeiler and Leman), then from the surest matches along edges of one label (`spread`, as Narayanan
and Shmatikov 2009).
"""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa

from benchmarks.privacy.matching import Guesses
from leadhub.identity.linkage.records import encode
from leadhub.identity.linkage.schema import LinkageSchema

#: larger blocks say little and make many edges
MOST = 12
ROUNDS = 3
#: guesses that the attacker starts from
SEEDS = 0.05


def edges(table: pa.Table, schema: LinkageSchema) -> pl.DataFrame:
    """one, other (rows, both ways), label (which keys they share), keys (how many)."""
    rows = pl.Series(pl.from_arrow(table.column("record_id"))).arg_sort().to_numpy()
    records = encode(table, frozenset(), schema)
    found = []
    for i, name in enumerate(n for n in records.key_names if n != "nysid"):
        one, other = _pairs(records.key(name))
        key = np.full(len(one), _mixed(np.array([i + 1], dtype=np.uint64))[0])
        found.append(pl.DataFrame({"one": rows[one], "other": rows[other], "key": key}))
    pairs = pl.concat(found).group_by("one", "other").agg(label=pl.col("key").sum(), keys=pl.len())
    back = pairs.select(one="other", other="one", label="label", keys="keys")
    return pl.concat([pairs, back])


def _pairs(tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of one token, the smaller first; blocks of at most MOST records."""
    order = np.argsort(tokens, kind="stable")
    value = tokens[order]
    start = np.flatnonzero(np.append(True, value[1:] != value[:-1]))
    size = np.diff(np.append(start, len(value)))
    kept = np.repeat((size <= MOST) & (value[start] != 0), size)
    order, value = order[kept], value[kept]
    found = [
        (order[:-d][value[:-d] == value[d:]], order[d:][value[:-d] == value[d:]]) for d in range(1, MOST)
    ]
    one, other = (np.concatenate(side) for side in zip(*found))
    return np.minimum(one, other), np.maximum(one, other)


def _mixed(words: np.ndarray) -> np.ndarray:
    """SplitMix64's finaliser: labels of several are told by their sum."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def features(graph: pl.DataFrame, count: int) -> pl.DataFrame:
    """Degree, keys shared in all and at most, neighbours' degrees, and colours, round by round. A record
    that shares nothing has category 1: that tells something too."""
    one, other = (graph.get_column(c).to_numpy() for c in ("one", "other"))
    keys, label = graph.get_column("keys").to_numpy(), graph.get_column("label").to_numpy()
    degree = np.bincount(one, minlength=count)
    total, most = np.bincount(one, keys, count), np.zeros(count)
    np.maximum.at(most, one, keys)
    second = np.bincount(one, degree[other], count)
    found = {
        "degree": np.minimum(degree, 20),
        "most": most,
        "total": np.floor(np.log2(1 + total) * 2),
        "second": np.floor(np.log2(1 + second) * 2),
    }
    shown = {name: values.astype(np.uint64) + np.uint64(1) for name, values in found.items()}
    colour = np.ones(count, dtype=np.uint64)
    for number in range(ROUNDS):
        told = np.zeros(count, dtype=np.uint64)
        np.add.at(told, one, _mixed(_mixed(label) + colour[other]))
        colour = np.maximum(_mixed(colour * np.uint64(3) + told), 1)
        shown[f"colour {number}"] = colour
    return pl.DataFrame(shown)


def spread(start: Guesses, lake: pl.DataFrame, roll: pl.DataFrame, rounds: int = 3) -> Guesses:
    """Guesses, with those next to sure ones replaced by the record of the roll that most of their matched
    neighbours' matches are joined to by an edge of the same label."""
    row, margin = start.row.copy(), start.margin.copy()
    sure = _one_to_one(row, margin, int(SEEDS * len(row)))
    for _ in range(rounds):
        matched = pl.DataFrame({"other": np.flatnonzero(sure), "at": row[sure]})
        voted = (
            lake.join(matched, on="other")
            .join(roll.select("one", "label", at="other"), on=["at", "label"], suffix="_roll")
            .group_by("one", "one_roll")
            .agg(votes=pl.col("keys").sum())
            .sort("one", "votes", "one_roll", descending=[False, True, False])
        )
        best = voted.group_by("one", maintain_order=True).agg(
            pl.col("one_roll").first(), ahead=pl.col("votes").first() - pl.col("votes").slice(1, 1).sum()
        )
        best = best.filter(pl.col("ahead") > 0)
        at, ahead = best.get_column("one").to_numpy(), best.get_column("ahead").to_numpy()
        new = ~sure[at]
        row[at[new]], margin[at[new]] = best.get_column("one_roll").to_numpy()[new], ahead[new]
        grown = sure.copy()
        grown[at[new]] = True
        if (grown == sure).all():
            break
        sure = grown
    return Guesses(row, margin)


def _one_to_one(row: np.ndarray, margin: np.ndarray, most: int) -> np.ndarray:
    """The surest guesses of which no two name one record of the roll."""
    order = np.argsort(-margin, kind="stable")
    first = np.zeros(len(row), dtype=bool)
    first[order[np.unique(row[order], return_index=True)[1]]] = True
    chosen = [i for i in order[: 4 * most] if first[i] and margin[i] > 0][:most]
    seeds = np.zeros(len(row), dtype=bool)
    seeds[chosen] = True
    return seeds

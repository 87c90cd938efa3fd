"""What a frozen model remembers of the records that it was learnt from: how common their tokens were.

Which blocks are too large to compare, and what the rarity of a value is worth, would else change with
every record that comes, and a night that looks at changed records alone would find other pairs than one
that looks at all. So sizes are those of the night of learning: a token that was not there counts as rare.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from leadhub.foundation.errors import TerminalError

#: sizes up to this are not remembered: what is not there counts as no larger
UNREMEMBERED = 2
#: nor frequencies of values up to this
SINGLE = 1
TABLE = pa.schema([("what", pa.string()), ("token", pa.uint64()), ("records", pa.uint32())])

Sizes = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Limits:
    """`records`: how many there were; `per_person`: how many of them one person may have. `caps`: match key
    → records of the largest block compared. `blocks`: match key → (block, records), sorted by block
    (`candidates.block_of`). `values`: part → (token, records), sorted by token; `known`: part → records
    that have it; `usual`: part → bits of agreement by chance."""

    records: int
    per_person: int
    caps: dict[str, int]
    blocks: dict[str, Sizes]
    values: dict[str, Sizes] = field(default_factory=dict)
    known: dict[str, int] = field(default_factory=dict)
    usual: dict[str, float] = field(default_factory=dict)

    def block_sizes(self, key: str, block: np.ndarray) -> np.ndarray:
        """Records of each block, 0 where it was not larger than `UNREMEMBERED`."""
        return _found(self.blocks.get(key), block)

    def value_bits(self, part: str, tokens: np.ndarray) -> np.ndarray:
        """How many bits rarer than usual each record's value is, float32; 0 where missing."""
        counts = np.maximum(SINGLE, _found(self.values.get(part), tokens))
        bits = np.log2(max(1, self.known.get(part, 1))) - np.log2(counts) - self.usual.get(part, 0.0)
        return np.where(tokens != 0, bits, 0).astype(np.float32)

    def facts(self) -> dict[str, Any]:
        """What is no token; the rest is `table`."""
        return {k: getattr(self, k) for k in ("records", "per_person", "caps", "known", "usual")}

    def table(self) -> pa.Table:
        """what, token, records: for the linkage zone alone, as tokens are."""
        named = [*((f"block {k}", s) for k, s in self.blocks.items())]
        named += [(f"value {k}", s) for k, s in self.values.items()]
        parts = [
            pa.table([pa.array([name] * len(tokens), pa.string()), tokens, counts.astype(np.uint32)], TABLE)
            for name, (tokens, counts) in named
        ]
        return pa.concat_tables([TABLE.empty_table(), *parts]).combine_chunks()


def from_facts(facts: dict[str, Any], table: pa.Table) -> Limits:
    """Raises: TerminalError `state_invalid` where the table is no table of limits."""
    if not table.schema.equals(TABLE):
        raise TerminalError("state_invalid", "the linkage limits are no such table; retrain the model")
    what = table.column("what").combine_chunks().dictionary_encode()
    codes = what.indices.to_numpy()
    tokens, counts = table.column("token").to_numpy(), table.column("records").to_numpy()
    found: dict[str, dict[str, Sizes]] = {"block": {}, "value": {}}
    for code, name in enumerate(what.dictionary.to_pylist()):
        kind, _, key = name.partition(" ")
        found[kind][key] = tokens[codes == code], counts[codes == code]
    return Limits(**facts, blocks=found["block"], values=found["value"])


def counted(tokens: np.ndarray, least: int) -> Sizes:
    """Distinct tokens (0 is missing) that stand more often than `least`, sorted, and how often."""
    values, counts = np.unique(tokens[tokens != 0], return_counts=True)
    return values[counts > least], counts[counts > least].astype(np.uint32)


def usual_bits(tokens: np.ndarray) -> tuple[int, float]:
    """Records that have a value, and −log₂ of the chance that two of them have the same."""
    _, counts = np.unique(tokens[tokens != 0], return_counts=True)
    known = int(counts.sum())
    return known, float(-np.log2(((counts / known) ** 2).sum())) if known else 0.0


def _found(sizes: Sizes | None, wanted: np.ndarray) -> np.ndarray:
    if sizes is None or not len(sizes[0]):
        return np.zeros(len(wanted), dtype=np.int64)
    tokens, counts = sizes
    at = np.minimum(np.searchsorted(tokens, wanted), len(tokens) - 1)
    return np.where(tokens[at] == wanted, counts[at], 0).astype(np.int64)

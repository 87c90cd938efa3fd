"""A hardening that is measured here and not in force: no record shows which of its keys were refused.

`shown`: as stored, a key without a token is null. `common`: a key whose value is too common has a token of
the record's own, which nobody shares; null means a missing part alone. `all`: every record has every token.

Its price: a stored token no longer shows whether its value was refused, so an unshared key refutes nothing
but where no value can be refused (`common`), or nothing at all (`all`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal
from unittest import mock

import numpy as np
import polars as pl
import pyarrow as pa

from leadhub.identity import parts, rarity
from leadhub.identity.linkage import comparison
from leadhub.identity.linkage.schema import LinkageSchema, Part

Hidden = Literal["shown", "common", "all"]
MODES: tuple[Hidden, ...] = ("shown", "common", "all")


def ungated(schema: LinkageSchema) -> LinkageSchema:
    """The same keys, none refused for its value."""
    return schema.model_copy(update={"least_bits": 0.0})


def fill(table: pa.Table, possible: pa.Table, mode: Hidden, seed: int) -> pa.Table:
    """`table` with tokens of nobody's where it has none; `possible`: the tokens of the same records
    without a gate. Random words stand for keyed ones: nobody without the key tells them apart."""
    rng = np.random.default_rng(seed)
    for i, name in enumerate(table.column_names):
        if mode == "shown" or not name.startswith("k_"):
            continue
        empty = np.array(table.column(name).is_null())
        if mode == "common":
            empty &= np.array(possible.column(name).is_valid())
        words = table.column(name).fill_null(0).to_numpy().copy()
        words[empty] = rng.integers(1, 2**63, int(empty.sum()), dtype=np.uint64)
        table = table.set_column(i, name, pa.array(words, mask=words == 0))
    return table


def _least(part: Part) -> float:
    """Bits of the commonest value."""
    if not part.by_value:
        return part.bits
    if len(part.of) > 1:
        return sum(_least(Part.model_validate({"of": kind, "bits": 0})) for kind in part.of)
    kind = "first_name" if part.of[0] == "middle_name" else part.of[0]
    derived = parts.derive(part, rarity.common().filter(pl.col("kind") == kind).get_column("name"))
    return float(rarity.bits(part, derived.drop_nulls()).min())


@contextmanager
def compared(schema: LinkageSchema, mode: Hidden) -> Iterator[None]:
    """Linking that takes an unshared key for no more than it then says."""
    deduce = comparison.deduce
    least = {name: _least(part) for name, part in schema.parts.items() if not part.many}
    sure = [mode == "common" and bool(rarity.enough(schema, key, least)) for key in schema.match_keys]
    packed = np.packbits(np.array(sure), bitorder="little")
    words = np.zeros(4 * -(-len(sure) // 32), dtype=np.uint8)
    words[: len(packed)] = packed
    mask = words.view(np.uint32)[:, None]

    def partly(used: LinkageSchema, shared: np.ndarray, both: np.ndarray) -> np.ndarray:
        return deduce(used, shared, shared | (both & mask))

    chosen: Callable[..., np.ndarray] = deduce if mode == "shown" else partly
    with mock.patch.object(comparison, "deduce", chosen):
        yield

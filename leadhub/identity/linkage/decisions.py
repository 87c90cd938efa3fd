"""What stewards decided about pairs: these two are one person, those two are not. For ever.

A decision names records, not persons: it holds whatever becomes of their clusters. It is applied after all
weighing and before all clustering, every night anew, so that the same decisions give the same persons. Two
different NYSIDs stay two persons whatever was decided: the numbers rest on fingerprints.

A number that agencies quote to one another (`shared_numbers`) speaks in the same way, though not for ever
nor beyond all evidence: it replaces the odds before any field.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from leadhub.identity.linkage.model import NYSID_BITS
from leadhub.identity.linkage.records import Records

ONE, TWO = "one", "two"
VERDICTS = (ONE, TWO)
NUMBER = "number"
#: beyond every weight, the same NYSID included
DECIDED_BITS = 128.0
#: log₂ odds before any field where two records share a number: of a thousand numbers one is another's,
#: by a slip of the pen
NUMBER_BITS = 10.0
#: and where no field says anything, in tier `tokens` as much as that all differ: for a steward's eyes
ALONE_BITS = -1.0


@dataclass(frozen=True)
class Decided:
    """Row numbers of decided pairs, and whether each is one person; of pairs that share a `number` this is
    not decided."""

    left: np.ndarray
    right: np.ndarray
    one: np.ndarray
    number: np.ndarray

    def apply(
        self,
        left: np.ndarray,
        right: np.ndarray,
        bits: np.ndarray,
        *,
        codes: np.ndarray,
        prior_bits: float,
    ) -> np.ndarray:
        """The weights, with those of decided pairs (all of which stand among the candidates) replaced, and
        of pairs that share a number the odds before any field (`prior_bits`). `codes`: (fields, pairs)."""
        size = np.int64(max(1, int(right.max(initial=0)) + 1))
        at = np.searchsorted(left * size + right, self.left * size + self.right)
        out = bits.copy()
        raised = bits[at] + np.float32(max(0.0, NUMBER_BITS - prior_bits))
        alone = ~codes[:, at].any(axis=0) & (bits[at] < NYSID_BITS)
        raised[alone] = ALONE_BITS
        out[at] = np.where(self.number, raised, np.where(self.one, DECIDED_BITS, -DECIDED_BITS))
        return out

    def of(self, rows: np.ndarray) -> Decided:
        """Those about one of some records."""
        at = np.isin(self.left, rows) | np.isin(self.right, rows)
        return Decided(self.left[at], self.right[at], self.one[at], self.number[at])

    def among(self, rows: np.ndarray) -> Decided:
        """The same by the records' numbers among some, which rise and hold them all."""
        left, right = (np.searchsorted(rows, side) for side in (self.left, self.right))
        return Decided(left, right, self.one, self.number)


def known(records: Records, decisions: list[dict[str, Any]]) -> Decided:
    """Decisions (left, right: record ids; verdict) whose records are both there; the last one counts."""
    schema = {"left": pl.String, "right": pl.String, "verdict": pl.String}
    said = pl.DataFrame([{k: d[k] for k in schema} for d in decisions], schema=schema)
    # of many records few are decided about
    meant = records.ids.is_in(pl.concat([said["left"], said["right"].alias("left")]).implode())
    at = meant.arg_true()
    place = pl.DataFrame({"id": records.ids.gather(at), "row": at.cast(pl.Int64)})
    rows = (
        said.join(place.rename({"id": "left", "row": "a"}), on="left", maintain_order="left")
        .join(place.rename({"id": "right", "row": "b"}), on="right", maintain_order="left")
        .select(
            a=pl.min_horizontal("a", "b"),
            b=pl.max_horizontal("a", "b"),
            one=pl.col("verdict") == ONE,
            number=pl.col("verdict") == NUMBER,
        )
        .unique(["a", "b"], keep="last")
        .sort("a", "b")
    )
    return Decided(*(rows[c].to_numpy() for c in ("a", "b", "one", "number")))


def permitted(decisions: list[dict[str, Any]], barred: set[str]) -> list[dict[str, Any]]:
    """Less those that would join a record that is `barred` from linkage: it stays apart whatever was
    decided before."""
    return [d for d in decisions if d["verdict"] != ONE or not {d["left"], d["right"]} & barred]


def held(stands: pa.Table, decisions: list[dict[str, Any]]) -> pl.DataFrame:
    """Which decisions hold, of those that count: number, left, right, verdict, one (the same person or
    not; null where a record is not there any more), holds. `stands`: record_id, person_id. Sorted."""
    schema = {"number": pl.Int64, "left": pl.String, "right": pl.String, "verdict": pl.String}
    said = pl.DataFrame([{k: d[k] for k in schema} for d in decisions], schema=schema)
    person = pl.DataFrame(pl.from_arrow(stands)).select("record_id", "person_id")
    both = (
        said.sort("number")
        .unique(["left", "right"], keep="last")
        .join(person.rename({"record_id": "left", "person_id": "a"}), on="left", how="left")
        .join(person.rename({"record_id": "right", "person_id": "b"}), on="right", how="left")
    )
    one = pl.col("a") == pl.col("b")
    return both.select(*schema, one=one, holds=one == (pl.col("verdict") == ONE)).sort("number")

"""Tables of tokens in, scored pairs and clusters out. Pure; the order of the input does not matter.

Candidates (`candidates`) are compared field by field (`comparison`) and weighed by a model (`model`) that
is declared by the schema or learnt without labels (`training`); the sure ones become links, links become
clusters (`clusters`). A night's clusters are not yet persons: the crosswalk gives them ids that last.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from leadhub.foundation import memory
from leadhub.identity import keyed
from leadhub.identity.linkage import candidates, clusters, decisions, training
from leadhub.identity.linkage.clusters import STATUS, Links
from leadhub.identity.linkage.comparison import Compared, compare
from leadhub.identity.linkage.levels import code_names
from leadhub.identity.linkage.limits import Limits
from leadhub.identity.linkage.model import NYSID_BITS, Model, from_facts
from leadhub.identity.linkage.records import Records, encode
from leadhub.identity.linkage.schema import UNKNOWN, LinkageSchema, Tier, person

#: log₂ odds from which a pair that is not linked is shown to a steward
REVIEW_BITS = -5.0
#: from so many on, pairs leave memory behind that is worth giving back: it costs a few to claim it again
MANY_PAIRS = 1_000_000


@dataclass(frozen=True)
class Weighed:
    """Candidate pairs by row numbers, how far they agree, and what that is worth under `model`."""

    left: np.ndarray
    right: np.ndarray
    compared: Compared
    rarity: dict[str, np.ndarray]
    bits: np.ndarray
    same_nysid: np.ndarray
    model: Model
    left_out: pa.Table
    limits: Limits | None = None
    grown: bool = False

    def only(self, at: np.ndarray, left: np.ndarray, right: np.ndarray) -> Weighed:
        """Some of the pairs, by other row numbers."""
        return replace(
            self,
            left=np.minimum(left, right),
            right=np.maximum(left, right),
            compared=self.compared.only(at),
            rarity={name: bits[at] for name, bits in self.rarity.items()},
            bits=self.bits[at],
            same_nysid=self.same_nysid[at],
        )


@dataclass(frozen=True)
class Linked:
    """What one night's linking found.

    - `pairs`: left, right (record ids, left < right), weight_bits, evidence (the level of each field),
      status: `linked`; `weak` (too little evidence); `rival` (a better or equal match in a feed that holds
      each person once); `conflict` (it would join what cannot be one person, or is too weak for the groups
      that it would join). All but `linked` are for a
      steward's eyes.
    - `clusters`: record_id, feed, cluster (the smallest record id in it); every record stands in one.
    - `left_out`: key, blocks, records, pairs: blocks too large to compare.
    - `model`, `limits`: what the pairs were found and weighed with.
    - `grown`: a block has grown too large since the limits were learnt: time to retrain.
    """

    pairs: pa.Table
    clusters: pa.Table
    left_out: pa.Table
    model: Model
    limits: Limits | None = field(default=None, compare=False)
    grown: bool = False


def weigh(
    records: Records,
    model: Model | None = None,
    decided: decisions.Decided | None = None,
    limits: Limits | None = None,
) -> Weighed:
    """Find, compare and weigh pairs; without `model`, one is learnt from them."""
    found = candidates.find(records, (decided.left, decided.right) if decided else None, limits)
    _give_back(found)
    return weighed(records, found, model, decided)


def weighed(
    records: Records,
    found: candidates.Candidates,
    model: Model | None = None,
    decided: decisions.Decided | None = None,
    compared: Compared | None = None,
) -> Weighed:
    """Weigh candidate pairs, among which all that were decided are; they are compared where they are not
    yet `compared`."""
    compared = compared or compare(records, found)
    _give_back(found)
    rarity = training.rarity(records, found.left, found.right, compared, found.limits)
    model = model or training.train(records, found.left, found.right, compared, rarity)
    bits = model.weigh(records.schema, compared.codes, rarity)
    same = records.same_nysid(found.left, found.right)
    bits[same] = NYSID_BITS
    if decided:
        bits = decided.apply(
            found.left, found.right, bits, codes=compared.codes, prior_bits=model.prior_bits
        )
    return Weighed(
        left=found.left,
        right=found.right,
        compared=compared,
        rarity=rarity,
        bits=bits,
        same_nysid=same,
        model=model,
        left_out=found.left_out,
        limits=found.limits,
        grown=found.grown,
    )


def _give_back(found: candidates.Candidates) -> None:
    if len(found.left) > MANY_PAIRS:
        memory.give_back()


def fitting(facts: dict[str, Any] | None, tier: Tier = "tokens") -> Model | None:
    """The frozen model of an earlier night, or None where it was made for another schema or tier, or is
    the declared one, for there was nothing to learn from: then a new one is learnt."""
    if not facts:
        return None
    frozen = from_facts(facts)
    fits = frozen.schema == person().seen_in(tier).fingerprint and frozen.tier == tier
    return frozen if fits and frozen.how != "declared" else None


def link(
    table: pa.Table,
    *,
    one_per_person: frozenset[str],
    schema: LinkageSchema | None = None,
    model: Model | None = None,
    limits: Limits | None = None,
    tier: Tier | None = None,
    decided: list[dict[str, Any]] | None = None,
) -> Linked:
    """Link the token tables of all feeds, concatenated (`tokens.columns`).

    `one_per_person` names the feeds that hold each person once. Without `model`, one is learnt, and with
    it what it takes for common (`limits`).
    `decided`: what stewards said (`decisions.known`).

    Raises: TerminalError `state_invalid` where a record id stands twice.
    """
    records = encode(table, one_per_person, schema or person(), tier)
    known = decisions.known(records, decided) if decided else None
    found = weigh(records, model, known, limits if model else None)
    records = records.compared()
    memory.give_back()
    status, label = decide(records, found)
    return Linked(
        pairs=scored(records, found, status),
        clusters=clustered(records, label),
        left_out=found.left_out,
        model=found.model,
        limits=found.limits,
        grown=found.grown,
    )


def decide(records: Records, weighed: Weighed) -> tuple[np.ndarray, np.ndarray]:
    """Status of each pair (see `Linked`), and the cluster label of each record."""
    pairs = Links(weighed.left, weighed.right, weighed.bits)
    return clusters.decide(records, pairs, weighed.model.raise_bits)


def told(bits: np.ndarray) -> np.ndarray:
    """Which pairs are kept: linked, for a steward's eyes, or decided by one."""
    return (bits >= REVIEW_BITS) | (bits <= -decisions.DECIDED_BITS)


def scored(records: Records, weighed: Weighed, status: np.ndarray) -> pa.Table:
    shown = np.flatnonzero(told(weighed.bits))
    frame = pl.DataFrame(
        {
            "left": records.ids.gather(weighed.left[shown]),
            "right": records.ids.gather(weighed.right[shown]),
            "weight_bits": weighed.bits[shown].astype(np.float64).round(3),
            "evidence": evidence(records, weighed.compared.codes[:, shown], weighed.same_nysid[shown]),
            "status": pl.Series(STATUS).gather(status[shown].astype(np.uint32)),
        }
    )
    return keyed.to_arrow(frame.sort("left", "right"))


def evidence(records: Records, codes: np.ndarray, same_nysid: np.ndarray) -> pl.Series:
    """ "last exact, first nickname, …" for each pair; fields that say nothing are left out."""
    names = [code_names(f, records.tier) for f in records.schema.fields.values()]
    columns = [pl.Series("nysid", [None, "nysid"]).gather(same_nysid.astype(np.uint32))]
    for name, said, row in zip(records.schema.fields, names, codes):
        text = pl.Series([None if c == UNKNOWN else f"{name} {n}" for c, n in enumerate(said)])
        columns.append(text.gather(row.astype(np.uint32)).alias(name))
    frame = pl.DataFrame(columns)
    return frame.select(pl.concat_str(pl.all(), separator=", ", ignore_nulls=True)).to_series()


def clustered(records: Records, label: np.ndarray) -> pa.Table:
    """`label`: row of the smallest record id in each record's cluster."""
    names = pl.Series(records.feed_names, dtype=pl.String)
    frame = pl.DataFrame(
        {
            "record_id": records.ids,
            "feed": names.gather(records.feeds),
            "cluster": records.ids.gather(label),
        }
    )
    return keyed.to_arrow(frame)

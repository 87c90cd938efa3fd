"""Tables of tokens in, scored pairs and clusters out. Pure; the order of the input does not matter.

Candidates (`candidates`) are weighed (`weights`), the sure ones become links, links become clusters
(`clusters`); what the match keys are is data (`schema`). A night's clusters are not yet persons: the
crosswalk gives them ids that last.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa

from leadhub.identity import keyed
from leadhub.identity.linkage import candidates, clusters, weights
from leadhub.identity.linkage.candidates import Records
from leadhub.identity.linkage.clusters import Links
from leadhub.identity.linkage.weights import Weighed


@dataclass(frozen=True)
class Linked:
    """What one night's linking found.

    - `pairs`: left, right (record ids, left < right), weight_bits, keys (the shared match keys, the rule
      of the link), status: `linked`; `weak` (too little evidence); `rival` (a better or equal match in a
      feed that holds each person once); `conflict` (it would join what cannot be one person). All but
      `linked` are for a steward's eyes.
    - `clusters`: record_id, feed, cluster (the smallest record id in it); every record stands in one.
    - `left_out`: key, blocks, records: blocks too large to compare.
    """

    pairs: pa.Table
    clusters: pa.Table
    left_out: pa.Table


def link(records: pa.Table, *, one_per_person: frozenset[str]) -> Linked:
    """Link the token tables of all feeds, concatenated (`tokens.COLUMNS`).

    `one_per_person` names the feeds that hold each person once.

    Raises: TerminalError `state_invalid` where a record id stands twice.
    """
    known = candidates.encode(records, one_per_person)
    left, right, left_out = candidates.find(known)
    weighed = weights.weigh(known, left, right)

    status = np.where(weighed.bits >= weights.LINK_BITS, "linked", "weak").astype(object)
    status[weighed.other_nysid] = "conflict"
    sure = np.flatnonzero(status == "linked")
    lost = clusters.rivals(known, Links(left[sure], right[sure], weighed.bits[sure]))
    status[sure[lost]] = "rival"

    sure = sure[~lost]
    apart = weighed.bits <= weights.APART_BITS
    links = Links(left[sure], right[sure], weighed.bits[sure])
    label, dropped = clusters.build(known, links, left[apart], right[apart])
    status[sure[dropped]] = "conflict"
    return Linked(
        pairs=_pairs(known, left, right, weighed, status),
        clusters=_clusters(known, label),
        left_out=left_out,
    )


def _pairs(
    records: Records, left: np.ndarray, right: np.ndarray, weighed: Weighed, status: np.ndarray
) -> pa.Table:
    shown = np.flatnonzero(weighed.bits >= weights.REVIEW_BITS)
    rules = {
        (mask, nysid): weights.key_names(mask, nysid=nysid)
        for mask, nysid in set(zip(weighed.shared[shown].tolist(), weighed.same_nysid[shown].tolist()))
    }
    masks = zip(weighed.shared[shown].tolist(), weighed.same_nysid[shown].tolist())
    frame = pl.DataFrame(
        {
            "left": records.ids.gather(left[shown]),
            "right": records.ids.gather(right[shown]),
            "weight_bits": weighed.bits[shown].round(3),
            "keys": pl.Series([rules[m] for m in masks], dtype=pl.String),
            "status": pl.Series(status[shown].tolist(), dtype=pl.String),
        }
    )
    return keyed.to_arrow(frame.sort("left", "right"))


def _clusters(records: Records, label: np.ndarray) -> pa.Table:
    names = pl.Series(records.feed_names, dtype=pl.String)
    frame = pl.DataFrame(
        {
            "record_id": records.ids,
            "feed": names.gather(records.feeds),
            "cluster": records.ids.gather(label),
        }
    )
    return keyed.to_arrow(frame)

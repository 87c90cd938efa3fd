"""`python -m benchmarks.linkage.increment`: a night's changes beside linking everything, in one run.

The records of a set are linked in full, once learning a model and once under it; then one record in a
hundred is another (its tokens are those of a record that was held back), and the changes alone are linked.
All start from token tables in memory, and the results under the model must be equal.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from leadhub.foundation.keys import Keys
from leadhub.foundation.vocabulary import IDENTIFIER_KINDS
from leadhub.identity import linkage, tokens
from leadhub.identity.linkage.incremental import link_changes
from leadhub.steps import labelled

CACHE = Path(__file__).resolve().parents[2] / "var" / "bench" / "linkage"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--set", default="households_1M")
    options.add_argument("--records", type=int, default=1_000_000, help="of both files together")
    options.add_argument("--tier", default="tokens", choices=("tokens", "fields"))
    options.add_argument("--share", type=float, default=0.01)
    options.add_argument("--times", type=int, default=3, help="that the changes are linked; medians count")
    chosen = options.parse_args()
    before, after, changed, one_per_person, encoding = tables(chosen)
    learnt, learning = timed(lambda: linkage.link(before, one_per_person=one_per_person))
    facts = {"one_per_person": one_per_person, "model": learnt.model, "limits": learnt.limits}
    earlier, _ = timed(lambda: linkage.link(before, **facts))
    full, whole = timed(lambda: linkage.link(after, **facts))
    runs = [
        timed(lambda: link_changes(after, changed=changed, before=earlier, **facts))
        for _ in range(chosen.times)
    ]
    some = runs[0][0]
    increment = tuple(map(statistics.median, zip(*(spent for _, spent in runs))))
    same = some is not None and some.clusters.equals(full.clusters) and some.pairs.equals(full.pairs)
    print(
        f"{after.num_rows:,} records, {len(changed):,} changed, tier {chosen.tier}; results equal: {same}"
    )
    for name, (wall, cpu) in {
        "encode all": encoding,
        "link all, and learn": learning,
        "link all, frozen model": whole,
        "link the changes": increment,
    }.items():
        print(f"  {name:24s} {wall:8.2f} s wall {cpu:8.2f} s cpu")
    first = ", ".join(f"{wall:.2f}" for _, (wall, _) in runs)
    print(f"  link the changes, each time: {first} s wall")
    for name, linking in {"learn and link all": learning, "link all, frozen model": whole}.items():
        wall, cpu = (i / (e + w) for i, e, w in zip(increment, encoding, linking))
        print(f"  changes / (encode, {name}): {wall:.4f} wall, {cpu:.4f} cpu")


def tables(chosen: argparse.Namespace) -> tuple[pa.Table, pa.Table, set[str], frozenset[str], tuple]:
    """The token table, the same with changes, the changed ids, the feeds, and encoding's wall and CPU."""
    keys, half = Keys(bytes(range(32))), chosen.records // 2
    made, spare, spent = [], [], (0.0, 0.0)
    for i in (1, 2):
        source = labelled.read(CACHE / f"{chosen.set}.{i}.parquet", {}, keep=["truth"], prefix=f"{i}:")
        kinds = [k for k in IDENTIFIER_KINDS if k in source.identifiers.columns]
        given = source.identifiers.select("record_id", *kinds)
        for at, into in ((slice(0, half), made), (slice(half, None), spare)):
            rows = given[at].head(half if into is made else max(1, int(half * chosen.share)))
            table, (wall, cpu) = timed(
                lambda rows=rows, feed=f"f{i}": tokens.tokenise(
                    rows.to_arrow(), feed=feed, keys=keys, tier=chosen.tier
                )
            )
            into.append(tokens.stored(table))
            if into is made:
                spent = spent[0] + wall, spent[1] + cpu
    random, after, changed = np.random.default_rng(1), [], set()
    for table, other in zip(made, spare):
        at = np.sort(random.choice(table.num_rows, other.num_rows, replace=False))
        ids = table.column("record_id").take(pa.array(at))
        changed |= set(ids.to_pylist())
        kept = table.filter(pl.Series(np.isin(np.arange(table.num_rows), at, invert=True)).to_arrow())
        after += [kept, other.set_column(0, "record_id", ids)]
    feeds = frozenset(("f1", "f2"))
    return pa.concat_tables(made), pa.concat_tables(after), changed, feeds, spent


def timed(function):
    """Its result, and wall and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = function()
    return result, (time.perf_counter() - wall, time.process_time() - cpu)


if __name__ == "__main__":
    main()

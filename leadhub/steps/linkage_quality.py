"""`leadhub linkage evaluate`: the production path on labelled data, and how well it did."""

from __future__ import annotations

import resource
import secrets
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from leadhub.foundation import memory
from leadhub.foundation.errors import TerminalError
from leadhub.foundation.keys import Keys
from leadhub.foundation.vocabulary import IDENTIFIER_KINDS
from leadhub.identity import linkage, tokens
from leadhub.identity.linkage import clusters, evaluation, graph, schema
from leadhub.identity.linkage.records import Records, encode
from leadhub.steps import labelled

#: columns by which fairness is looked at, where the files have them
GROUPS = ("sex", "gender", "race", "race_eth", "ethnicity", "race_code", "ethnic_code")


@dataclass(frozen=True)
class _Kept:
    """What judging needs of a file: its identifiers are forgotten once they are tokens."""

    name: str
    ids: pl.DataFrame
    others: pl.DataFrame


@dataclass(frozen=True)
class _Truth:
    entity: np.ndarray
    source: np.ndarray
    groups: dict[str, np.ndarray]


def evaluate(
    paths: list[Path],
    *,
    mapping: dict[str, list[str]],
    truth: str,
    tier: schema.Tier,
    one_to_one: bool,
    groups: list[str] | None = None,
    pairs_to: Path | None = None,
    linkage_schema: schema.LinkageSchema | None = None,
) -> dict[str, Any]:
    """Figures as plain facts; `pairs_to` takes the scored pairs (Parquet).

    Several files are linked across, each taken to hold a person once; one file is searched for duplicates.

    Raises: TerminalError `linkage_input_invalid`.
    """
    used = linkage_schema or schema.person()
    across = len(paths) > 1
    # a key of this run alone: what it makes is comparable with nothing else
    keys = Keys(secrets.token_bytes(32))
    kept, made, encoding = [], [], (0.0, 0.0)
    for i, path in enumerate(paths, 1):
        source = labelled.read(
            path, mapping, keep=[truth, *(groups or ())], prefix=f"{i}:", also=() if groups else GROUPS
        )
        wanted = [c for c in source.others.columns if c in {truth, *(groups or GROUPS)}]
        kept.append(
            _Kept(source.name, source.identifiers.select("record_id"), source.others.select(wanted))
        )
        begun = _used()
        made.append(_tokens(source, i, keys, used, tier))
        encoding = _sum(encoding, begun, _used())
        del source
        memory.give_back()
    encoded = _used()
    begun = encoded[0] - encoding[0], encoded[1] - encoding[1]
    table = pa.concat_tables(made)
    alone = frozenset(table.column("feed").unique().to_pylist()) if across else frozenset()
    del made
    records = encode(table, alone, used)
    del table
    memory.give_back()
    weighed = linkage.weigh(records)
    records = records.compared()
    memory.give_back()
    scored = _used()
    known = _truth(kept, records, truth, groups)
    result = _judged(records, weighed, known, across=across)
    status, cluster = linkage.decide(records, weighed)
    decided = status == clusters.LINKED if one_to_one else weighed.bits >= clusters.LINK_BITS
    finished = _used()
    match = known.entity[weighed.left] == known.entity[weighed.right]
    if pairs_to:
        _write_pairs(pairs_to, records, weighed, decided, match)
    total = evaluation.true_pairs(known.entity, known.source, across=across)
    return {
        "files": [s.name for s in kept],
        "records": len(records),
        "tier": tier,
        "linkage_schema": f"{used.name}{used.version}-{used.fingerprint}",
        "model": weighed.model.how,
        "true_pairs": total,
        "candidate_pairs": len(match),
        "block_recall": round(float(match.sum()) / total, 5) if total else 1.0,
        **result,
        "persons": asdict(evaluation.judge_clusters(cluster, known.entity, known.source, across=across)),
        "by_group": {
            name: evaluation.by_group(
                values, known.entity, known.source, weighed.left, weighed.right, decided, across=across
            )
            for name, values in known.groups.items()
        },
        "left_out": weighed.left_out.to_pylist(),
        "seconds": {
            "encode": _spent(begun, encoded),
            "link": _spent(encoded, scored),
            "decide": _spent(scored, finished),
            "all": _spent(begun, finished),
        },
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def _tokens(
    source: labelled.Source, number: int, keys: Keys, used: schema.LinkageSchema, tier: schema.Tier
) -> pa.Table:
    kinds = [k for k in IDENTIFIER_KINDS if k in source.identifiers.columns]
    identifiers = source.identifiers.select("record_id", *kinds).to_arrow()
    return tokens.tokenise(identifiers, feed=f"{number}:{source.name}", keys=keys, schema=used, tier=tier)


def _sum(
    total: tuple[float, float], before: tuple[float, float], after: tuple[float, float]
) -> tuple[float, float]:
    return total[0] + after[0] - before[0], total[1] + after[1] - before[1]


def _used() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def _spent(before: tuple[float, float], after: tuple[float, float]) -> dict[str, float]:
    return {"wall": round(after[0] - before[0], 3), "cpu": round(after[1] - before[1], 3)}


def _truth(sources: list[_Kept], records: Records, truth: str, groups: list[str] | None) -> _Truth:
    """In the order of `records`."""
    wanted = groups if groups is not None else [g for g in GROUPS if all(_has(s, g) for s in sources)]
    absent = [g for g in wanted if not all(_has(s, g) for s in sources)]
    if absent:
        raise TerminalError("linkage_input_invalid", f"not every file has the group columns {absent}")
    rows = pl.concat(
        [
            s.ids.hstack(
                [
                    s.others.get_column(truth).alias("truth"),
                    pl.Series("source", [i], dtype=pl.Int32).new_from_index(0, s.others.height),
                    *(s.others.get_column(g).fill_null("").alias(f"group_{g}") for g in wanted),
                ]
            )
            for i, s in enumerate(sources)
        ]
    ).sort("record_id")
    if rows.get_column("truth").null_count():
        raise TerminalError(
            "linkage_input_invalid",
            f"the truth column [{truth}] is empty in {rows.get_column('truth').null_count()} rows; every "
            "record needs its entity",
        )
    return _Truth(
        entity=rows.get_column("truth").cast(pl.Categorical).to_physical().to_numpy().astype(np.int64),
        source=rows.get_column("source").to_numpy(),
        groups={g: rows.get_column(f"group_{g}").to_numpy() for g in wanted},
    )


def _has(source: _Kept, column: str) -> bool:
    return column in source.others.columns


def _judged(records: Records, weighed: linkage.Weighed, known: _Truth, *, across: bool) -> dict[str, Any]:
    match = known.entity[weighed.left] == known.entity[weighed.right]
    total = evaluation.true_pairs(known.entity, known.source, across=across)
    found = {"raw": evaluation.judge(weighed.bits, match, total, chosen_bits=clusters.LINK_BITS)}
    if across:
        kept = graph.assign(records, weighed.left, weighed.right, weighed.bits)
        needed = clusters.LINK_BITS - weighed.model.raise_bits
        found["one_to_one"] = evaluation.judge(weighed.bits[kept], match[kept], total, chosen_bits=needed)
    return {name: asdict(judged) for name, judged in found.items()}


def _write_pairs(
    path: Path,
    records: Records,
    weighed: linkage.Weighed,
    decided: np.ndarray,
    match: np.ndarray,
) -> None:
    """left and right: "<file number>:<row, from 0>"."""
    pl.DataFrame(
        {
            "left": records.ids.gather(weighed.left),
            "right": records.ids.gather(weighed.right),
            "weight_bits": weighed.bits,
            "probability": 1.0 / (1.0 + np.exp2(-weighed.bits.astype(np.float64))),
            "linked": decided,
            "true_match": match,
            "evidence": linkage.evidence(records, weighed.compared.codes, weighed.same_nysid),
        }
    ).with_columns(
        *(
            pl.format("{}:{}", pl.col(side).str.extract(r"^(\d+):", 1), _row(side)).alias(side)
            for side in ("left", "right")
        )
    ).write_parquet(path)


def _row(side: str) -> pl.Expr:
    return pl.col(side).str.extract(r":(\d+)$", 1).cast(pl.Int64)

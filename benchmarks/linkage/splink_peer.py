"""Splink 5 on clear text with DuckDB: as its documentation would have it, and as well as it can be set up.

`default`: cleaned columns, the comparison library's own functions, the blocking rules and training steps of
Splink's worked examples. `tuned`: splink_tuned.py's model.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

import duckdb
import polars as pl
import splink.comparison_library as cl
from splink import DuckDBAPI, Linker, SettingsCreator, block_on

from benchmarks.linkage import datasets, splink_columns, splink_tuned
from benchmarks.linkage.datasets import Dataset
from benchmarks.linkage.peer import Outcome

EVEN_ODDS = 0.0  # match weight at which the match probability is one half


@dataclass(frozen=True)
class Model:
    """A Splink model before training. `deterministic` rules find `recall` of the matches, almost surely."""

    comparisons: list
    blocking: list
    deterministic: list
    recall: float
    em_rules: list
    u_pairs: float


def default(dataset: Dataset, threads: int) -> Outcome:
    tables = [splink_columns.cleaned(table) for table in dataset.tables]
    return _linked(tables, default_model(dataset.fields), threads)


def tuned(dataset: Dataset, threads: int) -> Outcome:
    tables = [splink_columns.derived(splink_columns.cleaned(table)) for table in dataset.tables]
    records = max(table.height for table in tables)
    return _linked(tables, Model(**splink_tuned.model(dataset.fields, records)), threads)


def default_model(fields: tuple[str, ...]) -> Model:
    """From the worked examples "Deduplicate 50k rows", "Link only" and "FEBRL4"."""
    comparisons = [
        cl.NameComparison("first_name"),
        cl.NameComparison("last_name"),
        *([cl.NameComparison("middle_name")] if "middle_name" in fields else []),
        *(
            [cl.DateOfBirthComparison("date_of_birth", input_is_string=True)]
            if "date_of_birth" in fields
            else [cl.LevenshteinAtThresholds("birth_year", 1)]
        ),
        *(cl.ExactMatch(c) for c in ("suffix", "sex", "race", "phone", "state") if c in fields),
        *(cl.JaroWinklerAtThresholds(c, [0.9, 0.7]) for c in ("address_line", "address_2") if c in fields),
        *(
            cl.ExactMatch(c).configure(term_frequency_adjustments=True)
            for c in ("city", "birth_place", "occupation")
            if c in fields
        ),
    ]
    if "zip" in fields:
        british = "birth_place" in fields  # historical_50k
        comparisons.append(
            cl.PostcodeComparison("zip") if british else cl.LevenshteinAtThresholds("zip", [1, 2])
        )
    born = "date_of_birth" if "date_of_birth" in fields else "birth_year"
    blocking = [
        block_on("substr(first_name,1,3)", "substr(last_name,1,4)"),
        block_on("last_name", born),
        block_on("first_name", born),
    ]
    if "zip" in fields:
        blocking += [
            block_on("zip", "first_name"),
            block_on("zip", "last_name"),
            block_on("substr(zip,1,3)", born, "substr(first_name,1,1)"),
        ]
    if born == "date_of_birth":
        blocking.append(
            block_on("substr(first_name,1,2)", "substr(last_name,1,2)", "substr(date_of_birth,1,4)")
        )
    return Model(
        comparisons,
        blocking,
        deterministic=[
            block_on("first_name", "last_name", born),
            *(
                [block_on("first_name", born, "zip"), block_on("last_name", born, "zip")]
                if "zip" in fields
                else []
            ),
        ],
        recall=0.7,
        em_rules=[
            block_on("first_name", "last_name"),
            block_on(born, *([] if born != "birth_year" else ["sex"])),
        ],
        u_pairs=5e6,
    )


def _linked(tables: list[pl.DataFrame], model: Model, threads: int) -> Outcome:
    logging.getLogger("splink").setLevel(logging.ERROR)
    clock = time.perf_counter()
    spill = datasets.CACHE / "duckdb"  # under var/: beside the repository's files it would be in the way
    database = DuckDBAPI(duckdb.connect(config={"threads": threads, "temp_directory": str(spill)}))
    inputs = [
        database.register(table.to_arrow(), dataset_display_name=name) for name, table in zip("ab", tables)
    ]
    settings = SettingsCreator(
        link_type="link_only" if len(tables) == 2 else "dedupe_only",
        comparisons=model.comparisons,
        blocking_rules_to_generate_predictions=model.blocking,
        retain_matching_columns=False,
        retain_intermediate_calculation_columns=False,
        max_iterations=40,
    )
    linker = Linker(inputs if len(inputs) == 2 else inputs[0], settings, log_level=logging.ERROR)
    train = linker.training
    train.estimate_probability_two_random_records_match(model.deterministic, recall=model.recall)
    train.estimate_u_using_random_sampling(
        max_pairs=model.u_pairs, seed=1, min_count_per_level=None, num_chunks=1
    )
    for rule in model.em_rules:
        train.estimate_parameters_using_expectation_maximisation(rule)
    trained = time.perf_counter()
    predicted = linker.inference.predict().as_duckdbpyrelation()
    pairs = predicted.select("unique_id_l AS left, unique_id_r AS right, match_weight AS score").pl()
    notes = {"train_seconds": trained - clock, "predict_seconds": time.perf_counter() - trained}
    return Outcome(pairs, EVEN_ODDS, notes)

"""Is this night plausible? Great Expectations judges a batch as a whole; contracts judge its rows.

Suites stand in `expectations/<feed>/<table>.json`, in Great Expectations' own JSON::

    {"name": "<feed>.<table>", "meta": {"parameters": {<name>: <number>}},
     "expectations": [{"type": …, "kwargs": {…}, "meta": {"rule": <plain words>, "minimum_rows": …}}]}

`<table>.keys` judges the keys that the source holds (how many there are), `<table>` the rows of tonight.
A bound may be `{"$PARAMETER": name}`: a number that the caller gives, or `days_ago_<n>`,
`days_ahead_<n>`, `years_ago_<n>`, counted from the night.

A night may bring few rows of a table, or none, and a share of few rows says nothing. So an expectation
about a column is asked only of `minimum_rows` rows or more (at least one); what is not asked stands in the
verdict as `not_asked` and stops nothing. Whether *too few* came is the question of `<table>.keys`, which is
always asked. An expectation that raised an error counts as failed, and is told apart.

Results are BOOLEAN_ONLY: every other format quotes failing values (FAULTS.md). Texts of errors are dropped
for the same reason, and so is all that the library logs.
"""

from __future__ import annotations

import logging
import os
import re
import statistics
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import polars as pl
from pydantic import Field, ValidationError, field_validator

from leadhub.foundation import clock
from leadhub.foundation.errors import TerminalError
from leadhub.foundation.facts_file import Facts
from leadhub.intake.plausibility_page import render

__all__ = ["Result", "Verdict", "judge", "render", "volume_parameters"]

Parameters = Mapping[str, float]
#: nights whose median is the expected volume
REMEMBERED_NIGHTS = 14
_DAY = re.compile(r"(days_ago|days_ahead|years_ago)_(\d{1,4})")
_COLUMNS = ("column", "column_A", "column_B")


class ExpectationFacts(Facts):
    rule: str = Field(min_length=1)
    minimum_rows: int = Field(default=0, ge=0)


class Expectation(Facts):
    type: str
    kwargs: dict[str, Any]
    meta: ExpectationFacts

    @field_validator("kwargs")
    @classmethod
    def only_boolean_results(cls, kwargs: dict[str, Any]) -> dict[str, Any]:
        if {"result_format", "catch_exceptions"} & set(kwargs):
            raise ValueError("result_format and catch_exceptions are not for suites to choose")
        if not all(isinstance(name, str) for name in [*_columns(kwargs), *_parameter_names(kwargs)]):
            raise ValueError("columns and parameters are named by text")
        return kwargs


class SuiteFacts(Facts):
    #: numbers that hold until the caller gives one
    parameters: dict[str, float] = {}


class Suite(Facts):
    name: str
    expectations: list[Expectation] = Field(min_length=1)
    meta: SuiteFacts = SuiteFacts()


@dataclass(frozen=True)
class Result:
    """One expectation of one table. `bounds` are the numbers and days that it was asked with."""

    table: str
    expectation: str
    column: str | None
    rule: str
    outcome: Literal["passed", "failed", "raised", "not_asked"]
    bounds: tuple[str | None, str | None] = (None, None)

    @property
    def success(self) -> bool:
        return self.outcome in ("passed", "not_asked")

    @property
    def error(self) -> bool:
        """True where the expectation could not be evaluated: the suite or the machinery is wrong."""
        return self.outcome == "raised"


@dataclass(frozen=True)
class Verdict:
    """Results in the order of tables and suites; `rows` judged, by table. No value of any row."""

    feed_id: str
    results: tuple[Result, ...]
    rows: Mapping[str, int]

    @property
    def success(self) -> bool:
        return all(r.success for r in self.results)


def volume_parameters(history: Sequence[Mapping[str, int]]) -> dict[str, float]:
    """Bounds `<table>_rows_min` and `<table>_rows_max` from the keys held on earlier nights, oldest first.

    A source grows slowly and hardly shrinks: a fifth less or half more than the median of the last nights
    is not plausible, with a margin for small tables. Without history the suites' own bounds hold.
    """
    bounds: dict[str, float] = {}
    for table in sorted({t for night in history for t in night}):
        counts = [night[table] for night in history if table in night][-REMEMBERED_NIGHTS:]
        usual = statistics.median(counts)
        bounds[f"{table}_rows_min"] = max(min(usual, 1), usual - max(0.2 * usual, 20)) // 1
        bounds[f"{table}_rows_max"] = (usual + max(0.5 * usual, 200)) // 1
    return bounds


def judge(
    folder: Path,
    feed_id: str,
    tables: Mapping[str, pl.DataFrame],
    parameters: Parameters,
    *,
    night: str,
) -> Verdict:
    """Ask every suite of the feed's tables. Each name in `tables` must have its suite.

    Raises: TerminalError `suite_invalid` (missing, unreadable, empty, unknown expectation or parameter,
    or not all of it was evaluated).
    """
    if not tables:
        raise TerminalError("suite_invalid", f"feed [{feed_id}]: no table was given to judge")
    suites = {table: _load(folder / feed_id / f"{table}.json", feed_id, table) for table in tables}
    batches = _batches()
    results: list[Result] = []
    for table, frame in tables.items():
        results += _ask(batches, feed_id, table, frame, suites[table], parameters, night)
    return Verdict(feed_id, tuple(results), {table: frame.height for table, frame in tables.items()})


def _invalid(feed_id: str, table: str, why: str) -> TerminalError:
    return TerminalError("suite_invalid", f"suite [{feed_id}/{table}.json] {why}; restore or correct it")


def _load(path: Path, feed_id: str, table: str) -> Suite:
    try:
        suite = Suite.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise _invalid(feed_id, table, "is missing") from None
    except OSError:
        raise _invalid(feed_id, table, "cannot be read") from None
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"])) or "JSON"
        raise _invalid(feed_id, table, f"is wrong at [{where}]: {error.errors()[0]['msg']}") from None
    if suite.name != f"{feed_id}.{table}":
        raise _invalid(feed_id, table, f"is not named [{feed_id}.{table}]")
    return suite


def _batches() -> Any:
    """Takes a data frame as a batch, in a fresh context that keeps nothing and tells nobody. The first call
    imports the library (seconds). One for all tables: each that is defined costs as much as judging one."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    # a log of a metric's error could quote the value that it met; `raised` tells of it
    logging.getLogger("great_expectations").setLevel(logging.CRITICAL)
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    asset = context.data_sources.add_pandas("night").add_dataframe_asset("rows")
    return asset.add_batch_definition_whole_dataframe("tonight")


def _ask(
    batches: Any,
    feed_id: str,
    table: str,
    frame: pl.DataFrame,
    suite: Suite,
    parameters: Parameters,
    night: str,
) -> list[Result]:
    asked: list[dict[str, Any]] = []
    results: dict[int, Result] = {}
    values: dict[str, Any] = {}
    for number, given in enumerate(suite.expectations):
        kwargs = given.kwargs
        for name in _parameter_names(kwargs):
            value = _day(name, night) or parameters.get(name, suite.meta.parameters.get(name))
            if value is None:
                raise _invalid(feed_id, table, f"asks for parameter [{name}], which nobody gives")
            values[name] = value
        results[number] = Result(
            table=table,
            expectation=given.type,
            column=" and ".join(_columns(kwargs)) or None,
            rule=given.meta.rule,
            outcome="not_asked",
            bounds=(_shown(kwargs.get("min_value"), values), _shown(kwargs.get("max_value"), values)),
        )
        if frame.height >= max(given.meta.minimum_rows, 1 if _columns(kwargs) else 0):
            asked.append({"type": given.type, "kwargs": kwargs, "meta": {"number": number}})
    for number, outcome in _evaluate(batches, feed_id, table, frame, asked, values).items():
        results[number] = Result(**{**vars(results[number]), "outcome": outcome})
    return [results[number] for number in sorted(results)]


def _evaluate(
    batches: Any,
    feed_id: str,
    table: str,
    frame: pl.DataFrame,
    asked: list[dict[str, Any]],
    values: dict[str, Any],
) -> dict[int, Literal["passed", "failed", "raised"]]:
    import great_expectations as gx

    if not asked:
        return {}
    try:
        suite = gx.ExpectationSuite(name=f"{feed_id}.{table}", expectations=asked)
    except Exception:  # noqa: BLE001 - the library's errors have no common base
        raise _invalid(feed_id, table, "is not accepted by Great Expectations") from None
    # an unknown type is left out of the suite without an error
    if len(suite.expectations) != len(asked):
        raise _invalid(feed_id, table, "names an expectation that Great Expectations does not know")
    mentioned = sorted({c for given in asked for c in _columns(given["kwargs"])} & set(frame.columns))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # counting rows needs a column, too
        batch = batches.get_batch({"dataframe": _to_pandas(frame.select(mentioned or frame.columns[:1]))})
        told = batch.validate(suite, result_format="BOOLEAN_ONLY", expectation_parameters=values)
    outcomes: dict[int, Literal["passed", "failed", "raised"]] = {}
    for result in told.results:
        raised = _raised(result.exception_info or {})
        number = result.expectation_config.meta["number"]
        outcomes[number] = "raised" if raised else "passed" if result.success else "failed"
    if len(outcomes) != len(asked):
        raise _invalid(feed_id, table, f"was asked {len(asked)} times and answered {len(outcomes)}")
    return outcomes


def _raised(info: Mapping[str, Any]) -> bool:
    """Either one flag, or one for each metric."""
    return bool(info.get("raised_exception")) or any(
        _raised(inner) for inner in info.values() if isinstance(inner, Mapping)
    )


def _to_pandas(frame: pl.DataFrame) -> Any:
    """Days and moments become UTC moments: bounds are such, and the library compares only them in bulk."""
    plain = frame.with_columns(pl.col(pl.Date).cast(pl.Datetime("us")).dt.replace_time_zone("UTC"))
    return plain.to_pandas()


def _columns(kwargs: Mapping[str, Any]) -> list[str]:
    return [kwargs[k] for k in _COLUMNS if k in kwargs] + list(kwargs.get("column_list", ()))


def _parameter_names(kwargs: Mapping[str, Any]) -> list[str]:
    return [v["$PARAMETER"] for v in kwargs.values() if isinstance(v, dict) and "$PARAMETER" in v]


def _day(name: str, night: str) -> datetime | None:
    known = _DAY.fullmatch(name)
    if not known:
        return None
    start, amount = datetime.fromisoformat(clock.check_night(night)).replace(tzinfo=UTC), int(known[2])
    if known[1] == "years_ago":
        return start.replace(year=start.year - amount, day=min(start.day, 28))
    return start + timedelta(days=amount if known[1] == "days_ahead" else -amount)


def _shown(bound: Any, values: Mapping[str, Any]) -> str | None:
    value = values[bound["$PARAMETER"]] if isinstance(bound, dict) else bound
    if isinstance(value, datetime):
        return value.date().isoformat()
    return None if value is None else f"{value:,.10g}"

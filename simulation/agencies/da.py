"""The District Attorney's case system: defendants (each once), cases, charges, decisions, dispositions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from simulation import noise
from simulation.agencies import changes
from simulation.agencies.da_form import COLUMNS
from simulation.agencies.law import LAW
from simulation.agencies.police import Police
from simulation.agencies.story import WINDOW_DAYS, Story, midnight, ordinary_moments
from simulation.chance import canary_ids, growing_numbers, labels, pick, pick_from, shuffled_numbers, stream

CLERK = noise.Clerk(plain_letters=True, typo_last=0.01, typo_first=0.01, nickname=0.03, ssn4_missing=1.0)
_DECIDED = {
    "FILED": 72,
    "DECLINED": 12,
    "ACD": 5,
    "DISMISSED": 5,
    "DIVERTED_OTHER": 3,
    "REFERRED_OTHER_JURISDICTION": 3,
}
_DECLINED = {"INSUFFICIENT_EVIDENCE": 45, "INTERESTS_OF_JUSTICE": 30, "COMPLAINANT": 20, "OTHER": 5}
_DISPOSED = {
    "PLEA": 52,
    "DISMISSED": 20,
    "ACD": 18,
    "CONVICTED_TRIAL": 3,
    "ACQUITTED": 2,
    "TRANSFERRED": 3,
} | {"ADJ_YO": 2}
_SEALS = {"DISMISSED": "CPL_160_50", "ACD": "CPL_160_50", "ACQUITTED": "CPL_160_50", "ADJ_YO": "YO_720"}


@dataclass(frozen=True)
class Da:
    """All that the system ever holds. Rows have `seen_at`; `gone` ones vanish a day after the first night.

    cases hold, besides, `person`, `arrest` (null: of another county's police) and `filed_at`.
    """

    defendants: pl.DataFrame
    cases: pl.DataFrame
    charges: pl.DataFrame
    decisions: pl.DataFrame
    dispositions: pl.DataFrame
    seal_orders: pl.DataFrame
    start: datetime


def make(people: pl.DataFrame, story: Story, police: Police, seed: int) -> Da:
    rng = stream(seed, "da")
    start = midnight(story.night)
    cases = _received(rng, people, story, police)
    first, second = _decisions(rng, cases)
    cases = _filed(rng, cases, first, second)
    charges = _charges(rng, cases, police)
    cases = cases.join(_severity(charges), on="case", how="left", maintain_order="left")
    erring = (
        (~cases["diverted"]) & (cases["seen_at"] < start - timedelta(days=10)) & cases["arrest"].is_null()
    )
    error = changes.some(rng, erring.arg_true().to_numpy(), 0.0, 1)
    expunged = police.arrests.filter("gone")["arrest"].implode()
    cases = cases.with_columns(
        gone=pl.col("case").is_in(error.tolist()) | pl.col("arrest").is_in(expunged).fill_null(value=False)
    )
    defendants = _defendants(rng, people, cases, start)
    cases = cases.join(defendants.select("person", "defendant_id"), on="person", maintain_order="left")
    known = cases.select("case", "da_case_no", "person", "gone")
    decisions = _numbered(
        rng, pl.concat([first, second], how="diagonal"), known, "decision_id", "DEC", 40_000
    )
    disposed = _numbered(rng, _dispositions(rng, cases), known, "disposition_id", "DSP", 7_000)
    ordered = _seal_orders(stream(seed, "seal_orders"), disposed, cases)
    return Da(defendants, cases, charges.join(known, on="case"), decisions, disposed, ordered, start)


def _on_day(rng: np.random.Generator, days: pl.Series) -> pl.Series:
    """A moment of each day's office hours."""
    seconds = rng.integers(13 * 3600, 22 * 3600, len(days)).astype("timedelta64[s]")
    offset = pl.Series(seconds.astype("timedelta64[us]"))
    return days.cast(pl.Datetime("us")).dt.replace_time_zone("UTC") + offset


def _days(rng: np.random.Generator, dates: pl.Series, days: np.ndarray) -> pl.Series:
    return pl.select(dates + pl.duration(days=pl.Series(days))).to_series()


def _received(rng: np.random.Generator, people: pl.DataFrame, story: Story, police: Police) -> pl.DataFrame:
    """Cases of arrests, nearly all of diverted ones, and some that other police brought."""
    arrests = police.arrests.join(
        story.referrals.filter(pl.col("arrest").is_not_null()).select("arrest", "course", "outcome_on"),
        on="arrest",
        how="left",
        maintain_order="left",
    )
    share = np.where(arrests["diverted"].to_numpy(), 0.97, 0.5)
    canary = people["canary"].to_numpy()
    taken = (rng.random(arrests.height) < share) | canary[arrests["person"].to_numpy()]
    ours = arrests.filter(pl.Series(taken)).select(
        "arrest",
        "person",
        "arrested_at",
        "diverted",
        "divertible",
        "arrest_no",
        "cjtn",
        "course",
        "outcome_on",
    )
    strangers = np.flatnonzero((rng.random(people.height) < 0.02) & ~canary)
    elsewhere = pl.DataFrame(
        {"person": strangers, "arrested_at": ordinary_moments(rng, len(strangers), story.night)}
    ).with_columns(diverted=pl.lit(value=False), divertible=pl.lit(value=False))
    cases = pl.concat([ours, elsewhere], how="diagonal_relaxed").sort("arrested_at", "person")
    size = cases.height
    day = cases["arrested_at"].dt.date()
    received = _days(rng, day, 1 + rng.poisson(0.7, size))
    # the canary's arrest of the very day is brought on that day
    on_the_day = pl.Series(canary[cases["person"].to_numpy()]) & (
        cases["arrested_at"] >= midnight(story.night)
    )
    received = day.zip_with(on_the_day, received)
    ordinary = ~canary[cases["person"].to_numpy()]
    no_arrest = pl.Series((rng.random(size) < 0.03) & ordinary)
    no_cjtn = pl.Series((rng.random(size) < 0.04) & ordinary)
    unhyphened = pl.Series((rng.random(size) < 0.03) & ordinary)
    numbers = labels("", growing_numbers(rng, size, 1_000), 6)
    quoted = cases["arrest_no"].str.replace("-", "", literal=True).zip_with(unhyphened, cases["arrest_no"])
    return cases.with_columns(
        case=pl.int_range(pl.len()),
        da_case_no=pl.lit("DA-") + received.dt.strftime("%Y") + pl.lit("-") + numbers,
        arrest_no=quoted.set(no_arrest, None),
        cjtn=cases["cjtn"].set(no_cjtn, None),
        received_on=received,
        seen_at=_on_day(rng, received),
    )


def _decisions(rng: np.random.Generator, cases: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """First decisions, and those that follow: columns case, decision, decided_on, decline_reason,
    abeyance_until."""
    size = cases.height
    diverted = cases["diverted"].to_numpy()
    waiting = ~diverted & (rng.random(size) < 0.2)
    plain = pick(rng, _DECIDED, size)
    first = np.select([diverted, waiting], ["HELD_IN_ABEYANCE", "PENDING_REVIEW"], plain)
    first_on = _days(rng, cases["received_on"], np.where(waiting, 0, rng.poisson(2, size)))
    held_until = _days(rng, cases["arrested_at"].dt.date(), np.full(size, WINDOW_DAYS))
    completed = (cases["course"] == "COMPLETED").fill_null(value=False).to_numpy()
    ends = pick(rng, {"DIVERTED_LEAD": 0.57, "LEAD_DIVERTED": 0.36, "FILED": 0.03, "": 0.04}, size)
    lapses = pick(rng, {"FILED": 0.6, "INTERESTS_OF_JUSTICE": 0.1, "": 0.3}, size)
    second = np.select([diverted & completed, diverted, waiting], [ends, lapses, plain], "")
    done_on = _days(rng, cases["outcome_on"], 3 + rng.integers(0, 20, size))
    late_on = _days(rng, held_until, 3 + rng.integers(0, 8, size))
    later_on = _days(rng, first_on, 3 + rng.integers(0, 30, size))
    filed_late = diverted & (~completed | (second == "FILED"))
    second_on = later_on.zip_with(pl.Series(~diverted), done_on.zip_with(pl.Series(~filed_late), late_on))
    next_on = _days(rng, first_on, np.ones(size, dtype=int))
    second_on = pl.select(pl.max_horizontal(second_on, next_on)).to_series()
    return (
        _as_decisions(rng, first, first_on).with_columns(
            abeyance_until=pl.when(pl.Series(diverted)).then(held_until)
        ),
        _as_decisions(rng, second, second_on).filter(pl.col("decision") != ""),
    )


def _as_decisions(rng: np.random.Generator, names: np.ndarray, days: pl.Series) -> pl.DataFrame:
    """Reasons stand for the decision DECLINED where the story gives them."""
    reasons = {"LEAD_DIVERTED", *_DECLINED}
    is_reason = np.isin(names, list(reasons - {"OTHER"}))
    plainly = names == "DECLINED"
    reason = np.where(is_reason, names, np.where(plainly, pick(rng, _DECLINED, len(names)), None))
    return pl.DataFrame(
        {
            "case": np.arange(len(names)),
            "decision": pl.Series(np.where(is_reason, "DECLINED", names).tolist(), dtype=pl.String),
            "decided_on": days,
            "decline_reason": pl.Series(reason.tolist(), dtype=pl.String),
            "seen_at": _on_day(rng, days),
        }
    )


def _filed(
    rng: np.random.Generator, cases: pl.DataFrame, first: pl.DataFrame, second: pl.DataFrame
) -> pl.DataFrame:
    """`filed_on`, `filed_at` and the docket number that filing brings."""
    filings = pl.concat([first, second], how="diagonal").filter(decision="FILED")
    filings = filings.group_by("case").agg(
        filed_on=pl.col("decided_on").min(), filed_at=pl.col("seen_at").min()
    )
    numbers = labels("CR-", growing_numbers(rng, cases.height, 100), 6)
    return cases.join(filings, on="case", how="left", maintain_order="left").with_columns(
        docket_no=pl.when(pl.col("filed_on").is_not_null()).then(
            numbers + pl.lit("-") + pl.col("filed_on").dt.strftime("%y")
        )
    )


def _charges(rng: np.random.Generator, cases: pl.DataFrame, police: Police) -> pl.DataFrame:
    """Those of the arrest, a few amended; one for cases from elsewhere."""
    ours = cases.join(
        police.charges.select("arrest", "charge_seq", "law_code", "law_category"), on="arrest", how="inner"
    )
    others = cases.filter(pl.col("arrest").is_null())
    law = pick_from(rng, range(LAW.height), LAW["weight"].to_numpy(), others.height).astype(int)
    others = others.hstack(LAW.select("law_code", "law_category")[law]).with_columns(
        charge_seq=pl.lit(1, pl.Int64)
    )
    columns = ("case", "charge_seq", "law_code", "law_category", "filed_on", "filed_at", "seen_at")
    both = pl.concat([ours.select(columns), others.select(columns)], how="vertical_relaxed")
    both = both.sort("case", "charge_seq")
    amended = pl.Series(rng.random(both.height) < 0.04) & (both["law_code"] == "PL 220.16")
    return both.with_columns(
        law_code=pl.when(amended).then(pl.lit("PL 220.03")).otherwise("law_code"),
        law_category=pl.when(amended).then(pl.lit("M")).otherwise("law_category"),
    )


def _severity(charges: pl.DataFrame) -> pl.DataFrame:
    rank = pl.col("law_category").replace_strict({"F": 3, "M": 2, "V": 1, "I": 1}).max()
    names = {3: "FELONY", 2: "MISDEMEANOR", 1: "VIOLATION"}
    return charges.group_by("case").agg(case_type=rank.replace_strict(names))


def _defendants(
    rng: np.random.Generator, people: pl.DataFrame, cases: pl.DataFrame, start: datetime
) -> pl.DataFrame:
    seen = cases.group_by("person").agg(pl.col("seen_at").min()).sort("person")
    rows = people[seen["person"]]
    recorded, clean = noise.recorded(rows, CLERK, rng), noise.clean(rows, CLERK)
    recorded, clean = _suffixed(recorded), _suffixed(clean)
    columns = [c for c in COLUMNS["defendants"] if c in recorded.columns]
    recorded, clean = recorded.select(columns), clean.select(columns)
    after, corrected_at = changes.corrected(recorded, clean, rng, seen["seen_at"], start)
    ids = labels("DEF", shuffled_numbers(rng, len(rows), 200_000), 7)
    return seen.hstack(recorded).with_columns(
        defendant_id=canary_ids(ids, rows["canary"], "DEF"),
        updated_at=seen["seen_at"],
        corrected_at=corrected_at,
        **{f"after_{c}": after[c] for c in after.columns},
    )


def _suffixed(records: pl.DataFrame) -> pl.DataFrame:
    """There is no field for Jr and Sr: clerks write it after the surname."""
    return records.with_columns(
        last_name=pl.when(pl.col("suffix").is_null())
        .then("last_name")
        .otherwise(pl.col("last_name") + pl.lit(" ") + pl.col("suffix"))
    )


def _dispositions(rng: np.random.Generator, cases: pl.DataFrame) -> pl.DataFrame:
    filed = cases.filter(pl.col("filed_on").is_not_null() & pl.Series(rng.random(cases.height) < 0.9))
    size = filed.height
    days = _days(rng, filed["filed_on"], 14 + rng.gamma(2, 50, size).astype(int))
    how = pl.Series(pick(rng, _DISPOSED, size).tolist(), dtype=pl.String)
    seal = how.replace_strict(_SEALS, default=None, return_dtype=pl.String)
    seal = seal.set(pl.Series(rng.random(size) < 0.25), None)
    return pl.DataFrame(
        {
            "case": filed["case"],
            "disposition": how,
            "disposed_on": days,
            "sealed_under": seal,
            "seen_at": _on_day(rng, days),
        }
    )


def _seal_orders(rng: np.random.Generator, disposed: pl.DataFrame, cases: pl.DataFrame) -> pl.DataFrame:
    """Of cases that call for a seal and have none by their disposition, half are ordered sealed later."""
    open_ = disposed.filter(pl.col("disposition").is_in(list(_SEALS)) & pl.col("sealed_under").is_null())
    chosen = open_.filter(pl.Series(rng.random(open_.height) < 0.5)).join(
        cases.select("case", "arrest_no", "cjtn"), on="case", maintain_order="left"
    )
    days = _days(rng, chosen["disposed_on"], 5 + rng.integers(0, 30, chosen.height))
    scope = pl.Series(
        pick(rng, {"CASE": 80, "ARREST": 12, "CHARGE": 8}, chosen.height).tolist(), dtype=pl.String
    )
    by_arrest = (scope == "ARREST") & (chosen["arrest_no"].is_not_null() | chosen["cjtn"].is_not_null())
    on_arrest = pl.when(by_arrest)
    return chosen.with_columns(
        scope=pl.when(by_arrest | (scope == "CHARGE")).then(scope).otherwise(pl.lit("CASE")),
        seal_type=pl.col("disposition").replace_strict(_SEALS),
        effective_on=days,
        da_case_no=on_arrest.then(None).otherwise("da_case_no"),
        charge_seq=pl.when(scope == "CHARGE").then(pl.lit(1, pl.Int64)),
        arrest_no=on_arrest.then("arrest_no"),
        cjtn=on_arrest.then("cjtn"),
        vacated_on=pl.lit(None, pl.Date),
        order_id=labels("SO", growing_numbers(rng, chosen.height, 500), 6),
        seen_at=_on_day(rng, days),
    ).with_columns(updated_at="seen_at")


def _numbered(
    rng: np.random.Generator, rows: pl.DataFrame, cases: pl.DataFrame, column: str, prefix: str, first: int
) -> pl.DataFrame:
    rows = rows.sort("seen_at", "case").join(cases, on="case", maintain_order="left")
    ids = labels(prefix, growing_numbers(rng, rows.height, first), 7)
    return rows.with_columns(ids.alias(column), updated_at="seen_at")


def view(da: Da, at: datetime) -> dict[str, pl.DataFrame]:
    """The resources at a moment: contract columns in contract order, and `person`."""
    filed = (pl.col("filed_at") < at).fill_null(value=False)
    later = at > da.start
    done = (pl.col("corrected_at") < at).fill_null(value=False)
    names = [c.removeprefix("after_") for c in da.defendants.columns if c.startswith("after_")]
    shown = {
        "defendants": da.defendants.with_columns(
            *(pl.when(done).then(f"after_{c}").otherwise(c).alias(c) for c in names),
            updated_at=pl.when(done).then("corrected_at").otherwise("updated_at"),
        ),
        "cases": da.cases.with_columns(
            docket_no=pl.when(filed).then("docket_no"),
            updated_at=pl.when(filed).then("filed_at").otherwise("seen_at"),
        ),
        "charges": da.charges.with_columns(
            filed_on=pl.when(filed).then("filed_on"),
            updated_at=pl.when(filed).then("filed_at").otherwise("seen_at"),
        ),
        "decisions": da.decisions,
        "dispositions": da.dispositions,
        "seal_orders": da.seal_orders,
    }
    out = {}
    for table, columns in COLUMNS.items():
        frame = shown[table].filter(pl.col("seen_at") < at)
        if later and "gone" in frame.columns:
            frame = frame.filter(~pl.col("gone"))
        out[table] = frame.select(*columns, "person")
    return out

"""The police records system: master-name records, arrests, charges, LEAD referrals.

A person may stand here twice: some master-name records are duplicates that nobody has merged yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from simulation import noise
from simulation.agencies import changes
from simulation.agencies.law import LAW
from simulation.agencies.police_form import COLUMNS
from simulation.agencies.story import WINDOW_DAYS, Story, midnight
from simulation.chance import canary_ids, growing_numbers, labels, pick, pick_from, shuffled_numbers, stream

CLERK = noise.Clerk(capitals=True, plain_letters=True, phone_form="518-555-0000")
_DUPLICATES = 0.05  # of people with an arrest or a referral
_ORIS = {"NY0010100": 60, "NY0010000": 14, "NY0010200": 9, "NY0010300": 8, "NY0010500": 9}
_RACE_SOURCES = {"OFFICER_PERCEIVED": 78, "SELF": 14, "RECORD": 8}


@dataclass(frozen=True)
class Police:
    """All that the system ever holds, under contract names, with `person` (row of the population) and
    `seen_at`; what changes on the day after the first night has columns `after_*` and `gone`."""

    persons: pl.DataFrame
    arrests: pl.DataFrame
    charges: pl.DataFrame
    referrals: pl.DataFrame
    start: datetime


def make(people: pl.DataFrame, story: Story, seed: int) -> Police:
    rng = stream(seed, "police")
    start = midnight(story.night)
    records, record_of = _records(rng, people, story, start)
    arrests = _arrests(rng, story, start).with_columns(record=record_of["arrests"])
    charges = _charges(rng, arrests)
    numbers = arrests.select("arrest", "arrest_no")
    referrals = _referrals(rng, story, start).with_columns(record=record_of["referrals"])
    referrals = referrals.join(numbers, on="arrest", how="left", maintain_order="left")
    merged = _merged(rng, records, start)
    records = records.with_columns(gone=pl.col("record").is_in(merged["record"].implode()))
    arrests, referrals = (_pointed(frame, records, merged, start) for frame in (arrests, referrals))
    return Police(records, arrests, charges, referrals, start)


def _records(
    rng: np.random.Generator, people: pl.DataFrame, story: Story, start: datetime
) -> tuple[pl.DataFrame, dict[str, pl.Series]]:
    """Master-name records, and of each arrest and referral the record that it hangs on."""
    known = story.known["person"].to_numpy()
    active = pl.concat([story.arrests["person"], story.referrals["person"]]).unique().sort().to_numpy()
    ordinary = active[~people["canary"].to_numpy()[active]]
    doubled = changes.some(rng, ordinary, _DUPLICATES, 2)
    person = np.concatenate([known, doubled])
    second = np.full(people.height, -1)
    second[doubled] = len(known) + np.arange(len(doubled))
    first = np.full(people.height, -1)
    first[known] = np.arange(len(known))
    record_of = {}
    for name, frame in (("arrests", story.arrests), ("referrals", story.referrals)):
        who = frame["person"].to_numpy()
        to_second = (second[who] >= 0) & (rng.random(len(who)) < 0.5)
        record_of[name] = pl.Series(np.where(to_second, second[who], first[who]))
    events = pl.concat(
        frame.select(pl.lit(record_of[name]).alias("record"), "entered_at", "seen_at")
        for name, frame in (
            ("arrests", story.arrests),
            ("referrals", story.referrals.with_columns(seen_at="entered_at")),
        )
    )
    earliest = events.group_by("record").min()
    rows = people[person]
    recorded, clean = noise.recorded(rows, CLERK, rng), noise.clean(rows, CLERK)
    times = (
        pl.DataFrame({"record": np.arange(len(person)), "person": person})
        .join(story.known, on="person", how="left", maintain_order="left")
        .join(earliest, on="record", how="left", maintain_order="left")
        .with_columns(
            updated_at=pl.min_horizontal("since", "entered_at"),
            seen_at=pl.min_horizontal("since", "seen_at"),
        )
    )
    after, corrected_at = changes.corrected(recorded, clean, rng, times["seen_at"], start)
    size = len(person)
    numbers = labels("MNI", shuffled_numbers(rng, size, 1_000_000), 7)
    perceived = pick(rng, _RACE_SOURCES, size)
    unknown = (rng.random(size) < 0.04) & ~rows["canary"].to_numpy()
    frame = times.select("record", "person", "seen_at", "updated_at").hstack(recorded)
    frame = frame.with_columns(
        person_no=canary_ids(numbers, rows["canary"], "MNI"),
        race_ethnicity=rows["race_ethnicity"].set(pl.Series(unknown), "UNKNOWN"),
        race_source=pl.Series(perceived.tolist()),
        corrected_at=corrected_at,
        **{f"after_{c}": after[c] for c in after.columns},
    )
    return frame, record_of


def _years(moments: pl.Series) -> pl.Series:
    return moments.dt.strftime("%y")


def _arrests(rng: np.random.Generator, story: Story, start: datetime) -> pl.DataFrame:
    frame, size = story.arrests, story.arrests.height
    numbers = labels("", growing_numbers(rng, size, 10_000), 6)
    cjtn = labels("", 60_000_000 + 11 * growing_numbers(rng, size, 100_000), 8)
    letters = pl.Series(pick_from(rng, list("HJKLMNPQRYZ"), [1] * 11, size).tolist())
    summoned = rng.random(size) < 0.2
    in_custody = np.where(rng.random(size) < 0.25, "TAKEN_INTO_CUSTODY", "ON_VIEW_ARREST")
    kinds = np.where(summoned, "SUMMONED_CITED", in_custody)
    removable = (
        ~frame["diverted"] & ~frame["divertible"] & (frame["arrested_at"] < start - timedelta(days=60))
    )
    expunged = changes.some(rng, removable.arg_true().to_numpy(), 0.0005, 2)
    return frame.select(
        "arrest",
        "person",
        "arrested_at",
        "diverted",
        "divertible",
        "seen_at",
        pl.col("entered_at").alias("updated_at"),
        arrest_no=pl.lit("A") + _years(frame["arrested_at"]) + pl.lit("-") + numbers,
        cjtn=pl.when(pl.Series(summoned & (rng.random(size) < 0.5))).then(None).otherwise(cjtn + letters),
        arrest_type=pl.Series(kinds.tolist()),
        arrest_ori=pl.Series(pick(rng, _ORIS, size).tolist()),
        charges_held_until=pl.when("diverted").then(
            pl.col("arrested_at").dt.date() + pl.duration(days=WINDOW_DAYS)
        ),
        gone=pl.Series(np.isin(np.arange(size), expunged)),
    )


def _charges(rng: np.random.Generator, arrests: pl.DataFrame) -> pl.DataFrame:
    """One to four charges; those of a diverted arrest may all be diverted."""
    each = 1 + rng.binomial(3, 0.12, arrests.height)
    rows = np.repeat(np.arange(arrests.height), each)
    sequence = np.arange(len(rows)) - np.repeat(np.cumsum(each) - each, each) + 1
    mild = (arrests["diverted"] | arrests["divertible"]).to_numpy()[rows]
    weights = LAW["weight"].to_numpy()
    law = np.where(
        mild,
        pick_from(rng, range(LAW.height), weights * LAW["divertible"].to_numpy(), len(rows)),
        pick_from(rng, range(LAW.height), weights, len(rows)),
    ).astype(int)
    of_arrest = arrests.select("arrest", "person", "arrest_no", "seen_at", "updated_at", "gone")[rows]
    return of_arrest.hstack(LAW.drop("weight", "divertible")[law]).with_columns(
        charge_seq=pl.Series(sequence),
        counts=pl.Series(1 + (rng.random(len(rows)) < 0.06)),
        charge_class=pl.when(pl.col("law_category") != "V").then("charge_class"),
    )


def _referrals(rng: np.random.Generator, story: Story, start: datetime) -> pl.DataFrame:
    frame, size = story.referrals, story.referrals.height
    numbers = labels("", growing_numbers(rng, size, 300), 5)
    removable = (
        (frame["referral_door"] == "SOCIAL_CONTACT")
        & ~frame["accepted"].fill_null(value=False)
        & (frame["entered_at"] < start)
    )
    withdrawn = changes.some(rng, removable.arg_true().to_numpy(), 0.0, 1)
    return frame.select(
        "referral",
        "person",
        "referral_door",
        "contact_at",
        "offered",
        "not_offered_reason",
        "accepted",
        "arrest",
        pl.col("entered_at").alias("seen_at"),
        pl.col("entered_at").alias("updated_at"),
        referral_no=pl.lit("LR") + _years(frame["contact_at"]) + pl.lit("-") + numbers,
        officer_no=labels("B", rng.integers(101, 420, size), 4),
        gone=pl.Series(np.isin(np.arange(size), withdrawn)),
    )


def _merged(rng: np.random.Generator, records: pl.DataFrame, start: datetime) -> pl.DataFrame:
    """Duplicates that are merged on the day after the first night: `record` goes, `into` stays."""
    seen = records.filter(pl.col("seen_at") < start)
    pairs = seen.group_by("person").agg(record=pl.col("record").max(), into=pl.col("record").min())
    pairs = pairs.filter(pl.col("record") != pl.col("into")).sort("record")
    return pairs[changes.some(rng, np.arange(pairs.height), 0.02, 1)].select("record", "into")


def _pointed(
    frame: pl.DataFrame, records: pl.DataFrame, merged: pl.DataFrame, start: datetime
) -> pl.DataFrame:
    """`person_no`, and `after_person_no` where a merger moves the row."""
    numbers = records.select("record", "person_no")
    into = merged.join(numbers, left_on="into", right_on="record").select(
        "record", pl.col("person_no").alias("after_person_no")
    )
    out = frame.join(numbers, on="record", how="left", maintain_order="left")
    out = out.join(into, on="record", how="left", maintain_order="left")
    moved = pl.col("after_person_no").is_not_null() & (pl.col("seen_at") < start)
    return out.with_columns(corrected_at=pl.when(moved).then(pl.lit(start + timedelta(hours=15))))


def view(police: Police, at: datetime) -> dict[str, pl.DataFrame]:
    """The tables at a moment: contract columns in contract order, and `person`."""
    out = {}
    for table, columns in COLUMNS.items():
        frame = getattr(police, table).filter(pl.col("seen_at") < at)
        if at > police.start:
            frame = _a_day_later(frame, at)
        out[table] = frame.select(*columns, "person")
    return out


def _a_day_later(frame: pl.DataFrame, at: datetime) -> pl.DataFrame:
    frame = frame.filter(~pl.col("gone"))
    if "corrected_at" not in frame.columns:
        return frame
    done = (pl.col("corrected_at") < at).fill_null(value=False)
    replaced = [c.removeprefix("after_") for c in frame.columns if c.startswith("after_")]
    # a row that came on that very day has been written rightly from the start
    moved = pl.col("after_person_no").is_not_null() if "after_person_no" in frame.columns else done
    return frame.with_columns(
        pl.when(done | moved).then(f"after_{c}").otherwise(c).alias(c) for c in replaced
    ).with_columns(updated_at=pl.when(done).then("corrected_at").otherwise("updated_at"))

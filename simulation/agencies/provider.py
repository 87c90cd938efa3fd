"""A provider's client system: clients (each once), consents, intakes, episodes.

Clients come from LEAD referrals, from the other provider, or walk in. Whatever is dated before the day
of a night stands in that night's export.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import numpy as np
import polars as pl

from simulation import noise
from simulation.agencies import changes
from simulation.agencies.consents import TABLE as CONSENT_COLUMNS
from simulation.agencies.consents import consents
from simulation.agencies.da import Da
from simulation.agencies.police import Police
from simulation.agencies.story import Story, midnight, ordinary_moments
from simulation.chance import canary_ids, growing_numbers, labels, pick, shuffled_numbers, stream

COLUMNS = {
    "clients": (
        "client_id",
        "last_name",
        "first_name",
        "middle_name",
        "date_of_birth",
        "sex",
        "ssn4",
        "phone",
        "address_line",
        "city",
        "zip",
        "part2_program",
    ),
    "consents": CONSENT_COLUMNS,
    "intakes": ("intake_id", "client_id", "referral_no", "first_contact_on", "outcome", "outcome_on"),
    "episodes": (
        "episode_id",
        "client_id",
        "referral_no",
        "service_type",
        "enrolled_on",
        "exited_on",
        "exit_reason",
    ),
}
_EXITS = {
    "GOALS_MET": 28,
    "WITHDREW": 20,
    "LOST_CONTACT": 26,
    "MOVED": 8,
    "TRANSFERRED": 7,
    "INCARCERATED_LONG": 5,
    "PROGRAMME_TERMINATED": 4,
    "DECEASED": 1,
    "OTHER": 1,
}


@dataclass(frozen=True)
class House:
    """What is particular to one provider. `walk_ins` is a share of the county's people."""

    name: str
    agency: str
    prefix: str
    clerk: noise.Clerk
    walk_ins: float
    part2: float
    services: dict[str, float] = field(default_factory=dict)


HARBOR = House(
    name="harbor",
    agency="harbor_case_management",
    prefix="HC",
    clerk=noise.Clerk(nickname=0.09, middle_missing=0.55, ssn4_missing=0.3, birth_missing=0.01),
    walk_ins=0.05,
    part2=0.4,
    services={"CASE_MANAGEMENT": 1},
)
RIVERSIDE = House(
    name="riverside",
    agency="riverside_treatment",
    prefix="RT",
    clerk=noise.Clerk(phone_form="5185550000", middle_missing=0.6, ssn4_missing=0.15, typo_last=0.012),
    walk_ins=0.05,
    part2=1.0,
    services={
        "OUTPATIENT": 48,
        "OUTPATIENT_INTENSIVE": 20,
        "RESIDENTIAL_SHORT": 10,
        "RESIDENTIAL_LONG": 6,
        "DETOX_RESIDENTIAL": 8,
        "DETOX_AMBULATORY": 4,
        "REHAB_HOSPITAL": 2,
        "DETOX_HOSPITAL": 2,
    },
)


@dataclass(frozen=True)
class Provider:
    """All that the system ever holds, with `seen_on` (the first day of an entry) and `gone` (taken out a
    day after the first night)."""

    house: House
    clients: pl.DataFrame
    consents: pl.DataFrame
    intakes: pl.DataFrame
    episodes: pl.DataFrame
    night: date


def make(people: pl.DataFrame, story: Story, police: Police, da: Da, house: House, seed: int) -> Provider:
    rng = stream(seed, house.name)
    referrals = _referrals(story, police).filter(provider=house.name)
    clients, corrected = _clients(rng, people, story, referrals, house)
    ids = clients.select("person", "client_id", gone_client="gone")
    walks = clients.filter("walk_in")
    intakes = _intakes(rng, referrals, walks, house).join(ids, on="person", maintain_order="left")
    episodes = _episodes(rng, referrals, walks, house).join(ids, on="person", maintain_order="left")
    signed = consents(rng, referrals, walks, da, house.agency, story.canaries)
    signed = signed.join(ids, on="person", maintain_order="left").with_columns(gone="gone_client")
    plain = intakes["referral_no"].is_null() & (intakes["seen_on"] < story.night)
    error = changes.some(rng, plain.arg_true().to_numpy(), 0.0, 1)
    intakes = intakes.with_columns(
        gone=pl.col("gone_client") | pl.int_range(pl.len()).is_in(error.tolist())
    )
    episodes = episodes.with_columns(gone="gone_client")
    return Provider(house, clients.hstack(corrected), signed, intakes, episodes, story.night)


def _referrals(story: Story, police: Police) -> pl.DataFrame:
    """Accepted referrals of which a provider heard, with their number."""
    numbers = police.referrals.select("referral", "referral_no")
    heard = pl.col("accepted").fill_null(value=False) & (pl.col("course") != "NONE")
    return story.referrals.filter(heard).join(numbers, on="referral", how="left", maintain_order="left")


def _clients(
    rng: np.random.Generator, people: pl.DataFrame, story: Story, referrals: pl.DataFrame, house: House
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Clients, and what corrections make of them."""
    canary = people["canary"].to_numpy()
    referred = np.zeros(people.height, dtype=bool)
    referred[referrals["person"].to_numpy()] = True
    other = np.zeros(people.height, dtype=bool)
    elsewhere = story.referrals.filter(pl.col("provider") != house.name)["person"].to_numpy()
    other[elsewhere] = rng.random(len(elsewhere)) < 0.2
    walks = (rng.random(people.height) < house.walk_ins) | other | canary
    person = np.flatnonzero(referred | walks)
    walk_in = walks[person] & ~referred[person]
    came = ordinary_moments(rng, len(person), story.night).dt.date()
    came = came.set(pl.Series(canary[person]), story.night - timedelta(days=200))
    first = referrals.group_by("person").agg(referred_on=pl.col("contact_on").min())
    frame = pl.DataFrame({"person": person, "walk_in": walk_in, "came": came})
    frame = frame.join(first, on="person", how="left", maintain_order="left")
    rows = people[person]
    recorded, clean = noise.recorded(rows, house.clerk, rng), noise.clean(rows, house.clerk)
    columns = [c for c in COLUMNS["clients"] if c in recorded.columns]
    recorded, clean = recorded.select(columns), clean.select(columns)
    seen_on = pl.select(pl.coalesce(frame["referred_on"], frame["came"]).alias("seen_on")).to_series()
    seen = seen_on.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    after, corrected_at = changes.corrected(recorded, clean, rng, seen, midnight(story.night))
    removable = pl.Series(walk_in & ~canary[person]) & (seen_on < story.night) & corrected_at.is_null()
    gone = changes.some(rng, removable.arg_true().to_numpy(), 0.0, 1)
    ids = labels(house.prefix, shuffled_numbers(rng, len(person), 20_000), 6)
    frame = frame.select("person", "walk_in", seen_on).hstack(recorded)
    frame = frame.with_columns(
        client_id=canary_ids(ids, rows["canary"], house.prefix),
        part2_program=pl.Series(rng.random(len(person)) < house.part2),
        gone=pl.int_range(pl.len()).is_in(gone.tolist()),
    )
    return frame, after.select(pl.all().name.prefix("after_")).with_columns(corrected_at=corrected_at)


def _plus(days: pl.Series, more: np.ndarray) -> pl.Series:
    return pl.select(days + pl.duration(days=pl.Series(more))).to_series()


def _intakes(
    rng: np.random.Generator, referrals: pl.DataFrame, walks: pl.DataFrame, house: House
) -> pl.DataFrame:
    """Of referrals, by their course; of two thirds of the walk-ins, completed within days."""
    size = referrals.height
    not_met = np.isin(referrals["course"].to_numpy(), ["UNABLE_TO_LOCATE", "WINDOW_LAPSED"])
    not_met &= rng.random(size) < 0.6
    unquoted = pl.Series(rng.random(size) < 0.04)
    ours = referrals.select(
        "person",
        "course",
        "outcome_on",
        seen_on="contact_on",
        referral_no=referrals["referral_no"].set(unquoted & (referrals["signed_on"].is_null()), None),
        first_contact_on=referrals["contact_on"].set(pl.Series(not_met), None),
    )
    asked = walks.filter(pl.Series(rng.random(walks.height) < 0.66))
    own = asked.select(
        "person",
        "seen_on",
        course=pl.lit("COMPLETED"),
        outcome_on=_plus(asked["seen_on"], rng.integers(0, 8, asked.height)),
        first_contact_on="seen_on",
    )
    both = pl.concat([ours, own], how="diagonal_relaxed").sort("seen_on", "person")
    return both.with_columns(
        intake_id=labels(f"{house.prefix}I", growing_numbers(rng, both.height, 5_000), 6)
    )


def _episodes(
    rng: np.random.Generator, referrals: pl.DataFrame, walks: pl.DataFrame, house: House
) -> pl.DataFrame:
    """Enrolments that follow completed intakes, and one for each walk-in."""
    ours = referrals.filter(pl.col("enrolled_on").is_not_null()).select(
        "person", "referral_no", "enrolled_on", "exited_on"
    )
    enrolled = _plus(walks["seen_on"], rng.integers(0, 10, walks.height))
    stays = 5 + rng.exponential(140, walks.height).astype(int)
    ended = _plus(enrolled, stays).set(pl.Series(rng.random(walks.height) < 0.35), None)
    own = pl.DataFrame({"person": walks["person"], "enrolled_on": enrolled, "exited_on": ended})
    both = pl.concat([ours, own], how="diagonal_relaxed").sort("enrolled_on", "person")
    size = both.height
    return both.with_columns(
        seen_on="enrolled_on",
        episode_id=labels(f"{house.prefix}E", growing_numbers(rng, size, 3_000), 6),
        service_type=pl.Series(pick(rng, house.services, size).tolist(), dtype=pl.String),
        reason=pl.Series(pick(rng, _EXITS, size).tolist(), dtype=pl.String),
    )


def view(provider: Provider, at: datetime) -> dict[str, pl.DataFrame]:
    """The tables at a moment: contract columns in contract order, and `person`."""
    day = at.date()
    done = (pl.col("corrected_at") < at).fill_null(value=False)
    names = [c.removeprefix("after_") for c in provider.clients.columns if c.startswith("after_")]
    came = pl.col("outcome_on") < day
    left = (pl.col("exited_on") < day).fill_null(value=False)
    shown = {
        "clients": provider.clients.with_columns(
            pl.when(done).then(f"after_{c}").otherwise(c).alias(c) for c in names
        ),
        "consents": provider.consents.with_columns(
            pl.when(pl.col("revoked_at") < at).then(c).alias(c)
            for c in ("revoked_at", "revocation_channel")
        ),
        "intakes": provider.intakes.with_columns(
            outcome=pl.when(came).then("course").otherwise(pl.lit("SCHEDULED")),
            outcome_on=pl.when(came).then("outcome_on").otherwise("seen_on"),
        ),
        "episodes": provider.episodes.with_columns(
            exited_on=pl.when(left).then("exited_on"), exit_reason=pl.when(left).then("reason")
        ),
    }
    out = {}
    for table, columns in COLUMNS.items():
        frame = shown[table].filter(pl.col("seen_on") < day)
        if day > provider.night:
            frame = frame.filter(~pl.col("gone"))
        out[table] = frame.select(*columns, "person")
    return out

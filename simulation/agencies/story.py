"""What really happened in the county: arrests, LEAD referrals, and what became of those who accepted.

Everything is drawn once, for two years and the first day after `night`; agencies then show what they
knew at a moment. A person is a row number of the population. Times are UTC, seconds matter to nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import numpy as np
import polars as pl

from simulation.chance import pick, stream

#: days after referral within which the programme expects an intake, and for which charges are held
WINDOW_DAYS = 30
HISTORY_DAYS = 730
Timestamp = pl.Datetime("us", "UTC")

_DOORS = {"ARREST_DIVERSION": 0.60, "SOCIAL_CONTACT": 0.28, "COMMUNITY": 0.12}
_NOT_OFFERED = {
    "OFFICER_DISCRETION_NOT_OFFERED": 26,
    "COMPLAINANT_OBJECTS": 20,
    "DISQUALIFYING_HISTORY": 14,
    "CHARGE_NOT_DIVERTIBLE": 12,
    "NOT_AMENABLE": 8,
    "NO_CASE_MANAGER_AVAILABLE": 7,
    "TREATMENT_COURT_PENDING": 4,
    "VIOLENT_OFFENCE": 3,
    "OUT_OF_AREA": 3,
    "AMOUNT_OVER_LIMIT": 2,
    "OTHER": 1,
}
#: what becomes of an accepted referral at the provider; NONE: the provider never heard of it
_COURSES = {
    "COMPLETED": 0.66,
    "WINDOW_LAPSED": 0.12,
    "NO_SHOW": 0.06,
    "REFUSED": 0.04,
    "UNABLE_TO_LOCATE": 0.06,
    "NONE": 0.06,
}
#: what a client of LEAD signs: the release of information alone, or Part 2 consents as well
_CONSENTS = {"none": 0.12, "roi": 0.18, "part2": 0.46, "part2_police": 0.24}


@dataclass(frozen=True)
class Story:
    """`night` is the first night. Frames have a column `person` (row of the population).

    canaries: the rows of those people.
    known: people whom the police know, `since`.
    arrests: by time: `arrest` (row), `arrested_at`, `entered_at` (what its clock says), `seen_at` (when
    others can read it), `diverted`, `divertible` (all its charges may be diverted).
    referrals: by time: `referral` (row), `referral_door`, `contact_at`, `entered_at`, `offered`,
    `not_offered_reason`, `accepted`, `arrest`, and for accepted ones `provider`, `course`, `contact_on`,
    `outcome_on`, `enrolled_on`, `exited_on`, `consent`, `signed_on`, `revoked_on`.
    """

    night: date
    canaries: list[int]
    known: pl.DataFrame
    arrests: pl.DataFrame
    referrals: pl.DataFrame


def midnight(day: date) -> datetime:
    """The moment at which a night begins: whatever is older belongs to it."""
    return datetime.combine(day, time(), UTC)


def make(people: pl.DataFrame, seed: int, night: date) -> Story:
    rng = stream(seed, "story")
    canaries = np.flatnonzero(people["canary"].to_numpy())
    ordinary = ~people["canary"].to_numpy()
    known = (rng.random(people.height) < 0.45) | ~ordinary
    referrals = pl.concat(
        [_referrals(rng, np.flatnonzero(known & ordinary), night), _canary_referrals(canaries, night)],
        how="diagonal_relaxed",
    ).sort("contact_at", "person")
    referrals = _with_courses(stream(seed, "courses"), referrals, night).with_row_index("referral")
    arrests = _arrests(rng, np.flatnonzero(known & ordinary), canaries, referrals, night)
    by_referral = arrests.filter(pl.col("referral").is_not_null()).select("referral", "arrest")
    referrals = referrals.join(by_referral, on="referral", how="left").sort("referral")
    since = _moments(rng, int(known.sum()), night, today=0.004)
    return Story(
        night=night,
        canaries=canaries.tolist(),
        known=pl.DataFrame({"person": np.flatnonzero(known), "since": since}),
        arrests=arrests.drop("referral"),
        referrals=referrals,
    )


def _moments(
    rng: np.random.Generator, size: int, night: date, *, today: float, recent: float = 0.0
) -> pl.Series:
    """Moments of two years, `today` of them within the day after `night` begins, `recent` of them in the
    six weeks before."""
    ages = HISTORY_DAYS * rng.beta(1, 1.3, size)
    ages = np.where(rng.random(size) < recent, 42 * rng.random(size), ages)
    ages = np.where(rng.random(size) < today, -0.75 * rng.random(size), ages)
    seconds = (ages * 86_400).astype("timedelta64[s]")
    return _timestamps(np.datetime64(night, "s") - seconds)


def ordinary_moments(rng: np.random.Generator, size: int, night: date) -> pl.Series:
    """Moments of the same two years and a day, for what an agency knows on its own."""
    return _moments(rng, size, night, today=0.01)


def _timestamps(values: np.ndarray) -> pl.Series:
    return pl.Series(values.astype("datetime64[us]")).dt.replace_time_zone("UTC")


def _later(rng: np.random.Generator, moments: pl.Series, mean_hours: float) -> pl.Series:
    """When a clerk has entered what happened at `moments`."""
    lag = 600 + rng.exponential(mean_hours * 3600, len(moments)).clip(0, 10 * 86_400)
    return moments + pl.Series(lag.astype("timedelta64[s]").astype("timedelta64[us]"))


def _referrals(rng: np.random.Generator, known: np.ndarray, night: date) -> pl.DataFrame:
    referred = known[rng.random(len(known)) < 0.15]
    person = np.sort(np.concatenate([referred, referred[rng.random(len(referred)) < 0.1]]))
    size = len(person)
    offered = rng.random(size) < 0.8
    accepted = rng.random(size) < 0.85
    contact = _moments(rng, size, night, today=0.02, recent=0.22)
    return pl.DataFrame(
        {
            "person": person,
            "referral_door": pl.Series(pick(rng, _DOORS, size).tolist(), dtype=pl.String),
            "contact_at": contact,
            "entered_at": _later(rng, contact, 2),
            "offered": offered,
            "not_offered_reason": pl.Series(
                np.where(offered, None, pick(rng, _NOT_OFFERED, size)).tolist(), dtype=pl.String
            ),
            "accepted": pl.Series(np.where(offered, accepted, None).tolist(), dtype=pl.Boolean),
        }
    )


#: by canary: days before the night (0: on its day), provider, course, days to its outcome, consent,
#: days before the night of signature and of revocation
_CANARY_COURSES = (
    (60, "harbor", "COMPLETED", 8, "part2_police", 58, None),
    (50, "harbor", "COMPLETED", 12, "none", None, None),
    (45, "riverside", "COMPLETED", 9, "part2", 40, 0),
    (12, "harbor", "COMPLETED", 12, "part2", 0, None),
    (0, "riverside", "COMPLETED", 20, "none", None, None),
    (75, "harbor", "WINDOW_LAPSED", 30, "part2", 70, None),
)


def _canary_referrals(canaries: np.ndarray, night: date) -> pl.DataFrame:
    rows = []
    for person, (ago, provider, course, days, consent, signed, revoked) in zip(
        canaries.tolist(), _CANARY_COURSES
    ):
        happened = midnight(night) + timedelta(hours=11 - 24 * ago)
        day = happened.date()
        rows.append(
            {
                "person": person,
                "referral_door": "ARREST_DIVERSION",
                "contact_at": happened,
                "entered_at": happened + timedelta(hours=1),
                "offered": True,
                "not_offered_reason": None,
                "accepted": True,
                "provider": provider,
                "course": course,
                "contact_on": day,
                "outcome_on": day + timedelta(days=days),
                "enrolled_on": day + timedelta(days=days) if course == "COMPLETED" else None,
                "consent": consent,
                "signed_on": None if signed is None else night - timedelta(days=signed),
                "revoked_on": None if revoked is None else night - timedelta(days=revoked),
            }
        )
    return pl.DataFrame(
        rows,
        schema_overrides={
            "contact_at": Timestamp,
            "entered_at": Timestamp,
            "not_offered_reason": pl.String,
        },
    )


def _with_courses(rng: np.random.Generator, referrals: pl.DataFrame, night: date) -> pl.DataFrame:
    """What follows an accepted referral, where it is not given; dates stand in their natural order."""
    size = referrals.height
    course = pick(rng, _COURSES, size)
    completed = np.minimum(1 + rng.gamma(2.2, 5, size), WINDOW_DAYS).astype(int)
    early = (1 + rng.integers(0, 20, size)).astype(int)
    days = np.select([course == "COMPLETED", course == "WINDOW_LAPSED"], [completed, WINDOW_DAYS], early)
    stay = np.where(rng.random(size) < 0.45, rng.exponential(150, size) + 5, np.nan)
    contact_days = np.minimum(rng.poisson(1.2, size), days)
    enrol_days = days + rng.integers(0, 5, size)
    signs = np.select(
        [course == "COMPLETED", np.isin(course, ["WINDOW_LAPSED", "NO_SHOW"])], [0.97, 0.55], 0.15
    )
    signed_days = np.where(rng.random(size) < signs, contact_days + rng.integers(0, 2, size), -1)
    revoked_days = np.where(rng.random(size) < 0.1, signed_days + rng.integers(3, 250, size), -1)
    drawn = pl.DataFrame(
        {
            "provider_": pl.Series(pick(rng, {"harbor": 0.72, "riverside": 0.28}, size).tolist()),
            "course_": pl.Series(course.tolist()),
            "contact_days": contact_days,
            "outcome_days": days,
            "enrolled_days": np.where(course == "COMPLETED", enrol_days, -1),
            "exited_days": np.where(
                course == "COMPLETED", enrol_days + np.nan_to_num(stay, nan=-1e6), -1
            ).astype(int),
            "consent_": pl.Series(pick(rng, _CONSENTS, size).tolist()),
            "signed_days": signed_days,
            "revoked_days": np.where(signed_days < 0, -1, revoked_days),
        }
    )
    out = referrals.hstack(drawn)
    day = pl.col("contact_at").dt.date()
    given = pl.col("course").is_not_null()
    out = out.with_columns(
        pl.coalesce("provider", "provider_").alias("provider"),
        pl.coalesce("consent", "consent_").alias("consent"),
        exited_on=pl.when(~given & (pl.col("exited_days") >= 0)).then(
            day + pl.duration(days=pl.col("exited_days"))
        ),
        **{
            f"{name}_on": pl.when(given)
            .then(pl.col(f"{name}_on"))
            .otherwise(
                pl.when(pl.col(f"{name}_days") >= 0).then(day + pl.duration(days=pl.col(f"{name}_days")))
            )
            for name in ("contact", "outcome", "enrolled", "signed", "revoked")
        },
    )
    out = out.with_columns(course=pl.coalesce("course", "course_"))
    details = ["provider", "course", "consent", *(f"{n}_on" for n in ("contact", "outcome", "enrolled"))]
    details += ["exited_on", "signed_on", "revoked_on"]
    follows = pl.col("accepted").fill_null(value=False)
    return out.with_columns(pl.when(follows).then(pl.col(c)) for c in details).select(
        *referrals.columns[:7], *details
    )


def _arrests(
    rng: np.random.Generator, known: np.ndarray, canaries: np.ndarray, referrals: pl.DataFrame, night: date
) -> pl.DataFrame:
    arrestees = known[rng.random(len(known)) < 0.62]
    counts = 1 + rng.poisson(0.35, len(arrestees))
    # canaries have an older arrest each, and the first one a later one: an event of the justice system
    start = midnight(night)
    others = [start - timedelta(days=300 + 7 * i, hours=5) for i in range(len(canaries))]
    person = np.concatenate([np.repeat(arrestees, counts), canaries, canaries[:1]])
    arrested = pl.concat(
        [
            _moments(rng, int(counts.sum()), night, today=0.015),
            pl.Series([*others, start - timedelta(days=20, hours=3)], dtype=Timestamp),
        ]
    )
    plain = pl.DataFrame(
        {"person": person, "arrested_at": arrested, "entered_at": _later(rng, arrested, 4)}
    )
    plain = _around_midnight(plain, night).with_columns(
        diverted=pl.lit(value=False),
        divertible=pl.Series(rng.random(plain.height) < 0.3),
        referral=pl.lit(None, pl.UInt32),
    )
    of_referrals = referrals.filter(referral_door="ARREST_DIVERSION").select(
        "person",
        pl.col("contact_at").alias("arrested_at"),
        "entered_at",
        pl.col("entered_at").alias("seen_at"),
        diverted=pl.col("accepted").fill_null(value=False),
        divertible=pl.col("offered"),
        referral="referral",
    )
    both = pl.concat([plain.select(of_referrals.columns), of_referrals], how="vertical_relaxed")
    return both.sort("arrested_at", "person").with_row_index("arrest")


def _around_midnight(plain: pl.DataFrame, night: date) -> pl.DataFrame:
    """One arrest is entered a minute before the night begins; two more carry a clock of the last hour, and
    are committed after the night was read: only an overlap finds them."""
    start = midnight(night)
    rows = pl.int_range(pl.len())
    is_last, is_late = rows == 0, (rows == 1) | (rows == 2)
    return plain.with_columns(
        arrested_at=pl.when(is_last | is_late).then(start - timedelta(hours=3)).otherwise("arrested_at"),
        entered_at=pl.when(is_last)
        .then(start - timedelta(minutes=1))
        .when(is_late)
        .then(start - timedelta(minutes=35))
        .otherwise("entered_at"),
    ).with_columns(
        seen_at=pl.when(is_late).then(start + timedelta(minutes=5)).otherwise("entered_at"),
    )

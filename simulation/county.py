"""A synthetic county with known truth: its people, what happened, and what each agency holds of it.

::

    county = County.make(persons=5000, seed=7, night=date(2026, 11, 20))
    first, second = county.sources(1), county.sources(2)

The second night is the day after the first. Between them agencies correct typing errors, merge and delete
records, receive new arrests, referrals and cases; a client signs a consent, another revokes one; both
providers send the first night once more without its bad rows (sequence 02, one of them late), and the
District Attorney disputes a few rows. Some rows are bad on purpose; `Sources` says how many and why.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property

import polars as pl

from simulation import county_facts, population
from simulation.agencies import da, da_form, files, forms, mistakes, police, police_form, provider, story
from simulation.agencies.disputes import disputes
from simulation.agencies.files import AgencyDrop, Encrypt
from simulation.agencies.forms import Form
from simulation.agencies.mistakes import Refusal, Struck, Tables
from simulation.chance import stream

#: feed → table of its person records → key
PERSON_TABLES = {
    "police_records": ("persons", "person_no"),
    "da_cases": ("defendants", "defendant_id"),
    "harbor_case_management": ("clients", "client_id"),
    "riverside_treatment": ("clients", "client_id"),
}
_FEWEST = 100
#: agency → how its files are written
_FORMS = {"harbor_case_management": forms.HARBOR, "riverside_treatment": forms.RIVERSIDE}


@dataclass(frozen=True)
class Sources:
    """What the agencies offer on one night.

    `police`: table → rows, `police_keys`: table → key columns; `da` likewise, by resource. `drops` stand
    in the order of upload. `refusals`: the rows that a reader who reads every night must refuse; a row
    that stayed bad and unchanged is not read again and not counted again.
    """

    police: Tables = field(repr=False)
    police_keys: dict[str, list[str]]
    da: Tables = field(repr=False)
    da_keys: dict[str, list[str]]
    drops: list[AgencyDrop]
    refusals: tuple[Refusal, ...] = field(repr=False)

    @property
    def expected_refusals(self) -> dict[str, dict[str, int]]:
        """Feed → table → refused rows, over all drops of the night."""
        counts: dict[str, dict[str, int]] = {}
        for refusal in self.refusals:
            tables = counts.setdefault(refusal.feed, {})
            tables[refusal.table] = tables.get(refusal.table, 0) + 1
        return counts


@dataclass(frozen=True)
class County:
    """One county of `persons` people; equal arguments make equal counties."""

    persons: int
    seed: int
    night: date
    people: pl.DataFrame = field(repr=False)
    story: story.Story = field(repr=False)
    police: police.Police = field(repr=False)
    da: da.Da = field(repr=False)
    providers: tuple[provider.Provider, ...] = field(repr=False)

    @classmethod
    def make(cls, persons: int = 5000, seed: int = 1, *, night: date) -> County:
        """Raises: ValueError for fewer persons than make a county."""
        if persons < _FEWEST:
            raise ValueError(f"a county has at least {_FEWEST} persons")
        people = population.make(persons, seed, night)
        told = story.make(people, seed, night)
        records = police.make(people, told, seed)
        cases = da.make(people, told, records, seed)
        providers = tuple(
            provider.make(people, told, records, cases, house, seed)
            for house in (provider.HARBOR, provider.RIVERSIDE)
        )
        return cls(persons, seed, night, people, told, records, cases, providers)

    # what agencies show -----------------------------------------------------------------------------

    @cached_property
    def _shown(self) -> dict[int, dict[str, Tables]]:
        """Night number → feed → table under contract names, with `person`, without any bad row."""
        return {number: self._show(number) for number in (1, 2)}

    def _show(self, number: int) -> dict[str, Tables]:
        at = story.midnight(self.night + timedelta(days=number - 1))
        shown = {"police_records": police.view(self.police, at), "da_cases": da.view(self.da, at)}
        shown |= {p.house.agency: provider.view(p, at) for p in self.providers}
        if number == 2:
            shown["da_disputes"] = {"disputes": disputes(self.da, self.story, self.seed)}
        return shown

    def shown(self, number: int) -> dict[str, Tables]:
        """Feed → table → the rows of night 1 or 2 under contract names and types, with `person`, before
        mistakes are made in them. Raises: ValueError for another night."""
        if number not in (1, 2):
            raise ValueError(f"there are nights 1 and 2, not [{number}]")
        return self._shown[number]

    def sources(self, number: int, *, encrypt: Encrypt = bytes) -> Sources:
        """What the agencies offer on night 1 or 2.

        `encrypt` seals each file of the provider that encrypts; left out, its files are plain.
        Raises: ValueError for another night.
        """
        self.shown(number)
        first = {
            "police_records": self._struck("police_records", 1, police_form.source, police_form.COLUMNS),
            "da_cases": self._struck("da_cases", 1, da_form.source, da_form.COLUMNS),
            **{agency: self._struck_files(agency, 1, form) for agency, form in _FORMS.items()},
        }
        if number == 1:
            drops = [
                self._drop("harbor_case_management", 1, 1, first["harbor_case_management"], encrypt),
                self._drop("riverside_treatment", 1, 1, first["riverside_treatment"], encrypt),
            ]
            return self._sources(first, drops)
        second = {
            "police_records": self._struck("police_records", 2, police_form.source, police_form.COLUMNS),
            "da_cases": self._struck("da_cases", 2, da_form.source, da_form.COLUMNS),
            **{agency: self._struck_files(agency, 2, form) for agency, form in _FORMS.items()},
            "da_disputes": self._struck_files("da_disputes", 2, forms.DISPUTES),
        }
        drops = []
        for agency, form in _FORMS.items():
            right = Struck(files.source(self._written(agency, 1), form), (), {})
            drops += [
                self._drop(agency, 1, 2, right, encrypt),
                self._drop(agency, 2, 1, second[agency], encrypt),
            ]
        return self._sources(
            second, [*drops, self._drop("da_disputes", 2, 1, second["da_disputes"], encrypt)]
        )

    def _sources(self, struck: dict[str, Struck], drops: list[AgencyDrop]) -> Sources:
        return Sources(
            police=struck["police_records"].tables,
            police_keys=police_form.KEYS,
            da=struck["da_cases"].tables,
            da_keys=da_form.KEYS,
            drops=drops,
            refusals=tuple(refusal for s in struck.values() for refusal in s.refusals),
        )

    def _struck(self, feed: str, number: int, source, names: dict[str, dict[str, str]]) -> Struck:
        shown = self.shown(number)[feed]
        if number == 2:
            shown = self._put_right(feed, shown, source, names)
        return self._strike(feed, number, shown, source(shown), names)

    def _put_right(self, feed: str, shown: Tables, source, names: dict[str, dict[str, str]]) -> Tables:
        """Rows that were bad on the first night have been corrected since, and say so."""
        bad = self._struck(feed, 1, source, names).refusals
        start = story.midnight(self.night)
        out = {}
        for table, frame in shown.items():
            key = next(iter(names[table]))
            which = pl.col(key).is_in([r.key for r in bad if r.table == table])
            stamped = pl.when(which & (pl.col("updated_at") < start))
            stamp = stamped.then(pl.lit(start + timedelta(hours=16))).otherwise("updated_at")
            out[table] = frame.with_columns(updated_at=stamp).with_columns(
                changed=pl.col("updated_at") >= start
            )
        return out

    def _struck_files(self, feed: str, number: int, form: Form) -> Struck:
        shown = self._written(feed, number)
        return self._strike(feed, number, shown, files.source(shown, form), form.columns)

    def _strike(self, feed: str, number: int, shown: Tables, source: Tables, names) -> Struck:
        chosen = {1: mistakes.FIRST_NIGHT, 2: mistakes.SECOND_NIGHT}[number][feed]
        rng = stream(self.seed, f"mistakes {feed} {number}")
        return mistakes.strike(rng, feed, chosen, shown, source, names, self._storied)

    @cached_property
    def _storied(self) -> list[int]:
        """People in a LEAD story; mistakes spare them."""
        return sorted({*self.story.referrals["person"].to_list(), *self.story.canaries})

    def _written(self, feed: str, number: int) -> Tables:
        """What a provider exports: it adds a column that nobody asked for."""
        shown = self.shown(number)[feed]
        if feed != "riverside_treatment":
            return shown
        rng = stream(self.seed, f"counselors {number}")
        names = [f"c{i:02d}" for i in range(1, 13)]
        drawn = pl.Series([names[i] for i in rng.integers(0, 12, shown["clients"].height)], dtype=pl.String)
        return shown | {"clients": shown["clients"].with_columns(counselor=drawn)}

    def _drop(self, feed: str, number: int, sequence: int, struck: Struck, encrypt: Encrypt) -> AgencyDrop:
        night = self.night + timedelta(days=number - 1)
        account = "district_attorney" if feed == "da_disputes" else feed
        form = forms.DISPUTES if feed == "da_disputes" else _FORMS[feed]
        written = {
            table: files.write(frame, form, struck.long_rows.get(table, []))
            for table, frame in struck.tables.items()
        }
        if feed == "riverside_treatment":
            return files.with_sidecars(account, feed, night, sequence, written, encrypt)
        members = {table: (data, struck.tables[table].height) for table, data in written.items()}
        earlier = sequence - 1 if sequence > 1 else None
        return files.with_manifest(account, feed, night, sequence, members, supersedes=earlier)

    # what is known of it ----------------------------------------------------------------------------

    def truth(self, number: int) -> pl.DataFrame:
        """Every person record of night 1 or 2: feed, table, local_id, person (the truth, from 1)."""
        shown = self.shown(number)
        return pl.concat(
            shown[feed][table].select(
                pl.lit(feed).alias("feed"),
                pl.lit(table).alias("table"),
                pl.col(key).alias("local_id"),
                (pl.col("person") + 1).alias("person"),
            )
            for feed, (table, key) in PERSON_TABLES.items()
        )

    def identifiers(self) -> list[str]:
        """Whole identifiers of both nights, as agencies write them, for scans: full names, full names with
        date of birth, telephone numbers, addresses, NYSIDs, and every number that an agency issued."""
        found: set[str] = set()
        for number in (1, 2):
            for tables in self.shown(number).values():
                for frame in tables.values():
                    found |= county_facts.identifiers(frame)
        names = (self.people["first_name"] + " " + self.people["last_name"]).to_list()
        return sorted(found | set(names))

    def canaries(self) -> list[str]:
        """What no list of names holds: every identifier of the canaries, as agencies write them."""
        found: set[str] = set()
        for number in (1, 2):
            for tables in self.shown(number).values():
                for frame in tables.values():
                    if "person" in frame.columns:
                        mine = frame.filter(pl.col("person").is_in(self.story.canaries))
                        found |= county_facts.identifiers(mine)
                        for column in ("last_name", "first_name"):
                            found |= set(mine[column].to_list()) if column in mine.columns else set()
        return sorted(found)

    def summary(self) -> dict[str, dict[str, object]]:
        """Night → counts of the story: rows, and how many of each kind."""
        return {f"night_{number}": county_facts.summary(self.shown(number)) for number in (1, 2)}

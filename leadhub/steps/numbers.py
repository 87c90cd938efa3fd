"""Which persons of the feeds are joined by a number of one event.

When a feed closes, its numbers go into a file beside its tokens, so that linking reads no row of an
agency's tables. A sealed case speaks for nobody: its numbers are left out, wherever else they stand. So
each file also holds the tokens of all numbers that are sealed by then: as the register knows them, and as
the feed states tonight.

And it names whom linkage may know nothing of (`permission.linking`): without tokens such a record looks
like one whose tokens did not outlive a rotation, and nothing that was said of it before may join it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from types import MappingProxyType
from typing import Any

import polars as pl
import pyarrow as pa

from leadhub.casework.seals import CASE, CHARGE, in_force
from leadhub.foundation.vocabulary import Sensitivity
from leadhub.identity import keyed
from leadhub.identity.linkage import shared_numbers
from leadhub.steps import seals, tables
from leadhub.steps.linkable import linkable
from leadhub.steps.site import Site

#: `record_id` of a person and `token` of a number of this `kind`; of the kind `SEALED` without a person,
#: of the kind `BARRED` without a number
_COLUMNS = {"feed": pl.String, "record_id": pl.String, "kind": pl.String, "token": pl.String}
SEALED, BARRED = "sealed", "barred"


def of_feed(
    site: Site,
    feed_id: str,
    versions: dict[str, int],
    night: str,
    refused: Mapping[str, int] = MappingProxyType({}),
) -> pa.Table:
    """`_COLUMNS`, sorted. `versions`: table → version of its state. `night`: on which seals count.
    `refused`: as `doubts.versions` gives it."""
    register = keyed.to_frame(seals.register(site)).filter(pl.col("scope") != CHARGE)
    read = _Tables(site, feed_id, versions)
    sealed = [register.select(token=c).drop_nulls() for c in ("arrest_no_token", "cjtn_token")]
    sealed += read.sealed(date.fromisoformat(night))
    kind = {"feed": pl.lit(feed_id), "kind": pl.lit(SEALED)}
    silent = pl.concat(sealed).with_columns(**kind)
    barred = read.barred(refused).with_columns(feed=pl.lit(feed_id), kind=pl.lit(BARRED))
    every = pl.concat([pl.DataFrame(schema=_COLUMNS), *read.quoted(), silent, barred], how="diagonal")
    return keyed.to_arrow(every.unique().sort(*_COLUMNS, nulls_last=True))


def joined(site: Site, files: Iterable[str]) -> list[dict[str, Any]]:
    """`files`: of every feed that closed, as its receipt names it. See `shared_numbers.pairs`."""
    every = _read(site, files).filter(pl.col("kind") != BARRED)
    sealed = pl.col("kind") == SEALED
    return shared_numbers.pairs(every.filter(~sealed).join(every.filter(sealed), on="token", how="anti"))


def barred(site: Site, files: Iterable[str]) -> set[str]:
    """Records of `files` (as in `joined`) that may not be linked."""
    every = _read(site, files)
    return set(every.filter(pl.col("kind") == BARRED).get_column("record_id"))


def _read(site: Site, files: Iterable[str]) -> pl.DataFrame:
    read = (keyed.to_frame(site.lake.read_tokens(name)) for name in files)
    return pl.concat([pl.DataFrame(schema=_COLUMNS), *read])


class _Tables:
    """The state tables of one feed that lead from a number to a person."""

    def __init__(self, site: Site, feed_id: str, versions: dict[str, int]):
        self._site, self._feed_id, self._versions = site, feed_id, versions
        self._facts = site.facts(site.feeds[feed_id])

    def _read(self, table: str) -> pl.DataFrame:
        found = tables.read(self._site, self._feed_id, table, self._versions[table])
        return keyed.to_frame(found)

    def _numbers(self, table: str) -> dict[str, str]:
        """Kind → token column, of the numbers that a table holds."""
        columns = self._facts[table].of(Sensitivity.SHARED_ID)
        return {c.kind: f"{c.name}_token" for c in columns if c.kind in shared_numbers.KINDS}

    def quoted(self) -> list[pl.DataFrame]:
        """Numbers of events, each with the record of the person they are said of."""
        found = []
        for table, facts in self._facts.items():
            numbers = self._numbers(table)
            for reference in facts.references if numbers else ():
                if table not in self._versions or not self._facts[reference.table].holds_persons:
                    continue
                persons = self._read(reference.table).select("record_id", reference.parent_column)
                said = self._read(table).select(reference.column, *numbers.values())
                met = said.join(persons, left_on=reference.column, right_on=reference.parent_column)
                found += [
                    met.select(
                        pl.lit(self._feed_id).alias("feed"),
                        "record_id",
                        pl.lit(kind).alias("kind"),
                        pl.col(token).alias("token"),
                    )
                    for kind, token in numbers.items()
                ]
        return found

    def barred(self, refused: Mapping[str, int]) -> pl.DataFrame:
        """`record_id` of the persons who may not be linked."""
        persons = [t for t in self._versions if self._facts[t].holds_persons]
        others = self._versions.keys() - set(persons)
        states = {t: tables.read(self._site, self._feed_id, t, self._versions[t]) for t in sorted(others)}
        feed = self._site.feeds[self._feed_id]
        may = linkable(self._site, feed, states, refused) if persons else None
        found = [pl.DataFrame(schema={"record_id": pl.String})]
        if may:
            for read in (self._read(table) for table in persons):
                found.append(read.filter(~may.among(read.get_column(may.key))).select("record_id"))
        return pl.concat(found)

    def sealed(self, day: date) -> list[pl.DataFrame]:
        """Tokens of the numbers of sealed cases and arrests."""
        if not {"cases", "dispositions"} <= set(self._versions):
            return []
        gone = [
            self._read("dispositions").filter(pl.col("sealed_under").is_not_null()).select("da_case_no")
        ]
        found = []
        if "seal_orders" in self._versions:
            orders = in_force(self._read("seal_orders"), day)
            gone.append(orders.filter(pl.col("scope") == CASE).select("da_case_no").drop_nulls())
            found.append(orders.filter(pl.col("scope") != CHARGE))
        found.append(self._read("cases").join(pl.concat(gone).unique(), on="da_case_no"))
        names = self._numbers("cases").values()
        return [f.select(token=c).drop_nulls() for f in found for c in names if c in f.columns]

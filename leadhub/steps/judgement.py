"""One drop judged: parsed, mapped, validated, plausible; what it leaves in landing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import polars as pl
import pyarrow as pa

from leadhub.foundation import openpgp
from leadhub.foundation.errors import TerminalError
from leadhub.foundation.vocabulary import TableFacts
from leadhub.identity import pseudonymise as pseudonyms
from leadhub.intake import mapping, plausibility, quarantine, tabular, validation
from leadhub.intake.feeds import Feed
from leadhub.intake.landing import Drop, Member
from leadhub.intake.mapping import Mapped
from leadhub.intake.validation import Judged
from leadhub.steps import doubts
from leadhub.steps.site import Site


@dataclass(frozen=True)
class Judgement:
    """`record_ids`: by table, columns `row` and `record_id` of every row whose key could be read. `named`:
    whose the refused rows are of each table of `quarantine.RESTRICTIONS`; `whole`: the tables of which a
    full drop tells all keys; both as `quarantine.refresh` takes them.
    """

    judged: dict[str, Judged]
    record_ids: dict[str, pa.Table]
    accepted_ids: dict[str, pa.Array]
    named: dict[str, pa.Table]
    whole: frozenset[str] = frozenset()

    def nameless(self) -> set[tuple[str, int]]:
        """Table and row of what may take something back, and does not say whose."""
        return {
            (table, row)
            for table, named in self.named.items()
            for row in named.filter(named["names_nobody"])["row"].to_pylist()
        }

    def counts(self) -> dict[str, dict[str, int]]:
        """By table: read = accepted + quarantined."""
        return {
            table: {
                "read": j.read,
                "accepted": j.accepted.num_rows,
                "quarantined": j.read - j.accepted.num_rows,
            }
            for table, j in self.judged.items()
        }


def judge(
    site: Site, feed: Feed, drop: Drop, history: list[dict[str, int]], night: str, before: Mapping[str, Any]
) -> Judgement:
    """Accepted rows and source keys go back to landing, under the drop's key. `before`: the feed's tables
    in the last committed night.

    Raises: TerminalError with one of `ingest.HELD` where the drop as a whole cannot be taken.
    """
    facts = site.facts(feed)
    mapped, listed = _mapped(site, feed, drop), _listed(site, feed, drop)
    judged = _judged(site, feed, drop, mapped, listed)
    validation.check_share(judged, feed.refused_share_limit)
    held = _held_keys(drop, mapped, listed, facts)
    _check_plausible(site, feed, drop, night, mapped, held, history)
    for table, keys in held.items():
        site.landing.write_accepted(drop, f"keys.{table}", keys)
    named = doubts.named(site, feed, judged, mapped, listed, before)
    kept = _kept(site, feed, drop, mapped, judged, named)
    return replace(kept, whole=frozenset(held)) if drop.mode == "full" else kept


def judge_again(
    site: Site, feed: Feed, drop: Drop, opened: pa.Table | None, night: str, before: Mapping[str, Any]
) -> Judgement:
    """Only the rows of an applied drop that still stand open, by the mapping and contract of today.

    The rest of the drop was applied, or replaced by a later one: it must not come back. Its accepted
    rows stay in landing as they were, for a rotation; those that pass now lie beside them.

    Raises: TerminalError as `judge`.
    """
    mapped, judged = open_rows(site, feed, drop, opened)
    named = doubts.named(site, feed, judged, mapped, _listed(site, feed, drop), before)
    return _kept(site, feed, drop, mapped, judged, named, again=night)


def accepted_as(table: str, again: str | None) -> str:
    """The name in landing of a drop's accepted rows; of those that a night judged `again`."""
    return f"{table}@{again}" if again else table


def accepted(site: Site, drop: Drop, table: str) -> list[str]:
    """All names under which landing holds accepted rows of a drop's table."""
    folder = site.landing.path(drop, "accepted")
    found = [folder / table, *sorted(folder.glob(accepted_as(table, "*")))]
    return [path.name for path in found if path.exists()]


def open_rows(
    site: Site, feed: Feed, drop: Drop, opened: pa.Table | None
) -> tuple[dict[str, Mapped], dict[str, Judged]]:
    """The drop mapped, and the judgement of its open rows; nothing is written. Raises: as `judge`."""
    mapped = _mapped(site, feed, drop)
    judged = _judged(site, feed, drop, mapped, _listed(site, feed, drop))
    return mapped, {t: j.only(quarantine.rows_of(opened, drop, t)) for t, j in judged.items()}


def _mapped(site: Site, feed: Feed, drop: Drop) -> dict[str, Mapped]:
    facts = site.facts(feed)
    return {
        member.table: mapping.apply(
            _parse(site, feed, drop, member),
            facts[member.table],
            feed.tables[member.table],
            name=member.name,
        )
        for member in drop.of("rows")
        if member.table
    }


def _listed(site: Site, feed: Feed, drop: Drop) -> dict[str, pa.Table]:
    facts = site.facts(feed)
    return {
        member.table: mapping.keys(
            _parse(site, feed, drop, member),
            facts[member.table],
            feed.tables[member.table],
            name=member.name,
        )
        for member in drop.of("keys")
        if member.table
    }


def _judged(
    site: Site, feed: Feed, drop: Drop, mapped: dict[str, Mapped], listed: dict[str, pa.Table]
) -> dict[str, Judged]:
    facts = _judgeable(site.facts(feed), drop, set(mapped), set(listed))
    return validation.judge(mapped, site.contracts(feed), facts, listed)


def _kept(
    site: Site,
    feed: Feed,
    drop: Drop,
    mapped: dict[str, Mapped],
    judged: dict[str, Judged],
    named: dict[str, pa.Table],
    again: str | None = None,
) -> Judgement:
    facts = site.facts(feed)
    for table, result in judged.items():
        site.landing.write_accepted(drop, accepted_as(table, again), result.accepted)
    return Judgement(
        judged,
        {t: _row_ids(site, feed, facts[t], m) for t, m in mapped.items()},
        {t: _ids(site, feed, facts[t], j.accepted) for t, j in judged.items()},
        named,
    )


def _parse(site: Site, feed: Feed, drop: Drop, member: Member) -> tabular.Parsed:
    data, form = site.landing.read(drop, member), member.format
    if form.endswith(".pgp"):
        data, form = openpgp.decrypt(data, site.settings.decryption_key), form.removesuffix(".pgp")
    rules = feed.drop
    parsed = tabular.parse(
        data,
        form,
        name=member.name,
        delimiter=rules.delimiter if rules else ",",
        encoding=rules.encoding if rules else "utf-8",
    )
    if member.rows is not None and member.rows != parsed.read:
        raise TerminalError(
            "counts_differ",
            f"[{member.name}] states {member.rows} rows and holds {parsed.read}; "
            "send files and manifest of the same export",
        )
    return parsed


def _judgeable(
    facts: Mapping[str, TableFacts], drop: Drop, read: set[str], listed: set[str]
) -> dict[str, TableFacts]:
    """Facts less the references into tables of which a partial drop says only that nothing changed."""
    known = listed | (read if drop.mode == "full" else set())
    return {
        name: replace(f, references=tuple(r for r in f.references if r.table in known))
        for name, f in facts.items()
    }


def _held_keys(
    drop: Drop,
    mapped: Mapping[str, Mapped],
    listed: Mapping[str, pa.Table],
    facts: Mapping[str, TableFacts],
) -> dict[str, pa.Table]:
    """The keys that the source holds now: as listed, or all rows of a full drop, accepted or not.

    A table with a row whose key cannot be read is left out: that record may be one that we hold, and
    must not look gone.
    """
    if drop.mode != "full":
        return dict(listed)
    held = {}
    for table, m in mapped.items():
        keys = m.frame.select(facts[table].key).drop_nulls()
        if keys.height == m.read:
            held[table] = mapping.to_arrow(keys, facts[table])
    return held


def _ids(site: Site, feed: Feed, facts: TableFacts, table: pa.Table) -> pa.Array:
    return pseudonyms.record_ids(table, facts, feed=feed.id, keys=site.keys)


def _row_ids(site: Site, feed: Feed, facts: TableFacts, m: Mapped) -> pa.Table:
    whole = m.frame.drop_nulls(list(facts.key))
    ids = _ids(site, feed, facts, mapping.to_arrow(whole.select(facts.key), facts))
    return pa.table({"row": whole.get_column("_row").to_arrow(), "record_id": ids})


def _check_plausible(
    site: Site,
    feed: Feed,
    drop: Drop,
    night: str,
    mapped: Mapping[str, Mapped],
    held: Mapping[str, pa.Table],
    history: list[dict[str, int]],
) -> None:
    """Great Expectations on the batch; the stewards get its page, good or not."""
    frames: dict[str, pl.DataFrame] = {table: m.frame for table, m in mapped.items()}
    for table, keys in held.items():
        frames[f"{table}.keys"] = pl.DataFrame(keys.select([0]))
    parameters = plausibility.volume_parameters(history)
    verdict = plausibility.judge(site.settings.expectations, feed.id, frames, parameters, night=night)
    page = site.settings.var / "reports" / "plausibility" / night / f"{feed.id}.html"
    plausibility.render(verdict, page, title=feed.title, night=night)
    if not verdict.success:
        raise TerminalError(
            "implausible_batch",
            f"drop [{drop.drop_id}] of [{feed.id}] is not plausible: see reports/plausibility/{night}/"
            f"{feed.id}.html; ask the agency, then `leadhub drop release` or a corrected drop",
        )


def key_counts(site: Site, drop: Drop, tables: Any) -> dict[str, int]:
    """By table, how many keys the source held; tables it did not list are absent."""
    counts = {}
    for table in tables:
        if site.landing.path(drop, f"accepted/keys.{table}").exists():
            counts[table] = site.landing.read_accepted(drop, f"keys.{table}").num_rows
    return counts

"""A small county, and its nights as a reader would see them."""

from datetime import UTC, date, datetime, timedelta
from functools import cache

import polars as pl

import schemas.da
import schemas.disputes
import schemas.police
import schemas.provider
from leadhub.foundation.settings import REPOSITORY
from leadhub.intake import feeds, mapping, tabular, validation
from schemas.contract import facts, tables_of
from simulation.agencies import da_form
from simulation.county import County
from simulation.da_states import States

NIGHT = date(2026, 11, 20)
START = datetime(2026, 11, 20, tzinfo=UTC)
SEAL = b"sealed\n"
CONTRACTS = {
    "police_records": schemas.police,
    "da_cases": schemas.da,
    "harbor_case_management": schemas.provider,
    "riverside_treatment": schemas.provider,
    "da_disputes": schemas.disputes,
}
FEEDS = feeds.load_all(REPOSITORY / "feeds")


@cache
def county(persons=600, seed=3):
    return County.make(persons=persons, seed=seed, night=NIGHT)


def drops_of(sources, feed):
    return [d for d in sources.drops if d.feed == feed]


def of_database(tables, since):
    """Text, as the records system gives it; only rows that changed after `since`."""
    out = {}
    for table, frame in tables.items():
        changed = frame if since is None else frame.filter(pl.col("last_chg_ts") > since)
        text = changed.with_columns(
            pl.col(pl.Datetime).dt.strftime("%Y-%m-%d %H:%M:%S+00"), pl.col(pl.Date).dt.strftime("%Y-%m-%d")
        ).cast(pl.String)
        sink = text.write_ipc_stream(None, compat_level=pl.CompatLevel.oldest()).getvalue()
        out[table] = ("arrow", sink)
    return out


def of_interface(resources, keys, since):
    states = States("updated_at")
    collections = states.get(states.load(resources, keys, None))
    out = {}
    tables = {resource: table for table, resource in da_form.RESOURCES.items()}
    for resource, collection in collections.items():
        table = tables.get(resource, resource)
        changed = (
            [True] * len(collection.rows) if since is None else (collection.changed >= since).to_list()
        )
        rows = [r for r, c in zip(collection.rows, changed) if c]
        page = b'{"data":[' + b",".join(rows) + b'],"next":null,"total":%d,"as_of":"x"}' % len(rows)
        out[table] = ("jsonl", page + b"\n")
    return out


def of_drop(drop):
    return {
        name.split("_2")[0]: ("csv", data.removeprefix(SEAL))
        for name, data in drop.files
        if name.endswith((".csv", ".csv.pgp"))
    }


def read_nights():
    """(night, feed) → list of (members, keys of the source by table), as a nightly reader takes them."""
    taken = {}
    for number in (1, 2):
        sources = county().sources(number, encrypt=lambda data: SEAL + data)
        overlap = None
        if number == 2:
            overlap = START - timedelta(minutes=61)
        all_police = of_database(sources.police, None)
        all_da = of_interface(sources.da, sources.da_keys, None)
        taken[number, "police_records"] = [(of_database(sources.police, overlap), all_police)]
        last = max(f["updated_at"].max() for f in county().sources(1).da.values())
        since = last - timedelta(minutes=60) if number == 2 else None
        taken[number, "da_cases"] = [(of_interface(sources.da, sources.da_keys, since), all_da)]
        for feed in ("harbor_case_management", "riverside_treatment", "da_disputes"):
            taken[number, feed] = [(of_drop(d), None) for d in drops_of(sources, feed)]
    return taken


def judged(feed_id, members, whole):
    feed, models = FEEDS[feed_id], tables_of(CONTRACTS[feed_id])
    known = {table: facts(models[table]) for table in feed.tables}

    def mapped(parts):
        out = {}
        for table, (form, data) in parts.items():
            rules = feed.drop
            parsed = tabular.parse(
                data,
                form,
                name=table,
                delimiter=rules.delimiter if rules else ",",
                encoding=rules.encoding if rules else "utf-8",
            )
            out[table] = mapping.apply(parsed, known[table], feed.tables[table], name=table)
        return out

    keys = {}
    if whole is not None:
        for table, m in mapped(whole).items():
            keys[table] = mapping.to_arrow(m.frame.select(known[table].key).drop_nulls(), known[table])
    return validation.judge(mapped(members), models, known, keys)

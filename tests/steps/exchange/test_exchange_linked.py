"""Two agencies tokenise by the command, each in a folder of its own; the hub links, without their key."""

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from leadhub.foundation import clock
from leadhub.foundation import keys as key_ring
from leadhub.identity import exchange as exchanges
from leadhub.identity import linkage
from leadhub.identity.linkage import schema as schemas
from leadhub.steps import edge, exchange
from tests.identity import people
from tests.steps.exchange.two_agencies import EVERY, FEEDS, opened, refused, run


def linked(site, table: pa.Table, own_id: dict[str, str]) -> tuple[float, float, int]:
    found = linkage.link(table, one_per_person=EVERY)
    truth = {record: site.truth[own] for record, own in own_id.items()}
    pairs = sum(s == "linked" for s in found.pairs.column("status").to_pylist())
    return (*people.quality(found.clusters, truth), pairs)


def own_ids(site, table: pa.Table) -> dict[str, str]:
    known = {}
    for feed in FEEDS:
        sealed = table.filter(pa.compute.equal(table.column("feed"), feed)).column("record_id")
        row_keys = key_ring.load(site.root / feed / "rows.key")
        known |= zip(sealed.to_pylist(), exchanges.open_ids(sealed, feed, row_keys).to_pylist())
    return known


def test_the_hub_links_what_two_agencies_sent_as_if_tokenised_in_one_place(site, fresh, tmp_path):
    out = tmp_path / "tables.parquet"
    said = run("exchange", "open", *site.out.values(), "--fingerprint", site.fingerprint, "--out", out)
    assert "police" in said
    assert "da" in said
    table = exchange.tables("county", settings=fresh, keys=site.keys, schema=schemas.person())
    assert table.sort_by("record_id").equals(pq.read_table(out).sort_by("record_id"))
    precision, recall, pairs = linked(site, table, own_ids(site, table))

    key = exchange.load_key(site.key)
    together = pa.concat_tables(
        exchanges.tokenise(made, key=key, feed=feed, schema=schemas.person(), tier="tokens")
        for feed, made in site.tables.items()
    )
    reference = linked(site, together, {own: own for own in together.column("record_id").to_pylist()})
    assert precision > 0.97
    assert recall > 0.9
    # the order of record ids settles ties alone
    assert (precision, recall) == pytest.approx(reference[:2], abs=0.003)
    assert abs(pairs - reference[2]) <= 0.003 * reference[2]


def test_the_tokens_are_those_of_one_place(site, fresh):
    one = opened(site, fresh, site.out["police"])[0].table
    key = exchange.load_key(site.key)
    reference = exchanges.tokenise(
        site.tables["police"], key=key, feed="police", schema=schemas.person(), tier="tokens"
    )
    own = own_ids(site, one)
    named = one.set_column(0, "record_id", pa.array([own[r] for r in one.column("record_id").to_pylist()]))
    assert named.sort_by("record_id").equals(reference.sort_by("record_id"))


def test_tier_fields_travels_too(site, fresh, tmp_path):
    paths = [tmp_path / f"{feed}.pgp" for feed in FEEDS]
    for feed, path in zip(FEEDS, paths):
        site.tokenise(feed, path, tier="fields")
    opened(site, fresh, *paths)
    table = exchange.tables("county", settings=fresh, keys=site.keys, schema=schemas.person())
    precision, recall, _ = linked(site, table, own_ids(site, table))
    assert precision > 0.97
    assert recall > 0.95


def test_the_hub_never_had_the_key(site, fresh):
    opened(site, fresh, *site.out.values())
    secret = exchange.load_key(site.key).secret
    for path in [p for p in fresh.var.rglob("*") if p.is_file()] + list(site.out.values()):
        content = path.read_bytes()
        assert secret not in content
        assert secret.hex().encode() not in content
    assert exchange.load_key(site.key).keys.root != site.keys.root


def test_the_agency_reads_its_own_row_ids_back(site, fresh, tmp_path):
    table = opened(site, fresh, site.out["da"])[0].table
    results = tmp_path / "results.csv"
    pl.DataFrame({"record_id": table.column("record_id"), "person": 1}).write_csv(results)
    back = tmp_path / "back.csv"
    run(
        *("exchange", "rows", results, "--feed", "da", "--out", back),
        *("--row-key", site.root / "da" / "rows.key"),
    )
    assert sorted(pl.read_csv(back)["record_id"]) == sorted(site.tables["da"]["record_id"].to_pylist())
    with refused("wrong_key"):
        edge.own_rows(results, feed="da", row_key_file=site.root / "police" / "rows.key", out=back)
    with refused("wrong_key"):
        edge.own_rows(results, feed="police", row_key_file=site.root / "da" / "rows.key", out=back)
    with refused("key_missing"):
        edge.own_rows(results, feed="da", row_key_file=tmp_path / "none.key", out=back)


def test_record_ids_stay_when_a_file_is_tokenised_again(site, fresh, tmp_path, monkeypatch):
    # a file is stamped to the second: two made within one are the same file
    monkeypatch.setenv(clock.VARIABLE, "2036-01-01T00:00:00+00:00")
    site.tokenise("da", tmp_path / "again.pgp")
    first, again = (opened(site, fresh, p)[0] for p in (site.out["da"], tmp_path / "again.pgp"))
    assert first.table.equals(again.table)
    assert first.before is None
    assert again.before == first.header
    monkeypatch.setenv(clock.VARIABLE, "2036-01-01T00:00:01+00:00")
    site.tokenise("da", tmp_path / "third.pgp")
    assert f"in place of {again.header.rows:,} rows" in run("exchange", "open", tmp_path / "third.pgp")

"""Two agencies tokenise by the command, each in a folder of its own; the hub links, without their key.

What must not happen: a name in the file that leaves, a file opened with another key, a changed byte taken
for the truth, tables of two keys, schemas or tiers brought together.
"""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from leadhub import cli
from leadhub.foundation import clock, envelope, openpgp, settings
from leadhub.foundation import keys as key_ring
from leadhub.foundation.errors import TerminalError
from leadhub.identity import exchange as exchanges
from leadhub.identity import linkage, token_file
from leadhub.identity.linkage import schema as schemas
from leadhub.steps import edge, exchange
from tests import leaks
from tests.identity import people

FEEDS = {"police": people.FEEDS["p"], "da": people.FEEDS["d"]}
EVERY = frozenset(FEEDS)


def run(*order: object) -> str:
    said = CliRunner().invoke(cli.app, [str(o) for o in order])
    if said.exception is not None:
        raise said.exception
    return said.output


def refused(reason: str, *words: str):
    return pytest.raises(TerminalError, match=f"^{reason}: .*{'.*'.join(words)}")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A hub, the keeper of the key and two agencies; `tokenise(feed, …)` runs the command."""
    root = tmp_path_factory.mktemp("exchange")
    hub = root / "hub"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEADHUB_VAR", str(hub / "var"))
        run("init")
        run("exchange", "hub-key")
        key = root / "keeper" / "county.v1.key"
        fingerprint = run("exchange", "key", "county", "--out", key).split("fingerprint ")[1].split()[0]
        tables, truth = people.county(3000, FEEDS, 0.05, seed=11)
        files = {}
        for feed, table in tables.items():
            folder = root / feed
            folder.mkdir()
            shutil.copy(key, folder / "county.key")
            shutil.copy(hub / "var" / "keys" / "exchange.asc", folder)
            shutil.copy(schemas.PERSON, folder / "schema.yaml")
            frame = pl.DataFrame(pl.from_arrow(table)).rename({"record_id": "case_no"})
            frame = frame.with_columns(pl.col("date_of_birth").dt.to_string("%m/%d/%Y"))
            files[feed] = folder / "people.csv"
            frame.write_csv(files[feed])

        def tokenise(agency: str, out: Path | None = None, **changed: object) -> str:
            folder = root / agency
            usual = {
                "key": folder / "county.key",
                "schema": folder / "schema.yaml",
                "to": folder / "exchange.asc",
                "feed": agency,
                "id": "case_no",
                "out": out or folder / "out.pgp",
                "report": folder / "report.csv",
                "row-key": folder / "rows.key",
            }
            file = changed.pop("file", files[agency])
            options = [o for name, value in (usual | changed).items() for o in (f"--{name}", value)]
            return run("tokenise", file, *options)

        said = {feed: tokenise(feed) for feed in FEEDS}
        yield SimpleNamespace(
            root=root,
            hub=hub,
            key=key,
            fingerprint=fingerprint,
            files=files,
            tables=tables,
            truth=truth,
            said=said,
            tokenise=tokenise,
            out={feed: root / feed / "out.pgp" for feed in FEEDS},
            settings=settings.load(),
            keys=key_ring.load(settings.load().root_key),
        )


@pytest.fixture
def fresh(site, tmp_path, monkeypatch):
    """The same hub with nothing opened yet."""
    shutil.copytree(site.hub / "var" / "keys", tmp_path / "var" / "keys")
    monkeypatch.setenv("LEADHUB_VAR", str(tmp_path / "var"))
    return settings.load()


def opened(site, config, *paths: Path, **options) -> list[exchange.Opened]:
    usual = {"schema": schemas.person(), "fingerprint": site.fingerprint, "keys": site.keys}
    return exchange.open_files(list(paths), settings=config, **usual | options)


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


# --- what two agencies send is linked ---


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


# --- no name leaves, nothing is opened that should not be ---


@pytest.mark.parametrize("feed", FEEDS)
def test_no_value_is_in_the_file_even_when_opened_nor_in_what_is_printed(site, feed, tmp_path):
    frame = pl.read_csv(site.files[feed], infer_schema=False)
    values = {v for column in frame.columns for v in frame[column].drop_nulls().to_list() if len(v) > 5}
    assert len(values) > 1000
    plain = openpgp.decrypt(site.out[feed].read_bytes(), exchange.receiving_key(site.settings))
    table = pq.read_table(pa.BufferReader(plain))
    texts = [c for c in table.column_names if pa.types.is_string(table.schema.field(c).type)]
    assert texts == ["record_id", "feed", "marker"]
    sinks = tmp_path / "sinks"
    sinks.mkdir()
    (sinks / "decrypted").write_bytes(plain)
    (sinks / "decoded").write_text("\n".join(map(str, table.select(texts).to_pylist())))
    (sinks / "printed").write_text(site.said[feed])
    kept = [site.out[feed], site.root / feed / "report.csv"]
    assert leaks.search([sinks, *kept], values, tmp_path / "search") == {}
    # the search finds what there is to find
    assert leaks.search([site.files[feed]], values, tmp_path / "search")


def test_another_key_does_not_open_it(site, fresh, tmp_path):
    other = tmp_path / "other.pgp"
    openpgp.generate(other, "another hub <hub@example.org>")
    with refused("decryption_failed", "out.pgp", "fingerprint"):
        opened(site, fresh, site.out["da"], secret_key=other)


def test_a_flipped_byte_is_found(site, fresh, tmp_path):
    message = site.out["da"].read_bytes()
    at = [*range(3), *range(11, 200, 7), *range(200, len(message), len(message) // 9), len(message) - 1]
    for place in at:
        flipped = bytearray(message)
        flipped[place] ^= 1
        (tmp_path / "f.pgp").write_bytes(flipped)
        with refused("decryption_failed"):
            opened(site, fresh, tmp_path / "f.pgp")
    # octets 3 to 10 name the recipient's key, to find it by: the content is the same whatever they say
    flipped = bytearray(message)
    flipped[5] ^= 1
    (tmp_path / "f.pgp").write_bytes(flipped)
    table = opened(site, fresh, tmp_path / "f.pgp")[0].table
    assert table.equals(opened(site, fresh, site.out["da"])[0].table)


@pytest.mark.parametrize("content", [b"", b"no message", b"-----BEGIN PGP MESSAGE-----\n"])
def test_what_is_no_message_is_refused(site, fresh, tmp_path, content):
    (tmp_path / "f.pgp").write_bytes(content)
    with refused("decryption_failed"):
        opened(site, fresh, tmp_path / "f.pgp")
    with refused("unreadable_file", "missing"):
        opened(site, fresh, tmp_path / "none.pgp")


def test_at_the_hub_tokens_are_encrypted_at_rest(site, fresh):
    table = opened(site, fresh, site.out["da"])[0].table
    held = fresh.var / "exchanges" / "county" / "v1" / "da.tokens"
    assert held.stat().st_mode & 0o077 == 0
    assert table.column("record_id")[0].as_py().encode() not in held.read_bytes()
    with refused("invalid_envelope"):
        envelope.decrypt(held.read_bytes(), bytes(32))


# --- what was not agreed does not mix ---


def test_the_first_file_needs_the_fingerprint_that_was_read_out(site, fresh):
    with refused("exchange_mismatch", "new here", "--fingerprint"):
        opened(site, fresh, site.out["da"], fingerprint=None)
    with refused("exchange_mismatch", "da"):
        opened(site, fresh, site.out["da"], fingerprint="0000-0000-0000-0000-0000")
    assert not (fresh.var / "exchanges").exists()
    typed = site.fingerprint.replace("-", " ").upper()
    assert not opened(site, fresh, site.out["da"], fingerprint=typed)[0].known
    assert opened(site, fresh, site.out["da"], fingerprint=None)[0].known
    assert not opened(site, fresh, site.out["police"], fingerprint=None)[0].known


def other_key(site, tmp_path, name="county", version=1) -> Path:
    path = tmp_path / f"{name}.v{version}.other.key"
    exchange.make_key(name, version, path)
    return path


def test_another_key_of_the_same_name_is_refused(site, fresh, tmp_path):
    out = tmp_path / "police.pgp"
    site.tokenise("police", out, key=other_key(site, tmp_path))
    with refused("exchange_mismatch", "key_fingerprint", "read out"):
        opened(site, fresh, site.out["da"], out, fingerprint=None)
    opened(site, fresh, site.out["da"])
    with refused("exchange_mismatch", "key_fingerprint", "agreed"):
        opened(site, fresh, out, fingerprint=None)


def test_two_exchanges_do_not_mix(site, fresh, tmp_path):
    out = tmp_path / "police.pgp"
    key = other_key(site, tmp_path, "another")
    site.tokenise("police", out, key=key)
    with refused("exchange_mismatch", "differ in exchange"):
        opened(site, fresh, site.out["da"], out)
    opened(site, fresh, site.out["da"])
    opened(site, fresh, out, fingerprint=exchange.load_key(key).fingerprint)
    for name, feed in (("county", "da"), ("another", "police")):
        held = exchange.tables(name, settings=fresh, keys=site.keys, schema=schemas.person())
        assert set(held.column("feed").to_pylist()) == {feed}


def test_tables_under_two_markers_never_meet(site, fresh, tmp_path):
    """Even one key under another exchange's name makes other tokens; forced together, none is equal."""
    said = json.loads(site.key.read_bytes())
    named = exchanges.ExchangeKey("another", 1, bytes.fromhex(said["key"]))
    one = site.tables["police"].slice(0, 500)
    made = [
        exchanges.tokenise(one, key=key, feed=feed, schema=schemas.person(), tier="tokens")
        for key, feed in ((exchange.load_key(site.key), "a"), (named, "b"))
    ]
    for column in [c for c in made[0].column_names if c.startswith(("k_", "nysid"))]:
        a, b = (set(table.column(column).drop_null().to_pylist()) for table in made)
        assert not a & b
    ids = pa.array([f"b{i}" for i in range(500)])
    found = linkage.link(
        pa.concat_tables([made[0], made[1].set_column(0, "record_id", ids)]),
        one_per_person=frozenset({"a", "b"}),
    )
    assert found.pairs.num_rows == 0


def test_a_new_key_version_stands_apart(site, fresh, tmp_path):
    opened(site, fresh, *site.out.values())
    key, out = other_key(site, tmp_path, version=2), tmp_path / "da.pgp"
    site.tokenise("da", out, key=key)
    with refused("exchange_mismatch", "new here"):
        opened(site, fresh, out, fingerprint=None)
    opened(site, fresh, out, fingerprint=exchange.load_key(key).fingerprint)
    usual = {"settings": fresh, "keys": site.keys, "schema": schemas.person()}
    newest = exchange.tables("county", **usual)
    assert set(newest.column("feed").to_pylist()) == {"da"}
    assert set(exchange.tables("county", version=1, **usual).column("feed").to_pylist()) == EVERY
    with refused("state_invalid"):
        exchange.tables("county", version=3, **usual)
    with refused("state_invalid"):
        exchange.tables("nowhere", **usual)


def test_another_schema_is_refused(site, fresh, tmp_path):
    path = tmp_path / "other.yaml"
    path.write_text(schemas.PERSON.read_text().replace("\nversion: ", "\nversion: 9"))
    assert schemas.load(path).fingerprint != schemas.person().fingerprint
    out = tmp_path / "police.pgp"
    site.tokenise("police", out, schema=path)
    with refused("exchange_mismatch", "linkage schema", "police"):
        opened(site, fresh, out)
    opened(site, fresh, site.out["da"])
    with refused("exchange_mismatch", "linkage_schema", "next version"):
        opened(site, fresh, out, schema=schemas.load(path))


def test_another_tier_is_refused(site, fresh, tmp_path):
    out = tmp_path / "police.pgp"
    site.tokenise("police", out, tier="fields")
    with refused("exchange_mismatch", "tier"):
        opened(site, fresh, site.out["da"], out)
    opened(site, fresh, site.out["da"])
    with refused("exchange_mismatch", "tier"):
        opened(site, fresh, out)
    with refused("linkage_input_invalid", "--tier"):
        site.tokenise("police", out, tier="names")


def test_an_agency_whose_code_makes_other_tokens_is_refused(site, fresh, tmp_path, monkeypatch):
    monkeypatch.setattr(token_file, "_SPECIMENS", token_file._SPECIMENS[:2])
    site.tokenise("da", tmp_path / "da.pgp")
    monkeypatch.undo()
    with refused("exchange_mismatch", "install"):
        opened(site, fresh, tmp_path / "da.pgp")


def test_an_older_file_does_not_replace_a_newer_one(site, fresh, tmp_path, monkeypatch):
    opened(site, fresh, site.out["da"])
    monkeypatch.setenv("LEADHUB_NOW", "2001-01-01T00:00:00+00:00")
    site.tokenise("da", tmp_path / "da.pgp")
    with refused("out_of_order", "da"):
        opened(site, fresh, tmp_path / "da.pgp")


def test_one_feed_comes_in_one_file(site, fresh):
    with refused("exchange_mismatch", "da"):
        opened(site, fresh, site.out["da"], site.out["da"])


# --- a sender whom the hub does not believe ---


def sent(site, tmp_path, table: pa.Table, header: token_file.Header) -> Path:
    path = tmp_path / "made.pgp"
    openpgp_cert = (site.root / "da" / "exchange.asc").read_bytes()
    path.write_bytes(openpgp.encrypt(token_file.pack(table, header), openpgp_cert))
    return path


def changed(table: pa.Table, column: str, values) -> pa.Table:
    return table.set_column(table.column_names.index(column), column, values)


def test_a_table_that_is_not_what_its_header_says_is_refused(site, fresh, tmp_path):
    one = opened(site, fresh, site.out["da"])[0]
    table, header, rows = one.table, one.header, one.table.num_rows
    names = pa.array(["Felicia Testperson"] * rows)
    ids = table.column("record_id").to_pylist()
    for bad, reason in (
        (table.slice(1), "counts_differ"),
        (changed(table, "record_id", pa.array([f"p{i}" for i in range(rows)])), "state_invalid"),
        (changed(table, "record_id", pa.array([ids[0], *ids[:-1]])), "state_invalid"),
        (changed(table, "feed", pa.array(["police"] * rows)), "state_invalid"),
        (changed(table, "marker", names), "state_invalid"),
        (table.append_column("name", names), "column_not_allowed"),
        (changed(table, table.column_names[5], names), "column_not_allowed"),
        (changed(table, table.column_names[5], pa.array(np.arange(rows))), "column_not_allowed"),
    ):
        with refused(reason):
            opened(site, fresh, sent(site, tmp_path, bad, header))
    with refused("unreadable_file"):
        opened(site, fresh, sent(site, tmp_path, table, header.model_copy(update={"feed": "../../x"})))
    with refused("unreadable_file"):
        opened(site, fresh, sent(site, tmp_path, table, header.model_copy(update={"format": 2})))
    path = tmp_path / "f.pgp"
    path.write_bytes(openpgp.encrypt(b"no table", (site.root / "da" / "exchange.asc").read_bytes()))
    with refused("unreadable_file"):
        opened(site, fresh, path)


# --- keys ---


def test_a_key_file_is_ones_own_and_whole(site, tmp_path):
    path = tmp_path / "k.key"
    key = exchange.make_key("county", 1, path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert exchange.load_key(path) == key
    assert key.secret.hex() not in repr(key)
    with refused("state_invalid", "--version"):
        exchange.make_key("county", 1, path)
    assert key.fingerprint in run("exchange", "show", path)
    said = json.loads(path.read_bytes())
    for bad in (
        said | {"version": 2},
        said | {"exchange": "other"},
        said | {"key": "0" * 64},
        {"key": said["key"]},
    ):
        path.write_text(json.dumps(bad))
        with refused("wrong_key"):
            exchange.load_key(path)
    path.chmod(0o644)
    with refused("wrong_key", "chmod"):
        exchange.load_key(path)
    with refused("key_missing"):
        exchange.load_key(tmp_path / "none.key")


@pytest.mark.parametrize("name", ["", "County", "a/b", "..", "a.b", "x" * 41, "a b"])
def test_names_are_safe(name, site, tmp_path):
    with refused("unsafe_name"):
        exchange.make_key(name, 1, tmp_path / "k.key")
    with refused("unsafe_name"):
        site.tokenise("da", tmp_path / "o.pgp", feed=name)


def test_the_hubs_certificate_is_checked_before_it_is_used(site, tmp_path):
    secret = exchange.receiving_key(site.settings)
    for bad in (secret, site.files["da"]):
        with refused("recipient_key_mismatch"):
            site.tokenise("da", tmp_path / "o.pgp", to=bad)
    with refused("key_missing"):
        site.tokenise("da", tmp_path / "o.pgp", to=tmp_path / "none.asc")
    assert not (tmp_path / "o.pgp").exists()
    shown = run("exchange", "show", site.root / "da" / "exchange.asc")
    assert shown.split("fingerprint ")[1].strip() in run("exchange", "hub-key")

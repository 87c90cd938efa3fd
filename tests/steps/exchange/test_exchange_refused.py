"""What two agencies send: tables of two keys, schemas or tiers are not brought together."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa

from leadhub.foundation import openpgp
from leadhub.identity import exchange as exchanges
from leadhub.identity import linkage, token_file
from leadhub.identity.linkage import schema as schemas
from leadhub.steps import exchange
from tests.steps.exchange.two_agencies import EVERY, opened, refused

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

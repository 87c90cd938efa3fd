"""What two agencies send: no name leaves, nothing is opened with another key, a changed byte is found."""

import json

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from leadhub.foundation import envelope, openpgp
from leadhub.steps import exchange
from tests import leaks
from tests.steps.exchange.two_agencies import FEEDS, opened, refused, run

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

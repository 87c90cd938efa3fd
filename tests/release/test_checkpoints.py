"""A checkpoint shows, to whoever kept it, that a ledger was cut short or written anew."""

import base64
import json
import shutil
import subprocess

import pytest

from leadhub.foundation import clock, ledger
from leadhub.foundation.errors import TerminalError
from leadhub.foundation.keys import Keys
from leadhub.foundation.ledger import Checkpoint, Entry
from leadhub.release import checkpoints

KEYS = Keys(bytes(range(32)))


def chain(path, count):
    for number in range(count):
        last = ledger.append(
            path, Entry("committed", dataset="d", sequence=number, release_id=f"r{number}")
        )
    return last


def test_what_is_signed_is_what_is_read(tmp_path):
    entry = chain(tmp_path / "police.jsonl", 3)
    made = checkpoints.make("police", entry, KEYS)
    assert made == checkpoints.make("police", entry, KEYS), "the same bytes"
    assert checkpoints.read(made, "police", KEYS) == Checkpoint(3, entry.hash)


def test_a_ledger_cut_short_or_written_anew_is_found(tmp_path, monkeypatch):
    path = tmp_path / "police.jsonl"
    seen = checkpoints.read(checkpoints.make("police", chain(path, 3), KEYS), "police", KEYS)
    chain(path, 2)
    ledger.verify(path, seen)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
    with pytest.raises(TerminalError, match="ledger_broken"):
        ledger.verify(path, seen)
    path.unlink()
    monkeypatch.setenv(clock.VARIABLE, "2031-01-01T00:00:00+00:00")
    chain(path, 9)
    ledger.verify(path)
    with pytest.raises(TerminalError, match="not the one that the checkpoint saw"):
        ledger.verify(path, seen)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda c: c.replace(b'seq\\": 3', b'seq\\": 2'),
        lambda c: checkpoints.make("police", Entry("committed", seq=3, hash="0" * 64), Keys(bytes(32))),
        lambda c: b"{}",
        lambda c: b"no json",
        lambda c: json.dumps({"statement": "{}", "ed25519": "?"}).encode(),
        lambda c: json.dumps({"statement": 3, "ed25519": base64.b64encode(b"x").decode()}).encode(),
    ],
)
def test_what_the_hub_did_not_sign_is_refused(tmp_path, spoil):
    made = checkpoints.make("police", chain(tmp_path / "police.jsonl", 3), KEYS)
    assert spoil(made) != made
    with pytest.raises(TerminalError, match="signature_invalid"):
        checkpoints.read(spoil(made), "police", KEYS)
    with pytest.raises(TerminalError, match="signature_invalid"):
        checkpoints.read(made, "district_attorney", KEYS)


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl")
def test_a_partner_verifies_it_with_stock_tools(tmp_path):
    given = json.loads(checkpoints.make("police", chain(tmp_path / "police.jsonl", 1), KEYS))
    (tmp_path / "key.pem").write_bytes(checkpoints.public_key(KEYS))
    (tmp_path / "statement").write_text(given["statement"])
    (tmp_path / "signature").write_bytes(base64.b64decode(given["ed25519"]))
    order = "openssl pkeyutl -verify -pubin -inkey key.pem -rawin -in statement -sigfile signature"
    done = subprocess.run(order.split(), cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

"""A partner with stock tools: fetch by `sftp`, verify and decrypt by `gpg`, check sums, open the files."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from leadhub import cli
from leadhub.foundation import openpgp

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(not (shutil.which("gpg") and shutil.which("sftp")), reason="needs gpg and sftp"),
]
PARTNER, DATASET = "district_attorney", "diversion_status"


def _run(*command: str, where: Path, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, cwd=where, input=given, capture_output=True, timeout=60)


@pytest.fixture(scope="module")
def fetched(nights, first_night, tmp_path_factory) -> Path:
    """The District Attorney's delivery, as their own `sftp` brought it home."""
    nights.restore(first_night)
    home = tmp_path_factory.mktemp("office")
    sftp, key = nights.stage.sftp, nights.stage.agencies / PARTNER / "ssh"
    os.chmod(key, 0o600)
    known = home / "known_hosts"
    known.write_text(f"[127.0.0.1]:{sftp.port} {sftp.host_key()}\n")
    options = [f"-oUserKnownHostsFile={known}", "-oStrictHostKeyChecking=yes", "-oIdentitiesOnly=yes"]
    order = [
        *("sftp", "-q", "-F", "none", "-r", "-b", "-", "-i", str(key), "-P", str(sftp.port), *options),
        f"{PARTNER}@127.0.0.1",
    ]
    done = _run(*order, where=home, given=f"get -r outbox/{DATASET}\n".encode())
    assert done.returncode == 0, done.stderr
    [delivery] = (home / DATASET).iterdir()
    return delivery


@pytest.fixture(scope="module")
def gpg(nights):
    """Their key ring: their own secret key, and the hub's certificate as it was given to them."""
    with tempfile.TemporaryDirectory(prefix="g") as home:
        os.chmod(home, 0o700)

        def run(*arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
            return subprocess.run(
                ["gpg", "--homedir", home, "--batch", "--yes", "--trust-model", "always", *arguments],
                input=given,
                capture_output=True,
                timeout=60,
            )

        assert run("--import", str(nights.stage.agencies / PARTNER / "openpgp.pgp")).returncode == 0
        hub = openpgp.certificate(nights.stage.settings.signing_key)
        assert run("--import", given=hub).returncode == 0
        yield run
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], capture_output=True)


def test_sha256sum_finds_every_file_whole(fetched):
    done = _run("sha256sum", "--strict", "-c", "SHA256SUMS", where=fetched)
    assert done.returncode == 0, done.stdout + done.stderr
    listed = {line.split()[1] for line in (fetched / "SHA256SUMS").read_text().splitlines()}
    proven_otherwise = {"SHA256SUMS", "manifest.json.asc"}
    assert listed == {p.name for p in fetched.iterdir()} - proven_otherwise


def test_gpg_verifies_the_manifest(fetched, gpg, tmp_path):
    signature, manifest = fetched / "manifest.json.asc", fetched / "manifest.json"
    assert b"VALIDSIG" in gpg("--status-fd", "1", "--verify", str(signature), str(manifest)).stdout
    changed = tmp_path / "manifest.json"
    changed.write_bytes(manifest.read_bytes().replace(b'"rows"', b'"Rows"', 1))
    assert gpg("--verify", str(signature), str(changed)).returncode != 0


def test_gpg_decrypts_and_duckdb_opens(fetched, gpg, tmp_path):
    plain = {}
    for ending in ("csv", "parquet"):
        target = tmp_path / f"{DATASET}.{ending}"
        done = gpg("-o", str(target), "--decrypt", str(fetched / f"{DATASET}.{ending}.pgp"))
        assert done.returncode == 0, done.stderr
        plain[ending] = target
    manifest = (fetched / "manifest.json").read_text()
    assert hashlib.sha256(plain["csv"].read_bytes()).hexdigest() in manifest
    rows = pq.read_metadata(plain["parquet"]).num_rows
    assert rows > 0
    found = [duckdb.sql(f"SELECT count(*) FROM '{path}'").fetchall() for path in plain.values()]
    assert found == [[(rows,)], [(rows,)]]
    names = [duckdb.sql(f"SELECT * FROM '{path}' LIMIT 0").columns for path in plain.values()]
    assert names[0] == names[1]


def test_the_ledger_is_what_the_partners_checkpoint_saw(nights, fetched, monkeypatch, capsys):
    [kept] = (nights.var / "sftp" / PARTNER / "outbox" / "checkpoints").iterdir()
    assert kept.name == f"{DATASET}_000001.json"
    monkeypatch.setenv("LEADHUB_VAR", str(nights.var))
    monkeypatch.setattr("sys.argv", ["leadhub", "ledger", "verify", PARTNER, "--checkpoint", str(kept)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    assert "as the checkpoint of entry 4 saw it" in capsys.readouterr().out

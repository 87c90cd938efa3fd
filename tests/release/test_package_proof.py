"""A package can be checked with stock tools, and read by its partner alone."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from leadhub.foundation import files, openpgp
from leadhub.foundation.errors import TerminalError
from leadhub.release import package
from tests.release.built_package import SOME, build, refused
from tests.release.dataset import PACKAGE, changes, rows

GPG = shutil.which("gpg")


@pytest.fixture
def encrypted(tmp_path, key):
    own = tmp_path / "partner.pgp"
    openpgp.generate(own, "partner <partner@leadhub.example>")
    certificate = openpgp.certificate(own)
    facts = replace(PACKAGE, encrypt=True, recipient=openpgp.fingerprint(certificate))
    folder = tmp_path / "package"
    build(folder, key, facts, change_rows=changes(*SOME), recipient_certificate=certificate)
    return folder, own


def test_an_encrypted_delivery_holds_no_row_in_plain(encrypted):
    folder, own = encrypted
    manifest = files.read_json(folder / package.MANIFEST)
    data = [f for f in manifest["files"] if "rows" in f]
    assert len(data) == 4
    for fact in data:
        assert not (folder / fact["name"]).exists()
        plain = openpgp.decrypt((folder / fact["encrypted"]["name"]).read_bytes(), own)
        assert files.sha256_bytes(plain) == fact["sha256"]
    assert not any(b"DA-3" in p.read_bytes() for p in folder.iterdir())
    assert "diversion_status.csv.pgp" in (folder / "README.md").read_text()


def test_manifests_of_two_encryptions_have_the_same_content(tmp_path, key):
    own = tmp_path / "partner.pgp"
    openpgp.generate(own, "partner <partner@leadhub.example>")
    certificate = openpgp.certificate(own)
    facts = replace(PACKAGE, encrypt=True, recipient=openpgp.fingerprint(certificate))
    one, other = (
        build(tmp_path / name, key, facts, recipient_certificate=certificate) for name in ("one", "other")
    )
    assert one != other
    assert package.same_content(one, other)
    third = build(tmp_path / "third", key, facts, rows().slice(1), recipient_certificate=certificate)
    assert not package.same_content(one, third)


def test_f15_a_wrong_recipient_key_stops(tmp_path, key):
    certificate = openpgp.certificate(key)
    asked = replace(PACKAGE, encrypt=True, recipient="0" * 40)
    folder = tmp_path / "package"
    refused("recipient_key_mismatch", folder, key, asked, recipient_certificate=certificate)
    refused("recipient_key_mismatch", folder, key, asked)
    refused("recipient_key_mismatch", folder, key, replace(asked, recipient=None))


@pytest.mark.parametrize("name", ["diversion_status.csv", "README.md", "SHA256SUMS", "manifest.json"])
def test_any_changed_file_is_found_on_reading_back(tmp_path, key, name):
    build(tmp_path, key)
    certificate = openpgp.certificate(key)
    assert package.verify(tmp_path, certificate)["rows"] == 3
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[:-1] + b" ")
    with pytest.raises(TerminalError, match="signature_invalid"):
        package.verify(tmp_path, certificate)


def test_a_missing_or_added_file_is_found_on_reading_back(tmp_path, key):
    build(tmp_path, key)
    certificate = openpgp.certificate(key)
    (tmp_path / "extra.csv").write_text("x")
    with pytest.raises(TerminalError, match="signature_invalid"):
        package.verify(tmp_path, certificate)
    (tmp_path / "extra.csv").unlink()
    (tmp_path / package.SIGNATURE).unlink()
    with pytest.raises(TerminalError, match="signature_invalid"):
        package.verify(tmp_path, certificate)


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="sha256sum is not installed")
def test_stock_sha256sum_accepts_what_is_delivered(encrypted):
    folder, _ = encrypted
    ran = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=folder, capture_output=True
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count(b": OK") == len(list(folder.iterdir())) - 2


@pytest.fixture
def gpg():
    """Stock gpg in an empty home; called with arguments and a folder, it gives the finished process."""
    if GPG is None:
        pytest.skip("stock gpg is not installed")
    # the agent's socket path must be short
    home = tempfile.mkdtemp(prefix="gpg", dir="/tmp")

    def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess:
        fixed = [GPG, "--homedir", home, "--batch", "--trust-model", "always"]
        return subprocess.run([*fixed, *arguments], cwd=cwd, capture_output=True)

    yield run
    subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False)
    shutil.rmtree(home, ignore_errors=True)


def test_stock_gpg_verifies_the_manifest(tmp_path, key, gpg):
    build(tmp_path, key)
    (tmp_path / "hub.asc").write_bytes(openpgp.certificate(key))
    assert gpg("--import", "hub.asc", cwd=tmp_path).returncode == 0
    verify = ("--verify", package.SIGNATURE, package.MANIFEST)
    assert gpg(*verify, cwd=tmp_path).returncode == 0
    manifest = tmp_path / package.MANIFEST
    manifest.write_bytes(manifest.read_bytes().replace(b'"rows": 3', b'"rows": 4'))
    assert gpg(*verify, cwd=tmp_path).returncode != 0


def test_stock_gpg_decrypts_a_delivery_to_a_key_that_gpg_made(tmp_path, key, gpg):
    made = ("--passphrase", "", "--quick-generate-key", "partner@leadhub.example", "future-default")
    assert gpg(*made, cwd=tmp_path).returncode == 0
    certificate = gpg("--armor", "--export", cwd=tmp_path).stdout
    facts = replace(PACKAGE, encrypt=True, recipient=openpgp.fingerprint(certificate).lower())
    build(tmp_path, key, facts, recipient_certificate=certificate)
    opened = gpg("--decrypt", "diversion_status.csv.pgp", cwd=tmp_path)
    assert opened.returncode == 0, opened.stderr
    assert b"DA-3,ENROLLED,2026-11-01,'=1+1" in opened.stdout

"""OpenPGP: what stock GnuPG makes is read, what we make GnuPG takes, and nothing else is let through."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadhub.foundation import openpgp
from leadhub.foundation.errors import TerminalError

CANARY = b"client_id,last_name\nC1,Quetzalhammer\n"

needs_gpg = pytest.mark.skipif(shutil.which("gpg") is None, reason="GnuPG is not installed")


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "hub.pgp"
    openpgp.generate(path, "leadhub drops <drops@leadhub.example>")
    return path


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "other.pgp"
    openpgp.generate(path, "other <other@county.example>")
    return path


class Gpg:
    """Stock GnuPG with a key ring of its own."""

    def __init__(self, home: str):
        self.home = home

    def __call__(self, *arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["gpg", "--homedir", self.home, "--batch", "--yes", "--trust-model", "always", *arguments],
            input=given,
            capture_output=True,
            timeout=60,
        )


@pytest.fixture(scope="module")
def gpg() -> Iterator[Gpg]:
    # the agent's socket needs a short path
    with tempfile.TemporaryDirectory(prefix="g") as home:
        os.chmod(home, 0o700)
        yield Gpg(home)
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], capture_output=True)


def refusal(act: Callable[[], object]) -> TerminalError:
    with pytest.raises(TerminalError) as caught:
        act()
    assert b"Quetzal" not in repr(caught.value).encode()
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return caught.value


# our own round trip -----------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(data=st.binary(max_size=5000))
def test_what_is_encrypted_comes_back(hub: Path, data: bytes) -> None:
    message = openpgp.encrypt(data, openpgp.certificate(hub))
    assert openpgp.decrypt(message, hub) == data
    assert data not in message or len(data) < 4


def test_a_file_is_encrypted_whole_or_not_at_all(hub: Path, tmp_path: Path) -> None:
    source, target = tmp_path / "rows.csv", tmp_path / "rows.csv.pgp"
    source.write_bytes(CANARY * 100_000)
    openpgp.encrypt_file(source, target, openpgp.certificate(hub))
    assert target.stat().st_mode & 0o777 == 0o600
    assert openpgp.decrypt(target.read_bytes(), hub) == source.read_bytes()
    signing_only = b"no certificate"
    target.unlink()
    assert (
        refusal(lambda: openpgp.encrypt_file(source, target, signing_only)).reason
        == "recipient_key_mismatch"
    )
    assert sorted(os.listdir(tmp_path)) == ["rows.csv"]


def test_signatures_hold_for_their_bytes_and_key_alone(hub: Path, other: Path) -> None:
    signature, cert = openpgp.sign_detached(CANARY, hub), openpgp.certificate(hub)
    openpgp.verify_detached(CANARY, signature, cert)
    for data, signed, by in (
        (CANARY + b" ", signature, cert),
        (b"", signature, cert),
        (CANARY, signature, openpgp.certificate(other)),
        (CANARY, openpgp.sign_detached(CANARY, other), cert),
        (CANARY, signature[: len(signature) // 2], cert),
        (CANARY, b"", cert),
        (CANARY, openpgp.encrypt(CANARY, cert), cert),
    ):
        assert (
            refusal(lambda d=data, s=signed, c=by: openpgp.verify_detached(d, s, c)).reason
            == "signature_invalid"
        )


def test_nothing_warns(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        openpgp.generate(tmp_path / "k.pgp", "a <a@county.example>")
        cert = openpgp.certificate(tmp_path / "k.pgp")
        openpgp.decrypt(openpgp.encrypt(CANARY, cert), tmp_path / "k.pgp")
        openpgp.verify_detached(CANARY, openpgp.sign_detached(CANARY, tmp_path / "k.pgp"), cert)


# what must not pass -----------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_f16_any_changed_or_missing_byte_is_refused(hub: Path, data: st.DataObject) -> None:
    message = openpgp.encrypt(CANARY, openpgp.certificate(hub))
    at = data.draw(st.integers(0, len(message) - 1))
    if data.draw(st.booleans()):
        broken = message[:at]
    else:
        broken = (
            message[:at] + bytes([message[at] ^ (1 << data.draw(st.integers(0, 7)))]) + message[at + 1 :]
        )
    try:
        content = openpgp.decrypt(broken, hub)
    except TerminalError as error:
        content = error.reason
    assert content in (CANARY, "decryption_failed"), "a changed message never gives other content"


def test_every_byte_of_the_sealed_part_counts(hub: Path) -> None:
    message = openpgp.encrypt(CANARY, openpgp.certificate(hub))
    for at in range(len(message) - 40, len(message)):
        broken = message[:at] + bytes([message[at] ^ 1]) + message[at + 1 :]
        assert refusal(lambda b=broken: openpgp.decrypt(b, hub)).reason == "decryption_failed"


def test_what_was_never_encrypted_is_refused(hub: Path, gpg: Gpg) -> None:
    literal = b"b\0\0\0\0\0" + CANARY
    for data in (CANARY, b"", bytes([0xCB, len(literal)]) + literal, b"\x1f\x8b\x08", b"PK\x03\x04"):
        assert refusal(lambda d=data: openpgp.decrypt(d, hub)).reason == "decryption_failed"


def test_a_message_to_another_key_is_refused(hub: Path, other: Path) -> None:
    message = openpgp.encrypt(CANARY, openpgp.certificate(other))
    assert refusal(lambda: openpgp.decrypt(message, hub)).reason == "decryption_failed"


def test_f41_content_is_capped_while_it_is_written(hub: Path) -> None:
    message = openpgp.encrypt(CANARY * 1000, openpgp.certificate(hub))
    assert refusal(lambda: openpgp.decrypt(message, hub, max_bytes=len(CANARY) * 999)).reason == "too_large"
    assert openpgp.decrypt(message, hub, max_bytes=len(CANARY) * 1000 + 1) == CANARY * 1000


@needs_gpg
def test_f41_a_bomb_is_refused(hub: Path, gpg: Gpg, tmp_path: Path) -> None:
    import resource

    gpg("--import", given=openpgp.certificate(hub))
    zeros = tmp_path / "zeros"
    with zeros.open("wb") as handle:
        handle.truncate(200 << 20)
    bomb = tmp_path / "bomb.pgp"
    packing = ["--compress-algo", "zlib", "-z", "9"]
    assert gpg(*packing, "-r", "drops@leadhub.example", "-o", str(bomb), "-e", str(zeros)).returncode == 0
    assert bomb.stat().st_size < 500_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert refusal(lambda: openpgp.decrypt(bomb.read_bytes(), hub)).reason == "too_large"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400_000
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


# keys -------------------------------------------------------------------------------------------------


def test_keys_are_kept_to_their_owner(hub: Path, tmp_path: Path) -> None:
    assert hub.stat().st_mode & 0o777 == 0o600
    assert refusal(lambda: openpgp.certificate(tmp_path / "none.pgp")).reason == "key_missing"
    loose = tmp_path / "loose.pgp"
    shutil.copy(hub, loose)
    loose.chmod(0o640)
    assert refusal(lambda: openpgp.sign_detached(b"", loose)).reason == "wrong_key"
    for content in (b"", b"not a key", openpgp.certificate(hub)):
        loose.write_bytes(content)
        loose.chmod(0o600)
        assert refusal(lambda: openpgp.sign_detached(b"", loose)).reason == "wrong_key"


def test_a_certificate_is_public_and_alone(hub: Path, other: Path) -> None:
    cert = openpgp.certificate(hub)
    assert b"PRIVATE" not in cert
    assert len(openpgp.fingerprint(cert)) == 40
    for bad in (hub.read_bytes(), b"", b"x", cert + openpgp.certificate(other)):
        assert refusal(lambda b=bad: openpgp.fingerprint(b)).reason == "recipient_key_mismatch"
        assert refusal(lambda b=bad: openpgp.encrypt(CANARY, b)).reason == "recipient_key_mismatch"


# stock GnuPG ------------------------------------------------------------------------------------------


@needs_gpg
def test_gpg_verifies_our_signature(hub: Path, gpg: Gpg, tmp_path: Path) -> None:
    gpg("--import", given=openpgp.certificate(hub))
    data, signature = tmp_path / "manifest.json", tmp_path / "manifest.json.asc"
    data.write_bytes(CANARY)
    signature.write_bytes(openpgp.sign_detached(CANARY, hub))
    good = gpg("--status-fd", "1", "--verify", str(signature), str(data))
    assert good.returncode == 0, good.stderr.decode()
    assert b"VALIDSIG" in good.stdout
    data.write_bytes(CANARY + b"C2,Li\n")
    assert gpg("--verify", str(signature), str(data)).returncode != 0


@needs_gpg
def test_gpg_prints_the_same_fingerprint(hub: Path, gpg: Gpg) -> None:
    cert = openpgp.certificate(hub)
    gpg("--import", given=cert)
    shown = gpg("--with-colons", "--fingerprint", "drops@leadhub.example").stdout.decode()
    assert f":{openpgp.fingerprint(cert)}:" in shown


@needs_gpg
@pytest.mark.parametrize("armour", [[], ["--armor"]], ids=["binary", "armoured"])
@pytest.mark.parametrize("signed", [[], ["--sign", "-u", "agency@county.example"]], ids=["plain", "signed"])
def test_what_gpg_encrypts_to_us_is_read(hub: Path, gpg: Gpg, armour: list[str], signed: list[str]) -> None:
    gpg("--import", given=openpgp.certificate(hub))
    if signed:
        gpg("--passphrase", "", "--quick-generate-key", "agency@county.example", "rsa3072", "default", "1d")
    done = gpg(*armour, *signed, "-r", "drops@leadhub.example", "--encrypt", given=CANARY)
    assert done.returncode == 0, done.stderr.decode()
    assert openpgp.decrypt(done.stdout, hub) == CANARY


@needs_gpg
@pytest.mark.parametrize("kind", ["rsa3072", "future-default", "nistp384"])
def test_gpg_decrypts_what_we_encrypt_to_it(gpg: Gpg, kind: str, tmp_path: Path) -> None:
    who = f"partner-{kind}@county.example"
    made = gpg("--passphrase", "", "--quick-generate-key", who, kind, "default", "1d")
    assert made.returncode == 0, made.stderr.decode()
    if kind != "future-default":
        shown = gpg("--with-colons", "--fingerprint", who).stdout.decode()
        fingerprint = shown.split("fpr:::::::::")[1].split(":")[0]
        assert gpg("--passphrase", "", "--quick-add-key", fingerprint, kind, "encr", "1d").returncode == 0
    cert = gpg("--export", "--armor", who).stdout
    message = tmp_path / "data.csv.pgp"
    (tmp_path / "data.csv").write_bytes(CANARY * 1000)
    openpgp.encrypt_file(tmp_path / "data.csv", message, cert)
    read = gpg("--passphrase", "", "--pinentry-mode", "loopback", "--decrypt", str(message))
    assert read.returncode == 0, read.stderr.decode()
    assert read.stdout == CANARY * 1000


@needs_gpg
def test_gpg_decrypts_with_a_key_that_we_made(other: Path, gpg: Gpg) -> None:
    gpg("--import", given=other.read_bytes())
    read = gpg("--decrypt", given=openpgp.encrypt(CANARY, openpgp.certificate(other)))
    assert read.returncode == 0, read.stderr.decode()
    assert read.stdout == CANARY


@needs_gpg
def test_f15_an_expired_or_signing_certificate_is_not_encrypted_to(gpg: Gpg) -> None:
    gpg("--passphrase", "", "--quick-generate-key", "signs@county.example", "rsa3072", "sign", "1d")
    gpg(
        "--faked-system-time",
        "20200101T000000",
        "--passphrase",
        "",
        "--quick-generate-key",
        "old@county.example",
        "rsa3072",
        "default",
        "1d",
    )
    for who in ("signs@county.example", "old@county.example"):
        cert = gpg("--export", who).stdout
        assert cert
        assert refusal(lambda c=cert: openpgp.encrypt(CANARY, c)).reason == "recipient_key_mismatch"

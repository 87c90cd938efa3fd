"""The root key's file opens nothing by itself: under a passphrase for real, in Vault and a cloud's KMS
against servers on loopback that speak their interfaces. Neither real service can be had here."""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadhub import cli
from leadhub.foundation import keys as key_ring
from leadhub.foundation.errors import LeadhubError, TerminalError, TransientError
from leadhub.foundation.settings import Settings
from leadhub.foundation.wrapping import Wrapping

ROOT = bytes(range(32))


def secret(path, text: str, mode: int = 0o600):
    path.write_text(text + "\n")
    path.chmod(mode)
    return path


@pytest.fixture
def passphrase(tmp_path):
    return secret(tmp_path / "passphrase", "correct horse battery staple")


# a passphrase -----------------------------------------------------------------------------------------


@settings(max_examples=5, deadline=None)
@given(root=st.binary(min_size=32, max_size=32))
def test_a_passphrase_gives_back_what_it_wrapped(tmp_path_factory, root):
    path = secret(tmp_path_factory.mktemp("secret") / "passphrase", "correct horse battery staple")
    wrapping = Wrapping(passphrase_file=path)
    one, other = wrapping.wrap(root), wrapping.wrap(root)
    assert wrapping.unwrap(one) == wrapping.unwrap(other) == root
    assert one != other
    assert root.hex() not in one


def test_another_passphrase_or_an_edited_file_opens_nothing(tmp_path, passphrase):
    content = Wrapping(passphrase_file=passphrase).wrap(ROOT)
    other = secret(tmp_path / "other", "correct horse battery stable")
    with pytest.raises(TerminalError, match="wrong_key") as caught:
        Wrapping(passphrase_file=other).unwrap(content)
    assert "horse" not in caught.value.message
    raw = bytearray(base64.b64decode(content.removeprefix("pbkdf2:")))
    for place in (0, 20, len(raw) - 1):
        edited = bytearray(raw)
        edited[place] ^= 1
        with pytest.raises(TerminalError, match="wrong_key"):
            Wrapping(passphrase_file=passphrase).unwrap("pbkdf2:" + base64.b64encode(edited).decode())
    with pytest.raises(TerminalError, match="wrong_key"):
        Wrapping(passphrase_file=passphrase).unwrap(content[: len("pbkdf2:") + 52])


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        ("correct horse battery staple", 0o644, "chmod 600"),
        ("short", 0o600, "16 characters"),
        ("", 0o600, "one line"),
        ("two lines of a passphrase\nare one too many", 0o600, "one line"),
    ],
)
def test_a_weak_secret_is_refused(tmp_path, text, mode, said):
    path = secret(tmp_path / "passphrase", text, mode)
    with pytest.raises(TerminalError, match="settings_invalid") as caught:
        Wrapping(passphrase_file=path).wrap(ROOT)
    assert said in caught.value.message


def test_without_its_passphrase_a_file_says_what_is_lacking(tmp_path, passphrase):
    content = Wrapping(passphrase_file=passphrase).wrap(ROOT)
    with pytest.raises(TerminalError, match=r"settings_invalid.*LEADHUB_PASSPHRASE_FILE"):
        Wrapping().unwrap(content)
    with pytest.raises(TerminalError, match="key_missing"):
        Wrapping(passphrase_file=tmp_path / "nowhere").unwrap(content)


@pytest.mark.parametrize("content", ["", "not hex", "00" * 31, "pbkdf2:!!", "gcpkms9:x"])
def test_what_is_no_root_key_is_none(tmp_path, passphrase, content):
    path = secret(tmp_path / "root.key", content)
    with pytest.raises(TerminalError, match="wrong_key"):
        key_ring.load(path, Wrapping(passphrase_file=passphrase))


# services ---------------------------------------------------------------------------------------------


class Service(BaseHTTPRequestHandler):
    """Vault's transit engine and Cloud KMS, as far as the hub asks: each ciphertext has its own key."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        good = self.headers["Metadata-Flavor"] == "Google"
        self._answer(200 if good else 403, {"access_token": "good", "expires_in": 3599})

    def do_POST(self):
        if self.server.status:
            return self._answer(self.server.status, {"errors": ["a secret word"]})
        given = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        token = self.headers["X-Vault-Token"] or self.headers["Authorization"]
        if token not in ("good", "Bearer good"):
            return self._answer(403, {})
        vault = self.path.startswith("/v1/transit/")
        act, key = self.path.split("/")[3:] if vault else self.path.rpartition(":")[::-2]
        about = given.get("additionalAuthenticatedData", "")
        if act == "encrypt":
            sealed = base64.b64encode(f"{key}|{about}|{given['plaintext']}".encode()).decode()
            sealed = f"vault:v1:{sealed}" if vault else sealed
            return self._answer(200, {"data": {"ciphertext": sealed}} if vault else {"ciphertext": sealed})
        inside = base64.b64decode(given["ciphertext"].removeprefix("vault:v1:")).decode().split("|")
        if inside[:2] != [key, about]:
            return self._answer(400, {"errors": ["cipher: message authentication failed"]})
        told = {"plaintext": inside[2]}
        return self._answer(200, {"data": told} if vault else told)

    def _answer(self, status: int, body: dict) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def service():
    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        server.status = None
        threading.Thread(target=server.serve_forever, daemon=True).start()
        server.url = f"http://127.0.0.1:{server.server_port}"
        yield server
        server.shutdown()


KEY = "projects/p/locations/l/keyRings/r/cryptoKeys/k"


@pytest.fixture(params=["vault", "gcp_kms"])
def wrapping(request, service, tmp_path):
    token = secret(tmp_path / "token", "good")
    if request.param == "vault":
        return Wrapping("vault", vault_addr=service.url, vault_key="leadhub", vault_token_file=token)
    return Wrapping("gcp_kms", kms_addr=service.url, kms_key=KEY, kms_token_file=token)


def other(wrapping: Wrapping, **changed) -> Wrapping:
    return Wrapping(**(vars(wrapping) | changed))


def test_a_service_gives_back_what_it_wrapped_and_holds_no_file(wrapping):
    content = wrapping.wrap(ROOT)
    assert content.startswith(("vault:v1:", "gcpkms1:"))
    assert wrapping.unwrap(content) == ROOT


def test_what_another_key_wrapped_is_not_opened(wrapping):
    content = wrapping.wrap(ROOT)
    with pytest.raises(TerminalError, match="wrong_key"):
        other(wrapping, vault_key="another", kms_key=KEY + "2").unwrap(content)


def test_a_refused_token_needs_a_person_and_a_service_that_is_down_does_not(wrapping, service, tmp_path):
    content, bad = wrapping.wrap(ROOT), secret(tmp_path / "bad", "bad")
    with pytest.raises(TerminalError, match="credentials_refused"):
        other(wrapping, vault_token_file=bad, kms_token_file=bad).unwrap(content)
    for status in (429, 500, 503):
        service.status = status
        with pytest.raises(TransientError, match="source_unreachable") as caught:
            wrapping.unwrap(content)
        assert "secret word" not in caught.value.message
    gone = "http://127.0.0.1:9"
    with pytest.raises(TransientError, match="source_unreachable"):
        other(wrapping, vault_addr=gone, kms_addr=gone).unwrap(content)


def test_no_token_travels_in_the_clear(wrapping):
    far = "http://vault.example"
    with pytest.raises(TerminalError, match="https"):
        other(wrapping, vault_addr=far, kms_addr=far).wrap(ROOT)


def test_a_machine_of_the_cloud_asks_for_its_own_token(service, monkeypatch):
    monkeypatch.setenv("GCE_METADATA_HOST", service.url.removeprefix("http://"))
    wrapping = Wrapping("gcp_kms", kms_addr=service.url, kms_key=KEY)
    assert wrapping.unwrap(wrapping.wrap(ROOT)) == ROOT


@pytest.mark.parametrize("kind", ["vault", "gcp_kms"])
def test_a_service_that_is_not_described_is_asked_nothing(kind):
    with pytest.raises(TerminalError, match="settings_invalid"):
        Wrapping(kind).wrap(ROOT)


# the command line -------------------------------------------------------------------------------------


@pytest.fixture
def leadhub(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LEADHUB_VAR", str(tmp_path / "var"))

    def run(*arguments: str) -> str:
        monkeypatch.setattr("sys.argv", ["leadhub", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return f"{ended.value.code or 0} {' '.join((said.out + said.err).split())}"

    return run


def test_the_same_root_moves_from_a_plain_file_to_a_passphrase_to_vault(
    leadhub, tmp_path, monkeypatch, passphrase, service
):
    chosen = Settings(var=tmp_path / "var")
    before = key_ring.load(chosen.root_key, create=True)
    key_ring.verify(before, chosen.key_state)
    assert "not encrypted" in leadhub("doctor")
    monkeypatch.setenv("LEADHUB_PASSPHRASE_FILE", str(passphrase))
    assert "encrypted under a passphrase" in leadhub("keys", "wrap")
    assert before.root.hex() not in chosen.root_key.read_text()
    assert "encrypted under a passphrase" in leadhub("doctor")
    monkeypatch.setenv("LEADHUB_KEY_PROVIDER", "vault")
    monkeypatch.setenv("LEADHUB_VAULT_ADDR", service.url)
    monkeypatch.setenv("LEADHUB_VAULT_KEY", "leadhub")
    monkeypatch.setenv("LEADHUB_VAULT_TOKEN_FILE", str(secret(tmp_path / "token", "good")))
    assert "wrapped by Vault" in leadhub("keys", "wrap")
    monkeypatch.delenv("LEADHUB_PASSPHRASE_FILE")
    assert "matches this state" in leadhub("doctor")
    kept = chosen.root_key.read_text()
    secret(tmp_path / "token", "bad")
    assert leadhub("doctor").startswith("50")
    assert chosen.root_key.read_text() == kept


def test_a_wrong_passphrase_stops_with_the_code_of_a_wrong_key(leadhub, tmp_path, monkeypatch, passphrase):
    monkeypatch.setenv("LEADHUB_PASSPHRASE_FILE", str(passphrase))
    assert leadhub("init").startswith("0")
    secret(passphrase, "another one of good length")
    said = leadhub("doctor")
    assert said.startswith("40")
    assert "wrong_key: the passphrase" in said


def test_a_provider_that_gives_another_key_back_changes_no_file(tmp_path, monkeypatch):
    path = tmp_path / "root.key"
    key_ring.store(path, key_ring.Keys(ROOT), Wrapping())
    before = path.read_bytes()
    monkeypatch.setattr(Wrapping, "unwrap", lambda *_: bytes(32))
    with pytest.raises(LeadhubError, match="wrong_key"):
        key_ring.store(path, key_ring.Keys(ROOT), Wrapping())
    assert path.read_bytes() == before

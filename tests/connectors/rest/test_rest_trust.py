"""The connector for HTTP interfaces: whom it talks to, and as whom."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from connectors.base import Connection
from leadhub.foundation.errors import TerminalError, TransientError
from simulation.da_api import DaServer
from simulation.da_faults import Fault
from tests.connectors.rest.da_interface import KEYS, asked, connection, defendants, read, refused, rows

# --- F18: whom we talk to --------------------------------------------------------------------


@pytest.fixture
def tls_server(tmp_path: Path) -> Iterator[tuple[DaServer, Path]]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    today = datetime.now(UTC)
    loopback = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, today, today + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([loopback]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = tmp_path / "server.pem", tmp_path / "server.key"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    with DaServer(tls=(certificate_file, key_file)) as running:
        running.load({"defendants": defendants()}, KEYS)
        yield running, certificate_file


def test_f18_an_untrusted_certificate_is_refused_and_nothing_sent(tls_server, landing):
    server, _ = tls_server
    error = refused(landing, lambda: read(server, landing))
    assert (type(error), error.reason) == (TerminalError, "host_key_changed")
    assert server.requests == []


def test_f18_the_certificate_that_the_connection_names_is_trusted(tls_server, landing):
    server, certificate_file = tls_server
    drop = read(connection(server, ca_file=str(certificate_file)), landing)
    assert len(rows(landing, drop)) == 10


def test_f18_a_certificate_of_another_name_is_refused(tls_server, landing):
    server, certificate_file = tls_server
    given = connection(server, ca_file=str(certificate_file))
    other = Connection("localhost", given.port, given.login, given.password, extra=given.extra)
    assert refused(landing, lambda: read(other, landing)).reason == "host_key_changed"


def test_f18_plain_http_to_another_machine_is_refused(landing):
    plain = Connection("192.0.2.1", 80, extra={"scheme": "http"})
    assert refused(landing, lambda: read(plain, landing)).reason == "settings_invalid"


def test_redirects_are_not_followed(server, landing):
    with DaServer() as other:
        place = f"http://127.0.0.1:{other.port}/v1/defendants"
        server.script([Fault("/v1/defendants", status=302, headers={"location": place})])
        error = refused(landing, lambda: read(server, landing))
        assert (type(error), error.reason) == (TransientError, "bad_response")
        assert other.requests == []


# --- F22: tokens -----------------------------------------------------------------------------


def test_f22_a_token_that_expires_is_renewed_once_and_the_cursor_kept(server, landing):
    server.script([Fault("/v1/defendants", nth=3, before=server.expire_tokens)])
    assert rows(landing, read(server, landing)) == defendants().to_dicts()
    queries = asked(server, "/v1/defendants")
    assert queries[2] == queries[3]
    assert len(asked(server, "/oauth/token")) == 2


def test_f22_a_second_refusal_needs_a_person(server, landing):
    server.script([Fault("/v1/defendants", nth=2, times=9, status=401)])
    error = refused(landing, lambda: read(server, landing))
    assert (type(error), error.reason) == (TerminalError, "credentials_refused")
    assert len(asked(server, "/v1/defendants")) == 3


def test_f22_wrong_credentials_are_tried_once(server, landing):
    given = connection(server)
    wrong = Connection(given.host, given.port, given.login, "another", extra=given.extra)
    error = refused(landing, lambda: read(wrong, landing))
    assert (type(error), error.reason) == (TerminalError, "credentials_refused")
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"{}",
        b"[]",
        b'{"access_token":"a b","token_type":"Bearer"}',
        b'{"access_token":"a","token_type":"mac"}',
    ],
)
def test_f22_a_token_answer_without_token_is_a_bad_response(server, landing, answer):
    server.script([Fault("/oauth/token", body=answer)])
    assert refused(landing, lambda: read(server, landing)).reason == "bad_response"

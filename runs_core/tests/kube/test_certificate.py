"""A kubeconfig's client certificate is used as its files have it, also those that were written a moment ago."""

from __future__ import annotations

import datetime as dt
import http.server
import ipaddress
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from runs_core.cluster.kube import certificate
from runs_core.cluster.kube.api import Api

Pair = tuple[str, str]


def pair(name: str) -> Pair:
    """A certificate that signs itself, and its key; also good for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder(who, who, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return made.public_bytes(serialization.Encoding.PEM).decode(), secret.decode()


FIRST, SECOND, SERVER = pair("first"), pair("second"), pair("server")


class Answer(http.server.BaseHTTPRequestHandler):
    """Keeps a connection, as an API server does, and whom it is from."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        assert isinstance(self.connection, ssl.SSLSocket)
        shown = self.connection.getpeercert() or {}
        self.server.asked.append((str(shown["subject"][0][0][1]), self.client_address[1]))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the standard library's name
        """Nothing."""


class Server(http.server.ThreadingHTTPServer):
    """asked: by whom, and over which connection."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.asked: list[tuple[str, int]] = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        write(folder / "server.crt", folder / "server.key", SERVER)
        context.load_cert_chain(folder / "server.crt", folder / "server.key")
        context.load_verify_locations(cadata=FIRST[0] + SECOND[0])
        context.verify_mode = ssl.CERT_REQUIRED
        self.socket = context.wrap_socket(self.socket, server_side=True)

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.asked]


def write(at: Path, key: Path, what: Pair) -> None:
    at.write_text(what[0])
    key.write_text(what[1])


@pytest.fixture
def server(serve: Callable[[Server], None], tmp_path: Path) -> Server:
    made = Server(tmp_path)
    serve(made)
    return made


@pytest.fixture
def asked(
    server: Server,
    kubeconfig: Callable[[dict[str, str], dict[str, str]], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Api]:
    """Connected by a kubeconfig that names two files, which hold the first certificate."""
    monkeypatch.setattr(certificate, "LOOK_SECONDS", 0.0)
    write(tmp_path / "me.crt", tmp_path / "me.key", FIRST)
    cluster = {"server": f"https://127.0.0.1:{server.server_port}", "certificate-authority": "server.crt"}
    api = Api.connect(kubeconfig(cluster, {"client-certificate": "me.crt", "client-key": "me.key"}))
    yield api
    api.close()


def test_requests_share_a_connection_while_the_files_are_as_they_were(asked: Api, server: Server) -> None:
    for _ in range(3):
        asked.call("GET", "/")
    assert server.names == ["first"] * 3
    assert len({connection for _, connection in server.asked}) == 1


def test_a_client_certificate_that_was_written_anew_is_shown_with_the_next_request(
    asked: Api, server: Server, tmp_path: Path
) -> None:
    """A connection that is kept would go on with the old one for as long as it is used, also once that has expired."""
    asked.call("GET", "/")
    write(tmp_path / "me.crt", tmp_path / "me.key", SECOND)
    asked.call("GET", "/")
    assert server.names == ["first", "second"]


def test_while_one_of_two_files_is_written_the_connections_there_are_go_on(
    asked: Api, server: Server, tmp_path: Path
) -> None:
    asked.call("GET", "/")
    (tmp_path / "me.crt").write_text(SECOND[0])
    asked.call("GET", "/")
    (tmp_path / "me.key").unlink()
    asked.call("GET", "/")
    (tmp_path / "me.key").write_text(SECOND[1])
    asked.call("GET", "/")
    assert server.names == ["first", "first", "first", "second"]

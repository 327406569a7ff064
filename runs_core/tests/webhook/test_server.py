"""The HTTPS server, asked over loopback; and certificates in files."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

import attrs
import pytest

from runs_core.errors import InvalidInput
from runs_core.serve.webhook.files import LOOK_SECONDS, FileCertificates
from runs_core.serve.webhook.issue import Pair, authority, serving
from runs_core.serve.webhook.server import MOST_BYTES, WebhookServer

HOST = "127.0.0.1"
NOW = datetime.now(UTC)
LIFE = timedelta(days=30)
AUTHORITY = authority(NOW, LIFE)


def a_pair(life: timedelta = LIFE, now: datetime = NOW) -> Pair:
    return serving(AUTHORITY, (HOST,), now, life)


class Served:
    """answer: what the server asks. shown: its certificate. told: what it complained of."""

    def __init__(self) -> None:
        self.answer: Callable[[str, bytes], tuple[HTTPStatus, dict[str, Any]]] = echo
        self.shown = a_pair()
        self.told: list[str] = []
        self.server = WebhookServer((HOST, 0), self._answer, self._context, self.told.append)

    def _answer(self, path: str, body: bytes) -> tuple[HTTPStatus, dict[str, Any]]:
        return self.answer(path, body)

    def _context(self) -> ssl.SSLContext:
        return self.shown.context()

    def connect(self) -> http.client.HTTPSConnection:
        trust = ssl.create_default_context(cadata=AUTHORITY.certificate)
        return http.client.HTTPSConnection(HOST, self.server.port, context=trust, timeout=10)


def echo(path: str, body: bytes) -> tuple[HTTPStatus, dict[str, Any]]:
    return HTTPStatus.OK, {"path": path, "bytes": len(body)}


@pytest.fixture
def served() -> Iterator[Served]:
    made = Served()
    made.server.start()
    yield made
    made.server.stop(5)


def asked(connection: http.client.HTTPSConnection, body: bytes = b"{}", path: str = "/validate") -> tuple[int, Any]:
    connection.request("POST", path, body)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def test_a_connection_is_used_again(served: Served) -> None:
    connection = served.connect()
    answers = [asked(connection, b"x" * length, "/validate?timeout=5s") for length in (0, 1, 100_000)]
    assert answers == [(200, {"path": "/validate", "bytes": length}) for length in (0, 1, 100_000)]
    connection.close()


def test_an_answer_comes_in_one_piece(served: Served) -> None:
    """In two, the second would wait for the other side to acknowledge the first: 40 ms for each question."""
    trust = ssl.create_default_context(cadata=AUTHORITY.certificate)
    plain = socket.create_connection((HOST, served.server.port), timeout=10)
    with trust.wrap_socket(plain, server_hostname=HOST) as secured:
        secured.sendall(b"POST /validate HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
        piece = secured.recv(1 << 16)
    assert piece.startswith(b"HTTP/1.1 200 OK\r\n")
    assert piece.endswith(b'\r\n\r\n{"path":"/validate","bytes":2}')


def test_a_body_that_is_too_large_is_refused_unread(served: Served) -> None:
    connection = served.connect()
    connection.putrequest("POST", "/validate")
    connection.putheader("Content-Length", str(MOST_BYTES + 1))
    connection.endheaders()
    answer = connection.getresponse()
    assert (answer.status, b"want at most" in answer.read()) == (413, True)
    assert answer.getheader("Connection") == "close"
    connection.close()


@pytest.mark.parametrize("length", [None, "-1", "many", "٣"])
def test_a_body_of_no_known_length_is_refused(served: Served, length: str | None) -> None:
    connection = served.connect()
    connection.putrequest("POST", "/validate")
    if length is not None:
        connection.putheader("Content-Length", length.encode())
    connection.endheaders()
    assert connection.getresponse().status == 411
    connection.close()


def test_a_defect_is_answered_and_told_and_not_the_end(served: Served) -> None:
    def broken(path: str, body: bytes) -> tuple[HTTPStatus, dict[str, Any]]:
        raise ZeroDivisionError("by zero")

    served.answer = broken
    connection = served.connect()
    assert asked(connection)[0] == 500
    served.answer = echo
    assert asked(connection)[0] == 200
    assert served.told == ["webhook: /validate failed: ZeroDivisionError: by zero"]
    connection.close()


def test_who_speaks_no_tls_disturbs_nobody(served: Served) -> None:
    with socket.create_connection((HOST, served.server.port), timeout=10) as plain:
        plain.sendall(b"GET / HTTP/1.0\r\n\r\n")
        connection = served.connect()
        assert asked(connection)[0] == 200
        connection.close()
    assert served.told == []


def test_who_is_slow_keeps_nobody_waiting(served: Served) -> None:
    with socket.create_connection((HOST, served.server.port), timeout=10):
        connection = served.connect()
        assert asked(connection)[0] == 200
        connection.close()


def test_another_certificate_is_shown_to_the_next_connection(served: Served) -> None:
    open_already = served.connect()
    assert asked(open_already)[0] == 200
    served.shown = a_pair()
    shown = ssl.get_server_certificate((HOST, served.server.port), timeout=10)
    assert shown.strip() == served.shown.certificate.strip()
    assert asked(open_already)[0] == 200
    open_already.close()


def test_stopping_answers_what_was_asked_and_closes_what_waits(served: Served) -> None:
    begun, go = threading.Event(), threading.Event()

    def slow(path: str, body: bytes) -> tuple[HTTPStatus, dict[str, Any]]:
        begun.set()
        go.wait(10)
        return HTTPStatus.OK, {}

    idle = served.connect()
    assert asked(idle)[0] == 200
    served.answer = slow
    busy = served.connect()
    busy.request("POST", "/validate", b"{}")
    assert begun.wait(10)
    assert not served.server.stop(0)
    go.set()
    answer = busy.getresponse()
    assert (answer.status, answer.getheader("Connection"), answer.read()) == (200, "close", b"{}")
    idle.sock.settimeout(10)
    with suppress(ssl.SSLError, ConnectionError):  # its end, told in whichever way comes first
        assert idle.sock.recv(1) == b""
    with pytest.raises((http.client.HTTPException, OSError)):
        asked(idle)
    busy.close()
    idle.close()


# -- certificates in files --------------------------------------------------------------------------------------------


@attrs.define
class Files:
    """elapsed: seconds on the clock that paces the looking."""

    folder: Path
    now: datetime = NOW
    elapsed: float = 0.0

    def write(self, pair: Pair) -> None:
        """As a mounted Secret is: a new folder, then a link to it that replaces the old one at once."""
        folder = self.folder / f"data-{len(list(self.folder.iterdir()))}"
        folder.mkdir()
        (folder / "tls.crt").write_text(pair.certificate)
        (folder / "tls.key").write_text(pair.key)
        link = self.folder / "next"
        link.symlink_to(folder)
        link.replace(self.folder / "data")

    def read(self) -> FileCertificates:
        folder = self.folder / "data"
        return FileCertificates(folder / "tls.crt", folder / "tls.key", lambda: self.now, elapsed=lambda: self.elapsed)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    found = Files(tmp_path)
    found.write(a_pair())
    return found


def test_files_are_read_again_when_they_change(files: Files) -> None:
    found = files.read()
    first = found.context()
    files.elapsed += LOOK_SECONDS
    assert found.context() is first
    files.write(a_pair(life=LIFE / 2))
    assert found.context() is first, "it looks once a second at most"
    files.elapsed += LOOK_SECONDS
    assert found.context() is not first
    assert (found.ends, found.problem) == (a_pair(life=LIFE / 2).ends, None)


def test_files_that_do_not_match_change_nothing_until_they_do(files: Files) -> None:
    found = files.read()
    first = found.context()
    second = a_pair()
    (files.folder / "data" / "tls.crt").write_text(second.certificate)
    files.elapsed += LOOK_SECONDS
    assert found.context() is first
    assert "the key is not the certificate's; the former certificate is still shown" in (found.problem or "")
    (files.folder / "data" / "tls.key").write_text(second.key)
    files.elapsed += LOOK_SECONDS
    assert found.context() is not first
    assert found.problem is None


def test_files_that_vanish_change_nothing(files: Files) -> None:
    found = files.read()
    first = found.context()
    (files.folder / "data").unlink()
    files.elapsed += LOOK_SECONDS
    assert found.context() is first
    assert "cannot be used: No such file or directory" in (found.problem or "")


def test_a_certificate_that_ended_is_a_problem_with_its_remedy(files: Files) -> None:
    found = files.read()
    assert found.problem is None
    files.now = NOW + LIFE
    assert str(found.problem).endswith("Z; put a new one there")


@pytest.mark.parametrize("text", ["", "no certificate", "é"])
def test_without_a_usable_pair_it_does_not_begin(files: Files, text: str) -> None:
    (files.folder / "data" / "tls.crt").write_text(text, encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"tls\.crt and .*tls\.key: cannot be used: "):
        files.read()


def test_an_encrypted_key_is_refused_in_a_sentence(files: Files) -> None:
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - for this test only

    secret = a_pair().private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    (files.folder / "data" / "tls.key").write_bytes(secret)
    with pytest.raises(InvalidInput, match="the key cannot be used: Password was not given"):
        files.read()

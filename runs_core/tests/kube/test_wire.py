"""What comes back over a connection, byte by byte, from a server that says what the test tells it to."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence

import pytest

from runs_core.cluster.kube.wire import Broken, Wires

SECONDS = 5.0
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Scripted:
    """Answers each request with the next text; None: it hangs up instead. asked: what it was sent."""

    def __init__(self, answers: Sequence[bytes | None]) -> None:
        self.answers = list(answers)
        self.asked: list[bytes] = []
        self.connections = 0
        self.hung_up = threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._listening.getsockname()[:2]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while self.answers:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            with connection:
                self._answer(connection)
            self.hung_up.set()

    def _answer(self, connection: socket.socket) -> None:
        while self.answers:
            request = connection.recv(1 << 16)
            if not request:
                return
            self.asked.append(request)
            answer = self.answers.pop(0)
            if answer is None:
                return
            connection.sendall(answer)
            if b"close" in answer or b"HTTP/1.0" in answer:
                return

    def wires(self) -> Wires:
        return Wires("api.example:6443", lambda: socket.create_connection(self.address, timeout=SECONDS))

    def stop(self) -> None:
        self.answers.clear()
        self._listening.close()


@pytest.fixture
def script(request: pytest.FixtureRequest) -> Iterator[Scripted]:
    made = Scripted(request.param)
    yield made
    made.stop()


def body_of(wires: Wires) -> bytes:
    return wires.ask("GET", "/x?y=1", {"Accept": "text/plain"}, b"", SECONDS).body


def answers(*texts: bytes | None) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("script", [texts], indirect=True)


@answers(OK, OK)
def test_a_connection_is_used_again(script: Scripted) -> None:
    wires = script.wires()
    assert (body_of(wires), body_of(wires)) == (b"ok", b"ok")
    assert script.connections == 1
    assert script.asked[0].startswith(b"GET /x?y=1 HTTP/1.1\r\nHost: api.example:6443\r\nContent-Length: 0\r\n")


@answers(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: t\r\n\r\n", OK)
def test_an_answer_in_chunks_is_put_together(script: Scripted) -> None:
    wires = script.wires()
    assert (body_of(wires), body_of(wires)) == (b"abcde", b"ok")
    assert script.connections == 1


@answers(b"HTTP/1.1 409 Conflict\r\nRetry-After: 3\r\nContent-Length: 0\r\n\r\n")
def test_status_and_headers_are_told(script: Scripted) -> None:
    answer = script.wires().ask("PATCH", "/x", {}, b"{}", SECONDS)
    assert (answer.status, answer.headers["retry-after"], answer.body) == (409, "3", b"")
    assert script.asked[0].endswith(b"Content-Length: 2\r\n\r\n{}")


@answers(b"HTTP/1.1 100 Continue\r\n\r\n" + OK)
def test_what_only_says_that_the_answer_will_come_is_passed_over(script: Scripted) -> None:
    assert body_of(script.wires()) == b"ok"


@answers(b"HTTP/1.0 200 OK\r\n\r\nall of it", OK)
def test_an_answer_without_a_length_lasts_until_the_server_hangs_up(script: Scripted) -> None:
    wires = script.wires()
    assert (body_of(wires), body_of(wires)) == (b"all of it", b"ok")
    assert script.connections == 2


@answers(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", OK)
def test_a_connection_that_the_server_gave_notice_of_is_not_used_again(script: Scripted) -> None:
    wires = script.wires()
    assert body_of(wires) == b"ok"
    assert script.hung_up.wait(SECONDS)
    assert body_of(wires) == b"ok"
    assert script.connections == 2


@answers(OK + b"", None, OK)
def test_an_answer_that_does_not_come_is_said_and_the_next_request_has_a_new_connection(script: Scripted) -> None:
    wires = script.wires()
    body_of(wires)
    with pytest.raises((Broken, OSError)):
        body_of(wires)
    assert body_of(wires) == b"ok"
    assert script.connections == 2


@answers(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\nok")
def test_half_an_answer_is_none(script: Scripted) -> None:
    with pytest.raises(Broken, match="within an answer"):
        body_of(script.wires())


@answers(b"220 mail.example ESMTP\r\n")
def test_another_protocol_is_said_to_be_one(script: Scripted) -> None:
    with pytest.raises(Broken, match="does not speak HTTP"):
        body_of(script.wires())


@answers(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
def test_chunks_of_no_size_are_no_answer(script: Scripted) -> None:
    with pytest.raises(Broken, match="does not speak HTTP"):
        body_of(script.wires())

"""Short requests on connections that stay open: HTTP/1.1 as an API server speaks it, and no more of it than that.

The general client costs some 300 µs of CPU for each request, most of it for what a scheduler's writes never need; this
costs a third. To connect and to log in are still the official client's.

Source: RFC 9112, "HTTP/1.1", sections 2 to 7 and 9.3.
"""

from __future__ import annotations

import select
import socket
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from http import HTTPStatus
from io import BufferedReader

import attrs

MOST_LINE_BYTES = 1 << 16
MOST_HEADERS = 200
MOST_IDLE = 64


@attrs.frozen(kw_only=True)
class Answer:
    """headers: by name in lower case; of several of one name, the last."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Broken(Exception):  # says it: what came back is no answer
    """The other side does not speak HTTP, or hung up."""


class Wire:
    """One connection. Used by one thread at a time. lasts: whether it may be used again."""

    def __init__(self, made: socket.socket) -> None:
        self.lasts = True
        self._socket = made
        self._incoming: BufferedReader = made.makefile("rb")
        self._closing = weakref.finalize(self, _close, self._incoming, made)  # also when nobody needs it any more
        self._poll = select.poll()
        self._poll.register(made, select.POLLIN)

    def ask(self, request: bytes, seconds: float) -> Answer:
        """OSError, Broken: there is no answer."""
        self._socket.settimeout(seconds)
        self._socket.sendall(request)
        status, headers = self._head()
        while status < HTTPStatus.OK:
            status, headers = self._head()
        return Answer(status=status, headers=headers, body=self._body(status, headers))

    def dropped(self) -> bool:
        """Whether the other side has hung up, or said something unasked."""
        return bool(self._poll.poll(0))

    def close(self) -> None:
        self._closing()

    def _line(self) -> bytes:
        line = self._incoming.readline(MOST_LINE_BYTES)
        if not line.endswith(b"\n"):
            raise Broken("the connection was closed" if len(line) < MOST_LINE_BYTES else "a header is too long")
        return line.rstrip(b"\r\n")

    def _head(self) -> tuple[int, dict[str, str]]:
        version, _, rest = self._line().partition(b" ")
        if not version.startswith(b"HTTP/1.") or not rest[:3].isdigit():
            raise Broken("it does not speak HTTP")
        headers: dict[str, str] = {}
        while line := self._line():
            name, _, value = line.partition(b":")
            headers[name.decode("latin-1").strip().lower()] = value.decode("latin-1").strip()
            if len(headers) > MOST_HEADERS:
                raise Broken("there are too many headers")
        self.lasts = version == b"HTTP/1.1" and headers.get("connection", "").lower() != "close"
        return int(rest[:3]), headers

    def _body(self, status: int, headers: Mapping[str, str]) -> bytes:
        if status in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
            return b""
        if "chunked" in headers.get("transfer-encoding", "").lower():
            return b"".join(self._chunks())
        length = headers.get("content-length", "")
        if length.isdigit():
            return self._exactly(int(length))
        self.lasts = False
        return self._incoming.read()

    def _chunks(self) -> list[bytes]:
        chunks = []
        while size := _hexadecimal(self._line().partition(b";")[0]):
            chunks.append(self._exactly(size))
            self._line()
        while self._line():
            pass  # what a server adds behind the last chunk
        return chunks

    def _exactly(self, size: int) -> bytes:
        found = self._incoming.read(size)
        if len(found) < size:
            raise Broken("the connection was closed within an answer")
        return found


def _close(incoming: BufferedReader, made: socket.socket) -> None:
    incoming.close()
    made.close()


def _hexadecimal(text: bytes) -> int:
    try:
        return int(text.strip(), 16)
    except ValueError as error:
        raise Broken("it does not speak HTTP") from error


class Wires:
    """Connections to one server, as many as are used at the same time. Safe to use from many threads.

    authority: its host and port. connected: makes a connection; what that raises comes out of `ask`.
    """

    def __init__(self, authority: str, connected: Callable[[], socket.socket]) -> None:
        self._authority = authority
        self._connected = connected
        self._idle: deque[Wire] = deque()

    def ask(self, method: str, target: str, headers: Mapping[str, str], body: bytes, seconds: float) -> Answer:
        """target: path and query. seconds: of silence. OSError, Broken: no answer came, whatever was done."""
        lines = [f"{method} {target} HTTP/1.1", f"Host: {self._authority}", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        wire = self._take()
        try:
            answer = wire.ask("\r\n".join([*lines, "", ""]).encode("latin-1") + body, seconds)
        except BaseException:
            wire.close()
            raise
        if wire.lasts and len(self._idle) < MOST_IDLE:
            self._idle.append(wire)
        else:
            wire.close()
        return answer

    def _take(self) -> Wire:
        """The one used last, so that what is too many grows old and is dropped."""
        while True:
            try:
                wire = self._idle.pop()
            except IndexError:
                return Wire(self._connected())
            if not wire.dropped():
                return wire
            wire.close()

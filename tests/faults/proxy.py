"""Stands between a scheduler and the API server, and makes on command what networks and busy servers do.

Plain HTTP in front, TLS with the scheduler's token behind. One thread for each connection of the client's.
"""

from __future__ import annotations

import heapq
import http.client
import json
import queue
import random
import re
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import attrs

_PATH = re.compile(
    r"^/(?:api/v1|apis/[^/]+/[^/]+)(?:/namespaces/[^/]+(?=/))?/(?P<plural>[^/?]+)(?:/[^/?]+(?:/(?P<sub>[^/?]+))?)?"
)
_VERBS = {"POST": "create", "PATCH": "patch", "PUT": "update", "DELETE": "delete"}
_KEPT_HEADERS = ("Content-Type", "Retry-After", "Warning")
_DROPPED_HEADERS = ("authorization", "host", "connection", "accept-encoding")
ENDED: bytes | None = None
"""In a watch's queue: the server has ended it."""


class Request(NamedTuple):
    """verb: as RBAC says it. number: of this write among all writes, from 1.

    0: it only reads, or renews a leader's claim.
    """

    verb: str
    plural: str
    path: str
    number: int


@attrs.frozen(kw_only=True)
class Answers:
    """share: of all requests, spoiled in one of these ways, evenly drawn.

    429 and 409 come instead of the write; 500 and a timeout come half of the time although it was done. hang: seconds
    that a timeout takes until the connection is cut.
    """

    share: float
    ways: Sequence[str] = ("429", "500", "409", "timeout")
    hang: float = 1.0


@attrs.frozen(kw_only=True)
class Watching:
    """What happens to the events of watches. delay: seconds. window: seconds within which their order is drawn anew.

    twice: each comes a second time, up to two seconds after the first.
    """

    delay: float = 0.0
    window: float = 0.0
    twice: bool = False

    def times(self, draw: random.Random) -> list[float]:
        """After how many seconds it is told; more than one: told again."""
        first = self.delay + (draw.uniform(0, self.window) if self.window else 0.0)
        return [first, first + draw.uniform(0, 2)] if self.twice else [first]


class Proxy:
    """url: where it listens. counts: requests by (verb, resource). spoiled: by way. watches: that are open now.

    before_write is called in the connection's thread before a write goes on, and may wait. Its answer: whether it does.
    """

    def __init__(self, server: str, ca: Path, token: str, *, seed: int = 1) -> None:
        self.draw = random.Random(seed)
        self.lock = threading.Lock()
        self.counts: Counter[tuple[str, str]] = Counter()
        self.spoiled: Counter[str] = Counter()
        self.writes = 0
        self.told = 0
        self.answers: Answers | None = None
        self.watching = Watching()
        self.before_write: Callable[[Request], bool] | None = None
        self.open = threading.Event()
        self.open.set()
        self.watches: set[socket.socket] = set()
        self.upstream = urlsplit(server)
        self.tls = ssl.create_default_context(cafile=str(ca))
        self.token = token
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy = self
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True, name="proxy").start()

    def close(self) -> None:
        """Listen no more, and cut what is open."""
        self.open.set()
        self._server.shutdown()
        self._server.server_close()
        self._server.cut()

    def calm(self) -> None:
        """Pass everything on as it is from now on."""
        self.answers, self.watching, self.before_write = None, Watching(), None
        self.open.set()

    def drop_watches(self) -> int:
        """Cut every open watch in the middle; how many."""
        with self.lock:
            cut = list(self.watches)
        for connection in cut:
            _cut(connection)
        return len(cut)

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Every request waits until this is over, and so does every watch."""
        self.open.clear()
        try:
            yield
        finally:
            self.open.set()

    def spoil(self) -> str | None:
        """How the next request is spoiled."""
        with self.lock:
            answers = self.answers
            if answers is None or self.draw.random() >= answers.share:
                return None
            way = self.draw.choice(list(answers.ways))
            self.spoiled[way] += 1
            return way

    def drawn(self) -> bool:
        """Yes or no, evenly."""
        with self.lock:
            return self.draw.random() < 0.5

    def due(self, now: float) -> list[float]:
        """When an event that came now is told."""
        with self.lock:
            self.told += 1
            return [now + after for after in self.watching.times(self.draw)]

    def count(self, verb: str, plural: str, path: str) -> Request:
        with self.lock:
            self.counts[verb, plural] += 1
            writes = verb not in ("get", "list", "watch") and plural != "leases"
            self.writes += writes
            return Request(verb, plural, path, self.writes if writes else 0)


def read(method: str, path: str) -> tuple[str, str]:
    """(verb, resource) of a request, the resource with its subresource."""
    found = _PATH.match(path)
    plural = "" if found is None else found["plural"] + (f"/{found['sub']}" if found["sub"] else "")
    if method != "GET":
        return _VERBS.get(method, method.lower()), plural
    if "watch=1" in path:
        return "watch", plural
    named = found is not None and len(found[0].rstrip("/").split("/")) > len(found[0].split(plural, 1)[0].split("/"))
    return ("get" if named else "list"), plural


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    proxy: Proxy

    def __init__(self, address: tuple[str, int], handler: type[_Handler]) -> None:
        super().__init__(address, handler)
        self._connections: set[socket.socket] = set()

    def get_request(self) -> tuple[socket.socket, object]:
        connection, address = super().get_request()
        self._connections.add(connection)
        return connection, address

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        if isinstance(request, socket.socket):
            self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away in the middle is what this is for."""

    def cut(self) -> None:
        for connection in list(self._connections):
            _cut(connection)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.proxy = self.server.proxy
        self.upstream: http.client.HTTPSConnection | None = None

    def finish(self) -> None:
        self._forget()
        super().finish()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class names it so
        """Requests are counted, not printed."""

    def _any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        verb, plural = read(self.command, self.path)
        request = self.proxy.count(verb, plural, self.path)
        self.proxy.open.wait()
        if verb == "watch":
            self._watch()
            return
        if request.number and self.proxy.before_write is not None and not self.proxy.before_write(request):
            self._cut()
            return
        way = self.proxy.spoil()
        if way in ("429", "409") or (way is not None and self.proxy.drawn()):
            self._spoil(way)
            return
        answer = self._forward(body)
        if answer is None or way is not None:
            self._spoil(way or "cut")
            return
        self._tell(*answer)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _any  # noqa: N815  # the base class wants these names

    def _spoil(self, way: str) -> None:
        match way:
            case "429":
                self._status(429, "TooManyRequests", {"Retry-After": "1"})
            case "500":
                self._status(500, "InternalError", {})
            case "409":
                self._status(409, "Conflict", {})
            case "timeout":
                time.sleep(self.proxy.answers.hang if self.proxy.answers else 0.0)
                self._cut()
            case _:
                self._cut()

    def _status(self, code: int, reason: str, headers: dict[str, str]) -> None:
        told = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason}
        body = json.dumps({**told, "message": f"made by the proxy: {reason}"}).encode()
        self._tell(code, {"Content-Type": "application/json", **headers}, body)

    def _tell(self, code: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response_only(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def _cut(self) -> None:
        self.close_connection = True
        _cut(self.connection)

    def _forget(self) -> None:
        """Cut first: who still reads there holds a lock that closing waits for."""
        if self.upstream is not None:
            if self.upstream.sock is not None:
                _cut(self.upstream.sock)
            self.upstream.close()
            self.upstream = None

    def _ask(self, body: bytes | None) -> http.client.HTTPResponse:
        proxy = self.proxy
        if self.upstream is None:
            host, port = proxy.upstream.hostname or "", proxy.upstream.port
            self.upstream = http.client.HTTPSConnection(host, port, context=proxy.tls)
            self.upstream.connect()
            self.upstream.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _DROPPED_HEADERS}
        headers["Authorization"] = f"Bearer {proxy.token}"
        self.upstream.request(self.command, self.path, body=body or None, headers=headers)
        return self.upstream.getresponse()

    def _forward(self, body: bytes) -> tuple[int, dict[str, str], bytes] | None:
        """None: the server does not answer, and it is not known whether it did what was asked."""
        try:
            answer = self._ask(body)
            kept = {name: value for name in _KEPT_HEADERS if (value := answer.headers.get(name))}
            return answer.status, kept, answer.read()
        except (OSError, http.client.HTTPException):
            self._forget()
            return None

    def _watch(self) -> None:
        """Lines come from a thread of their own, and go on when they are due."""
        way = self.proxy.spoil()
        if way is not None:
            self._spoil(way)
            return
        try:
            answer = self._ask(None)
        except (OSError, http.client.HTTPException):
            self._cut()
            return
        if answer.status != 200:
            self._tell(answer.status, {"Content-Type": "application/json"}, answer.read())
            return
        with self.proxy.lock:
            self.proxy.watches.add(self.connection)
        try:
            self._stream(answer)
        finally:
            with self.proxy.lock:
                self.proxy.watches.discard(self.connection)
            self.close_connection = True
            self._forget()

    def _stream(self, answer: http.client.HTTPResponse) -> None:
        self.send_response_only(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.flush()
        lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        threading.Thread(target=_pump, args=(answer, lines), daemon=True, name="watch").start()
        waiting: list[tuple[float, int, bytes]] = []
        came, ended = 0, False
        while waiting or not ended:
            for line in _arrived(lines, waiting[0][0] if waiting else None):
                if line is ENDED:
                    ended = True
                    continue
                for due in self.proxy.due(time.monotonic()):
                    came += 1
                    heapq.heappush(waiting, (due, came, line or b""))
            self.proxy.open.wait()
            while waiting and waiting[0][0] <= time.monotonic():
                self.wfile.write(heapq.heappop(waiting)[2])
            self.wfile.flush()


def _pump(answer: http.client.HTTPResponse, lines: queue.SimpleQueue[bytes | None]) -> None:
    try:
        while line := answer.readline():
            lines.put(line)
    except (OSError, http.client.HTTPException, AttributeError, ValueError):
        pass  # cut, by whomever: the same as its end
    lines.put(ENDED)


def _arrived(lines: queue.SimpleQueue[bytes | None], due: float | None) -> Iterator[bytes | None]:
    """All lines that are there, or come until then."""
    try:
        yield lines.get(timeout=5.0 if due is None else max(0.0, due - time.monotonic()))
        while True:
            yield lines.get_nowait()
    except queue.Empty:
        return


def _cut(connection: socket.socket) -> None:
    with suppress(OSError):  # it is cut already
        connection.shutdown(socket.SHUT_RDWR)

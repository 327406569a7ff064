"""Whether this process is well, over HTTP: /livez and /readyz, and /healthz for both."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from runs_core.errors import InvalidInput, Problem, Unavailable

OFF = "none"
LIVE_SECONDS = 60.0
"""Without a turn of its loop for so long a process hangs, and is to be restarted."""
STALE_SECONDS = 180.0
IDLE_SECONDS = 30.0
_ADDRESS = re.compile(r"(?:\[(?P<six>[0-9a-fA-F:.]+)\]|(?P<host>[^\[\]:]*)):(?P<port>\d{1,5})")
_MOST_PORT = 65_535

Check = Callable[[], Iterable[str]]
"""What is wrong, one sentence each; nothing: all is well."""


class Health:
    """Checks by path. The loop says `turned` each time that it came round."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._turned = clock()
        self._ready: list[Check] = []

    def turned(self) -> None:
        self._turned = self._clock()

    def needs(self, check: Check) -> None:
        """Not ready as long as this finds something."""
        self._ready.append(check)

    def live(self) -> list[str]:
        silent = self._clock() - self._turned
        return [f"the loop has not turned for {silent:.0f} s"] if silent > LIVE_SECONDS else []

    def ready(self) -> list[str]:
        return [problem for check in self._ready for problem in check()]

    def answer(self, path: str) -> tuple[HTTPStatus, str]:
        """As Kubernetes' own servers do: `ok`, or 503 and what is wrong."""
        match path:
            case "/livez":
                found = self.live()
            case "/readyz":
                found = self.ready()
            case "/healthz":
                found = [*self.live(), *self.ready()]
            case _:
                return HTTPStatus.NOT_FOUND, "want /healthz, /livez or /readyz\n"
        if found:
            return HTTPStatus.SERVICE_UNAVAILABLE, "".join(f"{problem}\n" for problem in found)
        return HTTPStatus.OK, "ok\n"


def address(text: str, flag: str) -> tuple[str, int] | None:
    """HOST:PORT, [IPV6]:PORT or :PORT for every interface; None: `none`. InvalidInput names the flag."""
    if text == OFF:
        return None
    found = _ADDRESS.fullmatch(text)
    if found is None or int(found["port"]) > _MOST_PORT:
        raise InvalidInput([Problem(flag, f"got {text!r}, want HOST:PORT such as 127.0.0.1:8080, or {OFF}")])
    return found["six"] or found["host"] or "", int(found["port"])


class HealthServer:
    """Answers from `start` to `stop`. Unavailable: the address cannot be had."""

    def __init__(self, where: tuple[str, int], health: Health) -> None:
        try:
            self._server = _Server(where, health)
        except OSError as error:
            told = f"{where[0]}:{where[1]} cannot be listened on ({error.strerror or error})"
            raise Unavailable(f"{told}: name another --http-address, or {OFF}") from error
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.5,), name="http", daemon=True)

    @property
    def port(self) -> int:
        """The one that it listens on; of interest where 0 was asked for."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, where: tuple[str, int], health: Health) -> None:
        if ":" in where[0]:
            self.address_family = socket.AF_INET6
        self.health = health
        super().__init__(where, _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = IDLE_SECONDS

    def do_GET(self) -> None:
        status, text = self.server.health.answer(self.path.partition("?")[0].rstrip("/") or "/")
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 - http.server's own

    def version_string(self) -> str:
        """Who answers; not which Python it runs on."""
        return "runs"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's own
        """A probe is not worth a line."""

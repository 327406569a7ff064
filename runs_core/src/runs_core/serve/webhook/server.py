"""The HTTPS server that the API server asks: HTTP/1.1, kept alive, a thread for each connection."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from runs_core.schema.convert import Object

Answering = Callable[[str, bytes], tuple[HTTPStatus, Object]]
MOST_BYTES = 8 << 20
"""Of a request: the old object and the new, each of which the API server bounds at 3 MiB."""
MOST_CONNECTIONS = 256
IDLE_SECONDS = 120.0
HANDSHAKE_SECONDS = 10.0


class WebhookServer:
    """Serves from `start` to `stop`. context: the certificate to show, asked for each new connection.

    told: what went wrong, in one sentence; a defect is answered with 500, so that the failure policy decides.
    """

    def __init__(
        self,
        address: tuple[str, int],
        answer: Answering,
        context: Callable[[], ssl.SSLContext],
        told: Callable[[str], None],
    ) -> None:
        self._server = _Server(address, answer, context, told)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="webhook", daemon=True)

    @property
    def port(self) -> int:
        """The one that it listens on; of interest where 0 was asked for."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        self._thread.start()

    def stop(self, seconds: float) -> bool:
        """No new questions; those that were asked are answered. False: not all of them in time."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        return self._server.finish(seconds)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(
        self,
        address: tuple[str, int],
        answer: Answering,
        context: Callable[[], ssl.SSLContext],
        told: Callable[[str], None],
    ) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        self.answer = answer
        self.told = told
        self.stopping = False
        self._context = context
        self._open: set[socket.socket] = set()
        self._quiet = threading.Condition()
        super().__init__(address, _Handler)

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ANN401  # as socketserver declares it
        """Whether there is room for one more connection."""
        with self._quiet:
            if len(self._open) >= MOST_CONNECTIONS:
                return False
            self._open.add(request)
        return True

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401  # as socketserver declares it
        """The handshake is made here, so that a client that is slow with it keeps nobody waiting."""
        secured = request
        try:
            request.settimeout(HANDSHAKE_SECONDS)
            secured = self._context().wrap_socket(request, server_side=True)
            with self._quiet:
                self._open = (self._open - {request}) | {secured}
            if not self.stopping:
                self.finish_request(secured, client_address)
        except OSError:
            pass  # whoever asked has gone, or speaks no TLS: there is nobody to answer
        except Exception as error:  # noqa: BLE001  # whatever it is, the caller gets an answer
            self.told(f"webhook: a connection failed: {type(error).__name__}: {error}")
        finally:
            self.shutdown_request(secured)
            with self._quiet:
                self._open -= {request, secured}
                self._quiet.notify_all()

    def finish(self, seconds: float) -> bool:
        """Ends connections that wait for a question, and waits for those that are being answered."""
        self.stopping = True
        deadline = time.monotonic() + seconds
        with self._quiet:
            for connection in self._open:
                try:
                    socket.socket.shutdown(connection, socket.SHUT_RD)  # TLS's own would wait for the other side
                except OSError:
                    continue  # it is closed already
            return self._quiet.wait_for(lambda: not self._open, deadline - time.monotonic())


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    wbufsize = -1  # headers and body in one piece
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isascii() or not length.isdigit():
            self._refuse(HTTPStatus.LENGTH_REQUIRED, "Content-Length: want the number of bytes of the body")
            return
        if int(length) > MOST_BYTES:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"body: got {length} bytes, want at most {MOST_BYTES}")
            return
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            self.close_connection = True
            return
        try:
            status, answer = self.server.answer(self.path.partition("?")[0], body)
        except Exception as error:  # noqa: BLE001  # whatever it is, the caller gets an answer
            self.server.told(f"webhook: {self.path} failed: {type(error).__name__}: {error}")
            status, answer = HTTPStatus.INTERNAL_SERVER_ERROR, {"message": "the scheduler failed; its log says why"}
        self._send(status, answer)

    def _refuse(self, status: HTTPStatus, message: str) -> None:
        """Whatever else was sent is not read."""
        self.close_connection = True
        self._send(status, {"message": message})

    def _send(self, status: HTTPStatus, answer: Object) -> None:
        body = json.dumps(answer, separators=(",", ":")).encode()
        self.close_connection = self.close_connection or self.server.stopping
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def version_string(self) -> str:
        """Who answers; not which Python it runs on."""
        return "runs"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # as http.server names it
        """A request is not worth a line."""

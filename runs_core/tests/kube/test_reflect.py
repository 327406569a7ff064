"""A watch that nobody tells anything."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from kubernetes import client

from runs_core.cluster.kube.api import Api
from runs_core.cluster.kube.reflect import Inbox, Reflector


class Quiet(BaseHTTPRequestHandler):
    """Has nothing to list, and keeps each watch open without a word."""

    server: QuietServer

    def do_GET(self) -> None:  # the base class wants this name
        self.send_response(200)
        self.end_headers()
        if "watch=1" not in self.path:
            self.wfile.write(json.dumps({"items": [], "metadata": {"resourceVersion": "1"}}).encode())
            return
        self.wfile.flush()
        self.server.watched.set()
        self.server.over.wait(30)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class names it so
        """Nobody reads it."""


class QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Quiet)
        self.watched, self.over = threading.Event(), threading.Event()


@pytest.fixture
def server(serve: Callable[[QuietServer], None]) -> Iterator[QuietServer]:
    made = QuietServer()
    serve(made)
    yield made
    made.over.set()


def test_a_watch_ends_when_it_is_stopped_and_not_only_with_the_next_event(server: QuietServer) -> None:
    configuration = client.Configuration()
    configuration.host = f"http://127.0.0.1:{server.server_address[1]}"
    reflector = Reflector(Api(configuration), "Run", "/runs", Inbox())
    reflector.start()
    assert server.watched.wait(10)
    reflector.stop()
    reflector.join(5)
    assert not reflector.is_alive()

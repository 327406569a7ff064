"""Watches that nobody tells anything, that end at once, or that tell what nobody understands."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from kubernetes import client

from runs_core.cluster.kube.api import Api, Close, Object, Refused
from runs_core.cluster.kube.decode import Decode
from runs_core.cluster.kube.reflect import PAUSE_SECONDS, Inbox, Listed, Reflector, Restored
from runs_core.errors import Unavailable


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


class Ends(Api):
    """Has nothing to list. says: each watch, before it ends at once; None: that its version is too old.

    watched: when each began. enough: set once there were three.
    """

    def __init__(self, says: list[bytes] | None) -> None:
        self.says = says
        self.lists = 0
        self.watched: list[float] = []
        self.enough = threading.Event()

    def call(self, *_: object, decode: Decode | None = None, **__: object) -> tuple[int, Object]:
        self.lists += 1
        return 200, {"items": [{"metadata": {"name": "one"}}], "metadata": {"resourceVersion": "1"}}

    def text(self, path: str, query: Mapping[str, str] | None = None, **_: object) -> Iterator[bytes]:
        self.watched.append(time.monotonic())
        if len(self.watched) == 3:
            self.enough.set()
        if self.says is None:
            raise Refused(410, "Expired", "too old resource version")
        yield from self.says


@pytest.mark.parametrize("says", [[], None])
def test_a_watch_that_ends_again_and_again_is_not_begun_again_without_a_pause(says: list[bytes] | None) -> None:
    server = Ends(says)
    reflector = Reflector(server, "Run", "/runs", Inbox())
    reflector.start()
    assert server.enough.wait(10)
    reflector.stop()
    reflector.join(10)
    assert server.watched[2] - server.watched[0] >= PAUSE_SECONDS[0] / 2


def test_a_list_that_cannot_be_understood_is_read_again() -> None:
    """Nobody would hear of a thread that ends, and whoever decides would go on without it."""
    wrong = [KeyError("spec")]

    def read(item: Object) -> Object:
        if wrong:
            raise wrong.pop()
        return item

    reflector = Reflector(Ends([]), "Run", "/runs", Inbox(), read)
    reflector.start()
    assert reflector.listed.wait(10)
    reflector.stop()


def test_after_an_event_that_is_none_everything_is_listed_anew() -> None:
    server = Ends([b'{"kind":"Status"}'])
    reflector = Reflector(server, "Run", "/runs", Inbox())
    reflector.start()
    assert server.enough.wait(10)
    assert reflector.failing is not None
    assert "KeyError" in reflector.failing
    reflector.stop()
    assert server.lists >= 3


class SetBack(Api):
    """Its first list is of version 9, all that follow of version 5. Each watch is silent; opens: and stands."""

    def __init__(self, *, opens: bool) -> None:
        self.opens = opens
        self.lists = 0

    def call(self, *_: object, **__: object) -> tuple[int, Object]:
        self.lists += 1
        return 200, {"items": [], "metadata": {"resourceVersion": "9" if self.lists == 1 else "5"}}

    def text(
        self,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        seconds: float | None = None,
        opened: Callable[[Close], None] | None = None,
    ) -> Iterator[bytes]:
        if opened is not None and self.opens:
            opened(lambda: None)
        yield from self.silence()

    def silence(self) -> Iterator[bytes]:
        raise Unavailable("Read timed out.")


@pytest.mark.parametrize("opens", [True, False])
def test_a_server_that_was_set_back_is_noticed_once_it_answers(opens: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A watch from a version that is still to come tells nothing, and what was seen seems newer than what there is."""
    monkeypatch.setattr("runs_core.cluster.kube.reflect.SILENT_SECONDS", 0.0)
    inbox = Inbox()
    reflector = Reflector(SetBack(opens=opens), "Run", "/runs", inbox)
    reflector.start()
    told: list[object] = []
    while len(told) < 2:
        assert inbox.wait(10)
        told += inbox.take()
    reflector.stop()
    assert told[:2] == [Listed(resource="Run", items=[], version=9), Restored(resource="Run")]

"""A journal that could not be read is kept for its time, and then goes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from runs_core.cluster.kube.api import Api, Refused
from runs_core.cluster.kube.cluster import KubeCluster
from runs_core.cluster.kube.unread import LOOKS_EVERY, Unread
from runs_core.errors import Unavailable
from runs_core.settings import Settings
from runs_core.testing.builders import A_MONDAY
from runs_core.values.quantity import format_time

Object = dict[str, Any]
KEPT = Settings().retention.leases
PATH = "/api/v1/namespaces/runs-system/configmaps/runs-journal-unread"


class Server(Api):
    """ConfigMaps by path, made on a Monday. asked: methods, in order. refuses: those that are refused.

    each: called before each request. go_on: cleared, nobody is answered.
    """

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.asked: list[str] = []
        self.refuses: dict[str, Refused] = {}
        self.each: Callable[[], None] = lambda: None
        self.go_on = threading.Event()
        self.go_on.set()

    def call(self, method: str, path: str, body: Object | None = None, **_: object) -> tuple[int, Object]:
        self.each()
        self.go_on.wait(10)
        self.asked.append(method)
        if method in self.refuses:
            raise self.refuses[method]
        if method == "POST" and body is not None:
            path = f"{path}/{body['metadata']['name']}"
            if path in self.objects:
                raise Refused(409, "AlreadyExists", "it is there")
            metadata = {"uid": f"uid-{len(self.asked)}", "creationTimestamp": format_time(A_MONDAY)}
            self.objects[path] = {**body, "metadata": {**metadata, **body["metadata"]}}
            return 201, self.objects[path]
        if path not in self.objects:
            raise Refused(404, "NotFound", path)
        found = self.objects[path]
        if method == "PATCH" and body is not None:
            assert body["metadata"].pop("uid") == found["metadata"]["uid"]
            data = {name: text for name, text in (found["data"] | body["data"]).items() if text is not None}
            self.objects[path] = {**found, "metadata": found["metadata"] | body["metadata"], "data": data}
        if method == "DELETE":
            assert (body or {}).get("preconditions", {}).get("uid") == found["metadata"]["uid"]
            del self.objects[path]
        return 200, found

    def said(self) -> Object | None:
        """What is kept."""
        found: Object | None = self.objects.get(PATH, {}).get("data")
        return found


@pytest.fixture
def server() -> Server:
    return Server()


def keep(server: Server, data: dict[str, str], now: datetime = A_MONDAY) -> str:
    return Unread(server, "runs-system", lambda: now).keep(data)


class Leader:
    """Sweeps at the time that is told."""

    def __init__(self, server: Server) -> None:
        self.now = A_MONDAY
        self.cluster = KubeCluster(
            server, Settings(), namespace="runs-system", told=lambda _: None, clock=lambda: self.now
        )

    def sweep(self, now: datetime) -> tuple[int, str | None]:
        """How many went, and what was refused."""
        self.now = now
        self.cluster.sweep()
        assert self.cluster.writer.drain(5)
        swept = self.cluster.sweep()
        assert self.cluster.writer.drain(5)
        return swept.journals, swept.refusal


@pytest.fixture
def leader(server: Server) -> Iterator[Leader]:
    made = Leader(server)
    yield made
    server.go_on.set()
    made.cluster.writer.stop()


def test_it_goes_once_it_was_kept_for_its_time(server: Server, leader: Leader) -> None:
    assert keep(server, {"term": "x"}) == "ConfigMap runs-journal-unread keeps it"
    assert leader.sweep(A_MONDAY + KEPT - timedelta(minutes=90)) == (0, None)
    assert list(server.objects) == [PATH]
    assert leader.sweep(A_MONDAY + KEPT) == (1, None)
    assert server.objects == {}


def test_it_is_looked_for_once_an_hour(server: Server, leader: Leader) -> None:
    for minutes in range(0, 120, 10):
        assert leader.sweep(A_MONDAY + timedelta(minutes=minutes)) == (0, None)
    assert server.asked == ["GET", "GET"]


def test_the_next_takes_its_place_and_is_kept_for_as_long(server: Server, leader: Leader) -> None:
    """At no moment is there none: whoever replaces it may be killed."""
    keep(server, {"term": "x", "head": "1"})
    server.each = lambda: there.append(server.said())
    there: list[Object | None] = []
    assert keep(server, {"term": "y"}, A_MONDAY + timedelta(days=9)) == "ConfigMap runs-journal-unread keeps it"
    assert there
    assert None not in there
    assert server.said() == {"term": "y"}
    assert leader.sweep(A_MONDAY + KEPT) == (0, None)
    assert leader.sweep(A_MONDAY + KEPT + timedelta(days=9)) == (1, None)


def test_one_that_may_not_be_kept_takes_nothing_away(server: Server) -> None:
    keep(server, {"term": "x"})
    refusal = server.refuses["POST"] = server.refuses["PATCH"] = Refused(403, "Forbidden", "exceeded quota")
    assert keep(server, {"term": "y"}) == f"it could not be kept: {refusal.message}"
    assert server.said() == {"term": "x"}


def test_one_that_goes_just_as_it_is_to_be_replaced_is_kept_with_the_next_try(server: Server) -> None:
    server.refuses["POST"] = Refused(409, "AlreadyExists", "it was there")
    with pytest.raises(Unavailable):
        keep(server, {"term": "x"})
    server.refuses.clear()
    keep(server, {"term": "x"})
    assert server.said() == {"term": "x"}


def test_nobody_who_decides_waits_for_the_look(server: Server, leader: Leader) -> None:
    server.go_on.clear()
    leader.cluster.sweep()
    assert server.asked == []
    server.go_on.set()
    assert leader.cluster.writer.drain(5)
    assert server.asked == ["GET"]


def test_one_that_may_not_be_removed_is_told_of_once_and_tried_again(server: Server, leader: Leader) -> None:
    keep(server, {"term": "x"})
    server.refuses["DELETE"] = Refused(403, "Forbidden", "not by you")
    minute = timedelta(minutes=1)
    assert leader.sweep(A_MONDAY + KEPT) == (0, "ConfigMap runs-journal-unread: Forbidden: not by you")
    assert leader.sweep(A_MONDAY + KEPT + minute) == (0, None)
    server.refuses.clear()
    assert leader.sweep(A_MONDAY + KEPT + 2 * minute) == (1, None)
    assert server.asked.count("DELETE") > 2
    assert leader.sweep(A_MONDAY + KEPT + 3 * minute + LOOKS_EVERY) == (0, None)

"""A journal that could not be read is kept for its time, and then goes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from runs_core.cluster.kube.api import Api, Refused
from runs_core.cluster.kube.unread import LOOKS_EVERY, Unread
from runs_core.testing.builders import A_MONDAY
from runs_core.values.quantity import format_time

Object = dict[str, Any]
KEPT = timedelta(days=30)
PATH = "/api/v1/namespaces/runs-system/configmaps/runs-journal-unread"


class Server(Api):
    """ConfigMaps by path, made on a Monday. asked: how often. refuses: nothing may be removed."""

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.asked = 0
        self.refuses = False

    def call(self, method: str, path: str, body: Object | None = None, **_: object) -> tuple[int, Object]:
        self.asked += 1
        if method == "POST" and body is not None:
            metadata = {**body["metadata"], "uid": f"uid-{self.asked}", "creationTimestamp": format_time(A_MONDAY)}
            self.objects[f"{path}/{metadata['name']}"] = {**body, "metadata": metadata}
            return 201, body
        if method == "DELETE" and self.refuses:
            raise Refused(403, "Forbidden", "not by you")
        if path not in self.objects:
            raise Refused(404, "NotFound", path)
        if method == "GET":
            return 200, self.objects[path]
        wanted = (body or {}).get("preconditions", {}).get("uid")
        assert wanted in (None, self.objects[path]["metadata"]["uid"])
        return 200, self.objects.pop(path)


@pytest.fixture
def server() -> Server:
    return Server()


def test_it_goes_once_it_was_kept_for_its_time(server: Server) -> None:
    unread = Unread(server, "runs-system")
    assert unread.keep({"term": "x"}) == "ConfigMap runs-journal-unread keeps it"
    assert not unread.sweep(A_MONDAY + KEPT - timedelta(minutes=90), KEPT)
    assert list(server.objects) == [PATH]
    assert unread.sweep(A_MONDAY + KEPT, KEPT)
    assert server.objects == {}


def test_it_is_looked_for_once_an_hour(server: Server) -> None:
    unread = Unread(server, "runs-system")
    for minutes in range(0, 120, 10):
        assert not unread.sweep(A_MONDAY + timedelta(minutes=minutes), KEPT)
    assert server.asked == 2


def test_one_that_may_not_be_removed_is_told_of_and_tried_again(server: Server) -> None:
    unread = Unread(server, "runs-system")
    unread.keep({"term": "x"})
    server.refuses = True
    with pytest.raises(Refused, match="not by you"):
        unread.sweep(A_MONDAY + KEPT, KEPT)
    server.refuses = False
    assert unread.sweep(A_MONDAY + KEPT + LOOKS_EVERY, KEPT)

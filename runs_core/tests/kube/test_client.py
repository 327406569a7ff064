"""What people ask of the API server, and how it is asked again."""

from __future__ import annotations

from typing import Any

import pytest

from runs_core.cluster.kube import client as module
from runs_core.cluster.kube.api import Refused
from runs_core.cluster.kube.client import Client
from runs_core.values.meta import Key

RUN = {"apiVersion": "runs.dev/v1alpha1", "kind": "Run", "metadata": {"name": "train", "namespace": "default"}}
DELAY = "Resource kind runs.dev/v1alpha1, Kind=Run not found. There can be a delay between when …"


class Learning:
    """A server that answers these first, then takes everything."""

    def __init__(self, *refusals: Refused) -> None:
        self.left = list(refusals)
        self.asked = 0

    def call(self, verb: str, path: str, body: Any = None, **more: Any) -> tuple[int, Any]:  # noqa: ANN401
        if verb == "GET":
            raise Refused(404, "NotFound", "it is not there")
        self.asked += 1
        if self.left:
            raise self.left.pop(0)
        return 201, {**body, "metadata": {**body["metadata"], "uid": "1"}}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.0)


def test_a_server_that_does_not_know_the_kind_yet_is_asked_again() -> None:
    server = Learning(*(Refused(503, "ServiceUnavailable", DELAY) for _ in range(2)))
    _, what = Client(server).apply(RUN)  # type: ignore[arg-type]  # all of it that is asked
    assert (what, server.asked) == ("created", 3)


def test_it_is_not_asked_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEARNS_SECONDS", 0.05)
    server = Learning(*(Refused(503, "ServiceUnavailable", DELAY) for _ in range(100_000)))
    with pytest.raises(Refused, match="There can be a delay"):
        Client(server).apply(RUN)  # type: ignore[arg-type]  # likewise
    assert server.asked > 1


def test_one_that_is_away_for_another_reason_is_asked_once() -> None:
    server = Learning(Refused(503, "ServiceUnavailable", "no endpoints"))
    with pytest.raises(Refused, match="no endpoints"):
        Client(server).apply(RUN)  # type: ignore[arg-type]  # likewise
    assert server.asked == 1


@pytest.mark.parametrize("key", [Key("default", ""), Key("default", ".."), Key("default", "a?b"), Key("a/b", "c")])
def test_what_no_object_can_be_called_is_no_path_that_is_asked_for(key: Key) -> None:
    """An empty name would be a list, and a slash or a question mark another request."""

    class Unasked:
        def call(self, verb: str, path: str) -> tuple[int, Any]:
            raise AssertionError(path)

    assert Client(Unasked()).get("Run", key) is None  # type: ignore[arg-type]  # likewise

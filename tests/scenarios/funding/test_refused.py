"""On a real API server that does not take the pods of whoever GPUs were taken back for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import pytest
from tests.scenarios.funds import FundedPlay, envelope
from tests.scenarios.kube import KubeStage
from tests.scenarios.plane import EmptyPlane

from runs_budgets import plugin as budgets
from runs_core.cluster.kube import steps
from runs_core.cluster.kube.api import Refused
from runs_core.cluster.kube.refusals import Refusals
from runs_core.settings import Settings, StartSettings
from runs_core.values.change import Refusal, StartRefused
from runs_core.values.meta import Key

SHORT = {"minRuntime": "60s"}
RANGES = "/api/v1/namespaces/research/limitranges"


@contextmanager
def one_gpu_a_pod(plane: EmptyPlane) -> Iterator[None]:
    """A LimitRange of that namespace: the API server refuses wider pods."""
    spec = {"limits": [{"type": "Container", "max": {"nvidia.com/gpu": "1"}}]}
    body = {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "narrow"}, "spec": spec}
    plane.people.call("POST", RANGES, body)
    try:
        yield
    finally:
        plane.people.call("DELETE", f"{RANGES}/narrow")


def a_refused_start(plane: EmptyPlane) -> FundedPlay:
    """x and y (4 each, guest) from 0. At 100 b (4 in pods of 2, org) takes 4 back; the API server refuses its pods."""
    play = FundedPlay(
        KubeStage(plane, Settings(starts=StartSettings(backoff=timedelta(minutes=10))), {"budgets": budgets})
    )
    play.fleet(a1=8)
    play.quota("guest")
    play.quota("org", envelope(4))
    for name in ("x", "y"):
        play.submit(name, gpus=4, owner="guest", runtime=SHORT)
    play.until(100)
    with one_gpu_a_pod(plane):
        play.submit("b", gpus=4, per_pod=2, owner="org")
        play.until(600)
    return play


def judged(play: FundedPlay) -> None:
    """Until 701 b is not tried again, though whoever was cut is past its minRuntime since 161: nobody else is cut."""
    (taking,) = play.takings()
    assert (taking.beneficiary, taking.gpus, len(taking.cuts)) == ("b", 4, 1)
    assert (taking.phase, taking.why) == ("Canceled", "StartRefused")
    (cut,) = taking.cuts
    (spared,) = {"x", "y"} - {cut}
    assert play.ledger(spared) == [("Start", 0, None, None)]
    assert [lease.closed for lease in play.ledger(cut)] == ["UnfundedReclaimed", None]
    assert play.status(cut)["preemptions"] == 1
    assert (play.phase("b"), play.status("b")["reason"]) == ("Held", "StartRefused")
    assert {play.phase(name) for name in ("x", "y")} == {"Running"}


def test_a_start_that_is_refused_cuts_nobody_else_and_its_resolution_says_so(plane: EmptyPlane) -> None:
    play = a_refused_start(plane)
    judged(play)
    play.until(800)
    assert play.phase("b") == "Running"
    assert [(taking.phase, taking.why) for taking in play.takings()] == [
        ("Canceled", "StartRefused"),
        ("Released", "Started"),
    ]
    play.stage.close()


def test_a_resolution_that_is_over_before_the_start_is_written_is_found_out(
    plane: EmptyPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "_given_to", lambda _: None)
    with pytest.raises(AssertionError, match="Started"):
        judged(a_refused_start(plane))


def test_a_refusal_that_nobody_minds_is_found_out(plane: EmptyPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    """b is tried after 90 seconds, and cuts, again and again."""

    def soon(_: Refusals, key: Key, refusal: Refused, now: datetime) -> StartRefused:
        return StartRefused(key, Refusal(message=str(refusal), count=1, until=now + timedelta(seconds=90)))

    monkeypatch.setattr(Refusals, "add", soon)
    with pytest.raises(ValueError, match="too many values to unpack"):
        judged(a_refused_start(plane))

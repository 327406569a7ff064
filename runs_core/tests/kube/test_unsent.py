"""Which status writes may be left out: those that nothing but the next status follows."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from runs_core.cluster.kube.steps import Step
from runs_core.cluster.kube.unsent import Skipping, Unsent
from runs_core.testing.builders import A_MONDAY, a_lease, a_run
from runs_core.values.effect import CloseLease, Effect, Emit, EndPod, OpenLease, SetRunStatus
from runs_core.values.pod import Pod
from runs_core.values.run import Phase, Run

RUN = a_run("train", gpus=2)
LEASE = a_lease(RUN, {"n1": (0, 1)})
SAID = Emit("Run", RUN.key, "Started", "it runs", A_MONDAY)
POD = Pod(namespace=RUN.key.namespace, name="train-0", uid="1")


def at(phase: Phase, attempt: int = 1, **more: Any) -> Run:  # noqa: ANN401  # fields of a status
    return attrs.evolve(RUN, status=attrs.evolve(RUN.status, phase=phase, attempt=attempt, **more))


def follow(skipping: Skipping, *effects: Effect, before: Run = RUN) -> Unsent:
    made = skipping.follow(Step(key=RUN.key, effects=list(effects)), before)
    assert made is not None
    return made


def test_a_status_is_not_sent_once_the_next_is_decided() -> None:
    skipping = Skipping()
    first = follow(skipping, OpenLease(LEASE), SetRunStatus(at(Phase.STARTING)))
    second = follow(skipping, SetRunStatus(at(Phase.RUNNING)), SAID)
    assert not first.begin()
    assert second.begin()


def test_a_status_that_is_being_sent_is_sent() -> None:
    skipping = Skipping()
    first = follow(skipping, OpenLease(LEASE), SetRunStatus(at(Phase.STARTING)))
    assert first.begin()
    follow(skipping, SetRunStatus(at(Phase.RUNNING)))
    assert first.begin()


@pytest.mark.parametrize("phase", [Phase.FAILED, Phase.QUEUED, Phase.HELD])
def test_what_a_run_was_is_said_before_its_leases_close(phase: Phase) -> None:
    skipping = Skipping()
    running = follow(skipping, OpenLease(LEASE), SetRunStatus(at(Phase.STARTING)))
    ended = follow(skipping, CloseLease(LEASE), SetRunStatus(at(phase)))
    assert running.begin()
    assert not ended.first


def test_a_success_says_that_the_run_began_as_well_and_is_said_first() -> None:
    skipping = Skipping()
    running = follow(skipping, OpenLease(LEASE), SetRunStatus(at(Phase.STARTING)))
    ended = follow(skipping, CloseLease(LEASE), SetRunStatus(at(Phase.SUCCEEDED)), SAID)
    assert not running.begin()
    assert ended.first


def test_a_success_that_is_said_first_is_not_left_out_for_what_follows() -> None:
    skipping = Skipping()
    follow(skipping, OpenLease(LEASE), SetRunStatus(at(Phase.STARTING)))
    ended = follow(skipping, CloseLease(LEASE), SetRunStatus(at(Phase.SUCCEEDED)))
    follow(skipping, SetRunStatus(at(Phase.SUCCEEDED, reason="Again")))
    assert ended.begin()


def test_a_success_after_it_was_told_that_the_run_began_follows_the_closure() -> None:
    skipping = Skipping()
    running = follow(skipping, OpenLease(LEASE), SetRunStatus(at(Phase.STARTING)))
    assert running.begin()
    assert not follow(skipping, CloseLease(LEASE), SetRunStatus(at(Phase.SUCCEEDED))).first


def test_a_success_that_ends_pods_or_a_retry_says_nothing_first() -> None:
    for effect in (EndPod(POD), OpenLease(LEASE)):
        skipping = Skipping()
        running = follow(skipping, OpenLease(LEASE), SetRunStatus(at(Phase.STARTING)))
        assert not follow(skipping, effect, SetRunStatus(at(Phase.SUCCEEDED))).first
        assert running.begin()


def test_what_is_said_before_pods_are_ended_is_sent() -> None:
    skipping = Skipping()
    running = follow(skipping, SetRunStatus(at(Phase.RUNNING)))
    follow(skipping, EndPod(POD), SetRunStatus(at(Phase.RUNNING)))
    assert running.begin()


def test_a_status_from_before_a_closure_is_sent_though_another_status_follows_the_closure() -> None:
    skipping = Skipping()
    running = follow(skipping, SetRunStatus(at(Phase.RUNNING)))
    assert skipping.follow(Step(key=RUN.key, effects=[CloseLease(LEASE)]), RUN) is None
    follow(skipping, SetRunStatus(at(Phase.SUCCEEDED)))
    assert running.begin()


def test_why_a_run_waits_is_not_said_once_it_starts() -> None:
    skipping = Skipping()
    waits = follow(skipping, SetRunStatus(at(Phase.QUEUED, attempt=0)), before=at(Phase.QUEUED, attempt=0))
    follow(skipping, OpenLease(LEASE), SetRunStatus(at(Phase.STARTING)), before=at(Phase.QUEUED, attempt=0))
    assert not waits.begin()


def test_that_an_attempt_is_over_is_said_before_the_next_begins() -> None:
    skipping = Skipping()
    back = follow(skipping, CloseLease(LEASE), SetRunStatus(at(Phase.QUEUED)), before=at(Phase.RUNNING))
    waits = follow(skipping, SetRunStatus(at(Phase.QUEUED, reason="NoCapacity")), before=at(Phase.QUEUED))
    assert not back.begin()
    follow(skipping, OpenLease(LEASE), SetRunStatus(at(Phase.STARTING, attempt=2)), before=at(Phase.QUEUED))
    assert waits.begin()


def test_a_status_that_is_over_is_not_taken_for_one_that_waits() -> None:
    skipping = Skipping()
    first = follow(skipping, SetRunStatus(at(Phase.RUNNING)))
    skipping.over(first.status)
    follow(skipping, SetRunStatus(at(Phase.RUNNING, reason="Again")))
    assert first.begin()

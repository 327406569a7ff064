from __future__ import annotations

from datetime import timedelta

import attrs

from runs_core.serve.audit import Auditor, Finding, ServiceOf, findings
from runs_core.settings import AuditSettings
from runs_core.testing.builders import A_MONDAY, NAMESPACE, a_lease, a_node, a_pod, a_run, a_world
from runs_core.values.change import RunUnread
from runs_core.values.effect import CloseLease, EndPod, RemoveRun, SetRunStatus
from runs_core.values.lease import Closed, Lease, LeaseStatus
from runs_core.values.meta import Key
from runs_core.values.pod import PodPhase
from runs_core.values.run import Phase, Run

RUN = Key(NAMESPACE, "train")
GRACE = AuditSettings().grace


def running(gpus: int = 2, *, phase: Phase = Phase.RUNNING, attempt: int = 1) -> Run:
    run = a_run("train", gpus=gpus, phase=phase)
    width = 0 if phase.terminal else gpus
    return attrs.evolve(run, status=attrs.evolve(run.status, attempt=attempt, width=width))


def idle(_: Key) -> bool:
    return False


def test_a_gang_that_is_as_it_should_be_gives_nothing_to_mend() -> None:
    run = running()
    pods = [a_pod(run, rank, node="n1") for rank in range(2)]
    assert findings(a_world(a_node("n1"), run, a_lease(run, {"n1": (0, 1)}), *pods)) == []


def test_a_pod_without_a_lease_is_ended() -> None:
    run = running(phase=Phase.QUEUED)
    found = findings(a_world(a_node("n1"), run, a_pod(run, node="n1")))
    assert [type(effect) for one in found for effect in one.effects] == [EndPod]
    assert found[0].what.startswith("pod train-1-0 on node n1")


def test_a_pod_on_another_node_than_its_lease_is_ended() -> None:
    run = running()
    pods = [a_pod(run, 0, node="n1"), a_pod(run, 1, node="n2")]
    found = findings(a_world(a_node("n1"), a_node("n2"), run, a_lease(run, {"n1": (0, 1)}), *pods))
    ended = [effect.pod.name for one in found for effect in one.effects if isinstance(effect, EndPod)]
    assert ended == ["train-1-1"]


def test_pods_that_have_ended_or_are_on_their_way_are_left_alone() -> None:
    run = running(phase=Phase.QUEUED)
    going = attrs.evolve(a_pod(run, 0, node="n1"), deleting=A_MONDAY)
    over = a_pod(run, 1, node="n1", phase=PodPhase.SUCCEEDED)
    assert findings(a_world(a_node("n1"), run, going, over)) == []


def test_leases_of_a_run_that_is_gone_close() -> None:
    run = running()
    found = findings(a_world(a_node("n1"), a_lease(run, {"n1": (0, 1)})))
    (closed,) = [effect.lease.status for one in found for effect in one.effects if isinstance(effect, CloseLease)]
    assert closed.closure_reason is Closed.DELETED


def test_nothing_is_taken_from_a_run_that_cannot_be_read() -> None:
    """It is there, such as after a new release that reads runs otherwise; what it holds was not left by anybody."""
    run = running()
    pods = [a_pod(run, rank, node="n1") for rank in range(2)]
    world = a_world(a_node("n1"), a_lease(run, {"n1": (0, 1)}), *pods)
    services = [ServiceOf(Key(NAMESPACE, f"train-{run.uid}"), run.uid)]
    assert [one.what.split()[0] for one in findings(world, services=services)] == ["leases", "Service"]
    world.apply(RunUnread(run.key, "spec.resources: got 'many', want a map"))
    assert findings(world, services=services) == []


def test_a_lease_of_an_attempt_that_is_over_closes_once_its_pods_are_gone() -> None:
    run = running(attempt=2)
    now, before = a_lease(run, {"n1": (0, 1)}, attempt=2), a_lease(run, {"n2": (0, 1)}, attempt=1)
    pods = [a_pod(run, rank, node="n1", attempt=2) for rank in range(2)]
    nodes = (a_node("n1"), a_node("n2"))
    late = a_pod(run, 0, node="n2", attempt=1)
    (first,) = findings(a_world(*nodes, run, now, before, *pods, late))
    assert [type(effect) for effect in first.effects] == [EndPod]
    (second,) = findings(a_world(*nodes, run, now, before, *pods))
    (effect,) = second.effects
    assert isinstance(effect, CloseLease)
    assert effect.lease.key == before.key


def test_a_lease_that_a_finished_run_still_has_closes() -> None:
    run = running(phase=Phase.SUCCEEDED)
    (found,) = findings(a_world(a_node("n1"), run, a_lease(run, {"n1": (0, 1)})))
    (effect,) = found.effects
    assert isinstance(effect, CloseLease)
    assert effect.lease.status.closure_reason is Closed.SUCCEEDED


def test_a_run_whose_leases_were_taken_away_goes_back_to_the_line() -> None:
    run = running()
    (found,) = [one for one in findings(a_world(a_node("n1"), run)) if one.effects]
    (after,) = [effect.run.status for effect in found.effects if isinstance(effect, SetRunStatus)]
    assert (after.phase, after.reason) == (Phase.QUEUED, "Evicted")
    assert "0 of its 2 GPUs" in after.message


def in_places(name: str, at: int, slots: dict[str, tuple[int, ...]]) -> tuple[Run, Lease]:
    """A running run and its lease, which was written so many seconds after noon; it was decided at noon."""
    gpus = sum(len(places) for places in slots.values())
    run = a_run(name, gpus=gpus, phase=Phase.RUNNING)
    run = attrs.evolve(run, status=attrs.evolve(run.status, attempt=1))
    lease = a_lease(run, slots)
    return run, attrs.evolve(lease, meta=attrs.evolve(lease.meta, created=A_MONDAY + timedelta(seconds=at)))


def test_of_two_runs_in_one_place_the_one_that_came_later_goes_back_to_the_line() -> None:
    was, came = in_places("was", 0, {"n1": (0, 1)}), in_places("a", 5, {"n1": (1,), "n2": (0,)})
    (found,) = findings(a_world(a_node("n1"), a_node("n2"), *was, *came))
    assert found.run == came[0].key
    *_, status = [effect.run.status for effect in found.effects if isinstance(effect, SetRunStatus)]
    told = f"run {was[0].key} was there first: lease {came[1].key.name} names a place that it had"
    assert (status.phase, status.reason, status.message) == (Phase.QUEUED, "Evicted", told)
    (closed,) = [effect.lease for effect in found.effects if isinstance(effect, CloseLease)]
    assert (closed.key, closed.status.closure_reason) == (came[1].key, Closed.EVICTED)
    assert closed.status.closure_detail == told


def test_who_is_in_the_way_of_nobody_who_stays_is_left_alone() -> None:
    """The second goes for the first, and the third was in the way of the second alone."""
    gangs = [in_places(f"run-{at}", at, {"n1": (at, at + 1)}) for at in range(3)]
    found = findings(a_world(a_node("n1"), *(thing for gang in gangs for thing in gang)))
    assert [one.run.name for one in found] == ["run-1"]


def test_who_came_second_is_asked_to_end_before_its_places_are_free() -> None:
    was, came = in_places("was", 0, {"n1": (0,)}), in_places("late", 5, {"n1": (0,)})
    pods = [a_pod(run, node="n1") for run in (was[0], came[0])]
    (found,) = findings(a_world(a_node("n1"), *was, *came, *pods))
    assert [effect.pod.name for effect in found.effects if isinstance(effect, EndPod)] == ["late-1-0"]
    assert not [effect for effect in found.effects if isinstance(effect, CloseLease)]


def test_closed_leases_that_are_still_held_and_services_of_gone_runs_are_let_go() -> None:
    run = running()
    closed = LeaseStatus(closed=True, end=A_MONDAY, closure_reason=Closed.SUCCEEDED)
    lease = attrs.evolve(a_lease(run, {"n1": (0, 1)}), status=closed)
    kept, left = ServiceOf(Key(NAMESPACE, "kept"), run.uid), ServiceOf(Key(NAMESPACE, "left"), "uid-of-another")
    pods = [a_pod(run, rank, node="n1") for rank in range(2)]
    world = a_world(a_node("n1"), run, a_lease(run, {"n1": (0, 1)}), *pods)
    found = findings(world, [lease], [left, kept])
    assert [(one.lease, one.service) for one in found] == [(lease, None), (None, left.key)]


def test_a_run_that_nobody_can_read_goes_once_nothing_is_held_in_its_name() -> None:
    doomed = {RUN: "uid-train"}
    left = findings(a_world(a_node("n1"), a_lease(running(), {"n1": (0, 1)})), doomed=doomed)
    assert [type(effect) for one in left for effect in one.effects] == [CloseLease]
    (found,) = findings(a_world(a_node("n1")), doomed=doomed)
    assert found.effects == (RemoveRun(RUN, "uid-train"),)


def a_finding(what: str = "a leftover") -> Finding:
    return Finding(run=RUN, what=what)


def test_nothing_is_mended_before_it_has_stood_for_the_grace_time() -> None:
    auditor = Auditor(AuditSettings())
    assert auditor.look(A_MONDAY, [a_finding()], idle) == []
    assert auditor.look(A_MONDAY + GRACE / 2, [a_finding()], idle) == []
    assert auditor.look(A_MONDAY + GRACE, [a_finding()], idle) == [a_finding()]
    assert auditor.mended == 1


def test_what_went_away_in_between_begins_anew() -> None:
    auditor = Auditor(AuditSettings())
    auditor.look(A_MONDAY, [a_finding()], idle)
    auditor.look(A_MONDAY + GRACE / 2, [], idle)
    assert auditor.look(A_MONDAY + GRACE, [a_finding()], idle) == []


def test_a_run_that_is_being_written_is_not_judged() -> None:
    auditor = Auditor(AuditSettings())
    auditor.look(A_MONDAY, [a_finding()], idle)
    assert auditor.look(A_MONDAY + GRACE, [a_finding()], lambda _: True) == []
    assert auditor.look(A_MONDAY + 2 * GRACE, [a_finding()], idle) == []


def test_it_looks_again_soon_while_something_waits_and_seldom_otherwise() -> None:
    auditor = Auditor(AuditSettings())
    assert auditor.due(A_MONDAY)
    auditor.look(A_MONDAY, [a_finding()], idle)
    assert auditor.due(A_MONDAY + timedelta(seconds=30))
    auditor.look(A_MONDAY, [], idle)
    assert not auditor.due(A_MONDAY + timedelta(minutes=2))
    assert auditor.due(A_MONDAY + timedelta(minutes=3))


def test_a_broken_invariant_is_told_once_and_counted() -> None:
    first, second = running(), attrs.evolve(running(), meta=attrs.evolve(running().meta, name="other", uid="uid-o"))
    leases = [a_lease(first, {"n1": (0, 1)}), a_lease(second, {"n1": (1, 2)})]
    world = a_world(a_node("n1"), first, second, *leases)
    auditor = Auditor(AuditSettings())
    assert [breach.invariant for breach in auditor.check(world)] == [1]
    assert auditor.check(world) == []
    assert auditor.broken == {1: 1}

"""In which order the effects of one batch are written."""

from __future__ import annotations

import threading
import weakref

import attrs

from runs_core.cluster.kube.api import Refused
from runs_core.cluster.kube.gates import Audits, Gate, Places, after
from runs_core.cluster.kube.steps import steps
from runs_core.cluster.kube.writer import PREMISE, Work, Write, Writer
from runs_core.testing.builders import A_MONDAY, a_lease, a_pod, a_run
from runs_core.testing.resolutions import numbered
from runs_core.values.effect import (
    CloseLease,
    Effect,
    Emit,
    EndPod,
    MakePod,
    OpenLease,
    RemovePod,
    SelectNode,
    SetRunStatus,
)
from runs_core.values.lease import Closed, Lease, LeaseStatus
from runs_core.values.meta import Key
from runs_core.values.run import Phase, Run
from runs_core.values.storage import VolumeClaim

RUN = a_run("train", gpus=2)
OTHER = a_run("next", gpus=2)


def closed(lease: Lease) -> Lease:
    status = LeaseStatus(closed=True, end=A_MONDAY, closure_reason=Closed.SUCCEEDED, closure_detail="over")
    return attrs.evolve(lease, status=status)


def status(run: Run, phase: Phase) -> SetRunStatus:
    return SetRunStatus(attrs.evolve(run, status=attrs.evolve(run.status, phase=phase)))


def an_end(run: Run) -> list[Effect]:
    return [
        CloseLease(closed(a_lease(run, {"n1": (0, 1)}))),
        status(run, Phase.QUEUED),
        Emit("Run", run.key, "NodeLost", "", A_MONDAY),
    ]


def a_start(run: Run) -> list[Effect]:
    return [OpenLease(a_lease(run, {"n1": (0, 1)})), MakePod(a_pod(run, node="n1"), None), status(run, Phase.STARTING)]


def no_run(_: Key) -> Key | None:
    return None


def test_a_run_that_ends_and_starts_again_in_one_batch_closes_its_lease_before_it_opens_another() -> None:
    batch = steps([*an_end(RUN), *a_start(RUN)], no_run)
    assert [[type(effect).__name__ for effect in step.effects] for step in batch] == [
        ["CloseLease", "SetRunStatus", "Emit"],
        ["OpenLease", "MakePod", "SetRunStatus"],
    ]


def test_two_statuses_of_one_run_are_never_written_side_by_side() -> None:
    batch = steps([status(RUN, Phase.QUEUED), status(RUN, Phase.STARTING)], no_run)
    assert [len(stage) for step in batch for stage in step.stages()] == [1, 1]


def test_the_pods_of_a_gang_are_made_side_by_side_and_before_its_status_says_so() -> None:
    made: list[Effect] = [MakePod(a_pod(RUN, rank, node="n1"), None) for rank in (0, 1)]
    [step] = steps([OpenLease(a_lease(RUN, {"n1": (0, 1)})), *made, status(RUN, Phase.STARTING)], no_run)
    assert [[type(effect).__name__ for effect in stage] for stage in step.stages()] == [
        ["OpenLease"],
        ["MakePod", "MakePod"],
        ["SetRunStatus"],
    ]


def test_a_volume_is_asked_for_once_its_places_are_held_and_before_a_pod_waits_for_it() -> None:
    claim = VolumeClaim(namespace=RUN.key.namespace, name="data", node="n1")
    made: list[Effect] = [SelectNode(RUN.key, claim), MakePod(a_pod(RUN, node="n1"), None)]
    [step] = steps([OpenLease(a_lease(RUN, {"n1": (0, 1)})), *made, status(RUN, Phase.STARTING)], no_run)
    assert [[type(effect).__name__ for effect in stage] for stage in step.stages()] == [
        ["OpenLease"],
        ["SelectNode"],
        ["MakePod"],
        ["SetRunStatus"],
    ]


def test_a_pod_that_is_removed_goes_before_the_lease_of_its_run() -> None:
    pod = a_pod(RUN, node="n1")
    removal: list[Effect] = [RemovePod(pod.key), CloseLease(closed(a_lease(RUN, {"n1": (0, 1)})))]
    [step] = steps(removal, lambda key: RUN.key if key == pod.key else None)
    assert [len(stage) for stage in step.stages()] == [1, 1]
    assert len(steps(removal, no_run)) == 2


def test_a_rank_that_was_made_and_is_told_to_go_in_one_batch_goes() -> None:
    pod = a_pod(RUN, node="n1")
    assert len(steps([MakePod(pod, None), EndPod(pod)], no_run)) == 2


def test_nobody_is_let_onto_a_place_before_its_lease_is_closed() -> None:
    places, freed = Places(), Gate()
    places.free([closed(a_lease(RUN, {"n1": (0, 1)}))], freed)
    assert places.gates([a_lease(OTHER, {"n1": (0, 1)})]) == [freed]
    freed.tell(came=True)
    assert places.gates([a_lease(OTHER, {"n1": (0, 1)})]) == []


def test_another_place_of_the_same_node_waits_for_nobody() -> None:
    places = Places()
    places.free([closed(a_lease(RUN, {"n1": (0, 1)}))], Gate())
    assert places.gates([a_lease(OTHER, {"n1": (2, 3)})]) == []


def test_a_gate_tells_those_who_come_early_and_those_who_come_late() -> None:
    heard: list[bool] = []
    first, second = Gate(), Gate()
    after([first, second], heard.append)
    second.tell(came=True)
    assert heard == []
    first.tell(came=True)
    first.tell(came=False)
    after([first], heard.append)
    assert heard == [True, True]


def test_a_resolution_that_is_kept_is_remembered_by_nobody_who_waits_for_others() -> None:
    """A leader lives for months, and beneficiaries are promised nothing once they have started."""
    audits, kept = Audits(), Gate()
    audits.hold(numbered(1), kept)
    kept.tell(came=True)
    forgotten = weakref.ref(kept)
    del kept
    other = numbered(2)
    assert other.spec.beneficiary is not None
    beneficiary = attrs.evolve(other.spec.beneficiary, name="another")
    audits.hold(attrs.evolve(other, spec=attrs.evolve(other.spec, beneficiary=beneficiary)), Gate())
    assert forgotten() is None


def test_work_whose_gate_stays_shut_writes_nothing_and_is_told_why() -> None:
    writer, gate, over = Writer(threads=2), Gate(), threading.Event()
    refused: list[Refused] = []
    wrote: list[str] = []
    writer.add(
        Work(key=RUN.key, stages=[[lambda: wrote.append("")]], failed=refused.append, done=over.set, gates=[gate])
    )
    gate.tell(came=False)
    assert over.wait(5)
    writer.stop()
    assert (wrote, [refusal.reason for refusal in refused]) == ([], [PREMISE])


def test_what_was_to_follow_a_refused_write_of_the_same_run_is_not_written() -> None:
    writer, over = Writer(threads=2), threading.Event()
    told: list[tuple[str, str]] = []
    wrote: list[str] = []
    let = threading.Event()

    def refuse() -> None:
        let.wait(5)
        raise Refused(403, "Forbidden", "no")

    def work(name: str, write: Write) -> Work:
        return Work(
            key=RUN.key,
            stages=[[write]],
            failed=lambda refusal: told.append((name, refusal.reason)),
            done=over.set if name == "first" else lambda: None,
        )

    writer.add(work("first", refuse))
    writer.add(work("second", lambda: wrote.append("second")))
    let.set()
    assert writer.drain(5)
    writer.stop()
    assert (wrote, told) == ([], [("first", "Forbidden"), ("second", PREMISE)])

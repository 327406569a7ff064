"""The checks on what ever was, on histories that are made up."""

from __future__ import annotations

import pytest
from tests.faults.history import LEASES, NODES, PODS, PROMISES, Breaches, Event, Object

A, B = "ns/a-1", "ns/b-1"
POD = "ns/a-1-0"


def lease(run: str, *, attempt: int = 1, closed: bool = False, slots: tuple[int, ...] = (0, 1)) -> Object:
    spec = {"runRef": {"name": run, "uid": run}, "attempt": attempt, "ranks": [0], "slots": {"n1": list(slots)}}
    return {"spec": spec, "status": {"closed": True, "end": "then"} if closed else {}}


def pod(run: str = "a", *, phase: str = "Running", attempt: int = 1) -> Object:
    labels = {"runs.dev/run-uid": run, "runs.dev/attempt": str(attempt), "runs.dev/rank": "0"}
    return {"metadata": {"labels": labels}, "spec": {"nodeName": "n1"}, "status": {"phase": phase}}


def promise(phase: str = "", **more: str) -> Object:
    return {"spec": {"runRef": {"uid": "a"}}, "status": {"phase": phase, **more} if phase else {}}


def judged(*written: tuple[str, Object | None]) -> Breaches:
    return Breaches(Event(number, key, item) for number, (key, item) in enumerate(written, 1))


def test_a_start_an_end_and_another_start_on_the_same_places_are_fine() -> None:
    found = judged(
        (LEASES + A, lease("a")),
        (PODS + POD, pod()),
        (PODS + POD, pod(phase="Succeeded")),
        (LEASES + A, lease("a", closed=True)),
        (LEASES + B, lease("b")),
    )
    assert (found.all(), len(found.leases), len(found.pods)) == ([], 2, 1)


@pytest.mark.parametrize(
    ("written", "what"),
    [
        ([(LEASES + A, lease("a")), (LEASES + B, lease("b", slots=(1, 2)))], "opened on"),
        ([(LEASES + A, lease("a")), (LEASES + "ns/a-2", lease("a", attempt=2, slots=(2,)))], "of another attempt"),
        ([(LEASES + A, lease("a")), (LEASES + A, None)], "went while it was open"),
        ([(LEASES + A, lease("a")), (LEASES + A, lease("a", slots=(3,)))], "changed while it was open"),
        (
            [(LEASES + A, lease("a")), (LEASES + A, lease("a", closed=True)), (LEASES + A, lease("a"))],
            "changed after it was closed",
        ),
        ([(PODS + POD, pod())], "lives without a lease"),
        ([(LEASES + A, lease("a")), (PODS + POD, pod(attempt=2))], "lives without a lease"),
        ([(LEASES + A, lease("a")), (PODS + POD, pod()), (LEASES + A, lease("a", closed=True))], "closed while pod"),
        ([(PROMISES + A, promise()), (PROMISES + "ns/a-2", promise("Pending"))], "stands beside"),
        ([(PROMISES + A, promise("Pending")), (PROMISES + A, None)], "went while it stood"),
        ([(PROMISES + A, promise("Released")), (PROMISES + A, promise("Pending"))], "changed after it was over"),
    ],
)
def test_what_must_never_be_is_found(written: list[tuple[str, Object | None]], what: str) -> None:
    [breach] = judged(*written).all()
    assert what in breach


def test_a_promise_after_the_last_one_is_over_is_fine() -> None:
    kept, next_one = promise("Released"), promise("Activating")
    written = [(PROMISES + A, promise()), (PROMISES + A, promise("Pending")), (PROMISES + A, kept)]
    assert judged(*written, (PROMISES + "ns/a-2", next_one), (PROMISES + A, kept), (PROMISES + A, None)).all() == []


def test_a_pod_that_comes_late_and_is_told_to_go_is_told_apart() -> None:
    going = pod()
    going["metadata"]["deletionTimestamp"] = "then"
    found = judged((PODS + POD, pod()), (PODS + POD, going), (PODS + POD, None))
    assert (found.all(), len(found.late)) == ([], 1)


def test_on_a_node_that_is_gone_nothing_counts_any_more() -> None:
    there: Object = {"spec": {}}
    last = (LEASES + A, lease("a", closed=True))
    written = [(NODES + "n1", there), (LEASES + A, lease("a")), (PODS + POD, pod()), (NODES + "n1", None), last]
    assert judged(*written).all() == []

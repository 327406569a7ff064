"""Who is first in line and finds no room is told when it will start, and that is kept."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import attrs
import pytest

from runs_core.decide.forecast import foresee
from runs_core.decide.promise import remembered
from runs_core.testing.builders import A_MONDAY, a_node, a_run, lasting
from runs_core.testing.harness import Harness
from runs_core.values.change import Change, ReservationSeen, RunSeen
from runs_core.values.node import Node, Taint
from runs_core.values.pod import Pod, PodPhase
from runs_core.values.reservation import MOST_PROMISES, Basis, Promise, Reservation, ReservationStatus, ShortOf
from runs_core.values.run import Phase, Run, RunStatus, Runtime, Spread


def declared(run: Run, minutes: float, *, really: float | None = None) -> Run:
    """It says how long it takes, and takes so long, or `really` so long: what it says counts from its start."""
    said = attrs.evolve(run, spec=attrs.evolve(run.spec, runtime=Runtime(expected_duration=timedelta(minutes=minutes))))
    return lasting(said, timedelta(minutes=minutes if really is None else really) - timedelta(seconds=2))


def promised(stage: Harness, name: str) -> Reservation:
    return stage.world.promises.by_run[stage.run(name).key]


def minutes(stage: Harness, name: str) -> float | None:
    started = stage.run(name).status.started_at
    return None if started is None else (started - A_MONDAY).total_seconds() / 60


def test_who_finds_no_room_is_told_when_it_starts_and_starts_then() -> None:
    stage = Harness(a_node("n1"), declared(a_run("first"), 60), oracles=True)
    stage.settle()
    stage.submit(declared(a_run("second"), 30))
    stage.settle()
    found = promised(stage, "second")
    assert (found.status.earliest_start, found.status.basis) == (A_MONDAY + timedelta(minutes=60), Basis.ENDS)
    assert (found.status.deficit_gpus, found.status.short_of) == (8, ShortOf.CAPACITY)
    assert found.status.blocked_by == ("research/first",)
    assert (stage.phase("second"), stage.run("second").status.reservation) == (Phase.RESERVED, found.meta.name)
    stage.advance(minutes=61)
    assert minutes(stage, "second") == 60


def only_made(change: Change) -> Change:
    """A Reservation as its creation leaves it on an API server: what it promises is a second write."""
    if not isinstance(change, ReservationSeen):
        return change
    return ReservationSeen(attrs.evolve(change.reservation, status=ReservationStatus()))


def test_a_reservation_whose_maker_was_killed_before_it_promised_anything_is_promised_a_start_and_keeps_it() -> None:
    stage = Harness(a_node("n1"), declared(a_run("first"), 60), declared(a_run("second"), 30), oracles=True)
    stage.settle()
    made = promised(stage, "second")
    stage.restart(lambda known: [only_made(change) for change in known])
    stage.advance(minutes=1)
    found = promised(stage, "second")
    assert (found.meta.name, found.status.earliest_start) == (made.meta.name, A_MONDAY + timedelta(minutes=60))
    stage.advance(minutes=60)
    (kept,) = stage.reservations.values()
    assert [one.error_seconds for one in kept.status.promises] == [0]


def not_even_made(change: Change) -> Change | None:
    """As it is when nothing is written yet but that the run waits."""
    if isinstance(change, RunSeen) and change.run.status.phase is Phase.RESERVED:
        waits = attrs.evolve(change.run.status, phase=Phase.QUEUED, reservation=None)
        return RunSeen(attrs.evolve(change.run, status=waits))
    return None if isinstance(change, ReservationSeen) else change


def unsaid(change: Change) -> Change:
    """As it is when the reservation is made, and the run's status not yet written for the first time."""
    if isinstance(change, RunSeen) and change.run.status.phase is Phase.RESERVED:
        return RunSeen(attrs.evolve(change.run, status=RunStatus()))
    return only_made(change)


@pytest.mark.parametrize("killed", [only_made, not_even_made, unsaid])
def test_who_comes_after_a_run_that_a_killed_process_had_not_promised_anything_is_promised_a_start_after_it(
    killed: Callable[[Change], Change | None],
) -> None:
    stage = Harness(a_node("n1"), declared(a_run("first"), 60), declared(a_run("second"), 30), oracles=True)
    stage.settle()
    promised(stage, "second")
    stage.restart(lambda known: [left for change in known if (left := killed(change)) is not None])
    stage.submit(a_run("third"))
    stage.settle()
    stage.advance(minutes=1)
    found = [promised(stage, name).status.earliest_start for name in ("second", "third")]
    assert found == [A_MONDAY + timedelta(minutes=60), A_MONDAY + timedelta(minutes=90)]
    for name in ("second", "third"):
        status = stage.run(name).status
        assert (status.phase, status.reason, status.admitted_at is None) == (Phase.RESERVED, "NotEnoughGPUs", False)


@pytest.mark.parametrize("killed", [only_made, not_even_made])
def test_a_promise_is_not_moved_before_all_who_stand_before_it_are_promised_something(
    killed: Callable[[Change], Change | None],
) -> None:
    """Of three promises a killed process had written the last one alone, and had answered the first run alone."""
    runs = (declared(a_run("first"), 60), declared(a_run("second"), 30), declared(a_run("third"), 30), a_run("whoever"))
    stage = Harness(a_node("n1"), *runs, oracles=True)
    stage.settle()
    made = promised(stage, "whoever")

    def left(change: Change) -> Change | None:
        match change:
            case RunSeen(run):
                found: Change | None = change if run.meta.name in ("first", "second") else unsaid(change)
                return killed(change) if run.meta.name == "second" else found
            case ReservationSeen(reservation):
                return change if reservation.run.name == "whoever" else killed(change)
            case _:
                return change

    stage.restart(lambda known: [one for change in known if (one := left(change)) is not None])
    stage.settle()
    stage.advance(minutes=1)
    found = [promised(stage, name).status.earliest_start for name in ("second", "third")]
    assert found == [A_MONDAY + timedelta(minutes=60), A_MONDAY + timedelta(minutes=90)]
    assert promised(stage, "whoever").status.promises == made.status.promises


def test_a_promise_that_was_kept_though_not_the_status_of_its_run_stands_and_its_run_is_told_why_it_waits() -> None:
    stage = Harness(a_node("n1"), declared(a_run("first"), 60), declared(a_run("second"), 30), oracles=True)
    stage.settle()
    made = promised(stage, "second")
    stage.restart(lambda known: [unsaid(one) if isinstance(one, RunSeen) else one for one in known])
    stage.settle()
    found, status = promised(stage, "second"), stage.run("second").status
    assert found.status.promises == made.status.promises
    assert (status.phase, status.admitted_at) == (Phase.RESERVED, A_MONDAY)
    assert status.message.startswith("wants 8; no GPU is free")
    assert "; starts about " in status.message


def test_who_was_promised_a_time_is_asked_then_though_somebody_it_waits_for_is_late() -> None:
    late, long = declared(a_run("late"), 10, really=500), declared(a_run("long"), 60)
    stage = Harness(a_node("n1"), a_node("n2"), late, long, oracles=True)
    stage.settle()
    stage.submit(declared(a_run("wide", gpus=16), 30))
    stage.advance(minutes=15)
    stage.restart()
    stage.settle()
    assert promised(stage, "wide").status.earliest_start == A_MONDAY + timedelta(minutes=60)
    assert (A_MONDAY + timedelta(minutes=60), stage.run("wide").key) in stage.world.deadlines()


def test_a_clock_that_is_set_back_breaks_no_promise() -> None:
    """Another process goes on, whose clock is 20 minutes behind: to it the promise was made in the future."""
    stage = Harness(a_node("n1"), declared(a_run("first"), 60), oracles=True)
    stage.advance(minutes=10)
    stage.submit(declared(a_run("second"), 30))
    stage.advance(minutes=1)
    made = promised(stage, "second")
    stage.stage.now -= timedelta(minutes=20)
    stage.restart()
    stage.advance(minutes=5)
    assert promised(stage, "second") == made
    stage.advance(minutes=70)
    assert minutes(stage, "second") == 60
    (kept,) = stage.reservations.values()
    assert [one.error_seconds for one in kept.status.promises] == [0]


def test_a_promise_that_can_be_kept_keeps_its_places_though_others_would_do() -> None:
    """Of two who end at one moment, nobody would wait for the second: but nothing comes sooner than was promised."""
    stage = Harness(a_node("n1"), a_node("n2"), declared(a_run("a"), 120), declared(a_run("b"), 60), oracles=True)
    stage.settle()
    stage.submit(declared(a_run("c"), 30))
    stage.settle()
    before = promised(stage, "c")
    assert [place.node for place in before.status.places] == ["n2"]
    said = stage.run("b").spec.runtime
    stage.edit("a", lambda run: attrs.evolve(run, spec=attrs.evolve(run.spec, runtime=said)))
    stage.advance(minutes=5)
    found = foresee(stage.world, stage.run("c"), stage.loop.advice)
    assert found is not None
    assert {pod.node for group in found.placement.groups for pod in group.pods} == {"n1"}
    assert promised(stage, "c") == before


def test_a_promise_whose_places_cannot_be_had_keeps_its_time_elsewhere() -> None:
    stage = Harness(a_node("n1"), a_node("n2"), *(declared(a_run(name), 60) for name in "ab"), oracles=True)
    stage.settle()
    stage.submit(declared(a_run("c"), 30))
    stage.settle()
    stage.cordon("n1")
    stage.advance(minutes=1)
    found = promised(stage, "c").status
    assert ([place.node for place in found.places], len(found.promises)) == (["n2"], 1)


TAINT = Taint(key="dedicated", value="others", effect="NoSchedule")
ALIEN = Pod(namespace="kube-system", name="alien", node="n3", gpus=1, phase=PodPhase.RUNNING)


@pytest.mark.parametrize(
    ("edited", "cause"),
    [
        (a_node("n3", gpus=4), "node n3 has 4 GPUs now"),
        (a_node("n3", flavor="a100"), "node n3 is no h100 node any more"),
        (a_node("n3", domain="d2"), "node n3 lies in default/default/d2 now"),
        (a_node("n3", taints=(TAINT,)), "node n3 does not allow its pods any more"),
        (ALIEN, "node n3 has GPUs in use by pods that runs did not place"),
    ],
)
def test_a_promise_whose_idle_node_will_not_do_any_more_moves_at_once_and_says_so(
    edited: Node | Pod, cause: str
) -> None:
    """Both of `first` and `long` are one node wide, and `gang` two: n3 is idle, and kept for it."""
    stage = Harness(*(a_node(name) for name in ("n1", "n2", "n3")), oracles=True)
    for name, lasts in (("first", 60), ("long", 300)):
        stage.submit(declared(a_run(name, gpus_per_pod=8), lasts))
    stage.settle()
    stage.submit(declared(a_run("gang", gpus=16, gpus_per_pod=8, spread=Spread.SINGLE_DOMAIN), 60))
    stage.settle()
    assert {place.node for place in promised(stage, "gang").status.places} == {"n1", "n3"}
    assert promised(stage, "gang").status.earliest_start == A_MONDAY + timedelta(minutes=60)
    stage.add(edited)
    stage.submit(declared(a_run("other", gpus=4), 300))  # somebody comes, who wakes the line
    stage.advance(minutes=2)
    found = promised(stage, "gang").status
    assert (found.earliest_start, found.promises[-1].cause) == (A_MONDAY + timedelta(minutes=300), cause)


def test_who_waits_beside_promised_places_is_told_how_many_are_kept() -> None:
    """n3 is kept for `all`, until somebody else's pod has some of it."""
    stage = Harness(a_node("n1"), a_node("n3"), declared(a_run("holder"), 60), oracles=True)
    stage.settle()
    stage.submit(declared(a_run("all", gpus=16), 60))
    stage.settle()
    for name, kept in (("later", "8 GPUs are"), ("latest", "7 GPUs are")):
        stage.submit(declared(a_run(name), 600))
        stage.settle()
        told = stage.run(name).status.message.partition("; starts about")[0]
        assert told == f"wants 8; no GPU is free on 2 h100 nodes that will do ({kept} kept for promised starts)"
        stage.add(ALIEN)


def test_of_more_promises_than_are_remembered_the_first_and_the_last_are() -> None:
    made: tuple[Promise, ...] = ()
    for at in range(MOST_PROMISES + 5):
        promise = Promise(at=A_MONDAY, basis=Basis.ENDS, earliest_start=A_MONDAY + timedelta(minutes=at), cause=str(at))
        made = remembered((*made, promise))
    starts = [(one.earliest_start - A_MONDAY) // timedelta(minutes=1) for one in made]
    assert starts == [0, *range(6, MOST_PROMISES + 5)]
    assert [at for at, one in zip(starts, made, strict=True) if one.cause] == [0, *range(MOST_PROMISES - 14, 1005)]

"""A taking-back that an administrator asks for: the same draw and protections, and nobody who gets the GPUs."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction

import attrs
import pytest

from runs_core.decide import manual
from runs_core.decide.manual import Foreseen, foresee
from runs_core.decide.verify import verify
from runs_core.schema.convert import resolution_from_object, to_object
from runs_core.schema.evidence import spec_digest
from runs_core.schema.manifest import validate
from runs_core.schema.nodes import node_from_object, node_to_object
from runs_core.schema.requests import RESOLVE, request_in
from runs_core.settings import FleetSettings
from runs_core.testing.builders import A_MONDAY, FLAVOR, a_node, a_run, lasting
from runs_core.testing.harness import Harness
from runs_core.testing.purses import Purse, a_stage, hours, purses
from runs_core.values.lease import Closed
from runs_core.values.node import Domain, Node
from runs_core.values.request import Request
from runs_core.values.resolution import Asker, Resolution, ResolutionPhase, Trigger
from runs_core.values.run import Phase, Run

HERE = "default/default/d1"


def full(*runs: Run, after: float = 5, nodes: int = 1) -> Harness:
    """Nodes of 8 that these hold, and a purse that pays for 4."""
    fleet = [a_node(f"n{at}", gpus=8) for at in range(1, nodes + 1)]
    stage = a_stage(*fleet, *runs, plugin=purses(Purse(name="main", gpus=4)))
    stage.advance(hours=after)
    return stage


def wish(stage: Harness, gpus: int, *, uid: str = "request-1", domain: str = HERE) -> Request:
    return Request(uid=uid, flavor=FLAVOR, gpus=gpus, domain=domain, at=stage.now)


def asked(stage: Harness, request: Request, *, cordoned: bool = True) -> None:
    """On `n1`, which takes nothing new then."""
    stage.node(attrs.evolve(a_node("n1", gpus=8), request=request, cordoned=cordoned))
    stage.settle()


def cut(one: Resolution) -> list[tuple[str, str]]:
    return [(cut.name, cut.stage) for cut in one.spec.cuts]


def test_what_was_asked_for_comes_free_and_the_record_verifies() -> None:
    """`x` with 4 is paid for, `y` with 4 not: for 4 GPUs, `y` goes; it stands in line again, and its place is kept."""
    stage = full(hours(a_run("x", gpus=4), 99), hours(a_run("y", gpus=4), 99))
    admitted = stage.run("y").status.admitted_at
    asked(stage, wish(stage, 4))
    stage.advance(minutes=1)
    (one,) = stage.world.resolutions()
    assert (one.spec.trigger, one.spec.request, one.spec.beneficiary) == (Trigger.MANUAL, Asker(uid="request-1"), None)
    assert (cut(one), one.spec.bound, one.spec.payers) == ([("y", "unfunded")], (), ())
    assert verify(one, one.spec.evidence.data, None) == []
    assert (one.status.phase, one.status.reason) == (ResolutionPhase.RELEASED, "Freed")
    y = stage.run("y").status
    assert (y.phase, y.preemptions, y.admitted_at) == (Phase.QUEUED, 1, admitted)
    assert stage.world.free_gpus(FLAVOR) == 0  # cordoned: nobody takes what came free
    assert stage.placed("x") == {"n1": 4}


def test_a_request_is_answered_once() -> None:
    stage = full(hours(a_run("x", gpus=8), 99))
    asked(stage, wish(stage, 8), cordoned=False)
    stage.advance(minutes=5)
    assert stage.phase("x") is Phase.RUNNING
    assert len(stage.world.resolutions()) == 1
    asked(stage, wish(stage, 8, uid="request-2"), cordoned=False)
    assert len(stage.world.resolutions()) == 1  # within its minRuntime
    stage.advance(hours=5)
    assert len(stage.world.resolutions()) == 1  # and the request is void by then


def test_every_stage_acts_and_the_lottery_spares_whom_it_always_spares() -> None:
    stage = full(hours(a_run("x", gpus=4), 99), hours(a_run("y", gpus=4), 99), after=3)
    asked(stage, wish(stage, 8))
    assert stage.world.resolutions() == []  # `x` is paid for and within its quantum, and without it there are only 4
    stage.advance(hours=2)
    asked(stage, wish(stage, 8, uid="request-2"))
    (one,) = stage.world.resolutions()
    assert cut(one) == [("y", "unfunded"), ("x", "lottery")]
    stage.advance(minutes=1)
    closed = {lease.run.name: lease.status.closure_reason for lease in stage.witness.closed.values()}
    assert closed == {"y": Closed.UNFUNDED_RECLAIMED, "x": Closed.PREEMPTED}


def test_where_enough_is_free_nobody_is_cut() -> None:
    stage = full(hours(a_run("x", gpus=4), 99))
    asked(stage, wish(stage, 4))
    assert stage.world.resolutions() == []


def test_without_a_domain_nobody_is_cut_where_as_many_are_free_anywhere() -> None:
    """`d1` is full, `d2` has 8 free."""
    nodes = (a_node("n1", gpus=8), a_node("n2", gpus=8, domain=Domain(name="d2")))
    stage = a_stage(*nodes, hours(a_run("x", gpus=8), 99), plugin=purses(Purse(name="main", gpus=0)))
    stage.advance(hours=5)
    asked(stage, wish(stage, 8, domain=""), cordoned=False)
    assert stage.world.resolutions() == []
    asked(stage, wish(stage, 9, domain="", uid="request-2"), cordoned=False)
    assert len(stage.world.resolutions()) == 1


def test_more_than_the_domain_has_cuts_nobody() -> None:
    stage = full(hours(a_run("x", gpus=4), 99))
    for number, (gpus, domain) in enumerate(((9, HERE), (4, "default/default/elsewhere"))):
        asked(stage, wish(stage, gpus, uid=f"request-{number}", domain=domain))
    assert stage.world.resolutions() == []
    assert stage.phase("x") is Phase.RUNNING


def test_another_flavor_is_no_place_to_look() -> None:
    stage = full(hours(a_run("x", gpus=8), 99))
    asked(stage, attrs.evolve(wish(stage, 4), flavor="a100"))
    assert stage.world.resolutions() == []


def test_without_a_domain_the_one_with_the_least_to_cut_serves() -> None:
    """`d2` has 4 free: of the two, it lacks less."""
    nodes = (a_node("n1", gpus=8), a_node("n2", gpus=8, domain=Domain(name="d2")))
    stage = a_stage(*nodes, plugin=purses(Purse(name="main", gpus=0)))
    for name, gpus in (("a", 8), ("b", 4)):
        stage.submit(hours(a_run(name, gpus=gpus, gpus_per_pod=gpus), 99))
        stage.settle()
    stage.advance(hours=5)
    home = "d1" if stage.placed("b") == {"n1": 4} else "d2"
    asked(stage, wish(stage, 6, domain=""), cordoned=False)
    (one,) = stage.world.resolutions()
    assert (one.spec.scope, cut(one)) == ((f"default/default/{home}",), [("b", "unfunded")])


def test_it_is_not_over_before_the_last_of_it_has_gone() -> None:
    slow = lasting(a_run("x", gpus=4), timedelta(hours=99), shutdown="2m")
    quick = hours(a_run("y", gpus=4), 99)
    both = [
        attrs.evolve(
            run,
            spec=attrs.evolve(run.spec, runtime=attrs.evolve(run.spec.runtime, checkpoint_grace=timedelta(minutes=5))),
        )
        for run in (slow, quick)
    ]
    stage = full(*both)
    asked(stage, wish(stage, 8))
    stage.advance(minutes=1)
    assert stage.world.resolutions()[0].status.phase is ResolutionPhase.ACTIVATING
    stage.restart()
    stage.advance(minutes=2)
    assert stage.world.resolutions()[0].status.phase is ResolutionPhase.RELEASED


# -- beforehand -------------------------------------------------------------------------------------------------------


def foreseen(stage: Harness, gpus: int) -> Foreseen:
    return foresee(stage.world, wish(stage, gpus), stage.loop.advice)


def test_a_request_is_foreseen_with_exact_odds_and_without_a_draw() -> None:
    """Four alike that nobody pays for, two have to go: each is cut with 1/2."""
    stage = a_stage(a_node("n1", gpus=8), plugin=purses(Purse(name="main", gpus=0)))
    for name in "abcd":
        stage.submit(hours(a_run(name, gpus=2), 99))
    stage.advance(hours=5)
    found = foreseen(stage, 4)
    assert found.scope is not None
    assert found.scope.missing == 4
    assert [(one.unit.name, one.odds) for one in found.prospect.chances] == [(name, Fraction(1, 2)) for name in "abcd"]
    assert stage.world.resolutions() == []


def test_what_would_not_serve_is_foreseen_with_what_is_spared() -> None:
    stage = full(hours(a_run("x", gpus=8), 99), after=0.1)
    found = foreseen(stage, 4)
    assert (found.scope, found.prospect.chances, found.prospect.spared_gpus) == (None, (), 8)
    assert found.prospect.spared_until == A_MONDAY + timedelta(minutes=30)


# -- the request ------------------------------------------------------------------------------------------------------


def test_a_request_is_an_annotation_of_a_node() -> None:
    node = attrs.evolve(a_node("n1"), request=Request(uid="request-1", flavor=FLAVOR, gpus=4, domain=HERE, at=A_MONDAY))
    assert node_from_object(node_to_object(node, FleetSettings()), FleetSettings()) == attrs.evolve(
        node, labels=read_labels(node)
    )


def read_labels(node: Node) -> tuple[tuple[str, str], ...]:
    found = node_from_object(node_to_object(node, FleetSettings()), FleetSettings())
    assert isinstance(found, Node)
    return found.labels


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no JSON",
        "[]",
        "7",
        "{}",
        '{"uid":"request-1","flavor":"h100","gpus":0,"at":"2026-01-05T12:00:00Z"}',
        '{"uid":"request-1","flavor":"h100","gpus":true,"at":"2026-01-05T12:00:00Z"}',
        '{"uid":"r|1","flavor":"h100","gpus":4,"at":"2026-01-05T12:00:00Z"}',
        '{"uid":"request-1","flavor":"h100","gpus":4,"at":"soon"}',
        '{"uid":"request-1","flavor":7,"gpus":4,"at":"2026-01-05T12:00:00Z"}',
    ],
)
def test_what_could_be_no_request_is_none(text: str) -> None:
    assert request_in({RESOLVE: text}) is None


# -- forged -----------------------------------------------------------------------------------------------------------


def a_resolution() -> Resolution:
    stage = full(hours(a_run("x", gpus=4), 99), hours(a_run("y", gpus=4), 99))
    asked(stage, wish(stage, 4))
    return stage.world.resolutions()[0]


def test_one_by_hand_is_stored_and_read_as_it_is() -> None:
    one = a_resolution()
    assert validate(to_object(one)) == []
    assert resolution_from_object(to_object(one)) == one


def sealed(one: Resolution) -> Resolution:
    return attrs.evolve(one, spec=attrs.evolve(one.spec, digest=spec_digest(one.spec)))


def test_another_request_or_places_for_somebody_do_not_verify() -> None:
    one = a_resolution()
    nobody = sealed(attrs.evolve(one, spec=attrs.evolve(one.spec, request=None)))
    assert any("neither a beneficiary nor a request" in line for line in verify(nobody, one.spec.evidence.data, None))
    assert validate(to_object(nobody)) != []


def test_a_cycle_that_answers_again_and_again_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Request, "stands", lambda self, now: True)
    monkeypatch.setattr(manual, "Asker", lambda uid: Asker(uid=f"{uid}-other"))
    with pytest.raises(AssertionError):
        test_a_request_is_answered_once()

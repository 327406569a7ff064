"""What would start a run that waits, by numbers: GPUs of one flavor, nodes of 8. tests/properties makes them true."""

from __future__ import annotations

from datetime import timedelta

import attrs
import pytest

from runs_core.decide import instead
from runs_core.decide.remedies import Tried, remedies
from runs_core.testing.builders import FLAVOR, a_node, a_run, lasting
from runs_core.testing.harness import Harness
from runs_core.values.meta import pairs
from runs_core.values.node import Domain
from runs_core.values.run import Phase, Run, Runtime

REGION, DOMAIN = "topology.kubernetes.io/region", "runs.dev/fabric-domain"


def timed(name: str, gpus: int, minutes: int, **labels: str) -> Run:
    """It says how long it takes, and takes so long. labels: where it must lie."""
    run, length = a_run(name, gpus=gpus), timedelta(minutes=minutes)
    topology = attrs.evolve(run.spec.topology, selector=pairs({DOMAIN: labels["domain"]} if labels else {}))
    spec = attrs.evolve(run.spec, topology=topology, runtime=Runtime(expected_duration=length))
    return lasting(attrs.evolve(run, spec=spec), length - timedelta(seconds=2))


def told(stage: Harness, name: str) -> list[str]:
    return [one.change for one in tried(stage, name)]


def tried(stage: Harness, name: str) -> tuple[Tried, ...]:
    return remedies(stage.world, stage.run(name), stage.loop.advice)


def played(*things: object) -> Harness:
    """Nodes first, then runs a second apart."""
    stage = Harness(*(thing for thing in things if not isinstance(thing, Run)))  # type: ignore[arg-type]  # nodes
    stage.settle()
    for run in (thing for thing in things if isinstance(thing, Run)):
        stage.submit(run)
        stage.advance(seconds=1)
    return stage


def test_who_runs_or_is_over_or_is_being_undone_is_told_nothing() -> None:
    stage = played(a_node("a"), timed("x", 8, 10), timed("y", 8, 10))
    assert (stage.phase("x"), told(stage, "x")) == (Phase.RUNNING, [])
    stage.cancel("x")
    stage.settle()
    assert (stage.run("x").status.ending is not None, told(stage, "x")) == (True, [])
    stage.advance(minutes=30)
    assert (stage.phase("y"), told(stage, "y")) == (Phase.SUCCEEDED, [])


def test_a_suspended_run_is_told_to_be_resumed_only_where_it_would_start() -> None:
    stage = played(a_node("a"), timed("x", 4, 10), timed("y", 4, 10), timed("z", 8, 10))
    for name in ("y", "z"):
        stage.suspend(name)
    stage.advance(minutes=1)
    (found,) = tried(stage, "y")
    assert (found.change, found.words, found.anew) == ("resume it", ("resume", "y"), False)
    assert told(stage, "z") == []


def test_of_two_labels_the_one_that_is_in_the_way_is_dropped() -> None:
    place = Domain(region="north", name="d1")
    nodes = [a_node("a", domain=place, labels={REGION: "north", DOMAIN: "d1"})]
    run = a_run("y", gpus=4)
    topology = attrs.evolve(run.spec.topology, selector=pairs({REGION: "north", DOMAIN: "d2"}))
    stage = played(*nodes, attrs.evolve(run, spec=attrs.evolve(run.spec, topology=topology)))
    assert told(stage, "y") == [f"drop {DOMAIN} from topology.selector"]


def test_of_labels_that_are_all_in_the_way_all_are_dropped() -> None:
    run = a_run("y", gpus=4)
    topology = attrs.evolve(run.spec.topology, selector=pairs({REGION: "south", DOMAIN: "d2"}))
    stage = played(a_node("a"), attrs.evolve(run, spec=attrs.evolve(run.spec, topology=topology)))
    assert told(stage, "y") == ["drop topology.selector"]


def test_the_largest_groups_that_do_are_named() -> None:
    """4 free in each of three domains: of 12 in groups of 12, groups of 4 do, and those of 6 do not."""
    nodes = [a_node(f"n{number}", gpus=4, domain=f"d{number}") for number in range(3)]
    stage = played(*nodes, a_run("y", gpus=12, group_gpus=12))
    assert told(stage, "y")[1:] == ["take groups of 4 GPUs instead of 12 (topology.groupGPUs)"]


def test_the_widest_gang_that_starts_is_named() -> None:
    stage = played(a_node("a"), a_node("b"), timed("x", 3, 10), a_run("y", gpus=16, gpus_per_pod=2))
    assert told(stage, "y") == ["ask for 12 GPUs instead of 16"]


def test_a_flavor_that_has_room_is_named_and_one_that_has_none_is_not() -> None:
    nodes = [a_node("a"), a_node("b", flavor="a100"), a_node("c", flavor="l40s", gpus=4)]
    stage = played(*nodes, timed("x", 8, 10), a_run("y", gpus=8, flavor=FLAVOR))
    assert told(stage, "y") == ["take the flavor a100"]


def test_a_run_that_is_not_submitted_yet_is_told_to_be_another_itself() -> None:
    stage = played(a_node("a"), timed("x", 4, 10))
    (found,) = remedies(stage.world, a_run("new", gpus=8), stage.loop.advice)
    assert (found.change, found.anew) == ("ask for 4 GPUs instead of 8", False)


def crowd() -> Harness:
    """x has 4 of 8 for ten minutes; y (8) is promised the rest, and eight that want 1 for an hour would have it."""
    return played(a_node("a"), timed("x", 4, 10), timed("y", 8, 10), *(timed(f"z{at}", 1, 60) for at in range(8)))


def test_what_others_in_line_would_take_first_is_not_told() -> None:
    stage = crowd()
    assert not any(change.startswith("ask for") for change in told(stage, "y"))


def test_where_too_many_others_would_start_no_other_shape_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = played(a_node("a"), timed("x", 4, 10), timed("y", 8, 10), timed("z", 1, 60))
    assert told(stage, "y") == ["ask for 3 GPUs instead of 8"]
    monkeypatch.setattr(instead, "MOST_OTHERS", 1)
    assert told(stage, "y") == []


def test_only_the_first_in_line_are_told_in_their_reservations() -> None:
    stage = played(a_node("a"), timed("x", 6, 10), *(timed(f"y{at}", 8, 10) for at in range(10)))
    told_ = {one.run.name: bool(one.status.remedies) for one in stage.reservations.values()}
    assert [told_[f"y{at}"] for at in range(10)] == [True] + [False] * 9

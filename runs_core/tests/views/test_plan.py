from typing import Any

import attrs

from runs_core.decide.advice import Silent
from runs_core.decide.consider import consider
from runs_core.errors import Problem
from runs_core.serve.views.explain import explain
from runs_core.serve.views.plain import plain
from runs_core.serve.views.plan import Plan, Verdict, of_outcome, of_standing, refused
from runs_core.serve.views.remedies import remedies_of
from runs_core.values.decision import Held, Starts, Waits
from runs_core.values.run import Phase, Run, Spread, Topology
from runs_core.world.world import World

Scene = Any
"""The fixture's class: test folders are no packages, so conftest.py cannot be imported from."""

KEYS = {"verdict", "reasons", "placement", "payers", "cover", "cuts", "spared", "forecast", "remedies"}


def decided(world: World, run: Run) -> Held | Waits | Starts:
    outcome = consider(world, run, Silent())
    assert isinstance(outcome, Held | Waits | Starts)
    return outcome


def plan_of(world: World, run: Run) -> Plan:
    return of_outcome(run.key, decided(world, run))


def test_a_run_that_fits_is_told_its_places(scene: Scene) -> None:
    scene.node("a", gpus=2)
    scene.node("b", gpus=2)
    found = plan_of(scene.world, scene.run("r", gpus=4))
    assert found.verdict is Verdict.START
    assert [(p.node, p.ordinals, p.ranks) for p in found.placement] == [("a", (0, 1), (0, 1)), ("b", (0, 1), (2, 3))]


def test_a_run_that_does_not_fit_is_told_why(scene: Scene) -> None:
    scene.node("a", gpus=2)
    found = plan_of(scene.world, scene.run("r", gpus=4))
    assert found.verdict is Verdict.WAIT
    assert {reason.code for reason in found.reasons} == {"NeverFits", "NotEnoughGPUs"}


def test_a_suspended_run_is_held(scene: Scene) -> None:
    scene.node("a")
    run = scene.run("r")
    found = plan_of(scene.world, attrs.evolve(run, spec=attrs.evolve(run.spec, suspend=True)))
    assert (found.verdict, found.reasons[0].code) == (Verdict.HELD, "Suspended")


def test_a_running_run_shows_what_it_holds_and_which_ranks_are_there(scene: Scene) -> None:
    scene.node("a")
    run = scene.run("r", gpus=2, phase=Phase.RUNNING, reason="PodsReady")
    scene.lease(run, "a", (0, 1))
    scene.rank(run, "a", 0)
    scene.rank(run, "a", 1)
    found = of_standing(scene.world, run, Silent())
    assert found.verdict is Verdict.START
    assert [(p.node, p.ordinals, p.ranks) for p in found.placement] == [("a", (0, 1), (0, 1))]


def test_nothing_is_to_be_decided_for_a_run_that_is_over(scene: Scene) -> None:
    run = scene.run("r", phase=Phase.SUCCEEDED, reason="Succeeded")
    assert of_standing(scene.world, run, Silent()).verdict is None


def test_the_json_has_the_keys_of_the_interface(scene: Scene) -> None:
    scene.node("a")
    answer: Any = plain(plan_of(scene.world, scene.run("r", gpus=2)))
    assert set(answer) == KEYS | {"run"}
    assert (answer["cuts"], answer["payers"], answer["forecast"]) == ([], [], None)
    assert answer["placement"] == [{"node": "a", "ordinals": [0, 1], "role": "Active", "group": 0, "ranks": [0, 1]}]


def test_a_refusal_names_each_problem(scene: Scene) -> None:
    run = scene.run("r")
    answer: Any = plain(refused(run.key, [Problem("run.yaml:3 spec.resources.gpus", "got 0, want at least 1")]))
    assert answer["verdict"] == "Refused"
    assert answer["reasons"] == [
        {"by": "core", "code": "Invalid", "message": "run.yaml:3 spec.resources.gpus: got 0, want at least 1"}
    ]


def test_the_narrower_width_that_is_offered_is_the_widest_that_starts(scene: Scene) -> None:
    scene.node("a")
    scene.node("b", gpus=4)
    run = scene.run("r", gpus=32)
    (remedy,) = remedies_of(scene.world, run, Silent())
    assert remedy.command == "runs -n default cancel r && runs -n default submit r-2 --gpus 12 --flavor H100"
    assert remedy.starts_at == scene.world.now


def test_a_change_that_would_not_help_is_not_offered(scene: Scene) -> None:
    scene.node("a")
    scene.node("x", flavor="A100", gpus=2)
    scene.lease(scene.run("other", gpus=8), "a", range(8))
    run = scene.run("r", gpus=4)
    found = remedies_of(scene.world, run, Silent())
    assert found == ()


def test_spreading_is_offered_where_it_would_start_the_run(scene: Scene) -> None:
    scene.node("a", domain="d0")
    scene.node("b", domain="d1")
    run = scene.run("r", gpus=16)
    run = attrs.evolve(run, spec=attrs.evolve(run.spec, topology=Topology(spread=Spread.SINGLE_DOMAIN)))
    found = remedies_of(scene.world, run, Silent())
    assert [remedy.change.split(" (")[0] for remedy in found] == [
        "ask for 8 GPUs instead of 16",
        "let it lie in several domains",
    ]


def test_explain_has_the_plans_keys_and_its_own(scene: Scene) -> None:
    scene.node("a", gpus=2)
    run = scene.run("r", gpus=4)
    outcome = decided(scene.world, run)
    answer: Any = plain(
        explain(scene.world, run, of_outcome(run.key, outcome), outcome, [("hours", "closed until 8:00")])
    )
    assert set(answer) == KEYS | {
        "run",
        "phase",
        "message",
        "cover",
        "match",
        "blockedBy",
        "cut",
        "promised",
        "said",
        "expectedEnd",
        "pendingGPUs",
    }
    assert answer["match"][0] == {"step": "nodes of the flavor (all GPUs)", "nodes": 1, "gpus": 2}
    assert answer["said"] == [{"by": "hours", "line": "closed until 8:00"}]


def test_explain_names_the_upstreams_that_are_not_done(scene: Scene) -> None:
    scene.run("done", phase=Phase.SUCCEEDED)
    scene.run("busy", phase=Phase.RUNNING)
    run = scene.run("r")
    run = attrs.evolve(run, spec=attrs.evolve(run.spec, after=("done", "busy", "gone")))
    outcome = decided(scene.world, run)
    found = explain(scene.world, run, of_outcome(run.key, outcome), outcome)
    assert [key.name for key in found.blocked_by] == ["busy", "gone"]

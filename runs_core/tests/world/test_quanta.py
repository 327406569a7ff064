"""From when on each run may be in a lottery: the order that is kept is that of all runs, worked out anew."""

from __future__ import annotations

import random
from datetime import timedelta

import attrs
import pytest

from runs_core.settings import ReclaimSettings, ResolverSettings, Settings
from runs_core.testing.builders import A_MONDAY, a_lease, a_node, a_run
from runs_core.values.change import LeaseSeen, NodeSeen, RunGone, RunSeen
from runs_core.values.run import Ending, Phase, Run, Runtime
from runs_core.world.quanta import Quanta, Spared
from runs_core.world.world import World

HOUR = timedelta(hours=1)
SETTINGS = Settings(
    reclaim=ReclaimSettings(min_runtime=HOUR, most_min_runtime=9 * HOUR), resolver=ResolverSettings(quantum=4 * HOUR)
)


def a_world(**gpus: str) -> World:
    world = World(SETTINGS)
    world.funded = True
    for name, flavor in gpus.items():
        world.apply(NodeSeen(a_node(name, flavor=flavor)))
    return world


def started(name: str, hour: float, flavor: str | None = "h100", least: float | None = None) -> Run:
    run = a_run(name)
    resources = attrs.evolve(run.spec.resources, flavor=flavor)
    runtime = Runtime(min_runtime=None if least is None else least * HOUR)
    status = attrs.evolve(run.status, phase=Phase.RUNNING, started_at=A_MONDAY + hour * HOUR)
    return attrs.evolve(run, spec=attrs.evolve(run.spec, resources=resources, runtime=runtime), status=status)


def obvious(world: World, flavor: str) -> list[Spared]:
    """From all runs, each by its own status."""
    found = []
    for run in world.runs():
        held = run.status.phase.begun and not run.status.phase.terminal and run.status.ending is None
        theirs = run.spec.resources.flavor or world.sole_flavor()
        if held and run.status.started_at is not None and theirs == flavor:
            least = min(run.spec.runtime.min_runtime or HOUR, 9 * HOUR)
            found.append((run.status.started_at + max(least, 4 * HOUR), run.key))
    return sorted(found)


def a_change(rng: random.Random, world: World) -> RunSeen | RunGone:
    known = [run.key for run in world.runs()]
    if known and rng.random() < 0.2:
        return RunGone(rng.choice(known))
    flavor, least = rng.choice(("h100", "b200", None)), rng.choice((None, 0, 5, 20))
    run = started(f"r{rng.randrange(12)}", rng.randrange(6), flavor, least)
    ending = Ending(reason="Canceled", detail="", then=Phase.FAILED, since=A_MONDAY)
    status = rng.choice(
        (
            run.status,
            run.status,
            attrs.evolve(run.status, phase=Phase.QUEUED, started_at=None),
            attrs.evolve(run.status, phase=Phase.SUCCEEDED),
            attrs.evolve(run.status, ending=ending),
        )
    )
    return RunSeen(attrs.evolve(run, status=status))


def differs(seed: int) -> bool:
    """Whether what is kept is ever another than what is obvious, in a random history, or after a what-if."""
    rng = random.Random(seed)
    world = a_world(n1="h100", **({"n2": "b200"} if seed % 2 else {}))
    for step in range(40):
        change = a_change(rng, world)
        before = {flavor: list(world.quanta.ripening(flavor)) for flavor in ("h100", "b200")} if step > 9 else None
        with world.supposing([change]):
            pass
        if before is not None and any(list(world.quanta.ripening(name)) != before[name] for name in before):
            return True
        world.apply(change)
        if step > 9 and any(list(world.quanta.ripening(name)) != obvious(world, name) for name in ("h100", "b200")):
            return True
    return False


def test_who_may_be_drawn_first_is_named_first() -> None:
    world = a_world(n1="h100")
    for run in (started("late", 3), started("early", 1), started("safe", 0, least=6)):
        world.apply(RunSeen(run))
    names = [(key.name, (until - A_MONDAY) / HOUR) for until, key in world.quanta.ripening("h100")]
    assert names == [("early", 5), ("safe", 6), ("late", 7)]


def test_the_order_that_is_kept_is_that_of_all_runs() -> None:
    assert not any(differs(seed) for seed in range(60))


def test_who_forgets_those_that_leave_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    replace = Quanta.replace

    def forgets(self: Quanta, key: object, run: Run | None) -> None:
        if run is not None:
            replace(self, run.key, run)

    monkeypatch.setattr(Quanta, "replace", forgets)
    assert any(differs(seed) for seed in range(60))


def test_who_names_no_flavor_may_be_drawn_where_its_nodes_are_though_there_are_others() -> None:
    world, run = a_world(n1="h100", n2="b200"), started("x", 0, None)
    world.apply(LeaseSeen(a_lease(run, {"n1": tuple(range(8))})))
    world.apply(RunSeen(run))
    assert [key for _, key in world.quanta.ripening("h100")] == [run.key]
    assert list(world.quanta.ripening("b200")) == []

"""Each check of this folder, shown to fail on a scheduler that is broken in just the way it is there to find."""


# ruff: noqa: ANN401 - a defect is put in the place of functions of many shapes

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import attrs
import pytest
from tests.properties.histories import history, play
from tests.properties.reference import placed
from tests.properties.test_histories import mixed
from tests.properties.test_inverses import changes
from tests.properties.test_placement import fleet as a_fleet
from tests.properties.test_placement import need, plan

from runs_core.decide import advice, batch, place, release, settle, start, told, waiting
from runs_core.serve.loop import Loop
from runs_core.testing.builders import A_MONDAY, a_lease, a_node, a_run, a_world
from runs_core.testing.canonical import canonical, first_difference
from runs_core.testing.harness import Harness
from runs_core.values.change import LeaseSeen, NodeGone, NodeSeen
from runs_core.values.effect import CloseLease, EndPod, SetRunStatus
from runs_core.values.lease import Closed, Lease
from runs_core.values.node import Domain
from runs_core.world import about_places, after, domains, flavors, fleet, gangs, ledger, line, nodes, world
from runs_core.world.invariants import Witness, breaches
from runs_core.world.oracle import differences, snapshot

SEEDS = range(12)
Patch = pytest.MonkeyPatch


def found_by_playing(*, oracles: bool = False) -> str:
    """What the Harness says of the first history that it refuses; empty: it found nothing."""
    for seed in SEEDS:
        try:
            play(history(random.Random(seed)), oracles=oracles)
        except AssertionError as error:
            return str(error)
    return ""


def without(monkeypatch: Patch, where: object, name: str) -> None:
    """That function does nothing."""
    monkeypatch.setattr(where, name, lambda *_, **__: None)


def test_as_it_is_the_scheduler_passes() -> None:
    assert found_by_playing(oracles=True) == ""


# -- invariants 1, 2, 4, 5 and 6, by playing --------------------------------------------------------------------------


def test_1_is_broken_by_a_fleet_that_forgets_a_slot(monkeypatch: Patch) -> None:
    monkeypatch.setattr(nodes.NodeState, "places", lambda _, count, __=0: tuple(range(count)))
    assert "invariant 1: place 0 of node" in found_by_playing()


def test_2_is_broken_by_a_planner_that_takes_nodes_for_larger_than_they_are(monkeypatch: Patch) -> None:
    beyond = lambda state, count, but=0: tuple(range(state.node.gpus, state.node.gpus + count))  # noqa: E731
    monkeypatch.setattr(nodes.NodeState, "places", beyond)
    assert "invariant 2: lease" in found_by_playing()


def forgetful(real: Callable[..., Any], kind: type, *, last: bool = False) -> Callable[..., Any]:
    """The function, its decision without the effects of one kind, or without the last of them."""

    def forgets(*args: Any, **named: Any) -> Any:
        decision = real(*args, **named)
        lost = [effect for effect in decision.effects if isinstance(effect, kind)][-1 if last else 0 :]
        return attrs.evolve(decision, effects=tuple(effect for effect in decision.effects if effect not in lost))

    return forgets


def test_4_is_broken_by_a_release_that_forgets_a_lease(monkeypatch: Patch) -> None:
    monkeypatch.setattr(release, "_released", forgetful(release._released, CloseLease, last=True))
    assert "invariant 4: run" in (told := found_by_playing())
    assert "open leases" in told


def test_4_is_broken_by_a_release_that_does_not_wait_for_pods(monkeypatch: Patch) -> None:
    real = release.end_pods
    monkeypatch.setattr(release, "end_pods", lambda *args: attrs.evolve(real(*args), living=0))
    assert "live pods" in found_by_playing()


def test_4_is_broken_by_a_start_that_leases_less_than_it_says(monkeypatch: Patch) -> None:
    real = start._lease

    def short(*args: Any, **named: Any) -> Lease:
        lease = real(*args, **named)
        first = lease.spec.slots[0]
        slots = (attrs.evolve(first, ordinals=first.ordinals[:1]), *lease.spec.slots[1:])
        return attrs.evolve(lease, spec=attrs.evolve(lease.spec, slots=slots))

    monkeypatch.setattr(start, "_lease", short)
    assert "invariant 4: run" in found_by_playing()


def test_5_is_broken_by_a_planner_that_ignores_domains(monkeypatch: Patch) -> None:
    real = fleet.Fleet.replace_node

    def in_one_domain(self: fleet.Fleet, name: str, new: Any) -> None:
        """What the fleet files under one domain lies in several."""
        real(self, name, new)
        state = self.states.get(name)
        if state is not None and state.node is not None:
            state.node = attrs.evolve(state.node, domain=Domain(name=f"really-{name}"))

    monkeypatch.setattr(fleet.Fleet, "replace_node", in_one_domain)
    told = ""
    try:
        Harness(a_node("n1", gpus=2), a_node("n2", gpus=2), a_run("wide", gpus=4, group_gpus=4)).settle()
    except AssertionError as error:
        told = str(error)
    assert "invariant 5: group 0 of run research/wide lies in" in told


def test_6_is_broken_by_a_release_that_closes_a_lease_again_with_another_reason() -> None:
    lease = a_lease(a_run("train"), {"n1": (0,)})
    world_, witness = a_world(a_node("n1"), lease), Witness()
    witness.see(lease)
    for reason in (Closed.SUCCEEDED, Closed.CANCELED):
        closed = release._closed(lease, A_MONDAY, reason, "")
        witness.see(closed)
        world_.apply(LeaseSeen(closed))
    assert [breach.what for breach in witness.breaches(world_)] == [
        f"lease {lease.key} was closed and is written again"
    ]


def test_6_is_broken_by_a_closure_that_moves_the_start(monkeypatch: Patch) -> None:
    real = release._closed

    def rewrites(lease: Lease, *rest: Any) -> Lease:
        return real(attrs.evolve(lease, spec=attrs.evolve(lease.spec, start=A_MONDAY - timedelta(1))), *rest)

    monkeypatch.setattr(release, "_closed", rewrites)
    assert "changed while it was open" in found_by_playing()


def test_6_is_broken_by_a_ledger_whose_head_forgets_closures(monkeypatch: Patch) -> None:
    real = ledger.entry
    monkeypatch.setattr(about_places, "entry", lambda lease, closing: 0 if closing else real(lease, closing=False))
    assert "head is not the sum" in found_by_playing()


# -- the oracles -------------------------------------------------------------------------------------------------------


BEGINS = flavors.FlavorFleet.__init__


def _begins_with_one(flavor: flavors.FlavorFleet) -> None:
    """A free GPU that nobody has."""
    BEGINS(flavor)
    flavor.free = 1


def _all_short(domain: domains.DomainFleet, asked: Any, bit: int) -> None:
    """One node has no room, so none has."""
    domain.short[asked] = 2 ** len(domain.states) - 1


DRIFTS: dict[str, tuple[Any, str, Callable[..., Any]]] = {
    "node n": (fleet.Fleet, "hold", lambda self, lease, opened: None),
    "flavor ": (flavors.FlavorFleet, "__init__", _begins_with_one),
    "live pods of run": (gangs.Gangs, "_live", lambda self, run, sign: self.live.update({run: 1})),
    "try (": (gangs.Tally, "add", lambda self, phase, sign: setattr(self, "running", 1)),
    "leases of run": (ledger.Ledger, "add", lambda self, lease: self.open.update({lease.key: lease})),
    "pods of run": (gangs.Gangs, "_recount", lambda self, old, new, rank: self.by_run.pop(rank.run)),
    "dependents of run": (after.Dependents, "replace", lambda self, key, old, run, runs: frozenset()),
    "owners of namespace": (world.World, "_owners_changed", lambda self: None),
    "line ": (line.Line, "_leave", lambda self, key, shape: None),
    "allows": (domains.DomainFleet, "eligible", lambda self, f: self.filtered.setdefault(f, 0) or 2**9 - 1),
    "counts as full": (domains.DomainFleet, "remember_short", _all_short),
}


@pytest.mark.parametrize("said", DRIFTS)
def test_an_index_that_drifts_is_told_by_its_oracle(said: str, monkeypatch: Patch) -> None:
    monkeypatch.setattr(*DRIFTS[said])
    told: list[str] = []

    class Told(Exception):
        pass

    def look(stage: Harness) -> None:
        told.extend(differences(stage.world))
        if any(said in one for one in told):
            raise Told

    monkeypatch.setattr(Harness, "check", look)
    for seed in SEEDS:
        with suppress(Told, KeyError, AssertionError, ValueError, IndexError):
            play(history(random.Random(seed)))
        if any(said in one for one in told):
            return
    pytest.fail(f"nothing that begins with {said!r} among {told[:3]}")


def test_seats_out_of_order_are_told() -> None:
    found = a_world(a_node("n1"), a_node("n2"))
    [domain] = found.fleet.flavors["h100"].domains.values()
    domain.names.reverse()
    domain.states.reverse()
    assert any("seats are not in the order of names" in told for told in differences(found))


# -- inverses and placement --------------------------------------------------------------------------------------------


def test_a_change_that_cannot_be_undone_is_told(monkeypatch: Patch) -> None:
    rng = random.Random(1)
    stage = play(history(rng, steps=3))
    before = snapshot(stage.world)
    with stage.world.supposing(changes(rng, stage.world)):
        pass
    assert snapshot(stage.world) == before
    real = stage.world.revert
    monkeypatch.setattr(
        world.World, "revert", lambda self, inverse: None if "Node" in type(inverse).__name__ else real(inverse)
    )
    with stage.world.supposing([NodeGone("n0"), NodeSeen(a_node("n99"))]):
        pass
    assert snapshot(stage.world) != before


@pytest.mark.parametrize("order", ["most free first", "last name first"])
def test_a_planner_with_another_idea_of_best_fit_is_told(order: str, monkeypatch: Patch) -> None:
    if order == "most free first":
        monkeypatch.setattr(
            place.Trial,
            "_fitting",
            lambda self, _, but=(): [self.room(key) for _, key in self.order[::-1] if key not in but],
        )
    else:
        monkeypatch.setattr(domains.DomainFleet, "seat", _seats_backwards)
    rng = random.Random(1)
    cases = [(a_fleet(rng), need(rng, groups=True)) for _ in range(60)]
    assert any(plan(found, wanted) != placed(found, "h100", wanted) for found, wanted in cases)


def _seats_backwards(domain: domains.DomainFleet, state: nodes.NodeState) -> bool:
    """A node's bit is its place in the order of being seen."""
    state.bit = domain.bits.setdefault(state.name, len(domain.names))
    if state.bit == len(domain.names):
        domain.names.append(state.name)
        domain.states.append(state)
    domain.states[state.bit] = state
    return False


# -- 8 and 9 -----------------------------------------------------------------------------------------------------------


def differ(one: Callable[[random.Random, Any], Harness]) -> bool:
    """Whether any history comes out otherwise."""
    for seed in SEEDS:
        told = history(random.Random(seed))
        ours, theirs = play(told), one(random.Random(seed), told)
        if first_difference(canonical(ours.records, A_MONDAY), canonical(theirs.records, A_MONDAY)):
            return True
    return False


def test_8_is_broken_by_a_line_in_the_order_of_arrival(monkeypatch: Patch) -> None:
    counter = iter(range(10**9))
    monkeypatch.setattr(advice.Silent, "rank", lambda *_: (float(next(counter)),))
    assert differ(lambda rng, told: play(mixed(rng, told)))


def test_8_is_broken_by_attending_in_the_order_of_a_set() -> None:
    """In another process, since the order of a set is that of the process's hash seed."""
    broken = (
        "import random, sys\n"
        "from runs_core.decide import cycle\n"
        "from runs_core.testing.builders import A_MONDAY\n"
        "from runs_core.testing.canonical import canonical\n"
        "from tests.properties.histories import history, play\n"
        "cycle.sorted = list\n"
        "for seed in range(3):\n"
        "    sys.stdout.buffer.write(canonical(play(history(random.Random(seed))).records, A_MONDAY))\n"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", broken],
            check=True,
            capture_output=True,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        ).stdout
        for seed in ("0", "1", "2")
    ]
    assert first_difference(said[0], said[1]) or first_difference(said[0], said[2])


def test_9_is_broken_by_an_undo_that_takes_nothing_back(monkeypatch: Patch) -> None:
    without(monkeypatch, batch.Batch, "undo")

    def refusing(rng: random.Random, told: Any) -> Harness:
        def between(stage: Harness) -> None:
            stage.stage.refuses = lambda: rng.random() < 0.4

        return play(told, between=between)

    with pytest.raises(AssertionError, match="invariant 6"):
        differ(refusing)


def test_9_is_broken_by_what_only_a_process_remembers(monkeypatch: Patch) -> None:
    """Who was answered stands in the status; a process that remembers it instead answers all anew when it begins."""
    answered: dict[Any, Any] = {}

    def remembers(world_: Any, key: Any) -> bool:
        known = (id(world_), key) in answered
        answered[id(world_), key] = world_  # kept, so that no other world gets its id
        return known

    for module in (told, waiting):
        monkeypatch.setattr(module, "is_answered", remembers)
    assert differ(lambda _, told: play(told, between=lambda stage: stage.restart()))


def test_a_status_that_is_not_written_is_told(monkeypatch: Patch) -> None:
    monkeypatch.setattr(settle, "start", forgetful(start.start, SetRunStatus))
    assert "invariant 4: run" in found_by_playing()


def test_pods_that_are_never_asked_to_go_are_told(monkeypatch: Patch) -> None:
    """They keep their leases, so nothing is shared; but their run never ends, and the history is no longer lively."""
    real = release.end_pods

    def asks_nobody(*args: Any) -> Any:
        ended = real(*args)
        kept = tuple(effect for effect in ended.effects if not isinstance(effect, EndPod))
        return attrs.evolve(ended, effects=kept)

    monkeypatch.setattr(release, "end_pods", asks_nobody)
    assert differ(lambda rng, told: _unpatched(monkeypatch, real, told))


def _unpatched(monkeypatch: Patch, real: Any, told: Any) -> Harness:
    with monkeypatch.context() as inner:
        inner.setattr(release, "end_pods", real)
        return play(told)


def test_the_invariants_are_checked_after_refused_cycles_too() -> None:
    stage = Harness(a_node("n1"), a_run("train"))
    checked: list[int] = []
    stage.loop.check = lambda: checked.append(len(stage.stage.written))
    stage.refuse(1)
    stage.settle()
    assert checked[0] == 0
    assert checked[1] > 0
    assert isinstance(stage.loop, Loop)
    assert breaches(stage.world) == []

"""The planner against section 5 of the semantics, written out slowly in `reference.py`."""

from __future__ import annotations

import random
from collections import Counter

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.properties.reference import Floor, fewest_domains, placed

from runs_core.decide.advice import Silent
from runs_core.decide.place import fits_when_empty, place
from runs_core.testing.builders import a_lease, a_need, a_node, a_run, a_world
from runs_core.values.change import LeaseSeen, NodeSeen, PodSeen
from runs_core.values.need import Need
from runs_core.values.node import Taint
from runs_core.values.placement import Placement
from runs_core.values.pod import Pod, PodPhase
from runs_core.values.run import Spread
from runs_core.values.template import PodTemplate, Requests, Toleration
from runs_core.world.world import World

EXAMPLES = 250
dice = st.integers(0, 2**32 - 1).map(random.Random)


def fleet(rng: random.Random, *, busy: bool = True) -> World:
    """2 to 9 nodes in up to 4 domains, listed in any order, partly leased, partly taken by others."""
    names = [f"n{at}" for at in range(rng.randint(2, 9))]
    nodes = []
    for name in rng.sample(names, len(names)):
        made = a_node(
            name,
            gpus=rng.choice((1, 2, 4, 8)),
            domain=f"d{rng.randint(1, 4)}",
            labels={"zone": rng.choice("ab")},
            taints=(Taint(key="team"),) if rng.random() < 0.15 else (),
            ready=rng.random() > 0.05,
            cordoned=rng.random() < 0.05,
        )
        nodes.append(attrs.evolve(made, cpu_milli=rng.choice((4_000, 128_000)), pods=rng.choice((2, 5, 110))))
    world = a_world(*nodes)
    for at, node in enumerate(nodes if busy else []):
        taken = tuple(sorted(rng.sample(range(node.gpus), rng.randint(0, node.gpus))))
        if taken and rng.random() < 0.7:
            world.apply(LeaseSeen(a_lease(a_run(f"old{at}", gpus=len(taken)), {node.name: taken})))
        if rng.random() < 0.3:
            requests = Requests(cpu_milli=rng.choice((500, 3_000)))
            pod = Pod(namespace="other", name=f"s{at}", node=node.name, gpus=rng.choice((0, 1)), requests=requests)
            world.apply(PodSeen(attrs.evolve(pod, phase=PodPhase.RUNNING)))
    return world


def need(rng: random.Random, *, spread: Spread | None = None, groups: bool | None = None) -> Need:
    per_pod = rng.choice((1, 1, 2, 4))
    grouped = rng.random() < 0.5 if groups is None else groups
    run = a_run(
        "new",
        gpus=per_pod * rng.randint(1, 7),
        gpus_per_pod=per_pod,
        group_gpus=per_pod * rng.choice((1, 2, 3)) if grouped else None,
        spread=spread or rng.choice(list(Spread)),
    )
    template = PodTemplate(
        requests=Requests(cpu_milli=rng.choice((0, 0, 1_500))),
        node_selector=(("zone", "a"),) if rng.random() < 0.2 else (),
        tolerations=(Toleration(key="team"),) if rng.random() < 0.3 else (),
    )
    return a_need(attrs.evolve(run, spec=attrs.evolve(run.spec, template=template)))


def plan(world: World, wanted: Need) -> Placement | None:
    return place(world.fleet, world.fleet.flavors["h100"], wanted, advice=Silent(), view=world)


def test_groups_and_single_domains_go_exactly_where_the_semantics_put_them() -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=EXAMPLES)
    @given(dice)
    def holds(rng: random.Random) -> None:
        world = fleet(rng)
        for wanted in (need(rng, groups=True), need(rng, spread=Spread.SINGLE_DOMAIN), need(rng, groups=True)):
            found = plan(world, wanted)
            assert found == placed(world, "h100", wanted)
            seen["placed" if found else "refused"] += 1
            seen["in several domains"] += found is not None and len({group.domain for group in found.groups}) > 1

    holds()
    assert min(seen["placed"], seen["refused"]) > EXAMPLES / 5
    assert seen["in several domains"] > EXAMPLES / 20


def test_without_groups_a_run_takes_the_fewest_domains_that_can_take_it() -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=EXAMPLES)
    @given(dice)
    def holds(rng: random.Random) -> None:
        world, wanted = fleet(rng), need(rng, groups=False, spread=Spread.ALLOWED)
        found, fewest = plan(world, wanted), fewest_domains(world, "h100", wanted)
        assert (found and len(found.groups)) == fewest
        if found is None:
            return
        seen[f"{min(len(found.groups), 2)}"] += 1
        if len(found.groups) == 1:
            assert found == placed(world, "h100", wanted)
        assert [pod.rank for group in found.groups for pod in group.pods] == list(range(wanted.pods))
        _seats_hold(world, wanted, found)

    holds()
    assert min(seen["1"], seen["2"]) > EXAMPLES / 20


def _seats_hold(world: World, wanted: Need, found: Placement) -> None:
    """Each domain's pods lie there as best fit puts them, on free places."""
    floor = Floor(world, "h100", wanted)
    for group in found.groups:
        spots = sorted(floor.seats(group.domain, len(group.pods)))
        assert [(spot.node, spot.places) for spot in spots] == [(pod.node, pod.ordinals) for pod in group.pods]


def test_the_order_in_which_nodes_were_seen_and_left_changes_no_plan() -> None:
    compared = 0

    @settings(max_examples=EXAMPLES)
    @given(dice)
    def holds(rng: random.Random) -> None:
        nonlocal compared
        world, wanted = fleet(rng), need(rng)
        other = World()
        facts = list(world.everything())
        passing = [a_node(f"n{at}x", domain=f"d{rng.randint(1, 4)}") for at in range(3)]
        for node in passing:
            other.apply(NodeSeen(node))
        for change in rng.sample(facts, len(facts)):
            other.apply(change)
        with world.supposing([NodeSeen(node) for node in passing]):
            full = plan(world, wanted)
        assert plan(other, wanted) == full
        compared += full is not None

    holds()
    assert compared > EXAMPLES / 5


def test_an_empty_fleet_fits_what_a_plan_on_it_would_place() -> None:
    seen: Counter[bool] = Counter()

    @settings(max_examples=EXAMPLES)
    @given(dice)
    def holds(rng: random.Random) -> None:
        world, wanted = fleet(rng, busy=False), need(rng)
        for node in world.nodes():
            world.apply(NodeSeen(attrs.evolve(node, ready=True, cordoned=False)))
        fits = fits_when_empty(world.fleet, world.fleet.flavors["h100"], wanted)
        assert fits == (plan(world, wanted) is not None)
        seen[fits] += 1

    holds()
    assert min(seen.values()) > EXAMPLES / 10

"""What the evidence says of room against what the planner says of the world; and from a world to a resolution."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import attrs
import pytest

from runs_core.decide.advice import Silent
from runs_core.decide.draw import Stream
from runs_core.decide.fit import Fit, short_by
from runs_core.decide.place import place
from runs_core.decide.resolve import Question, resolution_of, work_out
from runs_core.decide.scope import candidate_of, scope_of, wanted_of
from runs_core.decide.verify import verify
from runs_core.schema.convert import canonical, to_object
from runs_core.testing.builders import a_lease, a_need, a_node, a_pod, a_run, a_world, seen
from runs_core.testing.resolutions import NONCES
from runs_core.values.change import Change, HeadSeen, LeaseGone, PodGone, PodSeen, TimePassed
from runs_core.values.need import Need
from runs_core.values.node import Taint
from runs_core.values.pod import Pod, PodPhase
from runs_core.values.resolution import Beneficiary, Candidate, Pool, Resolution, ScopeNode, Trigger, Wanted
from runs_core.values.run import Spread
from runs_core.values.template import Requests
from runs_core.world.bound import bound_of
from runs_core.world.world import World


def busy_world(rng: random.Random) -> World:
    """Up to 8 nodes in 3 domains, most places leased by runs of one or two leases, CPU tight, some pods not ours."""
    nodes = [
        attrs.evolve(
            a_node(
                f"n{at}",
                gpus=rng.choice((4, 8)),
                domain=f"d{rng.randint(1, 3)}",
                cordoned=rng.random() < 0.1,
                taints=(Taint(key="team"),) if rng.random() < 0.1 else (),
            ),
            cpu_milli=rng.choice((6_000, 128_000)),
            pods=rng.choice((4, 110)),
        )
        for at in range(rng.randint(2, 8))
    ]
    world = a_world(*nodes)
    places = [(node.name, at) for node in nodes for at in range(node.gpus) if rng.random() < 0.85]
    rng.shuffle(places)
    number = 0
    while places:
        mine, places = places[: rng.choice((1, 2, 4))], places[4:]
        run = a_run(f"r{number}", gpus=len(mine))
        slots = {name: tuple(sorted(at for node, at in mine if node == name)) for name in {node for node, _ in mine}}
        for change in holding(rng, run.key.name, slots):
            world.apply(change)
        number += 1
    for at, node in enumerate(nodes):
        if rng.random() < 0.2:
            other = Pod(namespace="other", name=f"s{at}", node=node.name, gpus=1, phase=PodPhase.RUNNING)
            world.apply(PodSeen(other))
    return world


def holding(rng: random.Random, name: str, slots: dict[str, tuple[int, ...]]) -> Iterator[Change]:
    run = a_run(name, gpus=sum(map(len, slots.values())))
    yield seen(a_lease(run, slots))
    rank = 0
    for node in sorted(slots):
        for _ in slots[node]:
            requests = Requests(cpu_milli=rng.choice((0, 1_000, 3_000)))
            yield PodSeen(attrs.evolve(a_pod(run, rank, node=node), requests=requests))
            rank += 1


def some_need(rng: random.Random) -> Need:
    per_pod = rng.choice((1, 1, 2, 4))
    run = a_run(
        "new",
        gpus=per_pod * rng.randint(1, 10),
        gpus_per_pod=per_pod,
        group_gpus=rng.choice((None, per_pod, 2 * per_pod, 3 * per_pod)),
        spread=rng.choice((Spread.ALLOWED, Spread.ALLOWED, Spread.SINGLE_DOMAIN)),
    )
    return attrs.evolve(a_need(run), requests=Requests(cpu_milli=rng.choice((0, 0, 1_500))))


def asked(world: World, need: Need) -> tuple[Wanted, tuple[ScopeNode, ...], list[Candidate]]:
    flavor = world.fleet.flavors["h100"]
    nodes = scope_of(flavor.domains.values(), need)
    names = {node.name for node in nodes}
    found = [
        candidate_of(world.leases_of(key), world.pods_of(key), names, owner=None) for key in sorted(world.ledger.by_run)
    ]
    return wanted_of(need), nodes, [unit for unit in found if unit is not None]


def without(world: World, units: list[Candidate]) -> list[Change]:
    changes: list[Change] = []
    for one in units:
        changes += (LeaseGone(lease.key) for lease in world.leases_of(one.run))
        changes += (PodGone(pod.key) for pod in world.pods_of(one.run))
    return changes


def unlike(examples: int) -> list[str]:
    """Where the two differ; and both answers must have come up often."""
    found, said = [], {True: 0, False: 0}
    for number in range(examples):
        rng = random.Random(number)
        world, need = busy_world(rng), some_need(rng)
        wanted, nodes, units = asked(world, need)
        cuts = rng.sample(units, rng.randint(0, len(units)))
        fits = Fit(wanted, nodes).suffices(cuts)
        said[fits] += 1
        with world.supposing(without(world, cuts)):
            plan = place(world.fleet, world.fleet.flavors["h100"], need, advice=Silent(), view=world)
        if fits is not (plan is not None):
            found.append(f"{number}: {wanted}, {len(cuts)} cut: counted {fits}, planned {plan}")
    assert min(said.values()) > examples / 10, said
    return found


def test_counting_says_what_the_planner_says() -> None:
    assert unlike(300) == []


def test_forgetting_what_a_unit_uses_beside_gpus_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Fit, "_room", lambda self, left: 10**6)
    assert unlike(120) != []


def test_forgetting_that_groups_stay_whole_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def by_sum(self: Fit, domains: list[int]) -> bool:
        return sum(domains) * self._need.gpus_per_pod >= self._need.gpus

    monkeypatch.setattr(Fit, "_holds", by_sum)
    assert unlike(120) != []


def test_with_fewer_gpus_than_it_is_short_by_nothing_fits() -> None:
    tried = 0
    for number in range(300):
        rng = random.Random(number)
        world, need = busy_world(rng), some_need(rng)
        wanted, nodes, units = asked(world, need)
        cuts = rng.sample(units, rng.randint(0, len(units)))
        if sum(unit.gpus for unit in cuts) < short_by(wanted, nodes):
            tried += 1
            assert not Fit(wanted, nodes).suffices(cuts)
    assert tried > 20


def test_a_candidate_counts_in_the_scope_and_lists_all_that_it_holds() -> None:
    run = a_run("r", gpus=3)
    world = a_world(a_node("n1"), a_node("n2"), a_lease(run, {"n1": (0, 1), "n2": (5,)}), a_pod(run, 0, node="n1"))
    unit = candidate_of(world.leases_of(run.key), world.pods_of(run.key), {"n1"}, owner="org:x")
    assert unit is not None
    assert (unit.gpus, unit.gpus_held, [use.node for use in unit.uses]) == (2, 3, ["n1"])
    assert candidate_of(world.leases_of(run.key), (), {"n3"}, owner=None) is None


def test_asked_again_and_again_it_says_what_it_says_at_first() -> None:
    changed = 0
    for number in range(60):
        rng = random.Random(number)
        world, need = busy_world(rng), some_need(rng)
        wanted, nodes, units = asked(world, need)
        often, last = Fit(wanted, nodes), None
        for _ in range(20):
            cuts = rng.sample(units, rng.randint(0, len(units)))
            fits = often.suffices(cuts)
            assert fits is Fit(wanted, nodes).suffices(cuts)
            changed += fits is not last
            last = fits
    assert changed > 200


# -- from a world to a resolution -------------------------------------------------------------------------------------


def resolved(world: World, need: Need, number: int) -> Resolution | None:
    """As a decision goes about it; None: it fits as it is, or would not whoever is cut."""
    wanted, nodes, units = asked(world, need)
    fit = Fit(wanted, nodes)
    if fit.suffices(()):
        return None
    question = Question(
        trigger=Trigger.RECLAIM,
        beneficiary=Beneficiary(namespace="research", name="new", uid=f"uid-{number}", attempt=1, owner="org:x"),
        need=wanted,
        nodes=nodes,
        at=world.now,
        head=world.ledger.head,
        nonces=NONCES,
        chain=world.chain,
    )
    half = len(units) // 2
    first = Pool(stage="unfunded", drawn=True, candidates=tuple(units[:half]))

    def second(taken: Sequence[Candidate]) -> Iterator[Pool]:
        assert set(taken) <= set(units[:half])
        yield Pool(stage="lottery", drawn=True, candidates=tuple(units[half:]))

    taken = work_out(Stream(question.seed), short_by(wanted, nodes), [first, second], fit.suffices)
    if taken is None:
        return None
    with world.supposing(without(world, [unit for unit, _ in taken.cuts])):
        plan = place(world.fleet, world.fleet.flavors["h100"], need, advice=Silent(), view=world)
    assert plan is not None
    return resolution_of(question, taken, bound=bound_of(plan))


def from_worlds(count: int) -> list[Resolution]:
    found = []
    for number in range(count):
        rng = random.Random(number)
        one = resolved(busy_world(rng), some_need(rng), number)
        found += [one] if one is not None else []
    return found


def test_what_the_planner_decides_can_be_worked_out_from_the_object_alone() -> None:
    found = from_worlds(150)
    assert len(found) > 30
    assert sum(len(one.spec.cuts) for one in found) > 2 * len(found)
    for one in found:
        assert verify(one, one.spec.evidence.data, None) == []


def test_the_same_world_gives_the_same_bytes_whatever_the_order_it_was_seen_in() -> None:
    compared = 0
    for number in range(60):
        rng = random.Random(number)
        world, need = busy_world(rng), some_need(rng)
        facts = list(world.everything())
        rng.shuffle(facts)
        other = World()
        for change in (TimePassed(world.now), *facts, HeadSeen(world.ledger.head)):
            other.apply(change)
        one, again = resolved(world, need, number), resolved(other, need, number)
        if one is not None and again is not None:
            compared += 1
            assert canonical(to_object(one)) == canonical(to_object(again))
        else:
            assert one is again
    assert compared > 10

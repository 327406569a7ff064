"""Every change has an exact inverse, and a what-if, however deep, leaves no trace."""

from __future__ import annotations

import random
from datetime import timedelta

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.properties.histories import SPACES, budget, history, node, play, run, stranger, template

from runs_core.decide.advice import Silent
from runs_core.decide.consider import consider
from runs_core.testing.builders import a_lease, a_pod, a_run
from runs_core.testing.harness import Harness
from runs_core.testing.resolutions import resolutions
from runs_core.values import change as c
from runs_core.values.lease import Closed, LeaseStatus
from runs_core.values.node import MalformedNode
from runs_core.values.nonces import Chain, played
from runs_core.values.pod import Claim, Pod, PodPhase
from runs_core.values.run import Phase, Run
from runs_core.values.storage import Storage, StorageClass, Volume, VolumeClaim
from runs_core.values.template import Operator, PodTemplate, Requirement
from runs_core.world.oracle import differences, snapshot
from runs_core.world.volumes import name_of
from runs_core.world.world import World

EXAMPLES = 40
RESOLUTIONS = resolutions(3)
dice = st.integers(0, 2**32 - 1).map(random.Random)


def worlds(rng: random.Random) -> list[World]:
    """The world of one history, seen at several of its instants."""
    found: list[World] = []

    def keep(stage: Harness) -> None:
        if rng.random() < 0.2:
            world = World(stage.world.settings)
            for change in stage.world.everything():
                world.apply(change)
            found.append(world)

    play(history(rng, steps=10), between=keep)
    return found


def changes(rng: random.Random, world: World) -> list[c.Change]:
    """One change of each kind that there is anything for, about what is known and what is not."""
    runs, nodes = list(world.runs()), [*world.nodes(), node(rng, "new"), node(rng, "n00")]
    someone = rng.choice([*runs, a_run("new")])
    lease = rng.choice([*world.ledger.open.values(), a_lease(someone, unleased(rng, world, rng.choice(nodes).name))])
    closed = LeaseStatus(closed=True, end=world.now, closure_reason=Closed.CANCELED)
    pod = rng.choice([*world.gangs.pods.values(), a_pod(someone, node=rng.choice(nodes).name)])
    name = rng.choice(nodes).name
    namespaces = [*world.namespaces()]
    ended = attrs.evolve(someone, status=attrs.evolve(someone.status, phase=rng.choice(list(Phase)), reason="Other"))
    found: list[c.Change] = [
        c.TimePassed(world.now + timedelta(seconds=rng.randint(1, 10**6))),
        c.NodeSeen(node(rng, name)),
        c.NodeSeen(MalformedNode(name=name, why="got 'x' GPUs, want a number")),
        c.NodeGone(name),
        c.RunSeen(run(rng, f"research/{someone.meta.name}", [f"research/r{at:02}" for at in range(12)])),
        c.RunSeen(ended),
        c.RunGone(someone.key),
        c.LeaseSeen(lease),
        c.LeaseSeen(attrs.evolve(lease, status=closed)),
        c.LeaseGone(lease.key),
        c.PodSeen(attrs.evolve(pod, phase=rng.choice(list(PodPhase)), gpus=rng.randint(0, 4))),
        c.PodSeen(stranger(rng, "s9", nodes)),
        c.PodSeen(claiming(rng, someone)),
        c.PodGone(pod.key),
        c.StartRefused(someone.key, c.Refusal(message="over quota", count=1, until=world.now)),
        c.RunUnread(someone.key, rng.choice((None, "spec: got 'x'"))),
        c.ResolutionSeen(resolution := rng.choice(RESOLUTIONS)),
        c.ResolutionGone(resolution.name),
        c.ChainSeen(Chain(number=rng.randint(0, 9))),
        c.NoncesSeen(played(str(rng.randint(0, 2)))),
        c.HeadSeen(rng.randint(0, 9)),
        c.BudgetGone(f"b{rng.randint(0, 2)}"),
        c.NamespaceGone(rng.choice(SPACES)),
    ]
    found += [c.StorageSeen(storage(rng)), c.StorageGone(*name_of(storage(rng))), c.RunSeen(mounting(rng, someone))]
    made = budget(rng, f"b{rng.randint(0, 2)}")
    found.append(c.BudgetSeen(made))  # type: ignore[arg-type]  # a Thing that is a Budget
    found += [c.NamespaceSeen(attrs.evolve(one, labels=())) for one in namespaces]
    return found


def storage(rng: random.Random) -> Storage:
    """A claim of two, a volume or a class; who uses the first needs what it says."""
    zone = Requirement(key="zone", operator=Operator.IN, values=(rng.choice("ab"),))
    name, made = rng.choice(("data", "other")), rng.choice(("v", None))
    claim = VolumeClaim(
        namespace="research", name=name, volume=made, storage_class="local", node=rng.choice((None, "n00"))
    )
    return rng.choice((claim, Volume(name="v", terms=((zone,),)), StorageClass(name="local", waits=rng.random() < 0.5)))


def mounting(rng: random.Random, someone: Run) -> Run:
    """The run, and what its pods now use."""
    claims = rng.choice((("data",), ("data", "other"), ()))
    made = attrs.evolve(someone.spec.template or PodTemplate(), claims=claims)
    return attrs.evolve(someone, spec=attrs.evolve(someone.spec, template=made))


def claiming(rng: random.Random, someone: Run) -> Pod:
    """Somebody else's pod that is to be a rank of this run."""
    claim = Claim(run=someone.key, order=("job", rng.randint(0, 2), "p"), rules=template(rng) or PodTemplate())
    return Pod(namespace=someone.key.namespace, name=f"p{rng.randint(0, 2)}", claim=claim, gpus=1)


def unleased(rng: random.Random, world: World, node: str) -> dict[str, tuple[int, ...]]:
    """Two places of the node that no lease has; some nodes have not so many, and are then short of their leases."""
    leases = world.ledger.open.values()
    held = {at for lease in leases for slots in lease.spec.slots if slots.node == node for at in slots.ordinals}
    return {node: tuple(sorted(rng.sample([at for at in range(10) if at not in held], 2)))}


def test_any_change_followed_by_its_inverse_restores_everything() -> None:
    taken = 0

    @settings(max_examples=EXAMPLES)
    @given(dice)
    def holds(rng: random.Random) -> None:
        nonlocal taken
        for world in worlds(rng):
            before = snapshot(world)
            for change in changes(rng, world):
                inverse = world.apply(change)
                assert differences(world) == []
                if inverse is None:
                    continue
                taken += 1
                world.revert(inverse)
                world.apply(c.HeadSeen(before["facts"][-1].head))  # type: ignore[index]  # the last fact is the head
                assert snapshot(world) == before, change
                assert differences(world) == []

    holds()
    assert taken > 10 * EXAMPLES


def test_a_what_if_within_a_what_if_leaves_no_trace() -> None:
    asked = 0

    @settings(max_examples=EXAMPLES)
    @given(dice)
    def holds(rng: random.Random) -> None:
        nonlocal asked
        for world in worlds(rng):
            world.touched.clear()
            before, deadlines = snapshot(world), list(world.deadlines())
            with world.supposing(rng.sample(changes(rng, world), 6)):
                between = snapshot(world)
                with world.supposing(rng.sample(changes(rng, world), 6)):
                    assert differences(world) == []
                    asked += _ask(world)
                assert snapshot(world) == between
                asked += _ask(world)
            assert snapshot(world) == before
            assert differences(world) == []
            assert (world.touched, list(world.deadlines())) == (set(), deadlines)

    holds()
    assert asked > EXAMPLES


def _ask(world: World) -> int:
    """A question to the planner fills its memories, which must be right afterwards too."""
    waiting = [run for run in world.runs() if run.status.phase is Phase.QUEUED]
    for one in waiting:
        consider(world, one, Silent())
    return len(waiting)


def test_what_was_answered_within_a_what_if_is_not_believed_outside() -> None:
    compared = 0

    @settings(max_examples=EXAMPLES)
    @given(dice)
    def holds(rng: random.Random) -> None:
        nonlocal compared
        for world in worlds(rng):
            waiting = [one for one in world.runs() if one.status.phase is Phase.QUEUED]
            before = [consider(world, one, Silent()) for one in waiting]
            with world.supposing(changes(rng, world)):
                _ask(world)
            assert [consider(world, one, Silent()) for one in waiting] == before
            compared += len(before)

    holds()
    assert compared > EXAMPLES

"""Random histories of a small cluster, as plain values: one can be played in another order, process or world."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import NamedTuple

import attrs

from runs_core.settings import Settings, StartSettings
from runs_core.testing.builders import a_budget, a_node, a_run, lasting
from runs_core.testing.harness import Harness
from runs_core.testing.outside import Thing
from runs_core.values.budget import Namespace, Namespaces
from runs_core.values.change import BudgetGone, Change, NamespaceGone, PodGone
from runs_core.values.meta import Key
from runs_core.values.node import Node, Taint
from runs_core.values.pod import Pod, PodPhase
from runs_core.values.run import (
    AfterFailure,
    OnLoss,
    OnPodFailure,
    OnUpstreamFailure,
    PodFailure,
    Run,
    Spread,
    Topology,
)
from runs_core.values.template import Operator, PodTemplate, Requests, Requirement, Toleration

SPACES = ("research", "vision")
MINUTE = timedelta(minutes=1)
SETTINGS = Settings(starts=StartSettings(tries=2, backoff=timedelta(seconds=20)))


class Act(NamedTuple):
    """What somebody does to one object. Acts of one instant concern different objects: their order must not matter."""

    verb: str
    on: str
    thing: Thing | None = None


class Instant(NamedTuple):
    """So many seconds after the one before."""

    after: float
    acts: tuple[Act, ...]


class History(NamedTuple):
    """What is there at first, and what happens then."""

    things: tuple[Thing, ...]
    instants: tuple[Instant, ...]


# -- making one -------------------------------------------------------------------------------------------------------


def history(rng: random.Random, *, steps: int = 14) -> History:
    """A fleet of 3 to 7 nodes, a few runs at once, and `steps` instants in which more comes or breaks."""
    nodes = [node(rng, f"n{at}") for at in range(rng.randint(3, 7))]
    names = [f"{SPACES[at % 5 == 4]}/r{at:02}" for at in range(60)]
    first = [run(rng, name, names) for name in names[:5]]
    things: list[Thing] = [*nodes, *first, *(Namespace(name=space, labels=(("team", "t1"),)) for space in SPACES[:1])]
    if rng.random() < 0.5:
        things.append(budget(rng, "b0"))
    coming = iter(names[5:])
    instants = []
    for _ in range(steps):
        acts: dict[str, Act] = {}
        for _ in range(rng.randint(1, 4)):
            act = one_act(rng, nodes, names, coming)
            acts.setdefault(act.on, act)
        instants.append(Instant(rng.choice((0, 1, 2, 5, 20, 60, 60, 300, 1800)), tuple(acts.values())))
    return History(tuple(things), tuple(instants))


def node(rng: random.Random, name: str) -> Node:
    made = a_node(
        name,
        gpus=rng.choice((2, 4, 8, 8)),
        domain=rng.choice(("d1", "d2", "d3")),
        flavor=rng.choice(("h100", "h100", "h100", "b200")),
        labels={"zone": rng.choice("ab")},
        taints=(Taint(key="team", value="t1"),) if rng.random() < 0.1 else (),
        ready=rng.random() > 0.05,
        cordoned=rng.random() < 0.05,
    )
    return attrs.evolve(made, pods=rng.choice((3, 6, 110)), cpu_milli=rng.choice((4_000, 16_000, 128_000)))


def run(rng: random.Random, name: str, names: Sequence[str]) -> Run:
    namespace, short = name.split("/")
    per_pod = rng.choice((1, 1, 1, 2, 4))
    group = rng.choice((None, None, None, 1, 2, 4))
    made = a_run(
        short,
        namespace=namespace,
        gpus=per_pod * rng.choice((1, 2, 3, 4, 6, 8)),
        gpus_per_pod=per_pod,
        group_gpus=None if group is None else per_pod * group,
        spread=rng.choice((Spread.ALLOWED, Spread.ALLOWED, Spread.ALLOWED, Spread.SINGLE_DOMAIN)),
        flavor=rng.choice(("h100", "h100", "h100", "b200", None)),
        owner=rng.choice((None, None, None, None, "o1", "o2")),
        after=_after(rng, short, namespace, names),
    )
    topology = Topology(
        group_gpus=made.spec.topology.group_gpus,
        spread=made.spec.topology.spread,
        selector=(("zone", "a"),) if rng.random() < 0.15 else (),
    )
    spec = attrs.evolve(
        made.spec,
        topology=topology,
        template=template(rng),
        on_pod_failure=PodFailure(policy=rng.choice(list(OnPodFailure)), limit=1, backoff=timedelta(seconds=5)),
        on_node_loss=rng.choice((OnLoss.REQUEUE, OnLoss.REQUEUE, OnLoss.FAIL)),
        after_failure=AfterFailure(policy=rng.choice(list(OnUpstreamFailure)), grace=5 * MINUTE),
        start_timeout=2 * MINUTE,
    )
    said = {"shutdown": rng.choice(("0s", "1s", "20s"))}
    if rng.random() < 0.1:
        said["start"] = "Never"
    if rng.random() < 0.2:
        said["failing_ranks"] = "0"
    if rng.random() < 0.5:
        said["failures"] = "1" if rng.random() < 0.3 else "0"
    length = timedelta(seconds=rng.choice((1, 30, 120, 600, 3600)))
    return lasting(attrs.evolve(made, spec=spec), length, **said)


def _after(rng: random.Random, name: str, namespace: str, names: Sequence[str]) -> tuple[str, ...]:
    if rng.random() > 0.2:
        return ()
    others = [other.split("/")[1] for other in names[:12] if other.startswith(namespace) and not other.endswith(name)]
    return tuple(sorted(rng.sample(others, min(len(others), rng.randint(1, 2)))))


def template(rng: random.Random) -> PodTemplate | None:
    if rng.random() < 0.5:
        return None
    affinity = Requirement(key="zone", operator=rng.choice((Operator.IN, Operator.NOT_IN)), values=("b",))
    return PodTemplate(
        requests=Requests(cpu_milli=rng.choice((0, 1_000, 3_000)), memory_bytes=rng.choice((0, 2**38))),
        node_selector=(("zone", "a"),) if rng.random() < 0.1 else (),
        terms=((affinity,),) if rng.random() < 0.2 else (),
        tolerations=(Toleration(key="team"),) if rng.random() < 0.3 else (),
        grace=timedelta(seconds=10),
    )


def budget(rng: random.Random, name: str) -> Thing:
    made = a_budget(name, owner=rng.choice(("o1", "o2")), namespaces=(rng.choice(SPACES),))
    if rng.random() < 0.5:
        return made
    return attrs.evolve(made, spec=attrs.evolve(made.spec, namespaces=Namespaces(match_labels=(("team", "t1"),))))


def stranger(rng: random.Random, name: str, nodes: Sequence[Node]) -> Pod:
    return Pod(
        namespace="other",
        name=name,
        node=rng.choice(nodes).name,
        gpus=rng.choice((0, 1, 2)),
        requests=Requests(cpu_milli=rng.choice((500, 4_000))),
        phase=PodPhase.RUNNING,
    )


WEIGHTS = {
    "submit": 14, "lose": 2, "taint": 2, "restore": 4, "cordon": 1, "uncordon": 2, "relabel": 1, "reshape": 1,
    "set aside": 1, "stranger": 2, "stranger gone": 1, "evict": 3, "suspend": 1, "resume": 2, "cancel": 1, "delete": 1,
    "vanish": 1, "budget": 2, "budget gone": 1, "namespace": 1, "namespace gone": 1,
}  # fmt: skip


def one_act(rng: random.Random, nodes: Sequence[Node], names: Sequence[str], coming: object) -> Act:
    verb = rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
    of_node, of_run = rng.choice(nodes), rng.choice(names[:16])
    match verb:
        case "submit":
            name = next(coming, None) or of_run  # type: ignore[call-overload]  # an iterator of names
            return Act(verb, name, run(rng, name, names))
        case "lose" | "taint" | "restore" | "cordon" | "uncordon" | "set aside":
            return Act(verb, of_node.name)
        case "relabel":
            return Act("node", of_node.name, node(rng, of_node.name))
        case "reshape":
            return Act("node", of_node.name, attrs.evolve(of_node, gpus=rng.choice((1, 3, 8))))
        case "stranger":
            name = f"s{rng.randint(0, 5)}"
            return Act(verb, name, stranger(rng, name, nodes))
        case "stranger gone":
            return Act(verb, f"s{rng.randint(0, 5)}")
        case "budget":
            name = f"b{rng.randint(0, 2)}"
            return Act(verb, name, budget(rng, name))
        case "budget gone":
            return Act(verb, f"b{rng.randint(0, 2)}")
        case "namespace" | "namespace gone":
            name = rng.choice(SPACES)
            return Act(verb, name, Namespace(name=name, labels=(("team", rng.choice(("t1", "t2"))),)))
        case _:
            return Act(verb, of_run)


# -- playing one -------------------------------------------------------------------------------------------------------


def play(told: History, *, oracles: bool = False, between: Callable[[Harness], None] | None = None) -> Harness:
    """The whole history, and then until all is quiet. between: called after each instant."""
    stage = Harness(*told.things, settings=SETTINGS, oracles=oracles)
    stage.settle()
    for instant in told.instants:
        stage.advance(instant.after)
        for act in instant.acts:
            do(stage, act)
        stage.settle()
        if between is not None:
            between(stage)
    stage.advance_until_quiet(timedelta(days=2))
    return stage


def do(stage: Harness, act: Act) -> None:
    """Nothing happens where the object meant is not there."""
    match act:
        case Act("submit", on, Run() as thing):
            if stage.world.run(_key(on)) is None:
                stage.submit(thing)
        case Act("lose" | "taint" | "restore" | "cordon" | "uncordon" | "set aside", on):
            _to_node(stage, act.verb, on)
        case Act("suspend" | "resume" | "cancel" | "delete" | "vanish" | "evict", on):
            _to_run(stage, act.verb, _key(on))
        case Act(verb, on) if verb in GONE:
            stage.stage.inject(GONE[verb](on))
        case Act(_, _, thing) if thing is not None:
            stage.add(thing)
        case _:
            raise AssertionError(act)


GONE: dict[str, Callable[[str], Change]] = {
    "stranger gone": lambda name: PodGone(Key("other", name)),
    "budget gone": BudgetGone,
    "namespace gone": NamespaceGone,
}


def _to_node(stage: Harness, verb: str, name: str) -> None:
    if verb in ("lose", "taint"):
        stage.lose(name, taint=verb == "taint")
    else:
        getattr(stage, verb.replace(" ", "_"))(name)


def _to_run(stage: Harness, verb: str, key: Key) -> None:
    if verb != "evict":
        getattr(stage, verb)(key)
        return
    for pod in stage.pods(key)[:1]:
        stage.evict(pod, at_once=pod.name.endswith("1"))


def _key(name: str) -> Key:
    return Key(*name.split("/"))

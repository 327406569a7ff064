"""Random scopes with units in them, and the Resolutions that come of them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import NAMESPACE_OID, uuid5

from runs_core.decide.draw import Stream
from runs_core.decide.fit import Fit, short_by
from runs_core.decide.resolve import Question, Taken, resolution_of, work_out
from runs_core.values.lease import NodeSlots
from runs_core.values.nonces import Chain, played
from runs_core.values.resolution import (
    Beneficiary,
    Bound,
    Candidate,
    Left,
    Paid,
    Pool,
    Resolution,
    ScopeNode,
    Trigger,
    Wanted,
)

AMPLE = Left(cpu_milli=100_000, memory_bytes=2**40, ephemeral_bytes=2**40, pods=100)
MONDAY = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
NONCES = played("tests")
MOST = 0.9
MOST_SEEDS = 100
"""Among so many there is always one that cuts somebody."""
STAGES = (("unfunded", True), ("elastic", False), ("lottery", True))


def some_scope(rng: random.Random) -> tuple[tuple[ScopeNode, ...], list[Candidate]]:
    """Nodes of 8 places, some free, the rest held by units of one to four nodes."""
    count = rng.randint(2, 8)
    places = [(f"n{at}", ordinal) for at in range(count) for ordinal in range(8)]
    rng.shuffle(places)
    free = {(node, at) for node, at in places if rng.random() < rng.choice((0.05, 0.2))}
    held = [place for place in places if place not in free]
    units: list[Candidate] = []
    while held:
        width = min(len(held), rng.choice((1, 1, 2, 4, 8)))
        mine, held = held[:width], held[width:]
        if rng.random() < MOST:
            units.append(unit(rng, len(units), mine))
    nodes = tuple(
        ScopeNode(
            name=f"n{at}",
            domain=f"default/default/d{at % 3}",
            free=tuple(sorted(ordinal for node, ordinal in free if node == f"n{at}")),
            held=tuple(ordinal for ordinal in range(8) if (f"n{at}", ordinal) not in free),
            left=AMPLE,
        )
        for at in range(count)
    )
    return nodes, units


def unit(rng: random.Random, number: int, places: Sequence[tuple[str, int]]) -> Candidate:
    nodes = sorted({node for node, _ in places})
    return Candidate(
        namespace=rng.choice(("a", "a-b", "b")),
        name=f"r{number}",
        uid=f"uid-{number}",
        group=rng.choice((None, None, 3)),
        owner=rng.choice(("org:x", "org:y", None)),
        gpus=len(places),
        slots=tuple(
            NodeSlots(node=node, ordinals=tuple(sorted(at for other, at in places if other == node))) for node in nodes
        ),
    )


def some_pools(rng: random.Random, units: Sequence[Candidate]) -> list[Pool]:
    parts: list[list[Candidate]] = [[], [], []]
    for one in units:
        rng.choice(parts).append(one)
    return [
        Pool(stage=stage, drawn=drawn, candidates=tuple(part))
        for (stage, drawn), part in zip(STAGES, parts, strict=True)
    ]


def some_need(rng: random.Random, nodes: Sequence[ScopeNode]) -> Wanted:
    per_pod = rng.choice((1, 1, 2, 4))
    pods = rng.randint(1, 4 * len(nodes) // per_pod + 1)
    return Wanted(
        flavor="h100",
        gpus=pods * per_pod,
        gpus_per_pod=per_pod,
        group_gpus=rng.choice((None, None, per_pod * 2)),
        single_domain=rng.random() > MOST,
    )


def bound_to(need: Wanted, nodes: Sequence[ScopeNode], taken: Taken) -> tuple[Bound, ...]:
    """Whole pods where they fit, without a planner: groups are filled domain by domain."""
    open_ = {node.name: list(node.free) for node in nodes}
    for cut, _ in taken.cuts:
        for slots in cut.slots:
            if slots.node in open_:
                open_[slots.node] += slots.ordinals
    per_domain: dict[str, list[tuple[str, tuple[int, ...]]]] = {}
    for node in nodes:
        places = sorted(open_[node.name])
        for at in range(0, len(places) - need.gpus_per_pod + 1, need.gpus_per_pod):
            per_domain.setdefault(node.domain, []).append((node.name, tuple(places[at : at + need.gpus_per_pod])))
    left = need.gpus // need.gpus_per_pod
    size = left if need.group_gpus is None else need.group_gpus // need.gpus_per_pod
    found: list[Bound] = []
    groups = 0
    whole_only = need.single_domain or need.group_gpus is not None
    while left:
        want = left if need.single_domain else min(size, left)
        domain = next(
            (key for key in sorted(per_domain, key=lambda key: len(per_domain[key])) if len(per_domain[key]) >= want),
            None,
        )
        if domain is None:
            assert not whole_only
            domain = max(per_domain, key=lambda key: len(per_domain[key]))
            want = len(per_domain[domain])
        seats, per_domain[domain] = per_domain[domain][:want], per_domain[domain][want:]
        step = size if need.group_gpus is not None else want
        for at in range(0, want, step):
            some = seats[at : at + step]
            found += (
                Bound(
                    group=groups,
                    domain=domain,
                    node=name,
                    ordinals=tuple(sorted(o for node, os in some if node == name for o in os)),
                )
                for name in sorted({name for name, _ in some})
            )
            groups += 1
        left -= want
    return tuple(found)


def asked(seed: int, need: Wanted, nodes: tuple[ScopeNode, ...], head: int, chain: Chain) -> Question:
    return Question(
        trigger=Trigger.RECLAIM,
        beneficiary=Beneficiary(namespace="research", name="big", uid=f"uid-of-big-{seed}", attempt=1, owner="org:x"),
        need=need,
        nodes=nodes,
        at=MONDAY,
        head=head,
        nonces=NONCES,
        chain=chain,
    )


def some_resolution(seed: int, chain: Chain | None = None) -> Resolution | None:
    """None: by chance nothing has to be cut, or nothing would help."""
    rng = random.Random(seed)
    nodes, units = some_scope(rng)
    need = some_need(rng, nodes)
    fit = Fit(need, nodes)
    if fit.suffices(()):
        return None
    question = asked(seed, need, nodes, rng.getrandbits(256), chain or after(seed))
    taken = work_out(Stream(question.seed), short_by(need, nodes), some_pools(rng, units), fit.suffices)
    if taken is None:
        return None
    payers = (Paid(budget="x", envelope="main", tier=0, gpus=need.gpus),)
    return resolution_of(question, taken, bound=bound_to(need, nodes, taken), payers=payers)


def resolutions(count: int, *, chained: bool = False) -> list[Resolution]:
    """So many different ones. chained: with the numbers from 1, each bound by the one before."""
    found: list[Resolution] = []
    seed = 0
    while len(found) < count:
        one = some_resolution(seed, after(len(found)) if chained else None)
        seed += 1
        if one is not None:
            found.append(one)
    return found


def numbered(number: int) -> Resolution:
    """One with that number, bound by what was before it."""
    return next(one for seed in range(MOST_SEEDS) if (one := some_resolution(seed, after(number - 1))) is not None)


def after(number: int) -> Chain:
    """The chain once so many were kept."""
    return Chain(number=number, commitment=NONCES.commitment(number + 1))


def a_wide_one(number: int, gpus: int) -> Resolution:
    """So many GPUs of nodes of eight, each taken back from a run of its own."""
    nodes = tuple(
        ScopeNode(name=f"node-{at:04}", domain=f"default/default/d{at // 64}", held=tuple(range(8)), left=AMPLE)
        for at in range(gpus // 8)
    )
    units = tuple(
        Candidate(
            namespace=f"team-{at % 40}",
            name=f"run-{at}",
            uid=str(uuid5(NAMESPACE_OID, str(at))),
            owner=f"org:{at % 40}",
            gpus=1,
            slots=(NodeSlots(node=f"node-{at // 8:04}", ordinals=(at % 8,)),),
        )
        for at in range(gpus)
    )
    need = Wanted(flavor="h100", gpus=gpus)
    fit, question = Fit(need, nodes), asked(number, need, nodes, number, after(number - 1))
    taken = work_out(Stream(question.seed), gpus, [Pool(stage="unfunded", drawn=True, candidates=units)], fit.suffices)
    assert taken is not None
    return resolution_of(question, taken, bound=bound_to(need, nodes, taken))

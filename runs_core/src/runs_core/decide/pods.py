"""From leases to the pods that their ranks are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import attrs

from runs_core.decide.claimed import fitting
from runs_core.values.changed import changer
from runs_core.values.effect import BindPod, MakePod, SelectNode
from runs_core.values.lease import Lease, Role
from runs_core.values.meta import SIMULATED, Key, Pairs, pairs
from runs_core.values.pod import Pod, RankOf, pod_name
from runs_core.values.run import Run
from runs_core.values.template import Requests
from runs_core.world.world import World

DEFAULT_GRACE = timedelta(seconds=30)
NO_REQUESTS = Requests()
_pod_with = changer(Pod, "name", "node", "rank")


class Seat(NamedTuple):
    """Where a rank runs."""

    rank: int
    group: int
    node: str


def seats_of(run: Run, leases: Sequence[Lease]) -> Iterator[Seat]:
    """Each rank's node: a lease's ranks, ascending, fill its nodes in the order of their names."""
    per_pod = run.spec.resources.gpus_per_pod
    for lease in leases:
        if lease.spec.role is not Role.ACTIVE:
            continue
        ranks = iter(lease.spec.ranks)
        for slots in sorted(lease.spec.slots, key=lambda slots: slots.node):
            for _ in range(len(slots.ordinals) // per_pod):
                yield Seat(next(ranks), lease.spec.group, slots.node)


def selections(world: World, run: Run, seats: Sequence[Seat]) -> tuple[SelectNode, ...]:
    """Volumes that are still to be made are made for the node of the first rank, whatever has been said before."""
    first = min(seats, key=lambda seat: seat.rank)
    claims = [world.volumes.claim(Key(run.key.namespace, name)) for name in world.template(run).claims]
    return tuple(
        SelectNode(run.key, attrs.evolve(claim, node=first.node))
        for claim in claims
        if claim is not None and claim.node != first.node and world.volumes.waits(claim)
    )


def rank_pods(
    world: World, run: Run, seats: Sequence[Seat], *, ranks: int, attempt: int, retry: int
) -> tuple[MakePod | BindPod, ...]:
    """A pod for each seat: made from the template, or, without one, bound as far as somebody made some.

    ranks: of the whole gang.
    """
    grace = grace_of(run, world.settings.checkpoint_grace_cap)
    made = make_pods(run, seats, world.now, grace, ranks=ranks, attempt=attempt, retry=retry)
    if run.spec.template is not None or world.plays_pods:
        return made
    return tuple(
        BindPod(attrs.evolve(pod, node=effect.pod.node, rank=effect.pod.rank, claim=None))
        for pod, effect in zip(fitting(world, run), made, strict=False)
    )


def grace_of(run: Run, cap: timedelta) -> timedelta:
    """From SIGTERM to the kill."""
    own = DEFAULT_GRACE if run.spec.template is None else run.spec.template.grace
    return min(max(own, run.spec.runtime.checkpoint_grace), cap)


def make_pods(
    run: Run, seats: Sequence[Seat], now: datetime, grace: timedelta, *, ranks: int, attempt: int, retry: int
) -> tuple[MakePod, ...]:
    """One pod for each seat."""
    template = run.spec.template
    text = template.text if template else None
    requests = template.requests if template else NO_REQUESTS
    annotations = _annotations(run)
    key, uid = run.key, run.uid
    alike = Pod(
        namespace=key.namespace,
        name=key.name,
        gpus=run.spec.resources.gpus_per_pod,
        requests=requests,
        created=now,
        own_grace=grace,
        annotations=annotations,
    )
    made = [
        _pod_with(
            alike,
            pod_name(key.name, attempt=attempt, retry=retry, rank=rank),
            node,
            RankOf(run=key, uid=uid, attempt=attempt, retry=retry, rank=rank, group=group),
        )
        for rank, group, node in seats
    ]
    return tuple([MakePod(pod, text, ranks) for pod in made])


def _annotations(run: Run) -> Pairs:
    """The template's; what is to be simulated is read from the run where the template says nothing of it."""
    own = run.spec.template.annotations if run.spec.template else ()
    simulated = tuple([pair for pair in run.meta.annotations if pair[0].startswith(SIMULATED)])
    return pairs({**dict(simulated), **dict(own)}) if own and simulated else own or simulated

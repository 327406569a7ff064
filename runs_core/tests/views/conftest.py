"""Small worlds for the views, built by changes only."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import attrs
import pytest

from runs_core.values.change import LeaseSeen, NodeSeen, PodSeen, RunSeen, TimePassed
from runs_core.values.lease import Lease, LeaseSpec, NodeSlots, Opened, Role, RunRef
from runs_core.values.meta import Meta
from runs_core.values.node import Domain, Node
from runs_core.values.pod import Pod, PodPhase, RankOf
from runs_core.values.run import Phase, Resources, Run, RunSpec, RunStatus
from runs_core.world.world import World

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


class Scene:
    """A world at noon, and words to put things into it."""

    def __init__(self) -> None:
        self.world = World()
        self.world.apply(TimePassed(NOON))

    def node(self, name: str, *, gpus: int = 8, flavor: str = "H100", domain: str = "d0", **more: bool) -> Node:
        node = Node(name=name, gpus=gpus, flavor=flavor, domain=Domain(name=domain), pods=110, **more)  # type: ignore[arg-type]  # bools only
        self.world.apply(NodeSeen(node))
        return node

    def run(self, name: str, *, gpus: int = 1, waited: int = 0, **status: object) -> Run:
        """waited: minutes in line."""
        since = NOON - timedelta(minutes=waited)
        known: dict[str, object] = {"phase": Phase.QUEUED, "admitted_at": since, "queued_since": since, **status}
        run = Run(
            meta=Meta(name=name, namespace="default", uid=f"uid-{name}"),
            spec=RunSpec(resources=Resources(flavor="H100", gpus=gpus)),
            status=attrs.evolve(RunStatus(), **known),  # type: ignore[arg-type]  # fields of RunStatus, by name
        )
        self.world.apply(RunSeen(run))
        return run

    def lease(self, run: Run, node: str, ordinals: Sequence[int], *, role: Role = Role.ACTIVE) -> Lease:
        lease = Lease(
            meta=Meta(name=f"{run.key.name}-{node}-{role}", namespace="default"),
            spec=LeaseSpec(
                run_ref=RunRef(name=run.key.name, uid=run.uid),
                group=0,
                role=role,
                slots=(NodeSlots(node=node, ordinals=tuple(ordinals)),),
                ranks=tuple(range(len(ordinals))),
                attempt=1,
                start=NOON,
                reason=Opened.START,
            ),
        )
        self.world.apply(LeaseSeen(lease))
        return lease

    def foreign_pod(self, node: str, gpus: int) -> None:
        self.world.apply(PodSeen(Pod(namespace="other", name="train", node=node, gpus=gpus, phase=PodPhase.RUNNING)))

    def rank(self, run: Run, node: str, rank: int) -> None:
        of = RankOf(run=run.key, uid=run.uid, attempt=1, retry=0, rank=rank, group=0)
        name = f"{run.key.name}-{rank}"
        self.world.apply(
            PodSeen(Pod(namespace="default", name=name, node=node, rank=of, gpus=1, phase=PodPhase.RUNNING))
        )


@pytest.fixture
def scene() -> Scene:
    return Scene()

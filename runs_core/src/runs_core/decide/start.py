"""A start: leases for every group, a pod for every rank, and the run's new status, in the order they are written."""

from __future__ import annotations

from datetime import datetime

from runs_core.decide.hold import owner_of
from runs_core.decide.pods import Seat, rank_pods, selections
from runs_core.decide.standing import stand
from runs_core.values.decision import Decision, PlacedGroup, Placement, Starts
from runs_core.values.effect import Effect, Emit, OpenLease, SetRunStatus
from runs_core.values.lease import Lease, LeaseSpec, NodeSlots, Opened, RunRef, lease_name
from runs_core.values.meta import Meta
from runs_core.values.quantity import counted
from runs_core.values.run import Phase, Run
from runs_core.world.world import World


def start(world: World, run: Run, placement: Placement) -> Decision:
    """The gang takes these places now."""
    now = world.now
    attempt = run.status.attempt + 1
    owner = owner_of(world, run)
    leases = [_lease(world, run, group, attempt, owner) for group in placement.groups]
    seats = [Seat(pod.rank, group.group, pod.node) for group in placement.groups for pod in group.pods]
    nodes = counted(len({seat.node for seat in seats}), "node")
    message = f"{counted(run.gpus, 'GPU')} on {nodes}; waits for {counted(len(seats), 'pod')} to run"
    stands = started(run, now, attempt, message)
    effects: list[Effect] = [OpenLease(lease) for lease in leases]
    if world.template(run).claims:
        effects += selections(world, run, seats)
    effects += rank_pods(world, run, seats, attempt=attempt, retry=0)
    effects += (SetRunStatus(stands), Emit("Run", run.key, "Started", message, now))
    return Decision(
        run=run.key, uid=run.uid, outcome=Starts(placement=placement, attempt=attempt), effects=tuple(effects)
    )


def started(run: Run, now: datetime, attempt: int, message: str) -> Run:
    """The run as it stands when its leases are open and its pods are being made."""
    status = run.status
    return stand(
        run,
        now,
        phase=Phase.STARTING,
        reason="Started",
        message=message,
        admitted_at=status.admitted_at or now,
        queued_since=status.queued_since or now,
        started_at=now,
        attempt=attempt,
        retries=0,
        retried_at=None,
        not_before=None,
        width=run.gpus,
        pending_gpus=0,
    )


def _lease(world: World, run: Run, group: PlacedGroup, attempt: int, owner: str | None) -> Lease:
    by_node: dict[str, tuple[int, ...]] = {}
    for pod in group.pods:
        by_node[pod.node] = (*by_node.get(pod.node, ()), *pod.ordinals)
    spec = LeaseSpec(
        run_ref=RunRef(name=run.meta.name, uid=run.uid),
        owner=owner,
        group=group.group,
        slots=tuple([NodeSlots(node=node, ordinals=tuple(sorted(by_node[node]))) for node in sorted(by_node)]),
        ranks=tuple([pod.rank for pod in group.pods]),
        attempt=attempt,
        start=world.now,
        reason=Opened.START if attempt == 1 else Opened.REQUEUE,
    )
    return Lease(meta=Meta(name=lease_name(spec), namespace=run.key.namespace, created=world.now), spec=spec)

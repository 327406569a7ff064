"""A start: leases for every group, a pod for every rank, and the run's new status, in the order they are written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from functools import lru_cache

from runs_core.decide.pods import Seat, rank_pods, selections
from runs_core.decide.standing import stand
from runs_core.values.changed import changer
from runs_core.values.classes import NOTHING, Class, Split, Tier
from runs_core.values.decision import Decision, Starts
from runs_core.values.effect import Effect, Emit, OpenLease, SetRunStatus
from runs_core.values.funding import Cover, Share
from runs_core.values.lease import Lease, LeaseSpec, NodeSlots, Opened, Payer, RunRef, lease_name
from runs_core.values.meta import Meta
from runs_core.values.placement import PlacedGroup, PlacedPod, Placement
from runs_core.values.quantity import counted
from runs_core.values.run import Paying, Phase, Run
from runs_core.world.world import World

NO_META = Meta(name="")
"""What every lease's is made from, at half of what building it anew costs."""
_meta_with = changer(Meta, "name", "namespace", "created")


def start(world: World, run: Run, placement: Placement, cover: Cover | None = None) -> Decision:
    """The gang takes these places now. cover: who pays for its ranks, in the order of the shares; None: nobody."""
    now, gpus = world.now, placement.gpus
    if cover is not None:
        cover = cover.of(gpus)
    shares = cover.shares if cover is not None else ()
    attempt = run.status.attempt + 1
    owner = world.owner(run)
    leases = [
        _lease(world, run, group, pods, attempt=attempt, owner=owner, share=share, part=part)
        for group, pods, share, part in paid_parts(placement, shares)
    ]
    seats = [Seat(pod.rank, group.group, pod.node) for group in placement.groups for pod in group.pods]
    nodes = counted(len({seat.node for seat in seats}), "node")
    message = f"{counted(gpus, 'GPU')} on {nodes}; waits for {counted(len(seats), 'pod')} to run"
    held = split_of(gpus, shares) if world.funded else NOTHING
    pending = world.wanted(run) - gpus
    stands = started(run, now, attempt, message, width=gpus, pending=pending, funding=held, shares=shares)
    effects: list[Effect] = [OpenLease(lease) for lease in leases]
    if world.template(run).claims:
        effects += selections(world, run, seats)
    effects += rank_pods(world, run, seats, ranks=len(seats), attempt=attempt, retry=0)
    effects += (SetRunStatus(stands), Emit("Run", run.key, "Started", message, now))
    outcome = Starts(placement=placement, attempt=attempt, cover=cover)
    return Decision(run=run.key, uid=run.uid, outcome=outcome, effects=tuple(effects))


def started(
    run: Run,
    now: datetime,
    attempt: int,
    message: str,
    *,
    width: int,
    pending: int = 0,
    funding: Split = NOTHING,
    shares: Sequence[Share] = (),
) -> Run:
    """The run as it stands when its leases are open and its pods are being made. pending: GPUs that it wants beyond."""
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
        ended_ranks=(),
        retried_at=None,
        not_before=None,
        width=width,
        pending_gpus=pending,
        funding=funding,
        payers=paying((share.payer, share.gpus) for share in shares),
    )


def class_of(tier: Tier) -> Class:
    """What a claim is that cover has just found a payer for."""
    if tier is Tier.OWN:
        return Class.OWNED
    return Class.BORROWED if tier is Tier.STRANGER else Class.SHARED


def split_of(gpus: int, shares: Sequence[Share]) -> Split:
    """The GPUs of a gang that starts, by class."""
    by = {Class.OWNED: 0, Class.SHARED: 0, Class.BORROWED: 0}
    for share in shares:
        by[class_of(share.tier)] += share.gpus
    return _split(*by.values(), gpus - sum(by.values()))


@lru_cache(4096)  # gangs are of few sizes
def _split(owned: int, shared: int, borrowed: int, unfunded: int) -> Split:
    return Split(owned=owned, shared=shared, borrowed=borrowed, unfunded=unfunded)


def paying(paid: Iterable[tuple[Payer, int]]) -> tuple[Paying, ...]:
    """Each payer once, by name. paid: and so many GPUs."""
    gpus: dict[tuple[str, str], int] = {}
    for payer, count in paid:
        key = (payer.budget, payer.envelope)
        gpus[key] = gpus.get(key, 0) + count
    return tuple(Paying(budget=key[0], envelope=key[1], gpus=gpus[key]) for key in sorted(gpus))


def paid_parts(
    placement: Placement, shares: Sequence[Share]
) -> Iterator[tuple[PlacedGroup, tuple[PlacedPod, ...], Share | None, int]]:
    """Each group, cut where another payer begins: its pods, whose share they are, and a number within the group."""
    if len(shares) <= 1:
        only = shares[0] if shares else None
        yield from ((group, group.pods, only, 0) for group in placement.groups)
        return
    left = [(share, share.gpus) for share in shares]
    for group in placement.groups:
        parts: list[tuple[Share, list[PlacedPod]]] = []
        for pod in group.pods:
            share, gpus = left[0]
            if not parts or parts[-1][0].payer != share.payer:
                parts.append((share, []))
            parts[-1][1].append(pod)
            if gpus > len(pod.ordinals):
                left[0] = (share, gpus - len(pod.ordinals))
            else:
                left.pop(0)
        yield from ((group, tuple(pods), share, part) for part, (share, pods) in enumerate(parts))


def _lease(
    world: World,
    run: Run,
    group: PlacedGroup,
    pods: Sequence[PlacedPod],
    *,
    attempt: int,
    owner: str | None,
    share: Share | None,
    part: int,
) -> Lease:
    by_node: dict[str, tuple[int, ...]] = {}
    for pod in pods:
        by_node[pod.node] = tuple(sorted(by_node[pod.node] + pod.ordinals)) if pod.node in by_node else pod.ordinals
    spec = LeaseSpec(
        run_ref=RunRef(name=run.meta.name, uid=run.uid),
        owner=owner,
        group=group.group,
        part=part,
        slots=tuple([NodeSlots(node=node, ordinals=by_node[node]) for node in sorted(by_node)]),
        ranks=tuple([pod.rank for pod in pods]),
        attempt=attempt,
        payer=share.payer if share is not None else None,
        loan=share is not None and share.tier is Tier.STRANGER,
        start=world.now,
        reason=Opened.START if attempt == 1 else Opened.REQUEUE,
    )
    return Lease(meta=_meta_with(NO_META, lease_name(spec), run.key.namespace, world.now), spec=spec)

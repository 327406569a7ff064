"""Who pays for a gang that runs: it gets a payer where it had none, and its classes are written down as they change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import attrs

from runs_core.decide.advice import Advice
from runs_core.decide.cover import Piece, cover
from runs_core.decide.standing import stand
from runs_core.decide.start import paid_parts, paying, split_of
from runs_core.values.changed import changed, changer
from runs_core.values.classes import Class, Split, Tier
from runs_core.values.decision import Decision, Moves
from runs_core.values.effect import CloseLease, Effect, Emit, MeterLease, OpenLease, SetRunStatus
from runs_core.values.funding import Cover, Share
from runs_core.values.lease import Closed, Lease, LeaseStatus, NodeSlots, Opened, Payer, lease_name
from runs_core.values.meta import Meta
from runs_core.values.node import Domain, Node
from runs_core.values.placement import PlacedGroup, PlacedPod, Placement
from runs_core.values.run import Run
from runs_core.world.world import World

REPAID = "Repaid"
_with_effects = changer(Decision, "effects")
_with_status = changer(Lease, "status")
_metered = changer(LeaseStatus, "gpu_seconds", "metered_as", "metered_until")


def cover_held(world: World, run: Run, advice: Advice) -> Cover:
    """Who would pay for the places that it holds without a payer."""
    pieces = tuple(
        Piece(lease.gpus, tuple(node for slots in lease.spec.slots if isinstance(node := world.node(slots.node), Node)))
        for lease in unpaid(world, run)
    )
    ask = attrs.evolve(world.ask(run), gpus=sum(piece.gpus for piece in pieces), demand=None)
    return cover(world, advice, ask, world.order(run), pieces)


def unpaid(world: World, run: Run) -> Sequence[Lease]:
    """Its open leases that nobody pays for."""
    return [lease for lease in world.leases_of(run.key) if lease.spec.payer is None]


def repay(world: World, run: Run, found: Cover) -> Decision:
    """Its leases close and open again with their payers: same places, same pods, same attempt."""
    now = world.now
    shares = list(found.shares)
    effects: list[Effect] = []
    opened: list[Effect] = []
    for lease in unpaid(world, run):
        told = "it has a payer now, and the places stay"
        status = attrs.evolve(
            lease.status, closed=True, end=max(now, lease.spec.start), closure_reason=Closed.REPAID, closure_detail=told
        )
        effects.append(CloseLease(attrs.evolve(lease, status=status)))
        opened += [OpenLease(one) for one in _again(world, run, lease, _taken(shares, lease.gpus))]
    names = ", ".join(sorted({f"{share.payer.budget}/{share.payer.envelope}" for share in found.shares}))
    message = f"{names} pays from now on"
    stands = stand(
        run,
        now,
        phase=run.status.phase,
        reason=run.status.reason,
        message=run.status.message,
        funding=split_of(run.status.width, found.shares),
        payers=paying((share.payer, share.gpus) for share in found.shares),
    )
    emit = Emit("Run", run.key, REPAID, message, now)
    outcome = Moves(reason=REPAID, message=message)
    return Decision(run=run.key, uid=run.uid, outcome=outcome, effects=(*effects, *opened, SetRunStatus(stands), emit))


def _taken(shares: list[Share], gpus: int) -> list[Share]:
    """The next shares, for so many GPUs; they are gone from the list then. Shares were filled piece by piece."""
    found: list[Share] = []
    while gpus:
        found.append(shares.pop(0))
        gpus -= found[-1].gpus
    return found


def _again(world: World, run: Run, lease: Lease, shares: Sequence[Share]) -> Iterator[Lease]:
    spec = lease.spec
    group = PlacedGroup(spec.group, Domain(), tuple(_pods(run, lease)))
    following = 1 + max(
        other.spec.part
        for other in world.leases_of(run.key)
        if (other.spec.attempt, other.spec.group, other.spec.role) == (spec.attempt, spec.group, spec.role)
    )
    for _, pods, share, part in paid_parts(Placement(groups=(group,)), shares):
        by_node: dict[str, tuple[int, ...]] = {}
        for pod in pods:
            by_node[pod.node] = (*by_node.get(pod.node, ()), *pod.ordinals)
        again = attrs.evolve(
            spec,
            owner=world.owner(run),
            part=following + part,
            slots=tuple(NodeSlots(node=node, ordinals=tuple(sorted(by_node[node]))) for node in sorted(by_node)),
            ranks=tuple(pod.rank for pod in pods),
            payer=share.payer if share is not None else None,
            loan=share is not None and share.tier is Tier.STRANGER,
            start=world.now,
            reason=Opened.REPAID,
        )
        yield Lease(meta=Meta(name=lease_name(again), namespace=run.key.namespace, created=world.now), spec=again)


def _pods(run: Run, lease: Lease) -> Iterator[PlacedPod]:
    """Ascending ranks fill the nodes in the order of their names, and on each its places in theirs."""
    per_pod = run.spec.resources.gpus_per_pod
    ranks = iter(lease.spec.ranks)
    for slots in sorted(lease.spec.slots, key=lambda slots: slots.node):
        for at in range(0, len(slots.ordinals), per_pod):
            yield PlacedPod(next(ranks), slots.node, slots.ordinals[at : at + per_pod])


def reclassed(world: World, run: Run, advice: Advice) -> Decision | None:
    """Its status, and the meters of its leases, where the class of what it holds is another than they say.

    A claim that its envelope cannot pay for has no payer: it is on the lease, and pays again once it can.
    """
    classes = [(lease, advice.classify(lease, world, world.now)) for lease in world.leases_of(run.key)]
    held = Split()
    for lease, cls in classes:
        held = held.plus(cls or Class.UNFUNDED, lease.gpus)
    if not classes or (held == run.status.funding and not held.unfunded):
        return None  # where all is paid for, whoever pays for it did so before
    payers = paying(_paid(classes))
    if held == run.status.funding and payers == run.status.payers:
        return None
    effects: list[Effect] = []
    for lease, cls in classes:
        if cls is not None and cls is not lease.status.metered_as:
            effects.append(MeterLease(_with_status(lease, checkpoint(world, lease, cls, advice))))
    stands = stand(
        run,
        world.now,
        phase=run.status.phase,
        reason=run.status.reason,
        message=run.status.message,
        funding=held,
        payers=payers,
    )
    message = f"holds {by_class(held)}"
    emit = Emit("Run", run.key, "Reclassed", message, world.now)
    outcome = Moves(reason="Reclassed", message=message)
    return Decision(run=run.key, uid=run.uid, outcome=outcome, effects=(*effects, SetRunStatus(stands), emit))


def _paid(classes: Iterable[tuple[Lease, Class | None]]) -> Iterator[tuple[Payer, int]]:
    """Who pays for what is not unfunded."""
    for lease, cls in classes:
        if lease.spec.payer is not None and cls is not None and cls is not Class.UNFUNDED:
            yield lease.spec.payer, lease.gpus


def by_class(split: Split) -> str:
    """In words, what there is of it."""
    counts = (split.owned, split.shared, split.borrowed, split.unfunded)
    return ", ".join(f"{count} {cls}" for count, cls in zip(counts, Class, strict=True) if count) or "none"


def checkpoint(world: World, lease: Lease, cls: Class, advice: Advice) -> LeaseStatus:
    """The lease's meter as it stands now, before it goes on in another class."""
    used = advice.meter(lease, world, world.now)
    if used is None:
        return changed(lease.status, metered_as=cls)
    return _metered(lease.status, used, cls, world.now)


def stamped(world: World, decision: Decision, advice: Advice) -> Decision:
    """What its leases used in all is written on those that it closes."""
    if CloseLease not in map(type, decision.effects):
        return decision
    effects = [_stamped(world, one, advice) if isinstance(one, CloseLease) else one for one in decision.effects]
    return _with_effects(decision, tuple(effects))


def _stamped(world: World, effect: CloseLease, advice: Advice) -> CloseLease:
    lease = world.ledger.open.get(effect.lease.key)
    used = advice.meter(lease, world, world.now) if lease is not None else None
    if used is None:
        return effect
    return CloseLease(_with_status(effect.lease, _metered(effect.lease.status, used, None, None)))

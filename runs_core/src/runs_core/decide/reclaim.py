"""Taking GPUs back, so that somebody starts who is paid for.

The rule is section "The resolver" of the semantics: scope, candidates, the draw, a plan that must succeed, and one
decision that binds the places to the beneficiary before anybody is told to go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

import attrs

from runs_core.decide.advice import Advice
from runs_core.decide.draw import Stream
from runs_core.decide.fit import Fit, short_by
from runs_core.decide.paid import filters
from runs_core.decide.place import fits, place
from runs_core.decide.reach import gains, gpus_of, might_fit
from runs_core.decide.recalled import claim_of
from runs_core.decide.release import Cause, release
from runs_core.decide.resolve import Question, Taken, resolution_of, work_out
from runs_core.decide.scope import candidate_of, scope_of, wanted_of
from runs_core.decide.slices import overdue
from runs_core.decide.standing import stand
from runs_core.decide.victims import Hunt, Victim, Victims, hunted, leases_with, pools_of, spared_until, stages_for
from runs_core.values.change import Change, LeaseGone, PledgeSeen, PodGone
from runs_core.values.classes import Tier
from runs_core.values.decision import Decision, Reclaims
from runs_core.values.effect import Emit, PutResolution, SetRunStatus
from runs_core.values.funding import Cover, Stage, Unit
from runs_core.values.lease import Closed, Lease
from runs_core.values.meta import Key
from runs_core.values.need import Need
from runs_core.values.placement import Placement
from runs_core.values.pod import Pod
from runs_core.values.quantity import counted
from runs_core.values.resolution import Beneficiary, Candidate, Cut, Pool, Resolution, ScopeNode, Trigger
from runs_core.values.run import OnLoss, Phase, Run
from runs_core.world.bound import bound_of, paid_of
from runs_core.world.domains import DomainFleet
from runs_core.world.flavors import FlavorFleet
from runs_core.world.nodes import NodeState
from runs_core.world.supposed import empty, keeping, refill
from runs_core.world.world import World

ACTIVATING = "Activating"
PREEMPTED = "Preempted"
SLICE = Stage(name="slice", order=0, closure=Closed.SLICE_RECLAIMED, at_once=True)
"""Overdue users of promised places, before anybody else."""


@attrs.frozen(kw_only=True)
class Claimant:
    """Who wants GPUs back. need: with its flavor named. cover: who pays for all of it.

    due: whether the time that it was promised has come, or its patience is over, so that every stage may act.
    kept: masks, by node, where it need not leave all the places that are promised to others.
    """

    run: Run
    need: Need
    fleet: FlavorFleet
    cover: Cover
    due: bool = False
    kept: Mapping[str, int] = attrs.Factory(dict)


def reclaim(world: World, asked: Claimant, advice: Advice) -> Sequence[Decision]:
    """The beneficiary's decision and then the victims'; none where nobody can, or need, be cut for it."""
    need = need_of(world, asked, advice)
    if need is None or world.nonces is None:
        return ()
    if not asked.due and not _might(world, asked, need):
        return ()  # later stages may take what somebody's own quota pays for
    found = victims(world, asked, advice)
    if found.spared:
        world.wake_at(min(until for until, _ in found.spared), asked.run.key)
    if not might_fit(world, asked.fleet, need, asked.kept, [gpus_of(_once(leases_of(found.units)))]):
        return ()
    with keeping(world.fleet, asked.kept):
        return _taken_back(world, asked, need, found, advice)


def _taken_back(world: World, asked: Claimant, need: Need, found: Victims, advice: Advice) -> Sequence[Decision]:
    run, fleet, said = asked.run, asked.fleet, asked.cover
    if not _fits_without(world, fleet, need, found.units):
        return ()  # who makes room among all of them makes room among some of them no better
    for domains in scopes(world, fleet, need, leases_of(found.units)):
        nodes = scope_of(domains, need)
        question = _question(world, run, need, nodes)
        pools = pools_in(world, nodes, found.units)
        taken = work_out(
            Stream(question.seed), short_by(question.need, nodes), pools, Fit(question.need, nodes).suffices
        )
        if taken is None or not taken.cuts:
            continue
        placement = place_without(world, asked, need, domains=domains, taken=taken, advice=advice)
        if placement is None:
            continue
        resolution = resolution_of(question, taken, bound=bound_of(placement), payers=paid_of(said.shares))
        closures = {stage.name: stage for stage in (SLICE, *stages_for(advice, said, due=asked.due))}
        cuts = [cut_decision(world, cut, resolution, closures[cut.stage]) for cut in resolution.spec.cuts]
        return [_beneficiary(world, run, resolution, placement), *cuts]
    return ()


def need_of(world: World, asked: Claimant, advice: Advice) -> Need | None:
    """What it needs inside its payers' places; None: nothing is taken back for it."""
    if not asked.cover.shares or not stages_for(advice, asked.cover, due=asked.due):
        return None
    within = filters(world, asked.need, asked.cover.shares)
    if len(within) > 1:
        return None  # parts with different places: what one cut gives one part says nothing of the others
    return attrs.evolve(asked.need, filter=within[0] if within else asked.need.filter)


def place_without(
    world: World, asked: Claimant, need: Need, *, domains: Sequence[DomainFleet], taken: Taken, advice: Advice
) -> Placement | None:
    """Where it would start once they are gone."""
    here = {domain.key for domain in domains}  # what a cut frees elsewhere is no part of what is recomputed
    with world.supposing(_without(world, taken), heard=advice.scoring):
        return place(world.fleet, asked.fleet, need, advice=advice, view=world, within=here)


def _fits_without(world: World, fleet: FlavorFleet, need: Need, units: Sequence[Victim]) -> bool:
    """Whether there were room if all of them had gone. O(what they hold).

    A scope is worked out by the node, and knows nothing of places that are promised to others.
    """
    pods = (pod for unit in {victim.unit: None for victim in units} for pod in _pods_with(world, unit))
    before = empty(world.fleet, leases_of(units), pods)
    try:
        return fits(world.fleet, fleet, need)
    finally:
        refill(world.fleet, before)


def victims(world: World, asked: Claimant, advice: Advice) -> Victims:
    """Units that could be cut for this run, were its claim made."""
    stages = stages_for(advice, asked.cover, due=asked.due)
    late = frozenset(overdue(world, asked.run.key))
    with world.supposing([PledgeSeen(claim_of(world, asked.run, asked.cover))]):
        found = hunted(world, Hunt(flavor=asked.need.flavor, stages=stages, run=asked.run, but=late), advice)
    overstaying = _overstaying(world, sorted(late), advice)
    return Victims([*overstaying.units, *found.units], [*overstaying.spared, *found.spared])


def _overstaying(world: World, late: Iterable[Key], advice: Advice) -> Victims:
    """Who is in promised places though the time has come: who uses another's places answers for the estimate."""
    found: list[Victim] = []
    spared: list[tuple[datetime, int]] = []
    for key in late:
        other = world.run(key)
        if other is None or not other.status.phase.begun or other.status.ending:
            continue
        leases, until = tuple(leases_with(world, Unit(key))), spared_until(world, other, SLICE, advice)
        if until is not None and until > world.now:
            spared.append((until, sum(lease.gpus for lease in leases)))
        else:
            found.append(Victim(SLICE, Unit(key), other, leases))
    return Victims(found, spared)


def scopes(world: World, fleet: FlavorFleet, need: Need, held: Iterable[Lease]) -> Iterator[tuple[DomainFleet, ...]]:
    """Domains that could serve: the fewest, then those with the least to cut, then by key. held: what could be cut.

    Only where something can be cut, and only where that makes room for the pods, counted by GPUs alone: what it takes
    to find out more is a cost by the node. O(leases + domains) where there is no such scope.
    """
    gains = _gains(world, fleet, held)
    if not gains:
        return
    most = {domain: domain.free + gains.get(domain, NO_GAIN).gpus for domain in fleet.domains.values()}
    seats = {
        domain: domain.seats(need.gpus_per_pod) + gains.get(domain, NO_GAIN).seats(need.gpus_per_pod)
        for domain in most
        if most[domain]
    }
    able = [domain for domain in gains if most[domain] >= need.gpus and seats[domain] >= need.pods]
    yield from ((domain,) for domain in sorted(able, key=lambda one: (max(0, need.gpus - one.free), one.key)))
    if need.single_domain or sum(seats.values()) < need.pods:
        return
    widest = sorted((domain for domain in most if most[domain]), key=lambda one: (-most[one], -one.free, one.key))
    total = pods = 0
    for count, domain in enumerate(widest, start=1):
        total += most[domain]
        pods += seats[domain]
        if count > 1 and total >= need.gpus and pods >= need.pods:
            yield tuple(widest[:count])


@attrs.define
class Gain:
    """What a domain would have more: GPUs by node."""

    gpus: int = 0
    nodes: dict[NodeState, int] = attrs.Factory(dict)

    def seats(self, gpus_per_pod: int) -> int:
        """Pods that would fit more."""
        return sum(
            (state.level + gpus) // gpus_per_pod - state.level // gpus_per_pod for state, gpus in self.nodes.items()
        )


NO_GAIN = Gain()


def _gains(world: World, fleet: FlavorFleet, held: Iterable[Lease]) -> dict[DomainFleet, Gain]:
    found: dict[DomainFleet, Gain] = {}
    for lease in _once(held):
        for slots in lease.spec.slots:
            state = world.fleet.states.get(slots.node)
            domain = state.domain if state is not None and state.usable else None
            if state is not None and domain is not None and fleet.domains.get(domain.key) is domain:
                gain = found.setdefault(domain, Gain())
                gain.gpus += len(slots.ordinals)
                gain.nodes[state] = gain.nodes.get(state, 0) + len(slots.ordinals)
    return found


def _might(world: World, asked: Claimant, need: Need) -> bool:
    """Whether it could find room if all were cut that its claim may leave without a payer.

    Those are the ones that have none, and those whom the family pays for out of a Budget of its own owner that pays for
    it, for no other claim displaces anybody: whether this one does is a question for the plugin, which costs more.
    """
    payers = sorted({share.payer.budget for share in asked.cover.shares if share.tier is Tier.OWN})
    known = gains(world, need.flavor)
    return might_fit(world, asked.fleet, need, asked.kept, [known.unpaid, *(known.of(payer) for payer in payers)])


def _once(leases: Iterable[Lease]) -> Iterable[Lease]:
    """Though two stages name it."""
    return {lease.key: lease for lease in leases}.values()


def leases_of(units: Iterable[Victim]) -> Iterator[Lease]:
    """What stops with them."""
    for unit in units:
        yield from unit.leases


def pools_in(world: World, nodes: Sequence[ScopeNode], units: Sequence[Victim]) -> list[Pool]:
    """The candidates by stage, each with what it holds in the scope; who holds nothing there is none."""
    names = {node.name for node in nodes}

    def candidate(victim: Victim) -> Candidate | None:
        held, unit = victim.leases, victim.unit
        pods = world.pods_of(unit.run)
        return candidate_of(held, pods, names, owner=held[0].spec.owner, group=unit.group, cls=victim.cls)

    return list(pools_of(units, candidate))


def _question(world: World, run: Run, need: Need, nodes: Sequence[ScopeNode]) -> Question:
    assert world.nonces is not None
    return Question(
        trigger=Trigger.RECLAIM,
        beneficiary=Beneficiary(
            namespace=run.key.namespace,
            name=run.key.name,
            uid=run.uid,
            attempt=run.status.attempt + 1,
            owner=world.owner(run),
        ),
        need=wanted_of(need),
        nodes=tuple(nodes),
        at=world.now,
        head=world.ledger.head,
        nonces=world.nonces,
        chain=world.chain,
    )


def _without(world: World, taken: Taken) -> Iterator[Change]:
    """The world once they are gone."""
    for unit, _ in taken.cuts:
        yield from (PodGone(pod.key) for pod in _pods_with(world, Unit(unit.run, unit.group)))
        for lease in leases_with(world, Unit(unit.run, unit.group)):
            yield LeaseGone(lease.key)


def _pods_with(world: World, unit: Unit) -> Iterator[Pod]:
    """That stop with it."""
    for pod in world.pods_of(unit.run):
        if unit.group is None or (pod.rank is not None and pod.rank.group == unit.group):
            yield pod


def _beneficiary(world: World, run: Run, resolution: Resolution, placement: Placement) -> Decision:
    spec = resolution.spec
    runs = len({cut.run for cut in spec.cuts})
    told = f"{resolution.name} takes {counted(spec.cut_gpus, 'GPU')} back from {counted(runs, 'run')}"
    message = f"{told}; starts once they have gone"
    stands = stand(
        run, world.now, phase=Phase.QUEUED, reason=ACTIVATING, message=message, pending_gpus=world.wanted(run)
    )
    emit = Emit("Run", run.key, ACTIVATING, message, world.now)
    outcome = Reclaims(resolution=resolution.name, placement=placement, gpus=spec.cut_gpus, runs=runs)
    effects = (PutResolution(resolution), SetRunStatus(stands), emit)
    return Decision(run=run.key, uid=run.uid, outcome=outcome, effects=effects)


def cut_decision(world: World, cut: Cut, resolution: Resolution, stage: Stage) -> Decision:
    """A whole run: its grace, then the line again at its admission time, or the end."""
    victim = world.run(cut.run)
    assert victim is not None
    to = resolution.spec.beneficiary
    told = f"{resolution.name} took its GPUs back for {to.run if to is not None else 'an administrator'}"
    then = Phase.QUEUED if victim.spec.on_preemption is OnLoss.REQUEUE else Phase.FAILED
    counted_once_more = attrs.evolve(victim.status, preemptions=victim.status.preemptions + 1)
    cause = Cause(closure=stage.closure, reason=PREEMPTED, message=told, then=then)
    return release(world, attrs.evolve(victim, status=counted_once_more), cause)

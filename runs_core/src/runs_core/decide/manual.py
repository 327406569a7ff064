"""A taking-back that an administrator asked for: the same draw, every stage, and nobody who gets the GPUs.

What comes free is bound to nobody. Cordoned nodes are part of the scope, so that whoever wants to keep what comes free
cordons them before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import attrs

from runs_core.decide.advice import Advice
from runs_core.decide.batch import Batch
from runs_core.decide.draw import Stream
from runs_core.decide.fit import Fit, free_gpus, short_by
from runs_core.decide.odds import MOST_WAYS, Prospect, Way, chances, prospect_of
from runs_core.decide.paying import stamped
from runs_core.decide.reclaim import cut_decision, leases_of, pools_in
from runs_core.decide.resolve import Question, Taken, resolution_of, work_out
from runs_core.decide.scope import scope_node, wanted_of
from runs_core.decide.victims import Hunt, Victims, every_stage, hunted
from runs_core.values.decision import Decision
from runs_core.values.effect import Effect, PutResolution, SetResolutionStatus
from runs_core.values.meta import Key
from runs_core.values.need import Need
from runs_core.values.request import Request
from runs_core.values.resolution import Asker, Pool, Resolution, ResolutionPhase, ResolutionStatus, ScopeNode, Trigger
from runs_core.world.domains import DomainFleet
from runs_core.world.world import World

NOBODY = Key("", "requests")
"""Whom the world wakes when one more may be cut: no run is without a namespace, so that nothing else comes of it."""


@attrs.frozen(kw_only=True)
class Scope:
    """One part of the fleet that could serve. missing: GPUs that would have to come free there."""

    nodes: tuple[ScopeNode, ...]
    missing: int
    pools: Sequence[Pool]

    def draw(self, stream: Stream, request: Request) -> Taken | None:
        fit = Fit(wanted_of(_need(request)), self.nodes)
        return work_out(stream, self.missing, self.pools, fit.suffices)


@attrs.frozen(kw_only=True)
class Foreseen:
    """What a request would come to. scope: domains, and what is free and missing there; None: nothing would serve.

    prospect: who may be cut; nobody, where nothing is missing.
    """

    scope: Scope | None
    prospect: Prospect


def by_hand(world: World, advice: Advice, batch: Batch) -> None:
    """Answer the requests that stand and were not answered, first by when they were made."""
    if world.nonces is None:
        return
    done = {one.spec.request.uid for one in world.resolutions() if one.spec.request is not None}
    requests = {one.uid: one for one in world.requests.values() if one.uid not in done and one.stands(world.now)}
    for request in sorted(requests.values(), key=lambda one: (one.at, one.uid)):
        found = _victims(world, request, advice)
        decisions = _taking(world, request, found, advice)
        for decision in decisions:
            batch.take(stamped(world, decision, advice), {})
        if found.spared and not decisions:
            world.wake_at(min(until for until, _ in found.spared), NOBODY)


def _taking(world: World, request: Request, found: Victims, advice: Advice) -> Sequence[Decision]:
    """One decision for each run that is cut; none where nobody need, or can, be."""
    assert world.nonces is not None
    for scope in _scopes(world, request, found):
        if not scope.missing:
            return ()
        question = _question(world, request, scope)
        taken = scope.draw(Stream(question.seed), request)
        if taken is None:
            continue
        resolution = resolution_of(question, taken, bound=())
        stages = {stage.name: stage for stage in every_stage(advice)}
        cuts = [cut_decision(world, cut, resolution, stages[cut.stage]) for cut in resolution.spec.cuts]
        first = attrs.evolve(cuts[0], effects=(PutResolution(resolution), *cuts[0].effects))
        return [first, *cuts[1:]]
    return ()


def foresee(world: World, request: Request, advice: Advice, most: int = MOST_WAYS) -> Foreseen:
    """Without a draw: whoever could try one until it suits would choose."""
    found = _victims(world, request, advice)
    for scope in _scopes(world, request, found):
        if not scope.missing:
            return Foreseen(scope=scope, prospect=prospect_of((), found))
        if scope.draw(Way(), request) is not None:
            chance = chances(lambda stream, scope=scope: scope.draw(stream, request), scope.pools, most)  # type: ignore[misc]  # bound now
            return Foreseen(scope=scope, prospect=prospect_of(chance, found))
    return Foreseen(scope=None, prospect=prospect_of((), found))


def released(world: World, batch: Batch) -> list[Effect]:
    """Resolutions by hand are over once all that they cut has gone."""
    found: list[Effect] = []
    for resolution in world.by_hand():
        if not any(_stays(world, resolution)):
            status = ResolutionStatus(
                phase=ResolutionPhase.RELEASED, reason="Freed", message="all of it has gone", end=world.now
            )
            found.append(SetResolutionStatus(attrs.evolve(resolution, status=status)))
    batch.add(found)
    return found


def _stays(world: World, resolution: Resolution) -> Iterator[bool]:
    """Of each run that it cuts, whether it still has a lease that it had then."""
    for cut in resolution.spec.cuts:
        leases = world.leases_of(cut.run)
        yield any(one.spec.run_ref.uid == cut.uid and one.spec.start <= resolution.spec.at for one in leases)


def _need(request: Request) -> Need:
    return Need(flavor=request.flavor, pods=request.gpus, gpus_per_pod=1)


def _victims(world: World, request: Request, advice: Advice) -> Victims:
    return hunted(world, Hunt(flavor=request.flavor, stages=every_stage(advice)), advice)


def _scopes(world: World, request: Request, found: Victims) -> Iterator[Scope]:
    fleet = world.fleet.flavors.get(request.flavor)
    if fleet is None:
        return
    nodes = {domain: _nodes(domain) for domain in fleet.domains.values()}
    for domains in _domains(nodes, request, found):
        here = tuple(sorted((node for domain in domains for node in nodes[domain]), key=lambda one: one.name))
        missing = short_by(wanted_of(_need(request)), here)
        yield Scope(nodes=here, missing=missing, pools=pools_in(world, here, found.units))


def _nodes(domain: DomainFleet) -> list[ScopeNode]:
    """Those that are there, cordoned or not."""
    return [scope_node(state) for state in domain.states if state.node is not None and not state.node.lost]


def _domains(
    nodes: Mapping[DomainFleet, Sequence[ScopeNode]], request: Request, found: Victims
) -> Iterator[tuple[DomainFleet, ...]]:
    """The one that is named; else all, where as many are free; else the fewest, the least to cut first, then by key."""
    if request.domain:
        yield from ((domain,) for domain in nodes if str(domain.key) == request.domain)
        return
    free = {domain: free_gpus(its) for domain, its in nodes.items()}
    if sum(free.values()) >= request.gpus:
        yield tuple(nodes)
        return
    home = {node.name: domain for domain, its in nodes.items() for node in its}
    most = dict(free)
    for lease in {lease.key: lease for lease in leases_of(found.units)}.values():
        for slots in lease.spec.slots:
            if (where := home.get(slots.node)) is not None:
                most[where] += len(slots.ordinals)
    able = [domain for domain in most if most[domain] >= request.gpus]
    yield from ((domain,) for domain in sorted(able, key=lambda one: (-free[one], one.key)))
    widest = sorted(most, key=lambda one: (-most[one], -free[one], one.key))
    for count in range(2, len(widest) + 1):
        if sum(most[domain] for domain in widest[:count]) >= request.gpus:
            yield tuple(widest[:count])


def _question(world: World, request: Request, scope: Scope) -> Question:
    assert world.nonces is not None
    return Question(
        trigger=Trigger.MANUAL,
        request=Asker(uid=request.uid),
        need=wanted_of(_need(request)),
        nodes=scope.nodes,
        at=world.now,
        head=world.ledger.head,
        nonces=world.nonces,
        chain=world.chain,
    )

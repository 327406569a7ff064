"""What a resolution bound is given to its beneficiary once it is free, or is given up."""

from __future__ import annotations

import attrs

from runs_core.decide.advice import Advice
from runs_core.decide.cover import cover
from runs_core.decide.hold import holds
from runs_core.decide.release import is_lost
from runs_core.decide.start import start
from runs_core.values.change import PledgeGone
from runs_core.values.decision import Decision, Moves
from runs_core.values.effect import Emit, SetResolutionStatus
from runs_core.values.funding import Pledge
from runs_core.values.resolution import Resolution, ResolutionPhase, ResolutionStatus
from runs_core.values.run import Run
from runs_core.world.held import FIRST
from runs_core.world.world import World


def activate(world: World, run: Run | None, pledge: Pledge, advice: Advice) -> Decision | None:
    """Start, give up, or None: somebody has not gone yet."""
    resolution = world.resolution(pledge.resolution)
    if resolution is None:
        return None
    if run is not None and _began(world, run, pledge):
        outcome = Moves(reason="Started", message=f"{resolution.name}: {run.key} has what was taken")
        return Decision(run=run.key, uid=run.uid, outcome=outcome, effects=(_released(world, run, resolution),))
    why = _given_up(world, run, pledge, advice)
    if why is not None or run is None:
        return _canceled(world, pledge, resolution, why or ("Deleted", "the run is gone"))
    if _held(world, pledge):
        return None
    with world.supposing([PledgeGone(run.key)]):  # what was bound before is not held from it
        said = cover(world, advice, world.ask(run), FIRST).of(pledge.placement.gpus)
    if said.shares != pledge.shares:
        why = ("Unfundable", "its payers would not pay as they did when it was decided")
        return _canceled(world, pledge, resolution, why)
    begun = start(world, run, pledge.placement, said)
    world.wake_at(world.now + run.spec.start_timeout, run.key)
    return attrs.evolve(begun, effects=(*begun.effects, _released(world, run, resolution)))


def _released(world: World, run: Run, resolution: Resolution) -> SetResolutionStatus:
    status = ResolutionStatus(
        phase=ResolutionPhase.RELEASED, reason="Started", message=f"{run.key} has what was taken", end=world.now
    )
    return SetResolutionStatus(attrs.evolve(resolution, status=status))


def _began(world: World, run: Run, pledge: Pledge) -> bool:
    """Whether it has some of its places: whoever began the start was stopped before all of it was written."""
    if run.uid != pledge.uid or world.refusal(run.key) is not None or run.spec.canceled or run.status.phase.terminal:
        return False
    bound = {(pod.node, ordinal) for group in pledge.placement.groups for pod in group.pods for ordinal in pod.ordinals}
    mine = (lease for lease in world.leases_of(run.key) if lease.spec.run_ref.uid == run.uid)
    return any((slots.node, at) in bound for lease in mine for slots in lease.spec.slots for at in slots.ordinals)


def _given_up(world: World, run: Run | None, pledge: Pledge, advice: Advice) -> tuple[str, str] | None:
    """Why the beneficiary will not take it, in one word and in a sentence."""
    if run is None or run.uid != pledge.uid or run.meta.deleting is not None:
        return "Deleted", f"{pledge.run} is gone"
    if run.spec.canceled or run.status.phase.terminal:
        return "Canceled", f"{pledge.run} is over"
    if run.status.phase.begun:
        return "StartedOtherwise", f"{pledge.run} has started elsewhere"
    refusal = world.refusal(run.key)
    if refusal is not None and world.now < refusal.until:
        return "StartRefused", f"the cluster refused the start of {pledge.run}: {refusal.message}"
    held = holds(world, run, advice)
    if held is not None:
        return held.reasons[0].code, f"{pledge.run} is held: {held.reasons[0].message}"
    nodes = sorted({pod.node for group in pledge.placement.groups for pod in group.pods})
    for name in nodes:
        state = world.fleet.states.get(name)
        if is_lost(world, name) or state is None or not state.usable:
            return "NodeGone", f"node {name} takes nothing new"
    return None


def _held(world: World, pledge: Pledge) -> bool:
    """Whether somebody is still in its places, or on them without a lease."""
    wanted: dict[str, int] = {}
    for group in pledge.placement.groups:
        for pod in group.pods:
            for ordinal in pod.ordinals:
                wanted[pod.node] = wanted.get(pod.node, 0) | 1 << ordinal
    return any(
        (world.fleet.states[node].active | world.fleet.states[node].spare) & mask for node, mask in wanted.items()
    )


def _canceled(world: World, pledge: Pledge, resolution: Resolution, why: tuple[str, str]) -> Decision:
    reason, message = why
    status = ResolutionStatus(phase=ResolutionPhase.CANCELED, reason=reason, message=message, end=world.now)
    told = f"{resolution.name} is given up: {message}"
    emit = Emit("Run", pledge.run, "ResolutionCanceled", told, world.now, warning=True)
    outcome = Moves(reason="ResolutionCanceled", message=told)
    effects = (SetResolutionStatus(attrs.evolve(resolution, status=status)), emit)
    return Decision(run=pledge.run, uid=pledge.uid, outcome=outcome, effects=effects)

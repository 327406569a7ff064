"""Whether what was promised can still be kept: who is in the way, and when it will have gone.

The rule is section "Reservations and forecasts" of the semantics.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from runs_core.decide.advice import Advice
from runs_core.decide.recalled import recalled_at
from runs_core.decide.slices import is_guest, sent_away_at
from runs_core.decide.victims import is_of_an_earlier_run
from runs_core.values.lease import mask_of
from runs_core.values.meta import Key
from runs_core.values.need import NodeFilter
from runs_core.values.quantity import counted, format_time
from runs_core.values.reservation import Basis, Reservation
from runs_core.values.resolution import Bound
from runs_core.values.run import Run
from runs_core.world.needs import ANY_NODE
from runs_core.world.nodes import NodeState
from runs_core.world.world import World


def leaves(world: World, known: Reservation, other: Run | None, recalls: Collection[Key] = ()) -> datetime | None:
    """When a run that is in the way will have gone, by itself or because it may be taken from; None: nobody knows.

    recalls: who is left without a payer by then.
    """
    at, run = known.status.earliest_start, world.run(known.run)
    if other is None or run is None or at is None:
        return None
    end = world.ends.expected(other)
    if end is not None and end.at <= at:
        return end.at
    if world.funded and at > world.now and is_guest(world, known, other):
        return sent_away_at(world, other, at)  # who uses another's places is sent away
    if at > world.now and world.ends.may_be_sent_away(other):
        return at
    if at > world.now and other.key in recalls:
        return sent_away_at(world, other, at)
    until = world.quanta.until(other) if known.status.basis is Basis.PATIENCE else None
    if until is not None and until <= at and not is_of_an_earlier_run(world, other, run):
        return at
    return end.at if end is not None else None


def why_not(world: World, known: Reservation, advice: Advice) -> str:
    """Why what was promised cannot be kept; empty: it can."""
    at, run = known.status.earliest_start or world.now, world.run(known.run)
    recalls: Collection[Key] | None = None
    wanted = world.need(run).filter if run is not None and known.status.places else ANY_NODE
    for place in known.status.places:
        state = world.fleet.states.get(place.node)
        if state is None or not state.usable:
            return f"node {place.node} takes nothing new"
        if (why := _will_not_do(known, place, state, wanted)) is not None:
            return f"node {place.node} {why}"
        mask = mask_of(place.ordinals)
        if state.pledged & mask:
            return f"places on node {place.node} are bound to another run"
        for lease in world.ledger.by_node.get(place.node, {}).values():
            if not any(slots.node == place.node and slots.mask & mask for slots in lease.spec.slots):
                continue
            other = world.run(lease.run)
            if recalls is None and other is not None and other.status.funding.shared:
                recalls = recalled_at(world, known, advice, at)
            end = leaves(world, known, other, recalls or ())
            if end is None:
                return f"{lease.run} runs longer than was expected"
            if end > at:
                return f"{lease.run} is expected to run until {format_time(end)}"
    return f"it could not start at {format_time(at)}" if at <= world.now else ""


def _will_not_do(known: Reservation, place: Bound, state: NodeState, wanted: NodeFilter) -> str | None:
    """What has become of a node that takes something new, so that these places are none for it; None: they are."""
    node, domain, mask = state.node, state.domain, mask_of(place.ordinals)
    if node is None or domain is None or node.flavor != known.spec.flavor:
        return f"is no {known.spec.flavor} node any more"
    if str(node.domain) != place.domain:
        return f"lies in {node.domain} now"
    if mask >> node.gpus:
        return f"has {counted(node.gpus, 'GPU')} now"
    if not domain.eligible(wanted) >> state.bit & 1:
        return "does not allow its pods any more"
    if (mask | state.spare | state.pledged).bit_count() + state.foreign_gpus > node.gpus:
        return "has GPUs in use by pods that runs did not place"
    return None

"""Who is promised a start is told what would start it at once, as far as it is one of the first in line."""

from __future__ import annotations

import heapq

import attrs

from runs_core.decide.advice import Advice
from runs_core.decide.batch import Batch
from runs_core.decide.promise import FIRST
from runs_core.decide.remedies import remedies
from runs_core.decide.slices import rank_of
from runs_core.values.decision import Decision, Moves
from runs_core.values.effect import SetReservationStatus
from runs_core.values.meta import Key
from runs_core.values.quantity import counted
from runs_core.values.reservation import MOST_REMEDIES, Remedy
from runs_core.world.world import World


def tell(world: World, advice: Advice, batch: Batch) -> None:
    """At the end: before, those behind them in line might still take what a change would need."""
    first = heapq.nsmallest(FIRST, world.promises.by_run, key=lambda key: rank_of(world, key))
    for key in first:
        if key in batch.promised and (decision := _told(world, key, advice)) is not None:
            batch.take(decision, {})
            world.touched.discard(key)
    batch.promised.clear()


def _told(world: World, key: Key, advice: Advice) -> Decision | None:
    run, known = world.run(key), world.promises.by_run[key]
    if run is None:
        return None
    found = tuple(Remedy(change=one.change, starts_at=one.at) for one in remedies(world, run, advice)[:MOST_REMEDIES])
    if found == known.status.remedies:
        return None
    outcome = Moves(reason="RemediesFound", message=f"{counted(len(found), 'change')} would start it")
    effect = SetReservationStatus(attrs.evolve(known, status=attrs.evolve(known.status, remedies=found)))
    return Decision(run=key, uid=run.uid, outcome=outcome, effects=(effect,))

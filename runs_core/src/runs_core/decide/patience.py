"""From when on the resolver may act for a run with all that it has, and who will not make room for it then.

The rule is section "Reservations and forecasts" of the semantics: its patience is over, and enough of those that may be
in a lottery are past their quantum.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from runs_core.decide.advice import Advice
from runs_core.decide.paid import filters
from runs_core.decide.victims import CONTRACTUAL, is_of_an_earlier_run
from runs_core.values.funding import Cover
from runs_core.values.meta import Key
from runs_core.values.need import Need
from runs_core.values.run import Run
from runs_core.world.world import World


def patient_until(world: World, run: Run, need: Need, said: Cover | None, advice: Advice) -> datetime | None:
    """When its patience is over; None: no lots are drawn for it. said: who pays; None: nobody keeps quotas."""
    if said is None or not (said.fundable and said.shares and advice.stages):
        return None
    if any(share.tier not in CONTRACTUAL for share in said.shares) or len(filters(world, need, said.shares)) > 1:
        return None
    patience = world.settings.patience.of(world.owner(run))
    return None if patience is None else (run.status.queued_since or world.now) + patience


def spared(world: World, run: Run, flavor: str, advice: Advice) -> Iterator[Key]:
    """Who may never be taken from for it, though past its quantum."""
    asks = world.owner(run) is not None
    for _, key in world.quanta.ripening(flavor):
        other = world.run(key)
        earlier = other is not None and asks and is_of_an_earlier_run(world, other, run)
        if other is None or earlier or advice.protected(other, world, world.now):
            yield key

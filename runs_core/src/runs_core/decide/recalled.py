"""Who would be left without a payer by a run's claim: its owner recalls its own quota from its family.

The rule is section "Classes" of the semantics: such work goes on, and may be taken back for the claim as any other that
nobody pays for, once its least runtime is over.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from runs_core.decide.advice import Advice
from runs_core.decide.paid import filters
from runs_core.decide.victims import protected_until
from runs_core.values.change import PledgeSeen
from runs_core.values.classes import Tier
from runs_core.values.funding import Cover, Pledge
from runs_core.values.meta import Key
from runs_core.values.need import Need
from runs_core.values.placement import Placement
from runs_core.values.run import Run
from runs_core.world.world import World

Recalls = tuple[tuple[Key, datetime], ...]
"""Runs, and until when each is left alone."""


def claim_of(world: World, run: Run, said: Cover) -> Pledge:
    """What the run would hold of the budgets, wherever it lies."""
    nowhere = Placement(groups=())
    owner = world.owner(run)
    return Pledge(
        run=run.key, uid=run.uid, owner=owner, shares=said.shares, placement=nowhere, since=world.now, resolution=""
    )


def recalled(world: World, run: Run, need: Need, said: Cover | None, advice: Advice) -> Recalls:
    """Whom the family pays for now, and nobody would. need: with its flavor named. said: who pays for all of the run.

    Cost: a look at each run that the family pays for; and where that is out of its own Budget, as to look for victims.
    """
    if said is None or not said.fundable:
        return ()
    stages = [stage for stage in advice.stages if stage.at_once]
    if not stages or not any(_may_be(world, run, need.flavor, said)) or len(filters(world, need, said.shares)) > 1:
        return ()
    with world.supposing([PledgeSeen(claim_of(world, run, said))]):
        named = {unit.run for stage in stages for unit in advice.victims(stage, need.flavor, world, world.now)}
    found = []
    for key in sorted(named):
        other = world.run(key)
        if other is None or key == run.key or other.status.funding.unfunded or other.status.ending is not None:
            continue
        until = protected_until(world, other)
        if until is not None and not advice.protected(other, world, world.now):
            found.append((key, until))
    return tuple(found)


def _may_be(world: World, run: Run, flavor: str, said: Cover) -> Iterator[bool]:
    """Of each run of that flavor that the family pays for, whether that is out of a Budget which pays for this one."""
    own = {share.payer.budget for share in said.shares if share.tier is Tier.OWN}
    names = {flavor, ""} if world.sole_flavor() == flavor else {flavor}
    for key, slack in world.slack.all().items() if own else ():
        if slack.shared and not slack.unfunded and slack.flavor in names and key != run.key:
            other = world.run(key)
            yield other is not None and any(payer.budget in own for payer in other.status.payers)

"""What would be decided for a run or a need now: nothing is written."""

from __future__ import annotations

from runs_core.decide.advice import Advice
from runs_core.decide.answer import place_beside
from runs_core.decide.cover import cover
from runs_core.decide.flavor import find_flavor
from runs_core.decide.hold import holds
from runs_core.decide.match import no_flavor, no_place
from runs_core.decide.paid import place_widest
from runs_core.decide.quota import beside_quota
from runs_core.values.decision import NoPlace, Outcome, Starts, Waits
from runs_core.values.funding import Cover
from runs_core.values.need import Need
from runs_core.values.placement import Placement
from runs_core.values.run import Run
from runs_core.world.world import World


def consider(world: World, run: Run, advice: Advice) -> Outcome:
    """What would be decided for this waiting run now, if it stood where it stands: nothing is written."""
    held = holds(world, run, advice)
    if held is not None:
        return held
    said = cover(world, advice, world.ask(run), world.order(run)) if advice.funding else None
    placement = tried(world, run, said, advice)
    if placement is not None:
        return Starts(placement=placement, attempt=run.status.attempt + 1, cover=said)
    why = no_room(world, world.need(run), said)
    return Waits(reasons=why.reasons, match=why.match, never=why.never, cover=why.cover)


def tried(world: World, run: Run, said: Cover | None, advice: Advice) -> Placement | None:
    """Where it would start now, standing where it stands. said: who pays; None: nobody is asked."""
    need = world.need(run)
    found = find_flavor(world, need)
    if found is None or (said is not None and not said.fundable and not said.unfunded):
        return None
    placement = place_widest(world, found[1], need, said, advice)
    return placement or place_beside(world, found[1], need, run, said=said, advice=advice)


def seek(world: World, need: Need, advice: Advice, said: Cover | None = None) -> Placement | NoPlace:
    """Where a gang of this need would go now, or every reason why it cannot. said: who pays; None: nobody is asked."""
    found, placement = find_flavor(world, need), None
    if found is not None and (said is None or said.fundable or said.unfunded):
        placement = place_widest(world, found[1], need, said, advice)
    return placement or no_room(world, need, said)


def no_room(world: World, need: Need, said: Cover | None) -> NoPlace:
    """Every reason why it has to wait."""
    found = find_flavor(world, need)
    if found is None:
        return no_flavor(world, need)
    name, flavor = found
    why = no_place(world, flavor, name, need)
    return beside_quota(why, need, said) if said is not None else why

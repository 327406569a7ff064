"""When time alone lets somebody pay for a run that nobody pays for now."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from runs_core.decide.advice import Advice
from runs_core.decide.cover import cover
from runs_core.values.change import TimePassed
from runs_core.values.funding import Ask, Cover
from runs_core.world.held import Order
from runs_core.world.world import World

MOST_OPENINGS = 8
"""So many moments are tried, the first ones."""


class Opening(NamedTuple):
    """said: who pays from then on."""

    at: datetime
    said: Cover


def opening(world: World, ask: Ask, order: Order, said: Cover | None, advice: Advice) -> Opening | None:
    """The first moment at which all of it is paid for with everything else as it is now; None: time alone does not.

    order: its place in line; said: the answer of now. Found by letting time pass, in a what-if, to each moment that an
    offer names.
    """
    for at in said.opens[:MOST_OPENINGS] if said is not None else ():
        if at > world.now:
            with world.supposing([TimePassed(at)]):
                found = cover(world, advice, ask, order)
            if found.fundable:
                return Opening(at, found)
    return None

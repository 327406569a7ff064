"""Who will pay: offers are filled in their order, all or nothing for a fixed gang.

The rule is section "Cover" of the semantics. A pod has one payer, so what an envelope gives is whole pods.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import attrs

from runs_core.decide.advice import Advice
from runs_core.settings import FleetSettings
from runs_core.values.funding import Ask, Cover, Look, Offer, Offers, Share
from runs_core.values.lease import Payer
from runs_core.values.meta import Pairs
from runs_core.values.node import Node
from runs_core.world.filters import located
from runs_core.world.needs import ANY_NODE, narrowed
from runs_core.world.world import World

WHOLE_PODS = "a pod of {unit} GPUs has one payer"


class Piece(NamedTuple):
    """GPUs that want a payer. nodes: where they lie; none: nowhere yet."""

    gpus: int
    nodes: tuple[Node, ...] = ()

    def within(self, selector: Pairs, fleet: FleetSettings) -> bool:
        """Whether all of it lies where such an envelope pays."""
        wanted = narrowed(ANY_NODE, selector, fleet)
        return all(located(wanted, node) for node in self.nodes)


def cover(world: World, advice: Advice, ask: Ask, pieces: Sequence[Piece] = ()) -> Cover:
    """Who would pay for it now. pieces: what it already holds, in order; none: nothing."""
    flavor = ask.flavor or world.sole_flavor() or ""
    offers = advice.offers(attrs.evolve(ask, flavor=flavor) if flavor != ask.flavor else ask, world, world.now)
    fleet = world.settings.fleet
    found = fill(offers, ask, pieces or (Piece(ask.gpus),), fleet)
    if not found.left or ask.demand is None:
        return found
    paid = ask.gpus - found.left
    widest = ask.demand.at_most(paid)
    return fill(offers, ask, (Piece(widest),), fleet) if widest else attrs.evolve(found, left=ask.demand.least - paid)


def fill(offers: Offers, ask: Ask, pieces: Sequence[Piece], fleet: FleetSettings) -> Cover:
    """Take offers in their order until all pieces are paid for. shares: in the order of the pieces.

    O(offers x pieces).
    """
    rest = {offer.payer: offer.gpus for offer in offers.offers}
    caps: dict[str, int] = {}
    for offer in offers.offers:
        for cap in offer.caps:
            caps[cap.name] = min(cap.left, caps.get(cap.name, cap.left))
    shares: list[Share] = []
    given: dict[Payer, int] = {}
    left = 0
    short: dict[Payer, str] = {}
    for piece in pieces:
        wanted = piece.gpus
        for offer in offers.offers:
            if not wanted:
                break
            if not piece.within(offer.selector, fleet):
                short.setdefault(offer.payer, "elsewhere")
                continue
            gave, why = _gives(offer, wanted, rest[offer.payer], caps, ask.unit)
            if why:
                short.setdefault(offer.payer, why)
            if gave:
                wanted -= gave
                rest[offer.payer] -= gave
                for cap in offer.caps:
                    caps[cap.name] -= gave
                given[offer.payer] = given.get(offer.payer, 0) + gave
                shares.append(Share(offer.payer, offer.tier, gave, offer.selector))
        left += wanted
    looks = tuple(_look(offer, given.get(offer.payer, 0), short.get(offer.payer, "")) for offer in offers.offers)
    return Cover(shares=tuple(shares) if not left else (), looks=looks, left=left, unfunded=offers.unfunded)


def _look(offer: Offer, gave: int, short: str) -> Look:
    """short: why it gave less than it offered."""
    told = [offer.why, short if gave < offer.gpus else ""]
    return Look(offer.tier, offer.payer, offer.had, gave, ", ".join(dict.fromkeys(filter(None, told))))


def _gives(offer: Offer, wanted: int, rest: int, caps: Mapping[str, int], unit: int) -> tuple[int, str]:
    """How much of what is wanted, and why no more."""
    room, why = min(rest, wanted), ""
    for cap in offer.caps:
        if caps[cap.name] < room:
            room, why = max(0, caps[cap.name]), cap.why or cap.name
    whole = room - room % unit
    return whole, why or (WHOLE_PODS.format(unit=unit) if whole < room else "")

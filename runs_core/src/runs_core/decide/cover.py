"""Who will pay: offers are filled in their order, all or nothing for a fixed gang.

The rule is section "Cover" of the semantics. A pod has one payer, so what an envelope gives is whole pods.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import attrs

from runs_core.decide.advice import Advice
from runs_core.settings import FleetSettings
from runs_core.values.classes import Tier
from runs_core.values.funding import Ask, Cover, Look, Offer, Offers, Share
from runs_core.values.lease import Payer
from runs_core.values.meta import Pairs
from runs_core.values.node import Node
from runs_core.world.hearing import Firm
from runs_core.world.held import Order
from runs_core.world.needs import lies_in
from runs_core.world.world import World

WHOLE_PODS = "a pod of {unit} GPUs has one payer"


class Piece(NamedTuple):
    """GPUs that want a payer. nodes: where they lie; none: nowhere yet."""

    gpus: int
    nodes: tuple[Node, ...] = ()

    def within(self, selector: Pairs, fleet: FleetSettings) -> bool:
        """Whether all of it lies where such an envelope pays."""
        return all(lies_in(node, selector, fleet) for node in self.nodes)


def cover(world: World, advice: Advice, ask: Ask, order: Order, pieces: Sequence[Piece] = ()) -> Cover:
    """Who would pay for it now. order: its place in line; pieces: what it already holds, in order; none: nothing."""
    left = world.held.kept_back(offered(world, advice, ask), ask, order)
    return filled(world, left, ask, pieces)


def offered(world: World, advice: Advice, ask: Ask) -> Offers:
    """What every plugin says that envelopes have and give, before anything of it is kept for others."""
    flavor = ask.flavor or world.sole_flavor() or ""
    held = world.held.gpus(ask.owner) if world.held.by_run and not ask.empty else 0
    same = flavor == ask.flavor and held == ask.held
    return advice.offers(ask if same else attrs.evolve(ask, flavor=flavor, held=held), world, world.now)


def firm(offers: Offers, found: Cover, *, whole: bool = True) -> Firm:
    """What pays behind a bound of several offers, or only in some places, is not followed that far.

    whole: it wants no more than that.
    """
    spare: dict[Payer, int] = {}
    displacing: set[str] = set()
    followed, nearer = True, 0
    for at, (offer, look) in enumerate(zip(offers.offers, found.looks, strict=True)):
        if not (gave := look.gave):
            continue
        nearer, payer, left = at, offer.payer, offer.gpus - gave
        if offer.tier is Tier.OWN:
            if offer.caps or offer.idle is None or gave > offer.idle:
                displacing.add(payer.budget)
            else:
                left = min(left, offer.idle - gave)
        if offer.caps or offer.selector or not offer.told or payer in spare:
            followed = False
        spare[payer] = left
    if not followed:
        return Firm(None, frozenset(displacing))
    before = frozenset([offer.payer for offer in offers.offers[:nearer]]) if whole and found.fundable else None
    return Firm(spare, frozenset(displacing), before)


def filled(world: World, offers: Offers, ask: Ask, pieces: Sequence[Piece] = ()) -> Cover:
    """What follows from that for this gang."""
    fleet = world.settings.fleet
    found = fill(offers, ask, pieces, fleet)
    if not found.left or ask.demand is None:
        return found
    paid = ask.gpus - found.left
    widest = ask.demand.at_most(paid)
    if not widest:
        return attrs.evolve(found, left=ask.demand.least - paid)
    narrower = fill(offers, ask, (Piece(widest),), fleet)
    looks = zip(narrower.looks, found.looks, strict=True)
    return attrs.evolve(narrower, looks=tuple(look._replace(why=look.why or wide.why) for look, wide in looks))


def fill(offers: Offers, ask: Ask, pieces: Sequence[Piece], fleet: FleetSettings) -> Cover:
    """Take offers in their order until all pieces are paid for; none: until all is that is asked for, nowhere yet.

    shares: in the order of the pieces. O(offers x pieces).
    """
    if len(pieces) < 2 and _are_plain(offers.offers):  # noqa: PLR2004 - one, given or not
        return _fill_plain(offers, pieces[0].gpus if pieces else ask.gpus, ask.unit)
    given, short = [0] * len(offers.offers), [""] * len(offers.offers)
    spots: dict[Payer, int] = {}
    spot_of = [spots.setdefault(offer.payer, at) for at, offer in enumerate(offers.offers)]  # two may name one payer
    rest = dict(zip(spot_of, (offer.gpus for offer in offers.offers), strict=True))
    caps: dict[str, int] = {}
    for offer in offers.offers:
        for cap in offer.caps:
            caps[cap.name] = min(cap.left, caps.get(cap.name, cap.left))
    shares: list[Share] = []
    left = 0
    for piece in pieces or (Piece(ask.gpus),):
        wanted = piece.gpus
        for offer, at in zip(offers.offers, spot_of, strict=True):
            if not wanted:
                break
            if offer.selector and not piece.within(offer.selector, fleet):
                short[at] = short[at] or "elsewhere"
                continue
            gave, why = _gives(offer, wanted, rest[at], caps, ask.unit)
            short[at] = short[at] or why
            if gave:
                wanted -= gave
                rest[at] -= gave
                for cap in offer.caps:
                    caps[cap.name] -= gave
                given[at] += gave
                shares.append(Share(offer.payer, offer.tier, gave, offer.selector))
        left += wanted
    looks = tuple(_look(offer, given[at], short[at]) for offer, at in zip(offers.offers, spot_of, strict=True))
    return _found(offers, shares, looks, left)


def _are_plain(offers: Sequence[Offer]) -> bool:
    """Whether each gives what it gives wherever a pod lies and whatever another gives, as most often."""
    for offer in offers:
        if offer.caps or offer.selector:
            return False
    return len(offers) == 1 or len({offer.payer for offer in offers}) == len(offers)


def _fill_plain(offers: Offers, wanted: int, unit: int) -> Cover:
    """The same where offers are plain and the gang is one piece: a test compares."""
    shares: list[Share] = []
    looks: list[Look] = []
    for offer in offers.offers:
        gave, short = 0, ""
        if wanted:
            gave = room = min(offer.gpus, wanted)
            if over := room % unit:
                gave, short = room - over, WHOLE_PODS.format(unit=unit)
            if gave:
                wanted -= gave
                shares.append(Share(offer.payer, offer.tier, gave))
        looks.append(_look(offer, gave, short))
    return _found(offers, shares, tuple(looks), wanted)


def _found(offers: Offers, shares: Sequence[Share], looks: tuple[Look, ...], left: int) -> Cover:
    if not left:
        return Cover(shares=tuple(shares), looks=looks, unfunded=offers.unfunded)
    opens = tuple(sorted({offer.opens for offer in offers.offers if offer.opens is not None}))
    return Cover(looks=looks, left=left, unfunded=offers.unfunded, opens=opens)


def _look(offer: Offer, gave: int, short: str) -> Look:
    """short: why it gave less than it offered; nothing: no more was wanted."""
    why = offer.why
    if gave < offer.gpus and short != why:
        why = f"{why}, {short}" if why and short else short
    return Look(offer.tier, offer.payer, offer.had, gave, why)


def _gives(offer: Offer, wanted: int, rest: int, caps: Mapping[str, int], unit: int) -> tuple[int, str]:
    """How much of what is wanted, and why no more."""
    room, why = min(rest, wanted), ""
    for cap in offer.caps:
        if caps[cap.name] < room:
            room, why = max(0, caps[cap.name]), cap.why or cap.name
    whole = room - room % unit
    return whole, why or (WHOLE_PODS.format(unit=unit) if whole < room else "")

"""What another quota would do: the same engine asked before and after, in a world where the Budget is so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import attrs

from runs_budgets.family import Family
from runs_budgets.offers import drawn
from runs_budgets.sections import MOST_GPUS
from runs_budgets.whole import family_of
from runs_cli.session.port import Session
from runs_core import Ask, Budget, BudgetSeen, Class, Key, Offer, Split, Tier

MOST_RELATIVES = 50
RELATIONS = {Tier.OWN: "itself", Tier.CHILD: "parent", Tier.SIBLING: "sibling", Tier.COUSIN: "cousin"}
"""What the owner of an envelope is to somebody whom it pays for."""


@attrs.frozen(kw_only=True)
class Room:
    """GPUs that a new run of an owner could be given now: of its own envelopes, and of its family's beside them.

    Envelopes must last for as long as it would be left alone, if it says nothing of that itself.
    """

    own: int
    family: int


@attrs.frozen(kw_only=True)
class Relative:
    """An owner whose runs could be paid for otherwise. relation: what it is to who asks."""

    owner: str
    relation: str
    before: Room
    after: Room


@attrs.frozen(kw_only=True)
class Reclassed:
    """A run that holds GPUs, and what they count as."""

    run: Key
    before: Split
    after: Split


@attrs.frozen(kw_only=True)
class Effect:
    """family: as it then is: who asks, then the nearest, each by name. more: relatives that were not looked at.

    runs: by name.
    """

    family: tuple[Relative, ...]
    more: int
    runs: tuple[Reclassed, ...]


def effect(session: Session, wanted: Budget, flavor: str) -> Effect:
    """What would be otherwise at once, were the Budget so. Nothing is written."""
    owner, world = wanted.spec.owner, session.world
    budgets = {budget.name: budget for budget in (*world.budgets(), wanted)}
    known = list(_relatives(family_of(budgets.values()), owner))
    names = [name for name, _ in known[:MOST_RELATIVES]]
    rooms, classes = _rooms(session, names, flavor), _classes(session)
    with world.supposing([BudgetSeen(wanted)]):
        then, others = _rooms(session, names, flavor), _classes(session)
    return Effect(
        family=tuple(
            Relative(owner=name, relation=relation, before=rooms[name], after=then[name])
            for name, relation in known[:MOST_RELATIVES]
        ),
        more=max(0, len(known) - MOST_RELATIVES),
        runs=tuple(
            Reclassed(run=key, before=classes[key], after=others[key])
            for key in sorted(classes)
            if classes[key] != others[key]
        ),
    )


def _relatives(family: Family, owner: str) -> Iterator[tuple[str, str]]:
    met: set[str] = set()
    children = ("child", family.children(owner))
    itself, *others = ((RELATIONS[tier], owners) for tier, owners in family.relatives(owner))
    for relation, owners in (itself, children, *others):
        yield from ((name, relation) for name in owners if name not in met)
        met.update(owners)


def _rooms(session: Session, owners: list[str], flavor: str) -> Mapping[str, Room]:
    return {owner: _room(session, owner, flavor) for owner in owners}


def _room(session: Session, owner: str, flavor: str) -> Room:
    asked = Ask(owner=owner, flavor=flavor, gpus=MOST_GPUS, min_runtime=session.settings.reclaim.min_runtime)
    offers: tuple[Offer, ...] = session.advice.offers(asked, session.world, session.now).offers
    own = drawn((offer for offer in offers if offer.tier is Tier.OWN), MOST_GPUS)
    return Room(own=own, family=drawn(offers, MOST_GPUS) - own)


def _classes(session: Session) -> Mapping[Key, Split]:
    """GPUs by class of every run that holds some."""
    found: dict[Key, Split] = {}
    for run in session.world.runs():
        for lease in session.world.leases_of(run.key):
            cls = session.advice.classify(lease, session.world, session.now) or Class.UNFUNDED
            found[run.key] = found.get(run.key, Split()).plus(cls, lease.gpus)
    return found

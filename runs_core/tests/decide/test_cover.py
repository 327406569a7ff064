"""Offers that bound each other in nothing are filled in one go: as the rule fills them that holds for all."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from runs_core.decide import cover
from runs_core.settings import FleetSettings, Settings
from runs_core.values.classes import Tier
from runs_core.values.demand import Demand
from runs_core.values.funding import Ask, Cap, Cover, Offer, Offers
from runs_core.values.lease import Payer
from runs_core.world.world import World

Patch = pytest.MonkeyPatch


def offered(rng: random.Random) -> Offers:
    """Up to five envelopes, of which some may be the same."""
    names = rng.choices(["a", "b", "c", "d", "e", "f", "g"], k=rng.randrange(6))
    found = []
    for name in names:
        had = rng.randrange(12)
        gives = rng.randrange(had + 1)
        payer = Payer(budget="vision", envelope=name)
        found.append(Offer(tier=rng.choice(list(Tier)), payer=payer, had=had, gpus=gives, why=rng.choice(["", "less"])))
    return Offers(offers=tuple(found), unfunded=rng.random() < 0.5)


def both_ways(monkeypatch: Patch, seed: int) -> tuple[Cover, Cover, bool]:
    """As it is filled, and as the general rule fills it; and whether the short way was open."""
    rng = random.Random(seed)
    offers, unit = offered(rng), rng.choice([1, 2, 4])
    ask = Ask(owner="vision", flavor="h100", gpus=unit * rng.randrange(1, 9), unit=unit)
    pieces = (cover.Piece(ask.gpus),)
    found = cover.fill(offers, ask, pieces, FleetSettings())
    plain = cover._are_plain(offers.offers)
    with monkeypatch.context() as patch:
        patch.setattr(cover, "_are_plain", lambda _: False)
        return found, cover.fill(offers, ask, pieces, FleetSettings()), plain


def differ(monkeypatch: Patch) -> tuple[int, int]:
    """Of many questions: how many have two answers, and how many went the short way."""
    told = [both_ways(monkeypatch, seed) for seed in range(400)]
    return sum(found != rule for found, rule, _ in told), sum(plain for _, _, plain in told)


def test_what_is_filled_in_one_go_is_filled_by_the_rule(monkeypatch: Patch) -> None:
    differing, plain = differ(monkeypatch)
    assert differing == 0
    assert 200 < plain < 400


@pytest.mark.parametrize("broken", [lambda offers: True, lambda offers: len(offers) < 3])
def test_offers_of_one_payer_that_are_filled_apart_are_found_out(
    broken: Callable[[object], bool], monkeypatch: Patch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(cover, "_are_plain", broken)
        found = [both_ways(monkeypatch, seed)[:2] for seed in range(400)]
    assert any(one != rule for one, rule in found)


def looks(gpus: int, *offers: Offer) -> list[tuple[int, str]]:
    """What each gave, and why not more."""
    ask = Ask(owner="vision", flavor="h100", gpus=gpus)
    found = cover.fill(Offers(offers=offers), ask, (cover.Piece(gpus),), FleetSettings())
    return [(look.gave, look.why) for look in found.looks]


def test_who_gives_all_that_is_wanted_has_no_reason_for_giving_no_more() -> None:
    """own gives 4 of 8 because of its cap, but only where as many are wanted."""
    own = Offer(tier=Tier.OWN, payer=Payer(budget="vision", envelope="own"), had=8, gpus=4, why="cap c")
    none = Offer(tier=Tier.CHILD, payer=Payer(budget="lab", envelope="main"), had=8, gpus=0, why="not shared")
    capped = Offer(
        tier=Tier.CHILD, payer=Payer(budget="lab", envelope="more"), had=8, gpus=6, why="cap d",
        caps=(Cap("lab/d", 6, "cap d"),),
    )  # fmt: skip
    assert looks(3, own, none) == [(3, ""), (0, "not shared")]
    assert looks(5, own, none) == [(4, "cap c"), (0, "not shared")]
    assert looks(6, own, none, capped) == [(4, "cap c"), (0, "not shared"), (2, "")]
    assert looks(12, own, none, capped) == [(4, "cap c"), (0, "not shared"), (6, "cap d")]


def test_who_keeps_a_run_from_being_wider_has_its_reason() -> None:
    """A cap leaves 14 of 16: with steps of 4, 12 are used."""
    offer = Offer(tier=Tier.OWN, payer=Payer(budget="vision", envelope="own"), had=16, gpus=14, why="cap c")
    ask = Ask(owner="vision", flavor="h100", gpus=16, demand=Demand(least=4, most=16, step=4))
    found = cover.filled(World(Settings()), Offers(offers=(offer,)), ask)
    assert [(look.gave, look.why) for look in found.looks] == [(12, "cap c")]

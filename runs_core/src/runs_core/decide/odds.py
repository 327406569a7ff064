"""Who would be cut for a run, and how likely each: every way that the draw could go, by the code that draws."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from fractions import Fraction

import attrs

from runs_core.decide.advice import Advice
from runs_core.decide.draw import Stream, Tree
from runs_core.decide.fit import Fit, short_by
from runs_core.decide.flavor import find_flavor
from runs_core.decide.reclaim import Claimant, leases_of, need_of, place_without, pools_in, scopes, victims
from runs_core.decide.resolve import Taken, work_out
from runs_core.decide.scope import scope_of, wanted_of
from runs_core.decide.victims import Victims
from runs_core.values.funding import Cover
from runs_core.values.resolution import Candidate, Place, Pool
from runs_core.values.run import Run
from runs_core.world.world import World

MOST_WAYS = 3_000
"""More ways to draw are not gone through: a person waits for the answer."""
Draws = Callable[[Stream], Taken | None]


@attrs.frozen(kw_only=True)
class Chance:
    """A unit that may be cut. odds: how likely; None: there are too many ways to draw."""

    unit: Candidate
    stage: str
    odds: Fraction | None


@attrs.frozen(kw_only=True)
class Prospect:
    """What a taking-back for one run would be. chances: likeliest first, then by run; none: nobody can be cut for it.

    spared_gpus: held by work that could be cut but for its least runtime, the first of which ends at spared_until.
    """

    chances: tuple[Chance, ...] = ()
    spared_gpus: int = 0
    spared_until: datetime | None = None


def foreseen(world: World, run: Run, said: Cover | None, advice: Advice, *, most: int = MOST_WAYS) -> Prospect | None:
    """For a run that waits, were it asked now. said: who pays; None: nobody is cut for it, whatever there is.

    most: ways to draw that are gone through for the odds.
    """
    if said is None or not said.fundable or not advice.stages:
        return None
    need = world.need(run)
    found = find_flavor(world, need)
    if found is None:
        return None
    name, fleet = found
    least = attrs.evolve(need, flavor=name).as_wide(need.gpus)
    return prospect(world, Claimant(run=run, need=least, fleet=fleet, cover=said.of(need.gpus)), advice, most)


def prospect(world: World, asked: Claimant, advice: Advice, most: int = MOST_WAYS) -> Prospect:
    """Without a nonce: who is drawn nobody can know before, only how likely."""
    need = need_of(world, asked, advice)
    if need is None:
        return Prospect()
    found = victims(world, asked, advice)
    for domains in scopes(world, asked.fleet, need, leases_of(found.units)):
        nodes, wanted = scope_of(domains, need), wanted_of(need)
        pools, fit, missing = pools_in(world, nodes, found.units), Fit(wanted, nodes), short_by(wanted, nodes)

        def draws(
            stream: Stream, pools: Sequence[Pool] = pools, fit: Fit = fit, missing: int = missing
        ) -> Taken | None:
            return work_out(stream, missing, pools, fit.suffices)

        one = draws(Way())
        if one is not None and place_without(world, asked, need, domains=domains, taken=one, advice=advice):
            return prospect_of(chances(draws, pools, most), found)
    return prospect_of((), found)


def prospect_of(found: tuple[Chance, ...], among: Victims) -> Prospect:
    """With what is spared beside them."""
    return Prospect(
        chances=found,
        spared_gpus=sum(gpus for _, gpus in among.spared),
        spared_until=min((until for until, _ in among.spared), default=None),
    )


def chances(draws: Draws, pools: Sequence[Pool], most: int = MOST_WAYS) -> tuple[Chance, ...]:
    """How likely each candidate is to be cut. Where there are more ways to draw than `most`, nobody's odds are said."""
    odds: dict[Place, Fraction] | None = {}
    for chance, taken in ways(draws, most):
        if taken is None or odds is None:
            odds = None
            break
        for unit, _ in taken.cuts:
            odds[unit.place] = odds.get(unit.place, Fraction()) + chance
    found: dict[Place, Chance] = {}  # by the first stage that names it: a later one has only what is left
    for pool in pools:
        for unit in pool.candidates:
            if odds is None or unit.place in odds:
                one = Chance(unit=unit, stage=pool.stage, odds=None if odds is None else odds[unit.place])
                found.setdefault(unit.place, one)
    return tuple(sorted(found.values(), key=lambda one: (-(one.odds or 0), one.unit.place)))


def ways(draws: Draws, most: int) -> Iterator[tuple[Fraction, Taken | None]]:
    """Every way the draws can go, with how likely it is: in all 1. A None after `most` of them: there are more."""
    followed: tuple[int, ...] = ()
    for _ in range(most):
        way = Way(followed)
        taken = draws(way)
        yield way.chance, taken
        following = way.next()
        if following is None:
            return
        followed = following
    yield Fraction(), None


class Way(Stream):
    """In place of a random stream: chooses as it is told, then always the first. chance: of going this way."""

    def __init__(self, followed: Sequence[int] = ()) -> None:
        super().__init__("")
        self.chance = Fraction(1)
        self._followed = followed
        self._chosen: list[tuple[int, int]] = []

    def below(self, bound: int) -> int:
        self.chance /= bound
        return self._choose(bound)

    def pick(self, weights: Tree) -> int:
        places = [at for at, weight in enumerate(weights.row) if weight]
        at = places[self._choose(len(places))]
        self.chance *= Fraction(weights.row[at], weights.total)
        return at

    def _choose(self, options: int) -> int:
        depth = len(self._chosen)
        choice = self._followed[depth] if depth < len(self._followed) else 0
        self._chosen.append((choice, options))
        self.used += 1
        return choice

    def next(self) -> tuple[int, ...] | None:
        """What to choose for the way after this one; None: it was the last."""
        chosen = list(self._chosen)
        while chosen:
            choice, options = chosen.pop()
            if choice + 1 < options:
                return (*(one for one, _ in chosen), choice + 1)
        return None

"""Who is expected to go before its end, by what a run that waits may do, or others will."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from functools import cached_property
from itertools import chain
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from runs_core.decide.advice import Advice
from runs_core.decide.patience import spared
from runs_core.decide.slices import guests, sent_away_at
from runs_core.values.meta import Key
from runs_core.values.reservation import Basis
from runs_core.world.timetable import Reckoning
from runs_core.world.world import World

if TYPE_CHECKING:
    from runs_core.decide.search import Question


class Sooner(NamedTuple):
    """Who goes before its end. order: among those who go at one moment."""

    at: float
    basis: Basis
    order: tuple[int, float, Key]


class Lots:
    """From `first` on they may be drawn for it, and whoever is past its quantum is gone, but for who is spared."""

    def __init__(self, first: datetime, spared: Iterable[Key]) -> None:
        self.first = first.timestamp()
        self._spared = spared

    @cached_property
    def spared(self) -> Collection[Key]:
        """Looked for when somebody asks."""
        return set(self._spared)


class Early:
    """lots: None: nobody may be drawn. others: who may go for another reason, and when."""

    def __init__(
        self, world: World, asked: Question, advice: Advice, *, most: bool, patient: datetime | None = None
    ) -> None:
        self.world = world
        self.key = asked.run.key
        self.flavor = asked.need.flavor
        self.most = most
        self.lots = lots_for(world, asked, advice, patient) if patient is not None else None
        self.others = (*self._sent_away(asked, advice), *self._recalled(asked), *self._staying_on(asked))
        self._drawn: dict[Key, Sooner | None] = {}

    @cached_property
    def told(self) -> Mapping[Key, Sooner]:
        """Of the others, each that goes before its end, and before it may be drawn."""
        found: dict[Key, Sooner] = {}
        for key, early in self.others:
            if early.at < min(self._end(key), self._lot(key), found[key].at if key in found else inf):
                found[key] = early
        return found

    def of(self, key: Key) -> Sooner | None:
        """None: it goes with its end."""
        return self.told.get(key) or self.drawn(key)

    def drawn(self, key: Key) -> Sooner | None:
        """When lots let it go before its end."""
        if self.lots is None:
            return None
        if key not in self._drawn:
            self._drawn[key] = self._drawn_from(key, self.lots)
        return self._drawn[key]

    @property
    def reckoned(self) -> Reckoning:
        """In which timetable."""
        lots = Reckoning.LOTS if self.lots is not None else Reckoning.ENDS
        return Reckoning.LONGEST if self.most else lots

    def otherwise(self) -> Mapping[Key, float]:
        """When those go who go at another time than the timetable says; never: infinite."""
        kept = self.lots.spared if self.lots is not None else ()
        told = {key: early.at for key, early in self.told.items()}
        return {**{key: self._end(key) for key in kept}, **told, self.key: inf}

    def moments(self) -> Iterator[float]:
        """When any of them goes, by lots, sorted; a moment may come more than once."""
        for _, key in self.world.quanta.ripening(self.flavor) if self.lots is not None else ():
            if key not in self.told and (early := self.drawn(key)) is not None:
                yield early.at

    def at(self, at: float) -> list[Key]:
        """Who goes at that very moment, in the order in which they do."""
        found = [(early.order, key) for key, early in self.told.items() if early.at == at]
        if self.lots is not None and at >= self.lots.first:
            for until, key in self.world.quanta.ripening(self.flavor):
                if until.timestamp() > at:
                    break
                if key not in self.told and (early := self.drawn(key)) is not None and early.at == at:
                    found.append((early.order, key))
        return [key for _, key in sorted(found)]

    def _drawn_from(self, key: Key, lots: Lots) -> Sooner | None:
        until = self.world.quanta.over(key, self.flavor)
        if until is None or key in lots.spared:
            return None
        at = max(lots.first, until)
        return Sooner(at, Basis.PATIENCE, (0, until, key)) if at < self._end(key) else None

    def _lot(self, key: Key) -> float:
        drawn = self.drawn(key)
        return inf if drawn is None else drawn.at

    def _end(self, key: Key) -> float:
        end = self.world.ends.leaving(key, self.flavor, most=self.most)
        return inf if end is None else end.at

    def _sent_away(self, asked: Question, advice: Advice) -> Iterator[tuple[Key, Sooner]]:
        """Who uses the places that it was promised is there until then at most, where anybody can be sent away.

        Or, once the time has come, until its least runtime is over: who could have been sent away already was not.
        """
        world, said = self.world, asked.said
        known = world.promises.by_run.get(self.key)
        if known is None or said is None or not (said.shares and advice.stages):
            return
        at, basis = known.status.earliest_start, known.status.basis
        if at is None or basis is None:
            return
        for number, key in enumerate(guests(world, self.key)):
            guest = world.run(key)
            until = sent_away_at(world, guest, at) if guest is not None else at
            if until > world.now:
                yield key, Sooner(until.timestamp(), basis, (1, number, key))

    def _recalled(self, asked: Question) -> Iterator[tuple[Key, Sooner]]:
        """Who is left without a payer goes with its least runtime, as other work that nobody pays for."""
        for number, one in enumerate(asked.recalls.runs):
            if one.since > self.world.now:
                yield one.run, Sooner(one.since.timestamp(), one.basis, (2, number, one.run))

    def _staying_on(self, asked: Question) -> Iterator[tuple[Key, Sooner]]:
        """Who may be sent away at any time is gone with the first that ends by itself, or is recalled.

        Not sooner: with nothing but its places this one would have started already.
        """
        ends, flavor, now = self.world.ends, self.flavor, self.world.now
        first = next(ends.soonest(flavor, most=self.most), None)
        gone = ends.leaving(first.run, flavor, most=self.most) if first is not None else None
        at = min(
            [one.since.timestamp() for one in asked.recalls.runs if one.since > now]
            + ([] if gone is None else [gone.at]),
            default=None,
        )
        if at is not None:
            ripe = (one.run for one in asked.recalls.runs if one.since <= now)
            but = {self.key, *([first.run] if first is not None and gone is not None and gone.at == at else [])}
            for number, key in enumerate((*ends.staying_on(flavor), *ripe)):
                if key not in but:
                    yield key, Sooner(at, Basis.ENDS, (3, number, key))


def lots_for(world: World, asked: Question, advice: Advice, patient: datetime) -> Lots | None:
    """patient: when its patience is over."""
    others = spared(world, asked.run, asked.need.flavor, advice)
    return Lots(max(patient, world.now), chain([asked.run.key], others))

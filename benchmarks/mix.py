"""What teams that train language models ask of a fleet: many small runs, and few wide gangs that take most of it."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import accumulate, count

import attrs

from benchmarks.workload import BEGIN, At, Owner, Shape, duration, owned, run_of, saying
from runs_core.values.change import RunSeen

HOUR = timedelta(hours=1)
GROUP = 64
"""GPUs of a gang that are to lie in one domain, where it is wider."""
WIDEST = 24
"""No gang is wider than that part of the fleet."""
WEEKDAY, WEEKEND = 1.1, 0.75
"""Arrivals, as times the mean: five days and two of them are a week of seven."""


@attrs.frozen
class Kind:
    """weight: so many of all runs are such. hours: of work, on average."""

    gpus: int
    weight: float
    hours: float


KINDS = (
    Kind(1, 52_000, 1.5),
    Kind(2, 9_000, 2),
    Kind(4, 9_000, 3),
    Kind(8, 19_000, 4),
    Kind(16, 4_500, 6),
    Kind(32, 3_000, 9),
    Kind(64, 2_000, 12),
    Kind(128, 900, 18),
    Kind(256, 400, 24),
    Kind(512, 140, 32),
    Kind(1024, 40, 40),
    Kind(2048, 15, 48),
    Kind(4096, 5, 48),
)


@attrs.frozen(kw_only=True)
class Mix:
    """load: GPU-time asked for ÷ the fleet's. burst: times the fleet's GPUs that are asked for at once, at the start.

    says: part of the runs that declare how long they take, at most so many times as long as they do.
    """

    gpus: int
    load: float
    burst: float = 0.97
    says: float = 0.5
    times: float = 3.0
    owners: Sequence[Owner] = ()
    seed: int = 1

    @property
    def kinds(self) -> Sequence[Kind]:
        return [kind for kind in KINDS if kind.gpus * WIDEST <= self.gpus]

    @property
    def gpu_hours(self) -> float:
        """Of a run, on average."""
        kinds = self.kinds
        return sum(kind.weight * kind.gpus * kind.hours for kind in kinds) / sum(kind.weight for kind in kinds)

    @property
    def rate(self) -> float:
        """Arrivals per second, on average."""
        return self.load * self.gpus / self.gpu_hours / HOUR.total_seconds()

    def trace(self) -> Iterator[At]:
        """The burst, then Poisson arrivals without end, more of them on weekdays."""
        draw = random.Random(self.seed)
        numbers = count(1)
        drawn = self._drawn(draw)
        held = 0.0
        while held < self.burst * self.gpus:
            kind = next(drawn)
            # who is at work at any one moment is the likelier of a kind, the longer its runs take
            if draw.random() * KINDS[-1].hours < kind.hours:
                held += kind.gpus
                yield self._arrival(next(numbers), kind, BEGIN, draw)
        seconds, most = 0.0, self.rate * WEEKDAY
        while True:
            seconds += draw.expovariate(most)
            at = BEGIN + timedelta(seconds=round(seconds))
            if draw.random() * WEEKDAY < (WEEKDAY if at.weekday() < 5 else WEEKEND):
                yield self._arrival(next(numbers), next(drawn), at, draw)

    def _drawn(self, draw: random.Random) -> Iterator[Kind]:
        kinds = self.kinds
        sums = list(accumulate(kind.weight for kind in kinds))
        while True:
            yield draw.choices(kinds, cum_weights=sums)[0]

    def _arrival(self, number: int, kind: Kind, at: datetime, draw: random.Random) -> At:
        shape = Shape(gpus=kind.gpus, group_gpus=GROUP if kind.gpus > GROUP else None)
        lasts = duration(draw, kind.hours * HOUR)
        run = owned(run_of(number, shape, lasts, at), draw, self.owners)
        if draw.random() < self.says:
            run = saying(run, draw.uniform(1, self.times))
        return at, RunSeen(run)

"""What a simulation is measured with: waits, levels over time, a timeline of bounded length. Sums are of integers."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from runs_core.serve.summary import ForecastError, Waited
from runs_core.values.reservation import Basis

MICROSECOND = timedelta(microseconds=1)
_SECOND = 1_000_000


def seconds(span: timedelta) -> float:
    """As JSON has it."""
    return span // MICROSECOND / _SECOND


class Waits:
    """Waits of one kind of runs, eight bytes each."""

    def __init__(self) -> None:
        self._micros = array("q")

    @classmethod
    def of(cls, parts: Iterable[Waits]) -> Waits:
        """All of them together."""
        whole = cls()
        for part in parts:
            whole._micros.extend(part)
        return whole

    def __iter__(self) -> Iterator[int]:
        return iter(self._micros)

    def add(self, wait: timedelta) -> None:
        self._micros.append(wait // MICROSECOND)

    def summary(self) -> Waited:
        """Seconds. A percentile is the least wait that at least so many percent of the starts did not exceed."""
        ordered = sorted(self._micros)
        if not ordered:
            return Waited(starts=0)
        p50, p90, p99 = (nearest_rank(ordered, percent) / _SECOND for percent in (50, 90, 99))
        mean = round(sum(ordered) / len(ordered) / _SECOND, 6)
        return Waited(starts=len(ordered), mean=mean, p50=p50, p90=p90, p99=p99, max=ordered[-1] / _SECOND)


class Errors:
    """How far off forecasts of one basis were, in whole seconds; negative: the run started earlier."""

    def __init__(self) -> None:
        self._seconds = array("q")

    def add(self, error: int) -> None:
        self._seconds.append(error)

    def summary(self, basis: Basis) -> ForecastError:
        """Of what was added: at least one."""
        ordered = sorted(map(abs, self._seconds))
        return ForecastError(
            basis=basis,
            forecasts=len(ordered),
            late=sum(error > 0 for error in self._seconds),
            mean=round(sum(ordered) / len(ordered), 6),
            p50=nearest_rank(ordered, 50),
            p90=nearest_rank(ordered, 90),
            max=ordered[-1],
        )


def nearest_rank(ordered: Sequence[int], percent: int) -> int:
    """The value at rank ⌈percent/100 · n⌉, counted from 1."""
    return ordered[max(0, -(-percent * len(ordered) // 100) - 1)]


class Mean:
    """The time-weighted mean of a level, and its highest value that lasted."""

    def __init__(self) -> None:
        self._sum = 0
        self._micros = 0
        self.highest = 0

    def add(self, level: int, micros: int) -> None:
        if micros > 0:
            self._sum += level * micros
            self._micros += micros
            self.highest = max(self.highest, level)

    @property
    def total(self) -> int:
        """Level times microseconds."""
        return self._sum

    def over(self, unit: int) -> float | None:
        """The mean as a part of `unit`; None before any time has passed, or without a unit."""
        return round(self._sum / (self._micros * unit), 6) if self._micros and unit else None


class Bucket(NamedTuple):
    """The sums of each level times microseconds, and the microseconds."""

    micros: int
    sums: tuple[int, ...]


class Timeline:
    """Several levels over time in at most `most` buckets: when they are full, pairs are merged and the step doubles."""

    def __init__(self, start: datetime, step: timedelta, most: int = 400) -> None:
        self.start = start
        self._step = max(1, step // MICROSECOND)
        self._most = most
        self._buckets: list[Bucket] = []
        self._end = 0

    def add(self, until: datetime, levels: tuple[int, ...]) -> None:
        """The levels were these since the last call (the first time: since the start)."""
        end = (until - self.start) // MICROSECOND
        while end > self._step * self._most:
            self._merge()
        for micros in self._parts(end):
            added = tuple(level * micros for level in levels)
            index = self._end // self._step
            if index < len(self._buckets):
                bucket = self._buckets[index]
                sums = tuple(old + new for old, new in zip(bucket.sums, added, strict=True))
                self._buckets[index] = Bucket(bucket.micros + micros, sums)
            else:
                self._buckets.append(Bucket(micros, added))
            self._end += micros

    def _parts(self, end: int) -> Iterator[int]:
        """The time up to `end`, cut where buckets meet."""
        at = self._end
        while at < end:
            edge = min(end, (at // self._step + 1) * self._step)
            yield edge - at
            at = edge

    def _merge(self) -> None:
        pairs = [self._buckets[at : at + 2] for at in range(0, len(self._buckets), 2)]
        self._buckets = [
            Bucket(sum(b.micros for b in pair), tuple(map(sum, zip(*(b.sums for b in pair), strict=True))))
            for pair in pairs
        ]
        self._step *= 2

    @property
    def step(self) -> timedelta:
        """How long a bucket is; the last may be shorter."""
        return self._step * MICROSECOND

    @property
    def end(self) -> datetime:
        """Up to when levels are known."""
        return self.start + self._end * MICROSECOND

    def means(self, level: int, unit: int) -> list[float]:
        """One level's mean in each bucket, as a part of `unit`."""
        return [round(bucket.sums[level] / (bucket.micros * unit), 6) for bucket in self._buckets] if unit else []

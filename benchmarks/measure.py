"""Ratios within one run: A, B, A, B …, so that whatever else the machine does falls on both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median
from time import process_time


def cpu_of(work: Callable[[], object]) -> float:
    """Seconds of CPU."""
    began = process_time()
    work()
    return process_time() - began


PACE = "ns of CPU for one turn of an empty loop"


def pace() -> float:
    """How fast this Python is here and now: the same code takes longer on a busy machine, in CPU time too."""
    turns = 2_000_000

    def loop() -> None:
        for _ in range(turns):
            pass

    return cpu_of(loop) / turns * 1e9


def median_ratio(
    above: Callable[[], float], below: Callable[[], float], repetitions: int
) -> tuple[float, float, float]:
    """The median of above / below over interleaved repetitions, and the median of each."""
    pairs = interleaved(above, below, repetitions)
    return median(a / b for a, b in pairs), median(a for a, _ in pairs), median(b for _, b in pairs)


def interleaved(
    above: Callable[[], float], below: Callable[[], float], repetitions: int
) -> Sequence[tuple[float, float]]:
    """Both, in turn."""
    return [(above(), below()) for _ in range(repetitions)]


def percentile(values: Sequence[float], part: float) -> float:
    """The value that this part of all values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]

"""What is used is counted once, forward only: by lease in whole seconds, by envelope in microseconds."""

from __future__ import annotations

from typing import Any

from runs_core import Class, Lease, Split

from runs_budgets.claims import CLASSES, Claim
from runs_budgets.clock import SECOND, micros

_PLACE = {cls: place for place, cls in enumerate(CLASSES)}
FRESH = -1
"""In place of a class: not found yet."""
Counts = list[int]
"""By class, in the order of CLASSES."""


Mark = tuple[tuple[int, ...], int, int]
"""What a lease's status says: GPU-seconds by class, the class at last, and until when (microseconds)."""


def mark_of(lease: Lease) -> Mark | None:
    """The last checkpoint of a lease's meter; None: it has none yet."""
    status: Any = lease.status
    if getattr(status, "metered_until", None) is None:
        return None
    by = status.gpu_seconds
    last = _PLACE[status.metered_as or Class.UNFUNDED]
    return (by.owned, by.shared, by.borrowed, by.unfunded), last, micros(status.metered_until)


def split_of(counts: Counts) -> Split:
    """The same as a value."""
    return Split(owned=counts[0], shared=counts[1], borrowed=counts[2], unfunded=counts[3])


class Tally:
    """GPU-microseconds by class, of GPUs by class that are held since `at` (microseconds)."""

    __slots__ = ("at", "gpus", "spent")

    def __init__(self, at: int) -> None:
        self.at = at
        self.gpus: Counts = [0, 0, 0, 0]
        self.spent: Counts = [0, 0, 0, 0]

    def accrue(self, now: int) -> None:
        """Count what was held until now."""
        passed = now - self.at
        if passed:
            gpus, spent = self.gpus, self.spent
            for place in range(4):
                if gpus[place]:
                    spent[place] += gpus[place] * passed
            self.at = now

    def until(self, now: int) -> Counts:
        """What `spent` would be."""
        passed = now - self.at
        return [spent + gpus * passed for spent, gpus in zip(self.spent, self.gpus, strict=True)]

    def save(self) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
        """For `restore`."""
        return self.at, tuple(self.gpus), tuple(self.spent)

    def restore(self, saved: tuple[int, tuple[int, ...], tuple[int, ...]]) -> None:
        """Exactly as it was."""
        self.at = saved[0]
        self.gpus[:] = saved[1]
        self.spent[:] = saved[2]


class Holding:
    """An open lease. start: microseconds; cls: what it counts as now, since `seconds` whole seconds after its start.

    spent: GPU-seconds by class until then; None while there are none. seen: when it became known; mark: what was
    metered of it before. order: among the leases of its claim.
    """

    __slots__ = ("claim", "cls", "gpus", "group", "mark", "order", "seconds", "seen", "spec", "spent", "start")

    def __init__(self, lease: Lease, claim: Claim | None, seen: int) -> None:
        spec = lease.spec
        self.spec = spec
        self.claim = claim
        self.gpus = lease.gpus
        self.group = spec.group
        self.order = (spec.group, spec.role, spec.part, lease.meta.name)
        self.start = micros(spec.start)
        self.seen = seen
        self.mark = mark_of(lease)
        self.begin()

    def begin(self) -> None:
        """As it was when it became known, its class not yet found."""
        self.cls = FRESH
        self.seconds = 0
        self.spent: Counts | None = None
        if self.mark is not None:
            self.spent = list(self.mark[0])
            self.seconds = max(0, self.mark[2] - self.start) // SECOND

    def turn(self, cls: int, now: int) -> None:
        """From now on it counts as another class."""
        seconds = (now - self.start) // SECOND
        if seconds > self.seconds:
            if self.spent is None:
                self.spent = [0, 0, 0, 0]
            self.spent[self.cls] += self.gpus * (seconds - self.seconds)
            self.seconds = seconds
        self.cls = cls

    def until(self, now: int) -> Counts:
        """GPU-seconds by class: in all its GPUs times the whole seconds since its start."""
        counts = [0, 0, 0, 0] if self.spent is None else self.spent.copy()
        counts[self.cls] += self.gpus * max(0, (now - self.start) // SECOND - self.seconds)
        return counts

    def save(self) -> tuple[int, int, tuple[int, ...] | None]:
        """For `restore`."""
        return self.cls, self.seconds, None if self.spent is None else tuple(self.spent)

    def restore(self, saved: tuple[int, int, tuple[int, ...] | None]) -> None:
        """Exactly as it was."""
        self.cls, self.seconds = saved[:2]
        self.spent = None if saved[2] is None else list(saved[2])

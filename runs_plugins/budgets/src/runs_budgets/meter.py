"""What is used is counted once, forward only: by lease in whole seconds, by envelope in microseconds."""

from __future__ import annotations

from runs_budgets.claims import CLASSES, Claim
from runs_budgets.clock import SECOND, micros
from runs_core import Class, Lease, Split

_PLACE = {cls: place for place, cls in enumerate(CLASSES)}
FRESH = -1
"""In place of a class: not found yet."""
UNSEEN = -1
"""In place of the moment at which a lease became known: earlier than anything that is decided."""
Counts = list[int]
"""By class, in the order of CLASSES."""


Mark = tuple[tuple[int, ...], int, int]
"""What a lease's status says: GPU-seconds by class, the class at last, and until when (microseconds)."""


def mark_of(lease: Lease) -> Mark | None:
    """The last checkpoint of a lease's meter; None: it has none yet."""
    status = lease.status
    if status.metered_until is None or status.gpu_seconds is None:
        return None
    by = status.gpu_seconds
    last = _PLACE[status.metered_as or Class.UNFUNDED]
    return (by.owned, by.shared, by.borrowed, by.unfunded), last, micros(status.metered_until)


def latest(mark: Mark, spent: int) -> Counts:
    """By class, the last so many GPU-microseconds before a lease's checkpoint.

    Of the class at last no more than the checkpoint counts in it; what is missing was another class, before it turned.
    """
    counts, last, _ = mark
    found = [0] * len(counts)
    for place in (last, *(place for place in range(len(counts)) if place != last)):
        found[place] = min(spent, counts[place] * SECOND)
        spent -= found[place]
    found[last] += spent  # less than a second of each GPU is in no count yet
    return found


def split_of(counts: Counts) -> Split:
    """The same as a value."""
    return Split(owned=counts[0], shared=counts[1], borrowed=counts[2], unfunded=counts[3])


class Tally:
    """GPU-microseconds by class, of GPUs by class. At any moment a class has spent `base + gpus x moment`.

    So a change costs the same whether time has passed or not, and what is counted depends on no look in between.
    """

    __slots__ = ("base", "gpus")

    def __init__(self) -> None:
        self.gpus: Counts = [0, 0, 0, 0]
        self.base: Counts = [0, 0, 0, 0]

    def hold(self, cls: int, gpus: int, now: int) -> None:
        """So many GPUs more (or fewer) from now on."""
        self.gpus[cls] += gpus
        self.base[cls] -= gpus * now

    def until(self, now: int) -> Counts:
        """Spent until then, by class."""
        return [base + gpus * now for base, gpus in zip(self.base, self.gpus, strict=True)]

    def save(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """For `restore`."""
        return tuple(self.gpus), tuple(self.base)

    def restore(self, saved: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
        """Exactly as it was."""
        self.gpus[:], self.base[:] = saved


class Holding:
    """An open lease. start: microseconds; cls: what it counts as now, since `seconds` whole seconds after its start.

    spent: GPU-seconds by class until then; None while there are none. seen: when it became known; mark: what was
    metered of it before.
    """

    __slots__ = ("claim", "cls", "gpus", "mark", "name", "seconds", "seen", "spec", "spent", "start")

    def __init__(self, lease: Lease, start: int, seen: int) -> None:
        spec = lease.spec
        slots = spec.slots
        self.spec = spec
        self.name = lease.meta.name
        self.claim: Claim | None = None
        self.gpus = len(slots[0].ordinals) if len(slots) == 1 else lease.gpus
        self.start = start
        self.seen = seen
        self.mark = mark_of(lease)
        self.begin()

    @property
    def order(self) -> tuple[object, ...]:
        """Among the leases of its claim."""
        return self.spec.group, self.spec.role, self.spec.part, self.name

    def __repr__(self) -> str:
        return f"Holding({self.name})"

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

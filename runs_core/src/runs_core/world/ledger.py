"""The open leases, by run and by node, and the head: one number that stands for every opening and closure so far."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from typing import TypeVar

from runs_core.values.lease import Lease
from runs_core.values.meta import Key
from runs_core.values.quantity import format_time

K = TypeVar("K")
MODULUS = 1 << 256


def entry(lease: Lease, *, closing: bool) -> int:
    """What one opening or closure adds to the head. Everything but names that a restore would change.

    The text is `open` or `close`, then namespace/name, run uid, slots and start, or end and reason.
    """
    spec = lease.spec
    if closing:
        assert lease.status.end is not None
        body = f"close|{lease.key}|{spec.run_ref.uid}|{format_time(lease.status.end)}|{lease.status.closure_reason}"
    else:
        slots = ";".join([f"{part.node}:{_places(part.ordinals)}" for part in spec.slots])
        body = f"open|{lease.key}|{spec.run_ref.uid}|{slots}|{format_time(spec.start)}"
    return int.from_bytes(sha256(body.encode()).digest())


@lru_cache(maxsize=4096)
def _places(ordinals: tuple[int, ...]) -> str:
    """Nodes have few places, and so there are few such texts."""
    return ",".join(map(str, ordinals))


def fold(head: int, *entries: int) -> int:
    """The head after more entries: a sum, so that their order does not matter."""
    return (head + sum(entries)) % MODULUS


class Ledger:
    """Open leases. head: over all that were ever opened or closed."""

    def __init__(self) -> None:
        self.open: dict[Key, Lease] = {}
        self.by_run: dict[Key, dict[Key, Lease]] = {}
        self.by_node: dict[str, dict[Key, Lease]] = {}
        self.head = 0

    def leases_of(self, run: Key) -> Sequence[Lease]:
        """The run's open leases, by name."""
        found = self.by_run.get(run)
        if not found:
            return ()
        return list(found.values()) if len(found) == 1 else [found[key] for key in sorted(found)]

    def add(self, lease: Lease) -> None:
        key = lease.key
        self.open[key] = lease
        self.by_run.setdefault(lease.run, {})[key] = lease
        for slots in lease.spec.slots:
            self.by_node.setdefault(slots.node, {})[key] = lease

    def remove(self, lease: Lease) -> None:
        key = lease.key
        del self.open[key]
        _drop(self.by_run, lease.run, key)
        for slots in lease.spec.slots:
            _drop(self.by_node, slots.node, key)


def _drop(index: dict[K, dict[Key, Lease]], outer: K, key: Key) -> None:
    inner = index[outer]
    del inner[key]
    if not inner:
        del index[outer]

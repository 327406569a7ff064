"""What a new leader looks at, and finishes, before it decides anything."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import attrs

from runs_core.cluster.kube import paths
from runs_core.cluster.kube.api import Api, Object
from runs_core.cluster.kube.reflect import Listed, everything
from runs_core.cluster.kube.writer import THREADS, Writer
from runs_core.values.lease import Lease

Place = tuple[str, int]
"""A node, and one of the ledger's places on it."""
WRITTEN = ("Run", "GPULease", "Reservation", "Resolution", "Pod")
"""Kinds whose objects a leader writes as it decides."""


@attrs.frozen(kw_only=True)
class Held:
    """What open leases hold: places, and runs by uid, each with an attempt."""

    places: AbstractSet[Place]
    runs: Mapping[str, int]

    @classmethod
    def of(cls, leases: Iterable[Object]) -> Held:
        """By these leases, as the server has them."""
        held = [item for item in leases if not (item.get("status") or {}).get("closed")]
        places = {(node, at) for item in held for node, found in item["spec"]["slots"].items() for at in found}
        return cls(places=places, runs={item["spec"]["runRef"]["uid"]: item["spec"]["attempt"] for item in held})

    def allows(self, lease: Lease) -> bool:
        """Whether nobody is in its places, and no other attempt of its run has any."""
        attempt = self.runs.get(lease.spec.run_ref.uid, lease.spec.attempt)
        return attempt == lease.spec.attempt and self.places.isdisjoint(_places(lease))


def look_again(api: Api) -> list[Listed]:
    """What a leader writes: a watch may be late, and what the one before wrote must not be decided again."""
    with ThreadPoolExecutor(max_workers=len(WRITTEN), thread_name_prefix="look") as pool:
        return list(pool.map(lambda kind: everything(api, kind, paths.LISTS[kind]), WRITTEN))


def adopt(leases: Sequence[Lease], writer: Writer, opened: Callable[[Lease], None]) -> None:
    """Open what the leader before may still be opening: its own late writes then change nothing.

    It has sent none before whoever was there had left. What is refused now would be to it as well. Runs that have
    all of their leases go on, others are undone.
    """
    if not leases:
        return
    with ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="adopt") as pool:
        for refusal in pool.map(lambda lease: writer.attempt(partial(opened, lease)), leases):
            if refusal is not None and refusal.passing:
                raise refusal


def _places(lease: Lease) -> Iterator[Place]:
    for slots in lease.spec.slots:
        yield from ((slots.node, at) for at in slots.ordinals)

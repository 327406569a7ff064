"""What a new leader looks at, and finishes, before it decides anything."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import attrs

from runs_core.cluster.kube import paths
from runs_core.cluster.kube.api import Api, Object
from runs_core.cluster.kube.decode import news
from runs_core.cluster.kube.mirror import Mirror
from runs_core.cluster.kube.reading import Reader, Seen
from runs_core.cluster.kube.reflect import Listed, everything
from runs_core.cluster.kube.tries import Tries
from runs_core.cluster.kube.writer import THREADS, Writer
from runs_core.schema.convert import UNREADABLE
from runs_core.values.lease import Lease, mask_of

WRITTEN = ("Run", "GPULease", "Reservation", "Resolution", "Pod")
"""Kinds whose objects a leader writes as it decides."""
ADOPT_SECONDS = 15.0
"""How long a lease is tried to be opened; then whoever takes over comes round, and begins anew."""


@attrs.frozen(kw_only=True)
class Held:
    """What open leases hold: places, as a mask for each node, and runs by uid, each with an attempt."""

    places: Mapping[str, int]
    runs: Mapping[str, int]

    @classmethod
    def of(cls, leases: Sequence[Seen], mirror: Mirror) -> Held:
        """By these leases, those that were known before as the mirror has them."""
        places: defaultdict[str, int] = defaultdict(int)
        runs: dict[str, int] = {}
        for seen in leases:
            known = seen.value or mirror.last(("GPULease", seen.key))
            if seen.unread is not None:
                if (said := _said(seen.unread)) is None:
                    continue
                closed, uid, attempt, masks = said
            elif isinstance(known, Lease):
                closed, uid, attempt = known.status.closed, known.spec.run_ref.uid, known.spec.attempt
                masks = _masks(known)
            else:
                continue
            if not closed:
                runs[uid] = attempt
                for node, mask in masks.items():
                    places[node] |= mask
        return cls(places=places, runs=runs)

    def allows(self, lease: Lease) -> bool:
        """Whether nobody is in its places, and no other attempt of its run has any."""
        attempt = self.runs.get(lease.spec.run_ref.uid, lease.spec.attempt)
        free = not any(self.places.get(node, 0) & mask for node, mask in _masks(lease).items())
        return attempt == lease.spec.attempt and free


def look_again(api: Api, reader: Reader) -> list[Listed[Seen]]:
    """What a leader writes: a watch may be late, and what the one before wrote must not be decided again."""

    def look(kind: str) -> Listed[Seen]:
        decode = news(partial(reader.knows, kind))
        return everything(api, kind, paths.LISTS[kind], partial(reader.seen, kind), decode=decode)

    with ThreadPoolExecutor(max_workers=len(WRITTEN), thread_name_prefix="look") as pool:
        return list(pool.map(look, WRITTEN))


def adopt(leases: Sequence[Lease], writer: Writer, opened: Callable[[Lease], None]) -> None:
    """Open what the leader before may still be opening: its own late writes then change nothing.

    It has sent none before whoever was there had left. What is refused now would be to it as well. Runs that have
    all of their leases go on, others are undone. Refused: one cannot be opened now.
    """
    if not leases:
        return
    pool = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="adopt")
    try:
        for refusal in pool.map(lambda lease: writer.attempt(partial(opened, lease), Tries(ADOPT_SECONDS)), leases):
            if refusal is not None and refusal.passing:
                raise refusal
    finally:
        pool.shutdown(cancel_futures=True)


def _said(unread: Object) -> tuple[bool, str, int, dict[str, int]] | None:
    """Of a lease that cannot be read: whether it is closed, its run, attempt, and places. None: not even that."""
    try:
        spec, closed = unread["spec"], bool((unread.get("status") or {}).get("closed"))
        masks = {node: mask_of(tuple(found)) for node, found in spec["slots"].items()}
        return closed, str(spec["runRef"]["uid"]), int(spec["attempt"]), masks
    except UNREADABLE:
        return None


def _masks(lease: Lease) -> dict[str, int]:
    return {slots.node: slots.mask for slots in lease.spec.slots}

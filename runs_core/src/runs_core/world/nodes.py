"""One node: what is known of it, what lies on it, and what is free there."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from runs_core.values.node import Node
from runs_core.values.template import Requests

if TYPE_CHECKING:
    from runs_core.world.domains import DomainFleet
    from runs_core.world.flavors import FlavorFleet


@lru_cache(maxsize=4096)
def lowest(mask: int, count: int) -> tuple[int, ...]:
    """Its `count` lowest bits. Remembered: nodes have few places, and so there are few such masks."""
    found = []
    for _ in range(count):
        low = mask & -mask
        found.append(low.bit_length() - 1)
        mask ^= low
    return tuple(found)


class NodeState:
    """One node name: what is known of it and what lies on it. Outlives the Node object while something holds it.

    open: present, ready, not cordoned, not lost. active, spare: masks of held places; pledged: of those that are bound
    to a run which cannot take them yet; kept: of those that are promised to runs for later. withheld: GPUs that are
    free but for that. changes: counts up whenever anything comes or goes here, but for what-ifs. The others are sums
    over pods on it that have not ended; foreign_gpus: of pods not ours.
    """

    __slots__ = (
        "active",
        "bit",
        "changes",
        "cpu",
        "domain",
        "ephemeral",
        "flavor",
        "foreign_gpus",
        "kept",
        "level",
        "memory",
        "name",
        "node",
        "open",
        "pledged",
        "pods",
        "spare",
        "withheld",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.node: Node | None = None
        self.open = False
        self.domain: DomainFleet | None = None
        self.flavor: FlavorFleet | None = None
        self.bit = self.changes = 0
        self.level = -1
        self.active = self.spare = self.pledged = self.kept = self.withheld = 0
        self.cpu = self.memory = self.ephemeral = self.pods = self.foreign_gpus = 0

    def changed(self) -> None:
        """Something has come or gone here, or is expected to go at another time."""
        self.changes += 1
        if self.domain is not None:
            self.domain.changes += 1

    @property
    def taken(self) -> int:
        """Mask of the places that nothing new may have."""
        return self.active | self.spare | self.pledged | self.kept

    @property
    def held(self) -> int:
        """GPUs with an open lease."""
        return (self.active | self.spare).bit_count()

    @property
    def shrunk(self) -> bool:
        """Offers fewer GPUs than its open leases hold: it takes nothing new until they close or it recovers."""
        return self.node is not None and (self.active | self.spare) >> self.node.gpus != 0

    @property
    def usable(self) -> bool:
        return self.open and not self.shrunk

    def free(self) -> int:
        """GPUs that something new could take here, were the node usable."""
        return self.free_but(self.kept)

    def free_but(self, kept: int) -> int:
        """The same, were these the places that are promised to others."""
        if self.node is None:
            return 0
        taken = self.active | self.spare | self.pledged | kept
        return max(0, self.node.gpus - taken.bit_count() - self.foreign_gpus)

    def places(self, count: int, but: int = 0) -> tuple[int, ...]:
        """The lowest `count` free places, leaving out the mask `but`."""
        assert self.node is not None
        return lowest(((1 << self.node.gpus) - 1) & ~(self.taken | but), count)

    def room(self, requests: Requests, *, empty: bool = False) -> int:
        """How many pods of these requests fit beside what is there, or as if nothing were; GPUs aside."""
        node = self.node
        assert node is not None
        used = 0 if empty else 1
        most = node.pods - used * self.pods
        if requests.cpu_milli:
            most = min(most, (node.cpu_milli - used * self.cpu) // requests.cpu_milli)
        if requests.memory_bytes:
            most = min(most, (node.memory_bytes - used * self.memory) // requests.memory_bytes)
        if requests.ephemeral_bytes:
            most = min(most, (node.ephemeral_bytes - used * self.ephemeral) // requests.ephemeral_bytes)
        return max(0, most)

    def idle(self) -> bool:
        """Nothing is known of it: the name can be forgotten."""
        return self.node is None and not (self.taken or self.pods or self.foreign_gpus)

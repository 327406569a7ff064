"""The cluster in a few numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from types import MappingProxyType

import attrs

from runs_core.decide.aside import why_aside
from runs_core.values.node import Node
from runs_core.values.run import Phase
from runs_core.world.world import World


@attrs.frozen(kw_only=True)
class Nodes:
    """Each node counts once: set_aside (malformed), else lost, else not_ready, else cordoned, else ready."""

    ready: int = 0
    cordoned: int = 0
    lost: int = 0
    not_ready: int = 0
    set_aside: int = 0


@attrs.frozen(kw_only=True)
class Aside:
    """A node that takes nothing, and why."""

    node: str
    why: str


@attrs.frozen(kw_only=True)
class Status:
    """head: the ledger's, which changes with every lease that opens or closes. runs: how many, by phase.

    aside: the nodes that take nothing until somebody mends them, by name: set aside, or shrunk under their leases.
    """

    now: datetime
    nodes: Nodes
    runs: Mapping[str, int]
    head: str
    aside: tuple[Aside, ...] = ()


def state_of(node: Node) -> str:
    """The one word for a node: lost, not_ready, cordoned or ready."""
    if node.lost:
        return "lost"
    if not node.ready:
        return "not_ready"
    return "cordoned" if node.cordoned else "ready"


def _aside(world: World) -> Iterator[Aside]:
    for name in sorted({*world.fleet.malformed, *world.fleet.states}):
        why = why_aside(world, name)
        if why is not None:
            yield Aside(node=name, why=why)


def status(world: World) -> Status:
    """O(nodes + runs)."""
    nodes = Counter(state_of(node) for node in world.nodes())
    runs = Counter(run.status.phase for run in world.runs())
    return Status(
        now=world.now,
        nodes=Nodes(**nodes, set_aside=len(world.fleet.malformed)),
        runs=MappingProxyType({str(phase): runs[phase] for phase in Phase}),
        head=f"{world.ledger.head:064x}",
        aside=tuple(_aside(world)),
    )

"""Nodes that take nothing, and runs nobody can read, until somebody mends them: each is named in an event."""

from __future__ import annotations

from runs_core.decide.batch import Batch
from runs_core.values.effect import Effect, Emit
from runs_core.values.meta import Key
from runs_core.values.node import MalformedNode, Node
from runs_core.values.quantity import counted
from runs_core.world.world import World

UNTIL_THEN = "until then nothing is decided about it, and what it holds stays"


def aside_effects(world: World, batch: Batch) -> list[Effect]:
    """One event for each node, and each run, that was touched and is set aside."""
    names, world.touched_nodes = sorted(world.touched_nodes), set()
    unread, world.touched_unread = sorted(world.touched_unread), set()
    found: list[Effect] = [
        Emit("Run", key, "SetAside", f"{why}; {UNTIL_THEN}", world.now, warning=True, once=True)
        for key in unread
        if (why := world.unread(key)) is not None
    ]
    for name in names:
        why = why_aside(world, name)
        if why is not None:
            found.append(Emit("Node", Key("", name), "SetAside", why, world.now, warning=True, once=True))
    batch.add(found)
    return found


def why_aside(world: World, name: str) -> str | None:
    """Why the node takes nothing, where it is neither its health nor somebody's wish; None: it is not set aside."""
    node = world.node(name)
    if isinstance(node, MalformedNode):
        return node.why
    state = world.fleet.states.get(name)
    if isinstance(node, Node) and state is not None and state.shrunk:
        offers = f"offers {counted(node.gpus, 'GPU')}, fewer than its open leases hold places on"
        return f"{offers}; it takes nothing new until they close"
    return None

"""What undoes a change: asked before it is taken up, and applied when a what-if is over."""

from __future__ import annotations

from runs_core.values import change as c
from runs_core.world.known import Known
from runs_core.world.promises import Promised
from runs_core.world.resolutions import Kept
from runs_core.world.volumes import name_of

Declared = c.BudgetSeen | c.BudgetGone | c.NamespaceSeen | c.NamespaceGone | c.StorageSeen | c.StorageGone
"""Changes of what people declare beside runs."""
Rare = (
    c.RunGone
    | c.RunUnread
    | c.PodGone
    | c.LeaseGone
    | c.NodeSeen
    | c.NodeGone
    | c.StartRefused
    | c.PledgeSeen
    | c.PledgeGone
    | c.HeadSeen
    | Declared
    | Kept
    | Promised
)
"""Changes that do not come with every run, and say what undoes them before they are taken up."""


def inverse_of(world: Known, change: Rare) -> c.Change | None:
    """What undoes it, before it is taken up. None: it says nothing new."""
    match change:
        case c.RunGone(key):
            return c.RunSeen(gone) if (gone := world.run(key)) else None
        case c.RunUnread(key, why):
            return c.RunUnread(key, known_why) if (known_why := world.unread(key)) != why else None
        case c.PodGone(key):
            return c.PodSeen(was) if (was := world.gangs.pods.get(key)) else None
        case c.LeaseGone(key):
            return c.LeaseSeen(held) if (held := world.ledger.open.get(key)) else None
        case c.NodeSeen(node):
            known = world.node(node.name)
            return None if known == node else c.NodeSeen(known) if known else c.NodeGone(node.name)
        case c.NodeGone(name):
            return c.NodeSeen(known) if (known := world.node(name)) else None
        case c.StartRefused(key, refusal):
            known_refusal = world.refusal(key)
            return c.StartRefused(key, known_refusal) if known_refusal != refusal else None
        case c.PledgeSeen(pledge):
            bound = world.pledge(pledge.run)
            if bound == pledge:
                return None
            return c.PledgeSeen(bound) if bound is not None else c.PledgeGone(pledge.run)
        case c.PledgeGone(key):
            return c.PledgeSeen(bound) if (bound := world.pledge(key)) else None
        case c.HeadSeen(head):
            return c.HeadSeen(world.ledger.head) if head != world.ledger.head else None
        case _:
            return _of_declared(world, change)


def _of_declared(world: Known, change: Declared | Kept | Promised) -> c.Change | None:
    match change:
        case c.BudgetSeen(budget):
            b = world.budget(budget.name)
            return None if b == budget else c.BudgetSeen(b) if b else c.BudgetGone(budget.name)
        case c.BudgetGone(name):
            return c.BudgetSeen(b) if (b := world.budget(name)) else None
        case c.NamespaceSeen(ns):
            n = world.namespace(ns.name)
            return None if n == ns else c.NamespaceSeen(n) if n else c.NamespaceGone(ns.name)
        case c.NamespaceGone(name):
            return c.NamespaceSeen(n) if (n := world.namespace(name)) else None
        case c.StorageSeen(storage):
            kind, key = name_of(storage)
            s = world.volumes.things.get((kind, key))
            return None if s == storage else c.StorageSeen(s) if s else c.StorageGone(kind, key)
        case c.StorageGone(kind, key):
            return c.StorageSeen(s) if (s := world.volumes.things.get((kind, key))) else None
        case c.ReservationSeen() | c.ReservationGone():
            return world.promises.inverse(change)
        case _:
            return world.audits.inverse(change)

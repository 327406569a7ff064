"""What happens around the loop: people's runs, nodes that fail, pods that somebody else ends."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import datetime
from uuid import NAMESPACE_OID, uuid5

import attrs

from runs_core.decide.pods import DEFAULT_GRACE
from runs_core.testing.builders import NAMESPACE
from runs_core.testing.stage import Stage
from runs_core.values import change as c
from runs_core.values.budget import Budget, Namespace
from runs_core.values.meta import Key
from runs_core.values.node import OUT_OF_SERVICE, MalformedNode, Node, Taint
from runs_core.values.pod import Pod
from runs_core.values.run import Run, RunStatus
from runs_core.world.world import World

Name = Key | str
"""A run: its key, `namespace/name`, or its name alone in the builders' namespace."""
Thing = Node | MalformedNode | Run | Pod | Budget | Namespace


def key_of(name: Name) -> Key:
    if isinstance(name, Key):
        return name
    namespace, _, short = name.rpartition("/")
    return Key(namespace or NAMESPACE, short)


class Outside(ABC):
    """Puts things before the loop of a stage; the loop sees them when it next looks."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.losses = 0
        self._nodes: dict[str, Node] = {}
        self._submitted: dict[Key, int] = {}
        self._unseen: dict[Key, Run] = {}

    @property
    @abstractmethod
    def world(self) -> World:
        """What the loop knows."""

    @property
    def now(self) -> datetime:
        return self.stage.now

    def add(self, thing: Thing) -> None:
        """The object is there from now on, or is now so."""
        match thing:
            case Run():
                self.submit(thing)
            case Node():
                self.node(thing)
            case MalformedNode():
                self.stage.inject(c.NodeSeen(thing))
            case Pod():
                self.stage.inject(c.PodSeen(thing))
            case Budget():
                self.stage.inject(c.BudgetSeen(thing))
            case Namespace():
                self.stage.inject(c.NamespaceSeen(thing))

    def submit(self, run: Run) -> None:
        """Created now, with a status and, from the second time on, a uid of its own, as an API server does it."""
        times = self._submitted[run.key] = self._submitted.get(run.key, 0) + 1
        uid = run.uid if run.uid and times == 1 else str(uuid5(NAMESPACE_OID, f"{run.key}#{times}"))
        meta = attrs.evolve(run.meta, uid=uid, created=self.now, deleting=None)
        self._show(attrs.evolve(run, meta=meta, status=RunStatus()))

    def edit(self, name: Name, change: Callable[[Run], Run]) -> None:
        """Somebody writes the run's spec or metadata. Nothing happens where the run is gone by now."""
        known = self._unseen.get(key_of(name)) or self.world.run(key_of(name))
        if known is not None:
            changed = change(known)
            self._show(attrs.evolve(changed, meta=attrs.evolve(changed.meta, generation=known.meta.generation + 1)))

    def suspend(self, name: Name) -> None:
        self.edit(name, lambda run: attrs.evolve(run, spec=attrs.evolve(run.spec, suspend=True)))

    def resume(self, name: Name) -> None:
        self.edit(name, lambda run: attrs.evolve(run, spec=attrs.evolve(run.spec, suspend=False)))

    def cancel(self, name: Name) -> None:
        self.edit(name, lambda run: attrs.evolve(run, spec=attrs.evolve(run.spec, canceled=True)))

    def delete(self, name: Name) -> None:
        """Asked to go; it goes once the scheduler let it."""
        since = self.now
        self.edit(name, lambda run: attrs.evolve(run, meta=attrs.evolve(run.meta, deleting=run.meta.deleting or since)))

    def vanish(self, name: Name) -> None:
        """The object is taken away by force, and the scheduler is not asked."""
        self._unseen.pop(key_of(name), None)
        self.stage.inject(c.RunGone(key_of(name)))

    def node(self, node: Node) -> None:
        """The node is there, or is now so."""
        self._nodes[node.name] = node
        self.stage.inject(c.NodeSeen(node))

    def lose(self, name: str, *, taint: bool = False) -> None:
        """The node object is deleted, or tainted out of service."""
        self.losses += 1
        if taint:
            node = self._nodes[name]
            self.stage.inject(c.NodeSeen(attrs.evolve(node, taints=(*node.taints, Taint(key=OUT_OF_SERVICE)))))
        else:
            self.stage.inject(c.NodeGone(name))

    def restore(self, name: str) -> None:
        """The node is again as it was declared last."""
        self.stage.inject(c.NodeSeen(self._nodes[name]))

    def cordon(self, name: str) -> None:
        self.node(attrs.evolve(self._nodes[name], cordoned=True))

    def uncordon(self, name: str) -> None:
        self.node(attrs.evolve(self._nodes[name], cordoned=False))

    def set_aside(self, name: str, why: str = "capacity of nvidia.com/gpu: got 'eight'") -> None:
        """The node's labels or capacity became malformed."""
        self.stage.inject(c.NodeSeen(MalformedNode(name=name, why=why)))

    def evict(self, pod: Pod | Key, *, at_once: bool = False) -> None:
        """Somebody else ends the pod: with the grace that it has itself, or without any, so that it is gone at once."""
        key = pod.key if isinstance(pod, Pod) else pod
        known = self.world.gangs.pods.get(key)
        if at_once:
            self.stage.inject(c.PodGone(key))
        elif known is not None and known.deleting is None:
            self.stage.inject(c.PodSeen(attrs.evolve(known, deleting=self.now, grace=known.own_grace or DEFAULT_GRACE)))

    def refuse(self, times: int) -> None:
        """The next commits meet a Conflict."""
        left = [times]

        def refuses() -> bool:
            left[0] -= 1
            return left[0] >= 0

        self.stage.refuses = refuses

    def _show(self, run: Run) -> None:
        self._unseen[run.key] = run
        self.stage.inject(c.RunSeen(run))

    def seen(self) -> None:
        """The loop has looked: what a run was edited to is in its world now, or gone from it."""
        self._unseen.clear()

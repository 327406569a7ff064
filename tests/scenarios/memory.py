"""The cluster in memory, as simulations use it, as a stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import attrs
from tests.scenarios.stage import NONE, Object

from runs_core.hooks.registry import of
from runs_core.schema.convert import from_object, to_object
from runs_core.schema.nodes import node_from_object
from runs_core.schema.pods import pod_from_object, pod_to_object
from runs_core.schema.record import record_to_object
from runs_core.schema.storage import KINDS, storage_from_object
from runs_core.settings import Settings
from runs_core.testing.harness import Harness
from runs_core.testing.outside import Thing
from runs_core.values.change import BudgetGone, StorageSeen
from runs_core.values.lease import Lease
from runs_core.values.meta import Key
from runs_core.values.quantity import format_time
from runs_core.values.run import Run
from runs_core.values.storage import SELECTED_NODE, VolumeClaim


class MemoryStage:
    """The invariants are checked after every cycle. plugins: by name.

    oracles: and every index is held against its recomputation, slowly.
    """

    def __init__(self, settings: Settings, plugins: Mapping[str, object] = NONE, *, oracles: bool = False) -> None:
        self._fleet = settings.fleet
        self._sections = of(**plugins).sections
        self._harness = Harness(settings=settings, plugins=plugins or None, oracles=oracles)
        self._unseen: set[Key] = set()

    @property
    def now(self) -> datetime:
        return self._harness.now

    def apply(self, body: Object) -> None:
        if body["kind"] in KINDS:
            self._harness.stage.inject(StorageSeen(storage_from_object(body["kind"], body)))
            return
        thing = self._thing(body)
        if isinstance(thing, Run) and (thing.key in self._unseen or self._harness.world.run(thing.key)):
            spec, meta = thing.spec, thing.meta
            self._harness.edit(
                thing.key,
                lambda run: attrs.evolve(
                    run, spec=spec, meta=attrs.evolve(run.meta, labels=meta.labels, annotations=meta.annotations)
                ),
            )
            return
        if isinstance(thing, Run):
            self._unseen.add(thing.key)
        self._harness.add(thing)

    def delete(self, kind: str, namespace: str, name: str) -> None:
        match kind:
            case "Run":
                self._harness.delete(Key(namespace, name))
            case "Pod":
                self._harness.evict(Key(namespace, name))
            case "Budget":
                self._harness.stage.inject(BudgetGone(name))
            case "Node":
                for key, pod in sorted(self._harness.world.gangs.pods.items()):
                    if pod.node == name:
                        self._harness.evict(key, at_once=True)
                self._harness.lose(name)
            case _:
                raise AssertionError(f"no scenario deletes a {kind}")

    def wait(self, seconds: float) -> None:
        self._unseen.clear()
        self._harness.advance(seconds)

    def objects(self, kind: str) -> Sequence[Object]:
        world = self._harness.world
        if kind == "Run":
            return [to_object(run, self._sections) for run in world.runs()]
        if kind == "Budget":
            return [to_object(budget, self._sections) for budget in world.budgets()]
        if kind == "Reservation":
            return [to_object(one) for _, one in sorted(self._harness.reservations.items())]
        if kind == "Resolution":
            return [to_object(resolution) for resolution in world.resolutions()]
        if kind == "Pod":
            return [pod_to_object(pod) for _, pod in sorted(world.gangs.pods.items())]
        if kind == "PersistentVolumeClaim":
            return [_claimed(thing) for thing in world.volumes.things.values() if isinstance(thing, VolumeClaim)]
        leases: Mapping[Key, Lease] = {**self._harness.witness.closed, **world.ledger.open}
        return [to_object(lease) for _, lease in sorted(leases.items())]

    def records(self) -> Sequence[Object]:
        return [record_to_object(record) for record in self._harness.records]

    def close(self) -> None:
        self._harness.settle()

    def _thing(self, body: Object) -> Thing:
        if body["kind"] == "Node":
            return node_from_object(body, self._fleet)
        if body["kind"] == "Pod":
            return pod_from_object(self._created(body), self._fleet)
        found: Any = from_object(body, self._sections)
        thing: Thing = found
        return thing

    def _created(self, body: Object) -> Object:
        """As an API server stamps it: a simulated pod comes up so long after it was made."""
        return {**body, "metadata": {**body["metadata"], "creationTimestamp": format_time(self.now)}}


def _claimed(claim: VolumeClaim) -> Object:
    said = {SELECTED_NODE: claim.node} if claim.node else {}
    return {"metadata": {"name": claim.name, "namespace": claim.namespace, "annotations": said}}

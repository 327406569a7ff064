"""The embedded cluster as a stage."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from tests.scenarios.attached import attached
from tests.scenarios.stage import NONE, Object

from runs_core.cluster.local import LocalCluster, Objects, Store
from runs_core.hooks.registry import of
from runs_core.serve.drive import advance
from runs_core.settings import Settings
from runs_core.testing.builders import A_MONDAY
from runs_core.values.change import Change
from runs_core.values.effect import CloseLease, Effect, OpenLease
from runs_core.values.meta import Key
from runs_core.values.quantity import format_time
from runs_core.values.record import Record
from runs_core.world.invariants import Witness, breaches


class WatchedCluster(LocalCluster):
    """written: what the last cycle wrote."""

    written: Sequence[Effect] = ()

    def observe(self) -> tuple[datetime, Sequence[Change]]:
        self.written = ()
        return super().observe()

    def commit(self, effects: Sequence[Effect], records: Sequence[Record]) -> None:
        super().commit(effects, records)
        self.written = effects


class LocalStage:
    """One state file, driven as the commands do it. The invariants are checked after every cycle. plugins: by name."""

    def __init__(self, folder: Path, settings: Settings, plugins: Mapping[str, object] = NONE) -> None:
        self._witness = Witness()
        self._path = folder / "cluster.db"
        self._settings = settings
        self._plugins = plugins
        self._open(Store.create(self._path, format_time(A_MONDAY)))

    def _open(self, store: Store) -> None:
        self._cluster = WatchedCluster(store, self._settings, of(**self._plugins).sections)
        self._loop = attached(self._cluster, self._settings, self._plugins)
        self._loop.check = self._check
        self._objects = Objects(self._cluster)

    def reopen(self) -> None:
        """Another process goes on."""
        self._cluster.store.close()
        self._open(Store.open(self._path))

    @property
    def now(self) -> datetime:
        return self._cluster.now

    def apply(self, body: Object) -> None:
        self._objects.apply(body, lambda _old, _new: None)

    def delete(self, kind: str, namespace: str, name: str) -> None:
        self._objects.delete(kind, Key(namespace, name))

    def wait(self, seconds: float) -> None:
        advance(self._loop, self._cluster, self.now + timedelta(seconds=seconds), lambda _: None)

    def objects(self, kind: str) -> Sequence[Object]:
        return self._objects.find(kind)

    def records(self) -> Sequence[Object]:
        rows = self._cluster.store.execute("SELECT body FROM records ORDER BY number")
        return [json.loads(row[0]) for row in rows]

    def close(self) -> None:
        """A new process must find nothing to do."""
        self.reopen()
        decisions = self._loop.settle()
        self._cluster.store.close()
        assert not decisions, f"after a restart {decisions} decisions were taken that were not due"

    def _check(self) -> None:
        opened: set[Key] = set()
        for effect in self._cluster.written:
            if isinstance(effect, OpenLease | CloseLease):
                self._witness.see(effect.lease)
            if isinstance(effect, OpenLease):
                opened.add(effect.lease.key)
        world = self._loop.world
        found = [*breaches(world, opened), *self._witness.breaches(world)]
        assert not found, f"at {self.now}: {found}"


class RestartedStage(LocalStage):
    """Each stretch of time is another process, as when every command drives the loop by itself."""

    def wait(self, seconds: float) -> None:
        if not self._plugins:
            self.reopen()
        super().wait(seconds)
        if self._plugins:  # a meter goes on in the class found then: who goes on sees what was before what is edited
            self.reopen()
            assert not self._loop.settle(), "after a restart there was something to do that was not due"

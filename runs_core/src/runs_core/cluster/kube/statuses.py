"""A status is written only over the one that it was decided on, so that one that arrives late overwrites nothing.

Each carries the resourceVersion that was last seen when it was decided, or that our own last write of the object made.
Source: Kubernetes documentation, "API Concepts", resource versions as preconditions.
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

import attrs

from runs_core.cluster.kube import paths
from runs_core.cluster.kube.api import Api, Object, Refused
from runs_core.cluster.seen import Name, Value
from runs_core.schema.convert import from_object, to_object
from runs_core.schema.names import API_VERSION
from runs_core.values.budget import Budget
from runs_core.values.meta import Key
from runs_core.values.run import Run
from runs_core.values.section import Section


@attrs.frozen(kw_only=True)
class Basis:
    """What a status was decided on. version: of the object, as last seen; 0: never. value: as it counted."""

    version: int = 0
    value: Value | None = None


class Overtaken(Refused):
    """Somebody else has written that status since it was decided on. stored: as the server has it now."""

    def __init__(self, stored: Object) -> None:
        meta = stored["metadata"]
        self.stored = stored
        super().__init__(HTTPStatus.CONFLICT, "Overtaken", f"the status of {meta['name']} was written by somebody else")


class Statuses:
    """Those of Runs and Budgets. From any thread; those of one object one after the other."""

    def __init__(self, api: Api, sections: Sequence[Section]) -> None:
        self._api = api
        self._sections = sections
        self._wrote: dict[Name, int] = {}

    def touched(self, stored: Object, basis: Basis) -> None:
        """How a write of ours left it that was of its metadata only.

        Where its status still is the one that was decided on, that is what the next one is written over.
        """
        if _same(self._read(stored), basis.value):
            self._note(stored)

    def forget(self, name: Name) -> None:
        """It is gone."""
        self._wrote.pop(name, None)

    def _note(self, stored: Object) -> None:
        meta = stored["metadata"]
        name = (stored["kind"], Key(meta.get("namespace", ""), meta["name"]))
        self._wrote[name] = int(meta["resourceVersion"])

    def _read(self, stored: Object) -> Value:
        return from_object(stored, self._sections)

    def write(self, meant: Run | Budget, basis: Basis) -> Object | None:
        """As it is stored now; None: the object is gone, or is another of its name.

        Overtaken: it is no longer what it was decided on. Refused with Conflict: it is, and may be tried again.
        """
        name = (type(meant).__name__, meant.meta.key)
        version = max(basis.version, self._wrote.get(name, 0))
        metadata = {"name": meant.meta.name, "uid": meant.meta.uid, "resourceVersion": str(version)}
        if meant.meta.namespace:
            metadata["namespace"] = meant.meta.namespace
        body: Object = {"apiVersion": API_VERSION, "kind": name[0], "metadata": metadata}
        body["status"] = to_object(meant, self._sections).get("status", {})
        if not version:
            unseen = Refused(HTTPStatus.CONFLICT, "Conflict", f"{name[0]} {meant.meta.key} was never seen")
            return self._met(name, meant, basis, unseen)
        try:
            found: Object | None = self._api.swap(f"{paths.one(*name)}/status", body)[1]
        except Refused as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            if error.reason != "Conflict":
                raise
            found = self._met(name, meant, basis, error)
        if found is not None:
            self._note(found)
        return found

    def _met(self, name: Name, meant: Run | Budget, basis: Basis, error: Refused) -> Object | None:
        """What is there instead: our own write whose answer got lost, or a change that touches no status."""
        try:
            _, stored = self._api.call("GET", paths.one(*name))
        except Refused as refusal:
            if refusal.status == HTTPStatus.NOT_FOUND:
                return None
            raise
        if stored["metadata"]["uid"] != meant.meta.uid:
            return None
        now = self._read(stored)
        if _same(now, meant):
            return stored
        if _same(now, basis.value):
            self._note(stored)
            raise error
        raise Overtaken(stored)


def _same(one: Value | None, other: Value | None) -> bool:
    """Whether their statuses are equal."""
    return isinstance(one, Run | Budget) and isinstance(other, Run | Budget) and one.status == other.status

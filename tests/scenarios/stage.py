"""What a scenario needs of a cluster, whichever it is: manifests in, time, manifests and records out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Protocol

Object = dict[str, Any]
"""A Kubernetes object as JSON has it."""
NONE: Mapping[str, object] = MappingProxyType({})
"""No plugins."""


class Stage(Protocol):
    """What is done to it is only put there; `wait` lets the scheduler see it, all of it at once."""

    @property
    def now(self) -> datetime: ...

    def apply(self, body: Object) -> None:
        """As `kubectl apply`: a Node, Namespace, Budget, Run, Pod or volume is there from now on, or is now so."""
        ...

    def delete(self, kind: str, namespace: str, name: str) -> None:
        """As `kubectl delete --wait=false`: a Run, Pod, Node (with the pods on it) or Budget."""
        ...

    def wait(self, seconds: float) -> None:
        """The scheduler does all that is to be done now, and whatever comes up until so much later. 0: only now."""
        ...

    def objects(self, kind: str) -> Sequence[Object]:
        """Every object of a kind that the scheduler reads or writes, as it is stored: leases open or closed."""
        ...

    def records(self) -> Sequence[Object]:
        """Every decision so far, in the order in which they were taken."""
        ...

    def close(self) -> None:
        """The scenario is over. AssertionError: the stage is not as it should be left."""
        ...

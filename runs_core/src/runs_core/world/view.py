"""What decisions and plugins may read of the world: nothing here changes anything."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol, TypeVar, runtime_checkable

from runs_core.values.budget import Budget, Namespace
from runs_core.values.change import Change
from runs_core.values.demand import Demand
from runs_core.values.funding import Told
from runs_core.values.lease import Lease
from runs_core.values.meta import Key
from runs_core.values.node import MalformedNode, Node
from runs_core.values.run import Run

T = TypeVar("T")


class Index(Protocol):
    """A plugin's own incremental state, kept in step with the world, through what-ifs too.

    `apply` gets each change before the world takes it up, with the world as it was; it returns the runs whose hold or
    class may change by it, and the envelopes that may give more. For every change the world later applies the inverse
    in a what-if, and the index must then be exactly as before; an index that has `supposed` is told when one begins
    and when it is over. What else it may have is said in the hook `runs_index`.
    """

    def apply(self, change: Change) -> Iterable[Told]: ...


@runtime_checkable
class Gathers(Protocol):
    """An index that may keep changes from `gather` on, and then takes them up together: by `told`, or by `observed`."""

    def gather(self) -> None: ...
    def told(self) -> Iterable[Told]: ...
    def observed(self) -> Iterable[Told]: ...


class View(Protocol):
    """The world, read-only. Sequences are sorted by name, so that nothing depends on the order things were seen in."""

    @property
    def now(self) -> datetime: ...
    def run(self, key: Key) -> Run | None: ...
    def runs(self) -> Sequence[Run]: ...
    def node(self, name: str) -> Node | MalformedNode | None: ...
    def nodes(self) -> Sequence[Node]: ...
    def budgets(self) -> Sequence[Budget]: ...
    def namespace(self, name: str) -> Namespace | None: ...
    def owners(self, namespace: str) -> Sequence[str]: ...
    def leases_of(self, key: Key) -> Sequence[Lease]: ...
    def flavors(self) -> Sequence[str]: ...
    def free_gpus(self, flavor: str) -> int: ...
    def demand(self, run: Run) -> Demand | None: ...
    def index(self, cls: type[T]) -> T: ...

"""What plugins see of the world, and what they keep of it: read-only, and a broken index harms only its owner."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar

import attrs

from runs_core.hooks import answers
from runs_core.hooks.question import Failed, Question
from runs_core.values.budget import Budget, Namespace
from runs_core.values.change import Change
from runs_core.values.demand import Demand
from runs_core.values.funding import Told
from runs_core.values.lease import Lease
from runs_core.values.meta import Key
from runs_core.values.node import MalformedNode, Node
from runs_core.values.run import Run
from runs_core.world.view import Index, View

I = TypeVar("I")  # noqa: E741 - as in View


class Attachable(Protocol):
    """A world that feeds indexes. funded: somebody answers who pays."""

    funded: bool

    def attach(self, cls: type, index: Index) -> None: ...


class IndexUnusable(Exception):
    """An index was asked for that is broken, or that no enabled plugin has."""


def hears_of(index: Index) -> frozenset[type] | None:
    """The classes of changes that it wants to be told of; None: of all. TypeError: it says something else."""
    hears = getattr(index, "hears", None)
    if hears is None:
        return None
    if isinstance(hears, str) or not isinstance(hears, Iterable) or not all(isinstance(one, type) for one in hears):
        raise TypeError(f"got hears {answers.shown(hears)}, want the classes of the changes that it takes up")
    return frozenset(hears)


class GuardedIndex:
    """A plugin's index as the world feeds it. Never raises: its first failure breaks it until a new start."""

    def __init__(self, inner: Index, question: Question[Sequence[Told]], view: View) -> None:
        self.inner = inner
        self.why: str | None = None
        self._hears = hears_of(inner)
        self._question = question
        self._view = view

    def supposed(self, begins: bool) -> None:  # noqa: FBT001  # part of what an index may have
        """Tell an index that wants to know."""
        told = getattr(self.inner, "supposed", None)
        if told is None or self.why is not None:
            return
        answer = self._question.tell(lambda: told(begins))
        if isinstance(answer, Failed):
            self.why = f"its index is broken since it failed to take up a what-if: {answer.why}"

    def observed(self) -> None:
        """Likewise."""
        told = getattr(self.inner, "observed", None)
        if told is not None and self.why is None and isinstance(answer := self._question.tell(told), Failed):
            self.why = f"its index is broken since it failed to end an observation: {answer.why}"

    def apply(self, change: Change) -> Sequence[Told]:
        """The runs whose hold may change; when the index breaks, all that have not started: they are held now."""
        if self.why is not None or (self._hears is not None and type(change) not in self._hears):
            return ()
        answer = self._question.ask((change,), answers.keys)
        if not isinstance(answer, Failed):
            return answer
        self.why = f"its index is broken since it failed to take up {type(change).__name__}: {answer.why}"
        return [run.key for run in self._view.runs() if not run.status.phase.begun]


@attrs.frozen
class Sight:
    """The View that plugins get: what View has, and nothing else of the world; indexes come without their guards."""

    of: View = attrs.field(repr=False)
    run: Callable[[Key], Run | None]
    runs: Callable[[], Sequence[Run]]
    node: Callable[[str], Node | MalformedNode | None]
    nodes: Callable[[], Sequence[Node]]
    budgets: Callable[[], Sequence[Budget]]
    namespace: Callable[[str], Namespace | None]
    owners: Callable[[str], Sequence[str]]
    leases_of: Callable[[Key], Sequence[Lease]]
    flavors: Callable[[], Sequence[str]]
    free_gpus: Callable[[str], int]
    demand: Callable[[Run], Demand | None]

    @property
    def now(self) -> datetime:
        return self.of.now

    def index(self, cls: type[I]) -> I:
        """The plugin's own object. IndexUnusable: it is broken, or nobody has one of this class."""
        try:
            found: Any = self.of.index(cls)
        except KeyError:
            raise IndexUnusable(f"no enabled plugin has an index of class {cls.__name__}") from None
        if not isinstance(found, GuardedIndex):
            return found  # type: ignore[no-any-return]  # a view without guards hands out the class asked for
        if found.why is not None:
            raise IndexUnusable(f"the index {cls.__name__} is broken")
        return found.inner  # type: ignore[return-value]  # attached under its own class


def sight(view: View) -> Sight:
    """The same view for plugins."""
    if isinstance(view, Sight):
        return view
    names = [field.name for field in attrs.fields(Sight) if field.name != "of"]
    return Sight(view, *(getattr(view, name) for name in names))

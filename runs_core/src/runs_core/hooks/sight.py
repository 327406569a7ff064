"""What plugins see of the world, and what they keep of it: read-only, and a broken index harms only its owner."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any, Protocol, TypeVar

import attrs

from runs_core.hooks import answers
from runs_core.hooks.question import Failed, Question
from runs_core.values.budget import Budget, Namespace
from runs_core.values.change import Change, RunSeen, TimePassed
from runs_core.values.demand import Demand
from runs_core.values.funding import Told
from runs_core.values.lease import Lease
from runs_core.values.meta import Key, Meta, Pairs
from runs_core.values.node import MalformedNode, Node
from runs_core.values.run import Run, RunSpec, RunStatus
from runs_core.world.view import Index, View

MOST_AT_ONCE = 100
"""Changes that an index takes up in one call, in the time that one call may take."""
OF_RUN: Mapping[str, type] = {"meta": Meta, "spec": RunSpec, "status": RunStatus}
I = TypeVar("I")  # noqa: E741 - as in View
Taken = tuple[Sequence[Told], datetime | None]
"""What an index tells of what it took up, and when time alone will have it tell of something, if it says so."""


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


def parts_of(index: Index) -> Callable[[Run], object] | None:
    """What of a run it looks at, for `RunSeen`; None: all of it. TypeError: it says something else."""
    hears = getattr(index, "hears", None)
    parts = {kind: names for kind, names in hears.items() if names} if isinstance(hears, Mapping) else {}
    wanted = parts.pop(RunSeen, ())
    if parts or isinstance(wanted, str) or not all(_is_part(name) for name in wanted):
        raise TypeError(f"got hears {answers.shown(hears)}, want parts of RunSeen alone, such as spec or meta.uid")
    return attrgetter(*wanted) if wanted else None


def _is_part(name: object) -> bool:
    within, _, rest = name.partition(".") if isinstance(name, str) else ("", "", "")
    return within in OF_RUN and (not rest or rest in attrs.fields_dict(OF_RUN[within]))


def taking_up(index: Any, view: View) -> Callable[[Sequence[Change], bool], Taken]:  # noqa: ANN401 - has what it has
    """What an index is asked, in one call that is watched: to take up changes, to end an observation, what is next."""
    foretells: Callable[[], object] | None = getattr(index, "next_moment", None)

    def take_up(changes: Sequence[Change], ends: bool) -> Taken:  # noqa: FBT001 - as a question hands it on
        told: Sequence[Told] = ()
        if changes:
            told = answers.keys(index.apply(changes[0]) if len(changes) == 1 else index.apply_all(changes))
        if ends:
            index.observed()
        if foretells is None or (moment := foretells()) is None:
            return told, None
        return told, answers.moment(moment, view.now)

    return take_up


class GuardedIndex:
    """A plugin's index as the world feeds it. Never raises: its first failure breaks it until a new start.

    question: asks what `taking_up` says. parts: what of a run it looks at; None: all of it. moment: when time alone
    will have it tell of something, where it says so: until then a time that has passed waits for what comes next.
    """

    def __init__(self, inner: Index, question: Question[Taken], view: View) -> None:
        self.inner = inner
        self.why: str | None = None
        self.moment: datetime | None = None
        self.hears = hears_of(inner)
        self.parts = parts_of(inner)
        self._gathers = callable(getattr(inner, "apply_all", None))
        self._ends = callable(getattr(inner, "observed", None))
        self._waits = self._gathers and callable(getattr(inner, "next_moment", None))
        self._kept: list[Change] | None = None
        self._passed: Change | None = None
        self._before: datetime | None = None
        self._question = question
        self._view = view

    def supposed(self, begins: bool) -> None:  # noqa: FBT001  # part of what an index may have
        """Tell an index that wants to know; what it named as its next moment inside is none afterwards."""
        if self._passed is not None:
            self._take_up((), ends=self._ends)  # it tells of nothing then, as it has said
        if begins:
            self._before = self.moment
        elif self.why is None:
            self.moment = self._before
        told = getattr(self.inner, "supposed", None)
        if told is None or self.why is not None:
            return
        answer = self._question.tell(lambda: told(begins))
        if isinstance(answer, Failed):
            self.why = f"its index is broken since it failed to take up a what-if: {answer.why}"

    def gather(self) -> None:
        """Keep changes until `told` or `observed`, if it takes up several together."""
        if self._gathers:
            self._kept = []

    def told(self) -> Sequence[Told]:
        """What was kept is taken up; as of `apply`."""
        kept, self._kept = self._kept or (), None
        return self._take_up_all(kept, ends=False) if kept else ()

    def observed(self) -> Sequence[Told]:
        """Likewise; and an index that wants to know hears that this is all there is to know at this moment."""
        kept, self._kept = self._kept or (), None
        if self._waits and len(kept) == 1 and self._may_wait(kept[0]):
            self._passed = kept[0]
            return ()
        return self._take_up_all(kept, ends=self._ends) if kept or self._ends else ()

    def _may_wait(self, change: Change) -> bool:
        """Whether that is time alone, which changes nothing by itself."""
        return type(change) is TimePassed and (self.moment is None or change.now < self.moment)

    def apply(self, change: Change) -> Sequence[Told]:
        """The runs whose hold may change; when the index breaks, all that have not started: they are held now."""
        if self._kept is not None:
            self._kept.append(change)
            return ()
        return self._take_up((change,), ends=False)

    def _take_up_all(self, kept: Sequence[Change], *, ends: bool) -> Sequence[Told]:
        """So many at a time that what hangs is broken as soon as in any other call."""
        if len(kept) <= MOST_AT_ONCE:
            return self._take_up(kept, ends=ends)
        told: list[Told] = []
        for at in range(0, len(kept), MOST_AT_ONCE):
            told += self._take_up(kept[at : at + MOST_AT_ONCE], ends=ends and at + MOST_AT_ONCE >= len(kept))
        return told

    def _take_up(self, changes: Sequence[Change], *, ends: bool) -> Sequence[Told]:
        if self.why is not None:
            return ()
        if self._passed is not None:
            changes, self._passed = (self._passed, *changes), None
        answer = self._question.ask((changes, ends), _as_it_is)
        if not isinstance(answer, Failed):
            told, self.moment = answer
            return told
        kinds = ", ".join(sorted({type(change).__name__ for change in changes}))
        what = f"take up {kinds}" if kinds else "end an observation"
        self.why = f"its index is broken since it failed to {what}: {answer.why}"
        self.moment = None
        return [run.key for run in self._view.runs() if not run.status.phase.begun]


def _as_it_is(answer: Any) -> Any:  # noqa: ANN401 - found fit where it was returned
    return answer


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
    lies_in: Callable[[Node, Pairs], bool]
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

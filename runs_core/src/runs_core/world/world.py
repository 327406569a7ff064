"""The state of the cluster as known. `apply` is the only way in."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from runs_core.values import change as c
from runs_core.values.funding import Gives, Takes, Told
from runs_core.values.meta import Key
from runs_core.values.run import Run
from runs_core.world.about_places import AboutPlaces
from runs_core.world.bound import pledge_of
from runs_core.world.hearers import Hearers
from runs_core.world.inverse import Declared, Rare, inverse_of
from runs_core.world.promises import Promised
from runs_core.world.resolutions import Kept
from runs_core.world.view import Gathers, Index
from runs_core.world.volumes import name_of


class World(AboutPlaces):
    """Implements View, and takes up changes: for good, or for the time of a what-if."""

    def attach(self, cls: type, index: Index) -> None:
        """Feed a plugin's index with all that is known, and from now on with every change."""
        self._indexes[cls] = index
        self._hearers = Hearers(self._indexes)
        if isinstance(index, Gathers):
            self._gathering = (*self._gathering, index)
        for change in self.everything():
            if index in self._hearers[type(change)]:
                index.apply(change)

    def apply_all(self, changes: Iterable[c.Change], inverses: list[c.Change], *, seen: bool = False) -> None:
        """Take up several, and add the inverse of each to these.

        Indexes that can are told of them together, once the world has taken them up. seen: this is all that was seen;
        what follows at this moment is decided.
        """
        gathering, apply = self._gathering, self.apply
        for index in gathering:
            index.gather()
        try:
            for change in changes:
                if (inverse := apply(change)) is not None:
                    inverses.append(inverse)  # noqa: PERF401  # quicker than a generator
        finally:
            for index in gathering:
                if moved := index.observed() if seen else index.told():
                    self._hear(moved)

    def apply(self, change: c.Change) -> c.Change | None:
        """Take it up. Returns its inverse; None where it says nothing new."""
        match change:
            case c.PodSeen():
                pod = change.pod
                was = self.gangs.pods.get(pod.key)
                if was is not None and was.phase is pod.phase and was == pod:
                    return None
                if self._indexes:
                    self._tell(change)
                self._put_pod(pod.key, was, pod)
                return c.PodSeen(was) if was is not None else c.PodGone(pod.key)
            case c.RunSeen():
                run = change.run
                key = run.meta.key
                old = self._runs.get(key)
                if old is not None and old.status == run.status and old == run:
                    return None
                if self._indexes:
                    self._tell_of_run(change, old, run)
                self._put_run(key, old, run)
                return c.RunSeen(old) if old is not None else c.RunGone(key)
            case c.LeaseSeen():
                lease = change.lease
                held = self.ledger.open.get(lease.key)
                if lease.status.closed if held is None else held.status == lease.status and held == lease:
                    if held is None and not self._supposed:
                        self._saw_closed(change)
                    return None
                if self._indexes:
                    self._tell(change)
                self._put_lease(held, lease)
                return c.LeaseSeen(held) if held is not None else c.LeaseGone(lease.key)
            case c.TimePassed():
                return self._pass(change) if change.now > self.now else None
            case _:
                inverse = inverse_of(self, change)
                if inverse is not None:
                    self._tell(change)
                    self._put(change)
                return inverse

    def _saw_closed(self, change: c.LeaseSeen) -> None:
        """Closed before this process saw it open: some keep account of it."""
        self.lengths.closed(change.lease)
        if self._indexes:
            self._tell(change)

    @contextmanager
    def supposing(self, changes: Iterable[c.Change], *, heard: bool = True) -> Iterator[None]:
        """What if: inside, the world is as after the changes; afterwards everything is exactly as before.

        heard: whether the plugins' indexes are told; without, no plugin may be asked inside.
        """
        undo: list[c.Change] = []
        head, told = self.ledger.head, (self._indexes, self._gathering, self._hearers)
        freed, stirred = self.fleet.counts_of_freed(), self.promises.stirred
        if not self._supposed:
            self._suppose(begins=True)
        self._supposed += 1
        if not heard:
            self._indexes, self._gathering, self._hearers = {}, (), Hearers({})
        try:
            self.apply_all(changes, undo)
            yield
        finally:
            self.revert_all(undo)
            self.ledger.head = head
            self.fleet.nothing_freed(freed)
            self.promises.stirred = stirred
            self._indexes, self._gathering, self._hearers = told
            self._supposed -= 1
            if not self._supposed:
                self._suppose(begins=False)

    def _suppose(self, *, begins: bool) -> None:
        self.line.supposed(begins=begins)
        for index in self._indexes.values():
            told: Callable[[bool], object] | None = getattr(index, "supposed", None)
            if told is not None:
                told(begins)

    def revert_all(self, inverses: Sequence[c.Change]) -> None:
        """Take back what `apply_all` did, the last first."""
        gathering = self._gathering
        for index in gathering:
            index.gather()
        try:
            for inverse in reversed(inverses):
                self.revert(inverse)
        finally:
            for index in gathering:
                if moved := index.told():
                    self._hear(moved)

    def revert(self, inverse: c.Change) -> None:
        """Apply an inverse that `apply` returned; time may run backwards here, and nowhere else."""
        if isinstance(inverse, c.TimePassed):
            self._pass(inverse)
        else:
            self.apply(inverse)

    def everything(self) -> Iterator[c.Change]:
        """Changes that would build this world from nothing, in an order of their own."""
        yield c.TimePassed(self.now)
        yield from (c.NamespaceSeen(namespace) for namespace in self.namespaces())
        yield from (c.BudgetSeen(budget) for budget in self.budgets())
        yield from (c.NodeSeen(node) for node in self.nodes())
        yield from (c.NodeSeen(self.fleet.malformed[name]) for name in sorted(self.fleet.malformed))
        yield from (c.StorageSeen(self.volumes.things[name]) for name in sorted(self.volumes.things))
        yield from (c.RunSeen(run) for run in self.runs())
        yield from (c.RunUnread(key, self._unread[key]) for key in sorted(self._unread))
        yield from (c.LeaseSeen(self.ledger.open[key]) for key in sorted(self.ledger.open))
        yield from (c.PodSeen(self.gangs.pods[key]) for key in sorted(self.gangs.pods))
        yield from (c.PledgeSeen(pledge) for pledge in self.pledges())
        yield from (c.StartRefused(key, self._refusals[key]) for key in sorted(self._refusals))
        yield from self.promises.everything()
        yield from self.audits.everything()
        yield c.HeadSeen(self.ledger.head)

    def _tell(self, change: c.Change) -> None:
        """A plugin's index hears of a change before the world takes it up."""
        for index in self._hearers[type(change)]:
            if moved := index.apply(change):
                self._hear(moved)

    def _tell_of_run(self, change: c.RunSeen, old: Run | None, run: Run) -> None:
        """Likewise; an index may say of which parts alone it wants to hear."""
        for index in self._hearers[c.RunSeen]:
            parts: Callable[[Run], object] | None = getattr(index, "parts", None)
            if (old is None or parts is None or parts(old) != parts(run)) and (moved := index.apply(change)):
                self._hear(moved)

    def _hear(self, moved: Iterable[Told]) -> None:
        """Runs to look at, and envelopes that may give more."""
        if self._supposed:
            return
        for one in moved:
            if isinstance(one, Key):
                self.touched.add(one)
                continue
            if isinstance(one, Takes):
                self.line.hearing.may_take(one)
                self.held.taken(one.payer)
                continue
            payer, lines = one.payer if isinstance(one, Gives) else one, (self.line.hearing, self.unpaid.hearing)
            if payer in lines[0].watching or payer in lines[1].watching:  # else nobody was ever refused by it
                for hearing in lines:
                    hearing.may_give(one)

    def _put(self, change: Rare) -> None:
        match change:
            case c.RunGone(key):
                self._put_run(key, self._runs.get(key), None)
            case c.NodeSeen(node):
                self._put_node(node.name, node)
            case c.NodeGone(name):
                self._put_node(name, None)
            case c.PodGone(key):
                self._put_pod(key, self.gangs.pods.get(key), None)
            case c.LeaseGone(key):
                self._put_lease(self.ledger.open.get(key), None)
            case c.StartRefused(key, refusal):
                self._refusals.pop(key, None)
                if refusal is not None:
                    self._refusals[key] = refusal
                self.touch(key)
            case c.RunUnread(key, why):
                self._unread.pop(key, None)
                if why is not None:
                    self._unread[key] = why
                    if not self._supposed:
                        self.touched_unread.add(key)
                self.touch(key)
            case c.PledgeSeen(pledge):
                self._put_pledge(pledge.run, pledge)
            case c.PledgeGone(key):
                self._put_pledge(key, None)
            case c.HeadSeen(head):
                self.ledger.head = head
            case _:
                self._put_declared(change)

    def _put_declared(self, change: Declared | Kept | Promised) -> None:
        match change:
            case c.BudgetSeen(budget):
                self._put_budget(budget.name, budget)
            case c.BudgetGone(name):
                self._put_budget(name, None)
            case c.NamespaceSeen(namespace):
                self._put_namespace(namespace.name, namespace)
            case c.NamespaceGone(name):
                self._put_namespace(name, None)
            case c.StorageSeen(storage):
                self._put_storage(name_of(storage), storage)
            case c.StorageGone(kind, key):
                self._put_storage((kind, key), None)
            case c.ReservationSeen() | c.ReservationGone():
                self._promise(change)
            case _:
                about = self.audits.put(change)
                self.touch(*about)
                for key in about:
                    self._rebind(key)

    def _pass(self, change: c.TimePassed) -> c.Change:
        inverse, now = c.TimePassed(self.now), change.now
        if self._indexes:
            self._tell(change)
        self.now = now
        if not self._supposed:
            self.line.slack.update(self.slack.pass_to(now))
            while (when := self.next_deadline()) is not None and when <= now:
                _, key = heapq.heappop(self._deadlines)
                del self._due[key]
                self.touched.add(key)
        return inverse

    def _rebind(self, key: Key) -> None:
        """What is bound to this run is what its last resolution binds, as long as that is being carried out."""
        resolution = self.audits.activating(key)
        pledge = pledge_of(resolution) if resolution is not None else None
        self.apply(c.PledgeSeen(pledge) if pledge is not None else c.PledgeGone(key))

"""The state of the cluster as known, and its indexes. `apply` is the only way in."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar, assert_never

from runs_core.settings import Settings
from runs_core.values import change as c
from runs_core.values.budget import Budget, Namespace
from runs_core.values.lease import Lease
from runs_core.values.meta import Key
from runs_core.values.need import Need
from runs_core.values.node import MalformedNode, Node
from runs_core.values.nonces import Chain, Nonces
from runs_core.values.pod import Pod
from runs_core.values.resolution import Resolution
from runs_core.values.run import Phase, Run
from runs_core.world.fleet import Fleet
from runs_core.world.gangs import Gangs
from runs_core.world.ledger import Ledger, entry, fold
from runs_core.world.line import Line, Order
from runs_core.world.needs import BARE, need_of
from runs_core.world.resolutions import Resolutions
from runs_core.world.view import Index

T = TypeVar("T")
UNDER_WAY = (Phase.STARTING, Phase.RUNNING)
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
Rank = Callable[[Run], Order | None]
Rare = (
    c.RunGone
    | c.PodGone
    | c.LeaseGone
    | c.NodeSeen
    | c.NodeGone
    | c.StartRefused
    | c.HeadSeen
    | c.BudgetSeen
    | c.BudgetGone
    | c.NamespaceSeen
    | c.NamespaceGone
)
"""Changes that do not come with every run, and say what undoes them before they are taken up."""


def _no_rank(_: Run) -> None:
    return None


class World:
    """Implements View. touched: runs that a change may have given something to do; the cycle empties it."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self._now = BEGINNING
        self._runs: dict[Key, Run] = {}
        self._budgets: dict[str, Budget] = {}
        self._namespaces: dict[str, Namespace] = {}
        self._owners: dict[str, tuple[str, ...]] = {}
        self._dependents: dict[Key, set[Key]] = {}
        self._unstarted: dict[str, set[Key]] = {}
        self._refusals: dict[Key, c.Refusal] = {}
        self._indexes: dict[type, Index] = {}
        self._deadlines: list[tuple[datetime, Key]] = []
        self._due: dict[Key, datetime] = {}
        self.rank: Rank = _no_rank
        self.plays_pods = True
        self.fleet = Fleet()
        self.ledger = Ledger()
        self.gangs = Gangs()
        self.line = Line()
        self._audits = Resolutions()
        self.touched: set[Key] = set()
        self.touched_budgets: set[str] = set()
        self.touched_nodes: set[str] = set()
        self._supposed = 0

    # -- reading ----------------------------------------------------------------------------------------------------

    @property
    def now(self) -> datetime:
        return self._now

    def run(self, key: Key) -> Run | None:
        return self._runs.get(key)

    def runs(self) -> Sequence[Run]:
        """All runs, by key."""
        return [self._runs[key] for key in sorted(self._runs)]

    def node(self, name: str) -> Node | MalformedNode | None:
        state = self.fleet.states.get(name)
        return (state.node if state else None) or self.fleet.malformed.get(name)

    def nodes(self) -> Sequence[Node]:
        """All nodes that are not set aside, by name."""
        states = self.fleet.states
        return [node for name in sorted(states) if (node := states[name].node) is not None]

    def refusal(self, key: Key) -> c.Refusal | None:
        """Why the last start of this run came to nothing, where the cluster refused it."""
        return self._refusals.get(key)

    def resolution(self, name: str) -> Resolution | None:
        return self._audits.get(name)

    def resolutions(self) -> Sequence[Resolution]:
        """All that are kept, by number."""
        return self._audits.all()

    @property
    def chain(self) -> Chain:
        """The last resolution, and what binds the next one's nonce."""
        return self._audits.chain

    @property
    def nonces(self) -> Nonces | None:
        """What draws are made from; None: who looks here decides nothing."""
        return self._audits.nonces

    def budget(self, name: str) -> Budget | None:
        return self._budgets.get(name)

    def budgets(self) -> Sequence[Budget]:
        return [self._budgets[name] for name in sorted(self._budgets)]

    def namespace(self, name: str) -> Namespace | None:
        return self._namespaces.get(name)

    def namespaces(self) -> Sequence[Namespace]:
        return [self._namespaces[name] for name in sorted(self._namespaces)]

    def owners(self, namespace: str) -> Sequence[str]:
        """The owners of the Budgets that list this namespace, sorted."""
        found = self._owners.get(namespace)
        if found is None:
            known = self._namespaces.get(namespace)
            labels = dict(known.labels) if known else {}
            found = tuple(sorted({b.spec.owner for b in self._budgets.values() if _lists(b, namespace, labels)}))
            self._owners[namespace] = found
        return found

    def leases_of(self, key: Key) -> Sequence[Lease]:
        return self.ledger.leases_of(key)

    def pods_of(self, key: Key) -> Sequence[Pod]:
        return self.gangs.of(key)

    def flavors(self) -> Sequence[str]:
        """Flavors of the present nodes, sorted."""
        return sorted(name for name, flavor in self.fleet.flavors.items() if flavor.nodes)

    def sole_flavor(self) -> str | None:
        """The one flavor of the fleet; None where it has none or several."""
        flavors = self.flavors() if len(self.fleet.flavors) > 1 else list(self.fleet.flavors)
        return flavors[0] if len(flavors) == 1 else None

    def need(self, run: Run) -> Need:
        """What the run asks of the fleet."""
        claiming = self.gangs.claiming(run.key)
        made = claiming[0].claim.rules if claiming and claiming[0].claim else BARE
        return need_of(run.spec, self.settings.fleet, made)

    def dependents(self, key: Key) -> Sequence[Key]:
        """Unfinished runs that name this one in `after`, sorted."""
        return sorted(self._dependents.get(key, ()))

    def free_gpus(self, flavor: str) -> int:
        found = self.fleet.flavors.get(flavor)
        return found.free if found else 0

    def index(self, cls: type[T]) -> T:
        """The index that was attached as this class. KeyError: none was."""
        found: Any = self._indexes[cls]
        return found  # type: ignore[no-any-return]  # keyed by its own class in attach

    # -- attention --------------------------------------------------------------------------------------------------

    def attach(self, cls: type, index: Index) -> None:
        """Feed a plugin's index with all that is known, and from now on with every change."""
        self._indexes[cls] = index
        for change in self.everything():
            if not isinstance(change, c.ChainSeen | c.NoncesSeen):
                index.apply(change)

    def wake_at(self, when: datetime, key: Key) -> None:
        """Touch this run once time has come that far. The earliest asked for counts."""
        due = self._due.get(key)
        if due is None or when < due:
            self._due[key] = when
            heapq.heappush(self._deadlines, (when, key))

    def next_deadline(self) -> datetime | None:
        """When a run is next to be touched by time alone."""
        while self._deadlines and self._due.get(self._deadlines[0][1]) != self._deadlines[0][0]:
            heapq.heappop(self._deadlines)
        return self._deadlines[0][0] if self._deadlines else None

    def deadlines(self) -> Sequence[tuple[datetime, Key]]:
        """Every run that time alone will touch, soonest first. O(n log n): for people, not for decisions."""
        return sorted((when, key) for key, when in self._due.items())

    def touch(self, *keys: Key) -> None:
        if not self._supposed:
            self.touched.update(keys)

    # -- changing ---------------------------------------------------------------------------------------------------

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
                self._put_pod(pod.key, pod)
                return c.PodSeen(was) if was is not None else c.PodGone(pod.key)
            case c.RunSeen():
                run = change.run
                old = self._runs.get(run.key)
                if old is not None and old.status == run.status and old == run:
                    return None
                if self._indexes:
                    self._tell(change)
                self._put_run(run.key, run)
                return c.RunSeen(old) if old is not None else c.RunGone(run.key)
            case c.LeaseSeen():
                lease = change.lease
                held = self.ledger.open.get(lease.key)
                if lease.status.closed if held is None else held.status == lease.status and held == lease:
                    return None
                if self._indexes:
                    self._tell(change)
                self._put_lease(lease.key, lease)
                return c.LeaseSeen(held) if held is not None else c.LeaseGone(lease.key)
            case c.TimePassed(now):
                return self._pass(now) if now > self._now else None
            case c.ResolutionSeen() | c.ResolutionGone() | c.ChainSeen() | c.NoncesSeen():
                undo = self._audits.inverse(change)
                if undo is not None:
                    if isinstance(change, c.ResolutionSeen | c.ResolutionGone):
                        self._tell(change)  # what draws are made from is no plugin's business
                    self.touch(*self._audits.put(change))
                return undo
            case _:
                inverse = self._inverse(change)
                if inverse is not None:
                    self._tell(change)
                    self._put(change)
                return inverse

    def _inverse(self, change: Rare) -> c.Change | None:
        match change:
            case c.RunGone(key):
                return c.RunSeen(gone) if (gone := self._runs.get(key)) else None
            case c.PodGone(key):
                return c.PodSeen(was) if (was := self.gangs.pods.get(key)) else None
            case c.LeaseGone(key):
                return c.LeaseSeen(held) if (held := self.ledger.open.get(key)) else None
            case c.NodeSeen(node):
                known = self.node(node.name)
                return None if known == node else c.NodeSeen(known) if known else c.NodeGone(node.name)
            case c.NodeGone(name):
                return c.NodeSeen(known) if (known := self.node(name)) else None
            case c.StartRefused(key, refusal):
                known_refusal = self._refusals.get(key)
                return c.StartRefused(key, known_refusal) if known_refusal != refusal else None
            case c.HeadSeen(head):
                return c.HeadSeen(self.ledger.head) if head != self.ledger.head else None
            case c.BudgetSeen(budget):
                b = self._budgets.get(budget.name)
                return None if b == budget else c.BudgetSeen(b) if b else c.BudgetGone(budget.name)
            case c.BudgetGone(name):
                return c.BudgetSeen(b) if (b := self._budgets.get(name)) else None
            case c.NamespaceSeen(ns):
                n = self._namespaces.get(ns.name)
                return None if n == ns else c.NamespaceSeen(n) if n else c.NamespaceGone(ns.name)
            case c.NamespaceGone(name):
                return c.NamespaceSeen(n) if (n := self._namespaces.get(name)) else None
            case _:
                assert_never(change)

    @contextmanager
    def supposing(self, changes: Iterable[c.Change]) -> Iterator[None]:
        """What if: inside, the world is as after the changes; afterwards everything is exactly as before."""
        undo: list[c.Change] = []
        head = self.ledger.head
        self._supposed += 1
        try:
            for change in changes:
                inverse = self.apply(change)
                if inverse is not None:
                    undo.append(inverse)
            yield
        finally:
            for inverse in reversed(undo):
                self.revert(inverse)
            self.ledger.head = head
            self._supposed -= 1

    def revert(self, inverse: c.Change) -> None:
        """Apply an inverse that `apply` returned; time may run backwards here, and nowhere else."""
        if isinstance(inverse, c.TimePassed):
            self._pass(inverse.now)
        else:
            self.apply(inverse)

    def everything(self) -> Iterator[c.Change]:
        """Changes that would build this world from nothing, in an order of their own."""
        yield c.TimePassed(self._now)
        yield from (c.NamespaceSeen(namespace) for namespace in self.namespaces())
        yield from (c.BudgetSeen(budget) for budget in self.budgets())
        yield from (c.NodeSeen(node) for node in self.nodes())
        yield from (c.NodeSeen(self.fleet.malformed[name]) for name in sorted(self.fleet.malformed))
        yield from (c.RunSeen(run) for run in self.runs())
        yield from (c.LeaseSeen(self.ledger.open[key]) for key in sorted(self.ledger.open))
        yield from (c.PodSeen(self.gangs.pods[key]) for key in sorted(self.gangs.pods))
        yield from (c.StartRefused(key, self._refusals[key]) for key in sorted(self._refusals))
        yield from self._audits.everything()
        yield c.HeadSeen(self.ledger.head)

    # -- one handler for each kind ------------------------------------------------------------------------------------

    def _tell(self, change: c.Change) -> None:
        """A plugin's index hears of a change before the world takes it up."""
        for index in self._indexes.values():
            self.touch(*index.apply(change))

    def _put(self, change: Rare) -> None:
        match change:
            case c.RunGone(key):
                self._put_run(key, None)
            case c.NodeSeen(node):
                self._put_node(node.name, node)
            case c.NodeGone(name):
                self._put_node(name, None)
            case c.PodGone(key):
                self._put_pod(key, None)
            case c.LeaseGone(key):
                self._put_lease(key, None)
            case c.StartRefused(key, refusal):
                self._refusals.pop(key, None)
                if refusal is not None:
                    self._refusals[key] = refusal
                self.touch(key)
            case c.HeadSeen(head):
                self.ledger.head = head
            case c.BudgetSeen(budget):
                self._put_budget(budget.name, budget)
            case c.BudgetGone(name):
                self._put_budget(name, None)
            case c.NamespaceSeen(namespace):
                self._put_namespace(namespace.name, namespace)
            case c.NamespaceGone(name):
                self._put_namespace(name, None)
            case _:
                assert_never(change)

    def _pass(self, now: datetime) -> c.Change:
        inverse = c.TimePassed(self._now)
        for index in self._indexes.values():
            self.touch(*index.apply(c.TimePassed(now)))
        self._now = now
        if not self._supposed:
            while (when := self.next_deadline()) is not None and when <= now:
                _, key = heapq.heappop(self._deadlines)
                del self._due[key]
                self.touched.add(key)
        return inverse

    def _put_run(self, key: Key, run: Run | None) -> None:
        old = self._runs.pop(key, None)
        if run is not None:
            self._runs[key] = run
        if not self._supposed and (run is None or run.status.phase is Phase.RUNNING):
            self._due.pop(key, None)
        if old is None or run is None or old.spec is not run.spec or run.spec.after:
            self._depend(key, old, run)
        self._stand(key, old, run)
        if old is None or run is None or old.status.phase is not run.status.phase:
            self.touch(*self._dependents.get(key, ()), key)
        else:
            self.touch(key)

    def _depend(self, key: Key, old: Run | None, run: Run | None) -> None:
        before = old.spec.after if old is not None and not old.status.phase.terminal else ()
        after = run.spec.after if run is not None and not run.status.phase.terminal else ()
        if before == after:
            return
        for name in before:
            upstream = Key(key.namespace, name)
            waiting = self._dependents[upstream]
            waiting.discard(key)
            if not waiting:
                del self._dependents[upstream]
                self.touch(upstream)  # its retention, if it has finished, no longer waits for anybody
        for name in after:
            self._dependents.setdefault(Key(key.namespace, name), set()).add(key)
        self.touch(*self._circle(key, {*before, *after}))

    def _circle(self, key: Key, names: Iterable[str]) -> set[Key]:
        """The unfinished runs that lead from these back to it, and what else these wait for; empty: none.

        All that wait in a circle say so, also those that neither changed nor wait for this run directly.
        """
        seen: set[Key] = set()
        stack = [Key(key.namespace, name) for name in names]
        while stack:
            at = stack.pop()
            if at not in seen:
                seen.add(at)
                run = self._runs.get(at)
                if run is not None and not run.status.phase.terminal:
                    stack += (Key(at.namespace, name) for name in run.spec.after)
        return seen if key in seen else set()

    def _stand(self, key: Key, old: Run | None, run: Run | None) -> None:
        """Keep the line, and the runs that have not started, in step."""
        if old is not None and run is not None and old.status.phase in UNDER_WAY and run.status.phase in UNDER_WAY:
            return
        phase = None if run is None or run.status.ending is not None else run.status.phase
        if phase in (Phase.QUEUED, Phase.HELD):
            self._unstarted.setdefault(key.namespace, set()).add(key)
        elif (unstarted := self._unstarted.get(key.namespace)) is not None:
            unstarted.discard(key)
            if not unstarted:
                del self._unstarted[key.namespace]
        if run is None or phase is not Phase.QUEUED or run.meta.deleting or run.spec.suspend or run.spec.canceled:
            self.line.replace(key, None, None)
            return
        if old is not None and old.spec is run.spec and (entry_ := self.line.entries.get(key)) is not None:
            need = entry_[1].need
        else:
            need = self.need(run)
        rank = self.rank(run)
        admitted = run.status.admitted_at or self._now
        order: Order = (0.0, *rank) if rank is not None else (1.0, admitted.timestamp())
        self.line.replace(key, (*order, *key), need)

    def _put_node(self, name: str, node: Node | MalformedNode | None) -> None:
        old = self.node(name)
        same = isinstance(old, Node) and isinstance(node, Node) and old.flavor == node.flavor
        flavors = None if same else self.flavors()
        self.fleet.replace_node(name, node)
        if not self._supposed:
            self.touched_nodes.add(name)
        lost = node is None or (isinstance(node, Node) and node.lost)
        if lost or (isinstance(old, Node) and old.lost):
            self.touch(*sorted({lease.run for lease in self.ledger.by_node.get(name, {}).values()}))
        if flavors is not None and flavors != self.flavors():
            self.line.forget()

    def _put_pod(self, key: Key, pod: Pod | None) -> None:
        old = self.gangs.replace(key, pod)
        moved = old is None or pod is None or not _weighs_the_same(old, pod)
        for other, there in ((old, False), (pod, True)):
            if moved and other is not None and not other.phase.ended:
                self.fleet.load(other, there=there)
            if other is not None and other.rank is not None and not self._supposed:
                self.touched.add(other.rank.run)
            if other is not None and other.claim is not None:
                self._claimed(other.claim.run)

    def _claimed(self, key: Key) -> None:
        """Somebody else's pods for this run came or went: what it needs may be another."""
        run = self._runs.get(key)
        if run is not None:
            self._stand(key, None, run)
        self.touch(key)

    def _put_lease(self, key: Key, lease: Lease | None) -> None:
        old = self.ledger.open.get(key)
        if old is not None:
            self.ledger.remove(old)
            self.fleet.hold(old, opened=False)
            for slots in old.spec.slots if self.fleet.shared else ():
                if slots.node in self.fleet.shared:
                    self.fleet.retake(slots.node, self.ledger.by_node.get(slots.node, {}).values())
        if lease is not None and not lease.status.closed:
            self.ledger.add(lease)
            self.fleet.hold(lease, opened=True)
        if lease is not None and (old is None or lease.status.closed):
            self.ledger.head = fold(self.ledger.head, entry(lease, closing=lease.status.closed))
        for known in (old, lease):
            if known is not None:
                self.touch(known.run)

    def _put_namespace(self, name: str, namespace: Namespace | None) -> None:
        before = self.owners(name)
        self._namespaces.pop(name, None)
        if namespace is not None:
            self._namespaces[name] = namespace
        self._owners_changed()
        self._touch_budgets({*before, *self.owners(name)})

    def _put_budget(self, name: str, budget: Budget | None) -> None:
        old = self._budgets.pop(name, None)
        if budget is not None:
            self._budgets[name] = budget
        if not self._supposed:
            self.touched_budgets.add(name)
        if old is None or budget is None or old.spec != budget.spec:
            self._owners_changed()
            self._touch_budgets({known.spec.owner for known in (old, budget) if known is not None})

    def _touch_budgets(self, owners: AbstractSet[str]) -> None:
        """The namespaces that spend for these owners may be others now: their budgets say how many."""
        if owners and not self._supposed:
            self.touched_budgets.update(name for name, b in self._budgets.items() if b.spec.owner in owners)

    def _owners_changed(self) -> None:
        before, self._owners = self._owners, {}
        for namespace in sorted(self._unstarted):
            if before.get(namespace) != self.owners(namespace):
                self.touch(*self._unstarted[namespace])


def _weighs_the_same(old: Pod, new: Pod) -> bool:
    """Whether the pod takes of its node what it took before."""
    return (
        not old.phase.ended
        and not new.phase.ended
        and old.node == new.node
        and (old.rank is None) is (new.rank is None)
        and old.gpus == new.gpus
        and (old.requests is new.requests or old.requests == new.requests)
    )


def _lists(budget: Budget, namespace: str, labels: dict[str, str]) -> bool:
    wanted = budget.spec.namespaces
    if namespace in wanted.names:
        return True
    return bool(wanted.match_labels) and all(labels.get(key) == value for key, value in wanted.match_labels)

"""The state of the cluster as known, and its indexes. `apply` is the only way in."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

import attrs

from runs_core.settings import Settings
from runs_core.values import change as c
from runs_core.values.budget import Budget, Namespace
from runs_core.values.demand import Demand
from runs_core.values.funding import Ask, Pledge, Takes, Told
from runs_core.values.lease import Lease
from runs_core.values.meta import Key
from runs_core.values.need import Need
from runs_core.values.node import MalformedNode, Node
from runs_core.values.nonces import Chain, Nonces
from runs_core.values.pod import Pod
from runs_core.values.request import Request
from runs_core.values.resolution import Cut, Resolution
from runs_core.values.run import Phase, Run
from runs_core.values.storage import Storage
from runs_core.values.template import PodTemplate, Terms
from runs_core.world.bound import pledge_of
from runs_core.world.ends import Ends
from runs_core.world.fleet import Fleet
from runs_core.world.gangs import Gangs
from runs_core.world.held import Held, Hold
from runs_core.world.ledger import Ledger, entry, fold
from runs_core.world.line import Line, Order
from runs_core.world.needs import BARE, ask_of, min_runtime_of, need_of
from runs_core.world.promises import Promised, Promises
from runs_core.world.quanta import Quanta
from runs_core.world.resolutions import Kept, Resolutions
from runs_core.world.slack import Slack, Slacks
from runs_core.world.view import Index
from runs_core.world.volumes import Volumes, name_of

T = TypeVar("T")
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
Rank = Callable[[Run], Order | None]
Asked = Callable[[Run], Demand | None]
Declared = c.BudgetSeen | c.BudgetGone | c.NamespaceSeen | c.NamespaceGone | c.StorageSeen | c.StorageGone
"""Changes of what people declare beside runs."""
Rare = (
    c.RunGone
    | c.PodGone
    | c.LeaseGone
    | c.NodeSeen
    | c.NodeGone
    | c.StartRefused
    | c.PledgeSeen
    | c.PledgeGone
    | c.HeadSeen
    | Declared
    | Kept
    | Promised
)
"""Changes that do not come with every run, and say what undoes them before they are taken up."""


def _no_rank(_: Run) -> None:
    return None


def _as_it_says(_: Run) -> None:
    """Nobody says otherwise than the spec how wide a run is."""


class World:
    """Implements View. touched: runs that a change may have given something to do; the cycle empties it.

    funded: somebody answers who pays, so that runs stand in line with what they ask of the budgets. unpaid: the line
    of those that hold GPUs and wait for somebody to pay for them. slack: who holds GPUs that nobody's own quota pays
    for: an owner's claim may take them back. requests: of administrators, by node.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.now = BEGINNING
        self._runs: dict[Key, Run] = {}
        self._budgets: dict[str, Budget] = {}
        self._namespaces: dict[str, Namespace] = {}
        self._owners: dict[str, tuple[str, ...]] = {}
        self._dependents: dict[Key, set[Key]] = {}
        self._unstarted: dict[str, set[Key]] = {}
        self._refusals: dict[Key, c.Refusal] = {}
        self._pledges: dict[Key, Pledge] = {}
        self._indexes: dict[type, Index] = {}
        self._deadlines: list[tuple[datetime, Key]] = []
        self._due: dict[Key, datetime] = {}
        self.rank: Rank = _no_rank
        self.demand: Asked = _as_it_says
        self.plays_pods = True
        self.funded = False
        self.fleet = Fleet()
        self.ledger = Ledger()
        self.gangs = Gangs()
        self.line = Line()
        self.unpaid = Line()
        self.slack = Slacks()
        self.requests: dict[str, Request] = {}
        self._unpaid_moved: set[Key] = set()
        self._aside: set[Key] = set()
        self._paying: dict[str, int] = {}
        self.volumes = Volumes()
        self._audits = Resolutions()
        self.promises = Promises()
        self.held = Held(self._holds)
        self.ends = Ends(self)
        self.quanta = Quanta(self)
        self.touched: set[Key] = set()
        self.touched_budgets: set[str] = set()
        self.touched_nodes: set[str] = set()
        self._stranded: dict[tuple[Key, str], str] = {}
        self._supposed = 0

    # -- reading ----------------------------------------------------------------------------------------------------

    def stand_unpaid(self) -> None:
        """Bring the line for cover in step with who now holds what without a payer."""
        for key in sorted(self._unpaid_moved):
            run = self._runs.get(key)
            without = [lease for lease in self.ledger.leases_of(key) if lease.spec.payer is None]
            if run is None or not without or run.status.ending is not None or not run.status.phase.begun:
                self.unpaid.replace(key, None, None)
                continue
            ask = attrs.evolve(self.ask(run), gpus=sum(lease.gpus for lease in without), demand=None)
            self.unpaid.replace(key, self._order(key, run), self.need(run), ask)
            if key in self._aside:
                self.unpaid.hear(key)
        self._aside -= self._unpaid_moved
        self._unpaid_moved.clear()

    def step_aside(self, key: Key, until: datetime | None) -> None:
        """Something holds a run that waits for cover: those behind it pass until it is touched again."""
        self.unpaid.replace(key, None, None)
        self._aside.add(key)
        if until is not None:
            self.wake_at(until, key)

    def step_back(self, key: Key) -> None:
        """What held it may have gone: it stands in line for cover again."""
        if key in self._aside:
            self._unpaid_moved.add(key)

    def run(self, key: Key) -> Run | None:
        return self._runs.get(key)

    def runs(self) -> Sequence[Run]:
        """All runs, by key."""
        return [self._runs[key] for key in sorted(self._runs)]

    def run_count(self) -> int:
        return len(self._runs)

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

    def pledge(self, key: Key) -> Pledge | None:
        """What is bound to this run until whoever is there has gone."""
        return self._pledges.get(key)

    def pledges(self) -> Sequence[Pledge]:
        """All of them, by run."""
        return [self._pledges[key] for key in sorted(self._pledges)]

    def resolution(self, name: str) -> Resolution | None:
        return self._audits.get(name)

    def cutting(self, run: Key) -> Sequence[tuple[Resolution, Cut]]:
        """Resolutions that are being carried out and cut this run, by number, with what they say of it."""
        return self._audits.cutting(run)

    def by_hand(self) -> Sequence[Resolution]:
        """Those that an administrator asked for and that are not over, by name."""
        return self._audits.by_hand()

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

    def pays(self, budget: str) -> bool:
        """Whether it pays for any open lease."""
        return self._paying.get(budget, 0) > 0

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

    def replaced(self, lease: Lease, node: str) -> bool:
        """Whether the node that the lease holds places on has gone, and the one of that name is another.

        Known by the uids of nodes as this world saw them: one that begins between the two sees only the second.
        """
        if not self._stranded:
            return False
        uid, known = self._stranded.get((lease.key, node)), self.node(node)
        return uid is not None and isinstance(known, Node) and known.uid != uid

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
        template = self.template(run)
        volumes: tuple[Terms, ...] = ()
        if template.claims:
            pods = self.wanted(run) // run.spec.resources.gpus_per_pod
            volumes = self.volumes.terms(run.key.namespace, template.claims, pods=pods)
        return need_of(run.spec, self.settings.fleet, template, volumes, self.demand(run))

    def wanted(self, run: Run) -> int:
        """GPUs that the run would take if there were enough."""
        demand = self.demand(run)
        return run.gpus if demand is None else demand.most

    def template(self, run: Run) -> PodTemplate:
        """The run's own, else what the pods that somebody else made for it say, which are taken to be alike."""
        if run.spec.template is not None:
            return run.spec.template
        claiming = self.gangs.claiming(run.key)
        return claiming[0].claim.rules if claiming and claiming[0].claim else BARE

    def owner(self, run: Run) -> str | None:
        """Whose budgets pay for it: the owner that it names, or the only one that its namespace spends for."""
        owners = self.owners(run.key.namespace)
        wanted = run.spec.owner or (owners[0] if len(owners) == 1 else None)
        return wanted if wanted in owners else None

    def ask(self, run: Run) -> Ask:
        """What the run wants paid for."""
        return ask_of(run.spec, self.owner(run), self.settings.reclaim, self.demand(run))

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

    def _touch(self, key: Key) -> None:
        """One key: this is called for every change of a run, a lease or a pod."""
        if not self._supposed:
            self.touched.add(key)

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
                self._put_pod(pod.key, was, pod)
                return c.PodSeen(was) if was is not None else c.PodGone(pod.key)
            case c.RunSeen():
                run = change.run
                key = run.meta.key
                old = self._runs.get(key)
                if old is not None and old.status == run.status and old == run:
                    return None
                if self._indexes:
                    self._tell(change)
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
                return self._pass(change.now) if change.now > self.now else None
            case _:
                inverse = self._inverse(change)
                if inverse is not None:
                    self._tell(change)
                    self._put(change)
                return inverse

    def _saw_closed(self, change: c.LeaseSeen) -> None:
        """Closed before this process saw it open: some keep account of it."""
        self.ends.closed(change.lease)
        if self._indexes:
            self._tell(change)

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
            case c.PledgeSeen(pledge):
                bound = self._pledges.get(pledge.run)
                if bound == pledge:
                    return None
                return c.PledgeSeen(bound) if bound is not None else c.PledgeGone(pledge.run)
            case c.PledgeGone(key):
                return c.PledgeSeen(bound) if (bound := self._pledges.get(key)) else None
            case c.HeadSeen(head):
                return c.HeadSeen(self.ledger.head) if head != self.ledger.head else None
            case _:
                return self._inverse_of_declared(change)

    def _inverse_of_declared(self, change: Declared | Kept | Promised) -> c.Change | None:
        match change:
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
            case c.StorageSeen(storage):
                kind, key = name_of(storage)
                s = self.volumes.things.get((kind, key))
                return None if s == storage else c.StorageSeen(s) if s else c.StorageGone(kind, key)
            case c.StorageGone(kind, key):
                return c.StorageSeen(s) if (s := self.volumes.things.get((kind, key))) else None
            case c.ReservationSeen() | c.ReservationGone():
                return self.promises.inverse(change)
            case _:
                return self._audits.inverse(change)

    @contextmanager
    def supposing(self, changes: Iterable[c.Change], *, heard: bool = True) -> Iterator[None]:
        """What if: inside, the world is as after the changes; afterwards everything is exactly as before.

        heard: whether the plugins' indexes are told; without, no plugin may be asked inside.
        """
        undo: list[c.Change] = []
        head, indexes = self.ledger.head, self._indexes
        freed, stirred = self.fleet.counts_of_freed(), self.promises.stirred
        if not self._supposed:
            self._suppose(begins=True)
        self._supposed += 1
        self._indexes = indexes if heard else {}
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
            self.fleet.nothing_freed(freed)
            self.promises.stirred = stirred
            self._indexes = indexes
            self._supposed -= 1
            if not self._supposed:
                self._suppose(begins=False)

    def _suppose(self, *, begins: bool) -> None:
        self.line.supposed(begins=begins)
        for index in self._indexes.values():
            told: Callable[[bool], object] | None = getattr(index, "supposed", None)
            if told is not None:
                told(begins)

    def observed(self) -> None:
        """All that was seen is taken up: what follows at this moment is decided."""
        for index in self._indexes.values():
            told: Callable[[], object] | None = getattr(index, "observed", None)
            if told is not None:
                told()

    def revert(self, inverse: c.Change) -> None:
        """Apply an inverse that `apply` returned; time may run backwards here, and nowhere else."""
        if isinstance(inverse, c.TimePassed):
            self._pass(inverse.now)
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
        yield from (c.LeaseSeen(self.ledger.open[key]) for key in sorted(self.ledger.open))
        yield from (c.PodSeen(self.gangs.pods[key]) for key in sorted(self.gangs.pods))
        yield from (c.PledgeSeen(pledge) for pledge in self.pledges())
        yield from (c.StartRefused(key, self._refusals[key]) for key in sorted(self._refusals))
        yield from self.promises.everything()
        yield from self._audits.everything()
        yield c.HeadSeen(self.ledger.head)

    # -- one handler for each kind ------------------------------------------------------------------------------------

    def _tell(self, change: c.Change) -> None:
        """A plugin's index hears of a change before the world takes it up. What draws are made from is not theirs."""
        if isinstance(change, c.ChainSeen | c.NoncesSeen):
            return
        for index in self._indexes.values():
            self._hear(index.apply(change))

    def _hear(self, moved: Iterable[Told]) -> None:
        """Runs to look at, and envelopes that may give more."""
        if self._supposed:
            return
        for one in moved:
            if isinstance(one, Key):
                self.touched.add(one)
                continue
            if isinstance(one, Takes):
                self.line.may_take(one)
                self.held.taken(one.payer)
                continue
            for line in (self.line, self.unpaid):
                line.may_give(one)

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
                about = self._audits.put(change)
                self.touch(*about)
                for key in about:
                    self._rebind(key)

    def _pass(self, now: datetime) -> c.Change:
        inverse = c.TimePassed(self.now)
        if self._indexes:
            self._tell(c.TimePassed(now))
        self.now = now
        if not self._supposed:
            self.line.slack.update(self.slack.pass_to(now))
            while (when := self.next_deadline()) is not None and when <= now:
                _, key = heapq.heappop(self._deadlines)
                del self._due[key]
                self.touched.add(key)
        return inverse

    def _put_run(self, key: Key, old: Run | None, run: Run | None) -> None:
        if run is not None:
            self._runs[key] = run
        else:
            del self._runs[key]
        if not self._supposed and (run is None or run.status.phase is Phase.RUNNING):
            self._due.pop(key, None)
        if old is None or run is None or old.spec is not run.spec or run.spec.after:
            self.promises.stirred = True
            self.ends.heard(old, run)
            self._depend(key, old, run)
            before, after = _claims(old), _claims(run)
            if before != after:
                self.volumes.use(key, before, after)
        self._stand(key, old, run)
        if self.ends.active:
            self.ends.replace(key, run)
        if key in self.unpaid.entries:
            self._unpaid_moved.add(key)
        if self.funded:
            self._slacken(old, run)
            if self.quanta.active:
                self.quanta.replace(key, run)
        moved = old is None or run is None or old.status.phase is not run.status.phase
        if moved and (dependents := self._dependents.get(key)) is not None:
            self.touch(*dependents)
        self._touch(key)

    def held_flavor(self, run: Run) -> str:
        """Of the GPUs that it holds, as far as their nodes are known; empty: none of them is."""
        if run.spec.resources.flavor is not None:
            return run.spec.resources.flavor
        nodes = (self.node(slots.node) for lease in self.leases_of(run.key) for slots in lease.spec.slots)
        return next((node.flavor for node in nodes if isinstance(node, Node)), "")

    def _loosen(self, key: Key) -> None:
        if (run := self._runs.get(key)) is not None:
            self._slacken(run, run)

    def _slacken(self, old: Run | None, run: Run | None) -> None:
        """Anew whenever the run, its leases or their nodes change: they come in any order."""
        known = run or old
        assert known is not None
        slack, held = None, known.status.funding
        if run is not None and run.status.started_at is not None and (held.unfunded or held.shared):
            flavor = self.held_flavor(run)
            spared = run.status.started_at + min_runtime_of(run.spec, self.settings.reclaim)
            slack = Slack(flavor, held.unfunded, held.shared, spared)
        if old is not None and run is not None and old.status.payers != run.status.payers:
            self.slack.stir(run.key)
        if self.slack.put(known.key, slack, self.now) and slack is not None and not self._supposed:
            self.line.slack.add(slack.flavor)

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
        if old is not None and run is not None and old.status.phase.begun and run.status.phase.begun:
            return
        phase = None if run is None or run.status.ending is not None else run.status.phase
        if phase is not None and not phase.begun:
            self._unstarted.setdefault(key.namespace, set()).add(key)
        elif (unstarted := self._unstarted.get(key.namespace)) is not None:
            unstarted.discard(key)
            if not unstarted:
                del self._unstarted[key.namespace]
        waits = run is not None and phase is not None and phase.waits and key not in self._pledges
        if run is None or not waits or run.meta.deleting or run.spec.suspend or run.spec.canceled:
            self.line.replace(key, None, None)
            if self.held.by_run:
                self._stir_hold(key)
            return
        if old is not None and old.spec is run.spec and (entry_ := self.line.entries.get(key)) is not None:
            need, ask = entry_.shape.need, entry_.queue.ask
        else:
            need, ask = self.need(run), self.ask(run) if self.funded else None
        stood = key in self.line.entries
        first = self.line.replace(key, self._order(key, run), need, ask)
        if ask is None or ask.owner is None:
            return
        held = self.held
        if held.by_run:
            self._stir_hold(key)
            if first is not None and first.cover is not None and not self._supposed:
                self.line.hear(key)  # what is held from those behind may be its own
        if not stood:
            held.expect(
                ask.owner, (run.status.queued_since or self.now) + self.settings.patience.holds_after(ask.owner)
            )

    def _stir_hold(self, key: Key) -> None:
        """What it holds may be somebody's now."""
        hold = self.held.by_run.get(key)
        if hold is not None and not self._supposed and not self._holds(hold):
            self.held.stirred.add(hold.owner)

    def _holds(self, hold: Hold) -> bool:
        """Whether it waits where it did, and nothing is bound to it yet."""
        stands = self.line.entries.get(hold.run)
        return stands is not None and stands.order == hold.order and hold.run not in self._pledges

    def order(self, run: Run) -> Order:
        """Its place in line, whether it stands there or not."""
        return self._order(run.key, run)

    def _order(self, key: Key, run: Run) -> Order:
        rank = self.rank(run)
        admitted = run.status.admitted_at or self.now
        order: Order = (0.0, *rank) if rank is not None else (1.0, admitted.timestamp())
        return (*order, *key)

    def _put_node(self, name: str, node: Node | MalformedNode | None) -> None:
        old = self.node(name)
        same = isinstance(old, Node) and isinstance(node, Node) and old.flavor == node.flavor
        flavors = None if same else self.flavors()
        self.fleet.replace_node(name, node)
        if not self._supposed:
            self.touched_nodes.add(name)
        if isinstance(node, Node) and node.request is not None:
            self.requests[name] = node.request
        else:
            self.requests.pop(name, None)
        lost = node is None or (isinstance(node, Node) and node.lost)
        if isinstance(old, Node) and (node is None or (isinstance(node, Node) and node.uid != old.uid)):
            self._strand(old)
            lost = True
        if self._pledges:
            self._touch_bound({name})
        self.promises.stirred = True
        if lost or (isinstance(old, Node) and old.lost):
            self.touch(*sorted({lease.run for lease in self.ledger.by_node.get(name, {}).values()}))
        if flavors is not None and flavors != self.flavors():
            self._flavors_changed()
        if self.funded and not same:
            for key in sorted({lease.run for lease in self.ledger.by_node.get(name, {}).values()}):
                self._loosen(key)

    def _flavors_changed(self) -> None:
        """A run that names none may mean another now, and Budgets say which of theirs nobody has."""
        self.line.forget()
        if not self._supposed:
            self.touched_budgets.update(self._budgets)

    def _strand(self, node: Node) -> None:
        """It is gone, or another has its name: what is leased on it was leased on this one."""
        self._stranded = {one: uid for one, uid in self._stranded.items() if one[0] in self.ledger.open}
        for key in self.ledger.by_node.get(node.name, ()):
            self._stranded.setdefault((key, node.name), node.uid)

    def _put_pod(self, key: Key, old: Pod | None, pod: Pod | None) -> None:
        self.gangs.replace(key, old, pod)
        if old is None or pod is None or not _weighs_the_same(old, pod):
            if old is not None and not old.phase.ended:
                self.fleet.load(old, there=False)
            if pod is not None and not pod.phase.ended:
                self.fleet.load(pod, there=True)
        before = old.rank.run if old is not None and old.rank is not None else None
        after = pod.rank.run if pod is not None and pod.rank is not None else None
        if before is not None:
            self._touch(before)
        if after is not None and after is not before:
            self._touch(after)
        if old is not None and old.claim is not None:
            self._claimed(old.claim.run)
        if pod is not None and pod.claim is not None:
            self._claimed(pod.claim.run)

    def _claimed(self, key: Key) -> None:
        """What it needs may be another: somebody else's pods for this run, or volumes that it uses, came or went."""
        run = self._runs.get(key)
        if run is not None:
            self._stand(key, None, run)
        self.touch(key)

    def _put_lease(self, old: Lease | None, lease: Lease | None) -> None:
        if self.funded:
            self._unpay(old, lease)
        if old is not None and lease is not None and not lease.status.closed and old.spec is lease.spec:
            self.ledger.remove(old)
            self.ledger.add(lease)  # only its meter is another
            return
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
                self._touch(known.run)
                if self.funded:
                    self._loosen(known.run)
        if old is not None and self._pledges:
            self._touch_bound({slots.node for slots in old.spec.slots})
        if self.line.entries:
            self.promises.stirred = True
        if lease is not None and lease.status.closed and not self._supposed:
            self.ends.closed(lease)

    def _touch_bound(self, nodes: AbstractSet[str]) -> None:
        """Somebody may be waiting for places of theirs."""
        for key, pledge in self._pledges.items():
            if any(pod.node in nodes for group in pledge.placement.groups for pod in group.pods):
                self._touch(key)

    def _unpay(self, old: Lease | None, lease: Lease | None) -> None:
        """Who holds GPUs that nobody pays for stands in line for cover, where its run does for GPUs while it waits."""
        for known, sign in ((old, -1), (lease, 1)):
            if known is None:
                continue
            self.slack.stir(known.run)
            if known.status.closed:
                continue
            payer = known.spec.payer
            if payer is None:
                self._unpaid_moved.add(known.run)
            else:
                self._paying[payer.budget] = self._paying.get(payer.budget, 0) + sign
                if not self._supposed:
                    self.touched_budgets.add(payer.budget)

    def _rebind(self, key: Key) -> None:
        """What is bound to this run is what its last resolution binds, as long as that is being carried out."""
        resolution = self._audits.activating(key)
        pledge = pledge_of(resolution) if resolution is not None else None
        self.apply(c.PledgeSeen(pledge) if pledge is not None else c.PledgeGone(key))

    def _promise(self, change: Promised) -> None:
        key, nodes = self.promises.put(change)
        for name in nodes:
            self.fleet.keep(name, self.promises.mask(name))
        if key not in self.promises.by_run:
            self.promises.stirred = True
        if self.funded and not self._supposed:
            self._stir_hold(key)
            if (stands := self.line.entries.get(key)) is not None:
                self.held.stir(stands.queue.ask)
        self.touch(key)

    def _put_pledge(self, key: Key, pledge: Pledge | None) -> None:
        old = self._pledges.pop(key, None)
        if old is not None:
            self.fleet.bind(old.placement, bound=False)
        if pledge is not None:
            self._pledges[key] = pledge
            self.fleet.bind(pledge.placement, bound=True)
        if not self._supposed:
            for known in (old, pledge):
                self.touched_budgets.update(share.payer.budget for share in (known.shares if known is not None else ()))
        if (run := self._runs.get(key)) is not None:
            self._stand(key, None, run)
        self.touch(key)

    def _put_storage(self, name: tuple[str, Key], thing: Storage | None) -> None:
        """Whoever uses it and waits may need another place now."""
        for claim in self.volumes.replace(name, thing):
            theirs = [run for run in self.gangs.claims if run.namespace == claim.namespace]
            for key in sorted({*self.volumes.users.get(claim, ()), *theirs}):
                self._claimed(key)

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
            if self.funded:
                self.promises.stirred = True
                self.line.unhear()
                self.unpaid.unhear()
            if not self._supposed:  # what one says of owners and parents may be news for every other
                self.touched_budgets.update(self._budgets)

    def _touch_budgets(self, owners: AbstractSet[str]) -> None:
        """The namespaces that spend for these owners may be others now: their budgets say how many."""
        if owners and not self._supposed:
            self.touched_budgets.update(name for name, b in self._budgets.items() if b.spec.owner in owners)

    def _owners_changed(self) -> None:
        before, self._owners = self._owners, {}
        self._unpaid_moved.update(self.unpaid.entries, self._aside)
        for namespace in sorted(self._unstarted):
            if before.get(namespace) != self.owners(namespace):
                self.touch(*self._unstarted[namespace])
                for key in sorted(self._unstarted[namespace]) if self.funded else ():
                    self._stand(key, None, self._runs[key])


def _claims(run: Run | None) -> tuple[str, ...]:
    return run.spec.template.claims if run is not None and run.spec.template is not None else ()


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

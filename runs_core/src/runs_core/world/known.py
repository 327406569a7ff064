"""What is known of the cluster, with its indexes, and how it is read."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from runs_core.settings import Settings
from runs_core.values import change as c
from runs_core.values.budget import Budget, Namespace
from runs_core.values.demand import Demand
from runs_core.values.funding import Ask, Pledge
from runs_core.values.lease import Lease
from runs_core.values.meta import Key, Pairs
from runs_core.values.need import Need
from runs_core.values.node import MalformedNode, Node
from runs_core.values.nonces import Chain, Nonces
from runs_core.values.pod import Pod
from runs_core.values.request import Request
from runs_core.values.resolution import Cut, Resolution
from runs_core.values.run import Run
from runs_core.values.template import PodTemplate, Terms
from runs_core.world.after import Dependents
from runs_core.world.ends import Ends
from runs_core.world.fleet import Fleet
from runs_core.world.gangs import Gangs
from runs_core.world.hearers import Hearers
from runs_core.world.held import Held, Hold
from runs_core.world.ledger import Ledger
from runs_core.world.lengths import Lengths
from runs_core.world.line import Line
from runs_core.world.needs import BARE, ask_of, lies_in, need_of
from runs_core.world.promises import Promises
from runs_core.world.quanta import Quanta
from runs_core.world.queues import Order
from runs_core.world.resolutions import Resolutions
from runs_core.world.slack import Slacks
from runs_core.world.timetable import Timetable
from runs_core.world.view import Gathers, Index
from runs_core.world.volumes import Volumes

T = TypeVar("T")
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
Rank = Callable[[Run], Order | None]
Asked = Callable[[Run], Demand | None]


def _no_rank(_: Run) -> None:
    return None


def _as_it_says(_: Run) -> None:
    """Nobody says otherwise than the spec how wide a run is."""


class Known:
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
        self.upstream = Dependents()
        self._unstarted: dict[str, set[Key]] = {}
        self._refusals: dict[Key, c.Refusal] = {}
        self._unread: dict[Key, str] = {}
        self._pledges: dict[Key, Pledge] = {}
        self._indexes: dict[type, Index] = {}
        self._hearers = Hearers({})
        self._gathering: tuple[Gathers, ...] = ()
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
        self.audits = Resolutions()
        self.promises = Promises()
        self.held = Held(self._holds)
        self.lengths = Lengths(self)
        self.ends = Ends(self)
        self.timetable = Timetable(self)
        self.quanta = Quanta(self)
        self.touched: set[Key] = set()
        self.touched_budgets: set[str] = set()
        self.touched_nodes: set[str] = set()
        self.touched_unread: set[Key] = set()
        self._stranded: dict[tuple[Key, str], str] = {}
        self._supposed = 0

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

    def unread(self, key: Key) -> str | None:
        """Why the run of that name cannot be read; None: it can, or there is none."""
        return self._unread.get(key)

    def unread_runs(self) -> Sequence[Key]:
        """Those that cannot be read, sorted."""
        return sorted(self._unread)

    def pledge(self, key: Key) -> Pledge | None:
        """What is bound to this run until whoever is there has gone."""
        return self._pledges.get(key)

    def pledges(self) -> Sequence[Pledge]:
        """All of them, by run."""
        return [self._pledges[key] for key in sorted(self._pledges)]

    def resolution(self, name: str) -> Resolution | None:
        return self.audits.get(name)

    def cutting(self, run: Key) -> Sequence[tuple[Resolution, Cut]]:
        """Resolutions that are being carried out and cut this run, by number, with what they say of it."""
        return self.audits.cutting(run)

    def by_hand(self) -> Sequence[Resolution]:
        """Those that an administrator asked for and that are not over, by name."""
        return self.audits.by_hand()

    def resolutions(self) -> Sequence[Resolution]:
        """All that are kept, by number."""
        return self.audits.all()

    @property
    def chain(self) -> Chain:
        """The last resolution, and what binds the next one's nonce."""
        return self.audits.chain

    @property
    def nonces(self) -> Nonces | None:
        """What draws are made from; None: who looks here decides nothing."""
        return self.audits.nonces

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

    def nothing_lost(self) -> bool:
        """Whether every node that anything lies on is there, is not lost, and is the one that it was."""
        return not (self.fleet.dark or self._stranded)

    def pods_of(self, key: Key) -> Sequence[Pod]:
        return self.gangs.of(key)

    def flavors(self) -> Sequence[str]:
        """Flavors of the present nodes, sorted."""
        return sorted(name for name, flavor in self.fleet.flavors.items() if flavor.nodes)

    def sole_flavor(self) -> str | None:
        """The one flavor of the fleet; None where it has none or several."""
        flavors = self.flavors() if len(self.fleet.flavors) > 1 else list(self.fleet.flavors)
        return flavors[0] if len(flavors) == 1 else None

    def held_flavor(self, run: Run) -> str:
        """Of the GPUs that it holds, as far as their nodes are known; empty: none of them is."""
        if run.spec.resources.flavor is not None:
            return run.spec.resources.flavor
        nodes = (self.node(slots.node) for lease in self.leases_of(run.key) for slots in lease.spec.slots)
        return next((node.flavor for node in nodes if isinstance(node, Node)), "")

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

    def order(self, run: Run) -> Order:
        """Its place in line, whether it stands there or not."""
        return self._order(run.key, run)

    def _order(self, key: Key, run: Run) -> Order:
        rank = self.rank(run)
        admitted = run.status.admitted_at or self.now
        order: Order = (0.0, *rank) if rank is not None else (1.0, admitted.timestamp())
        return (*order, *key)

    def dependents(self, key: Key) -> Sequence[Key]:
        """Unfinished runs that name this one in `after`, sorted."""
        return self.upstream.of(key)

    def free_gpus(self, flavor: str) -> int:
        found = self.fleet.flavors.get(flavor)
        return found.free if found else 0

    def lies_in(self, node: Node, selector: Pairs) -> bool:
        """Whether the node has all of these labels; one that says of no place has `default`."""
        return lies_in(node, selector, self.settings.fleet)

    def index(self, cls: type[T]) -> T:
        """The index that was attached as this class. KeyError: none was."""
        found: Any = self._indexes[cls]
        return found  # type: ignore[no-any-return]  # keyed by its own class in attach

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

    def unheard(self) -> bool:
        """Whether who pays has changed for somebody who has not been asked since."""
        waiting, unpaid = self.line.hearing, self.unpaid.hearing
        return bool(
            self.held.stirred or self._unpaid_moved or waiting.gave or waiting.unheard or unpaid.gave or unpaid.unheard
        )

    def touch(self, *keys: Key) -> None:
        if not self._supposed:
            self.touched.update(keys)

    def _touch(self, key: Key) -> None:
        """One key: this is called for every change of a run, a lease or a pod."""
        if not self._supposed:
            self.touched.add(key)

    def _holds(self, hold: Hold) -> bool:
        """Whether it waits where it did, and nothing is bound to it yet."""
        stands = self.line.entries.get(hold.run)
        return stands is not None and stands.order == hold.order and hold.run not in self._pledges


def _lists(budget: Budget, namespace: str, labels: dict[str, str]) -> bool:
    wanted = budget.spec.namespaces
    if namespace in wanted.names:
        return True
    return bool(wanted.match_labels) and all(labels.get(key) == value for key, value in wanted.match_labels)

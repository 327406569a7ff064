"""The index: which claims are funded, by whom, kept in step with every change; and what each has used."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from runs_budgets.books import Books
from runs_budgets.claims import CLASSES, UNFUNDED
from runs_budgets.clock import NEVER, micros, moment_of
from runs_budgets.envelopes import Purse
from runs_budgets.family import Family
from runs_budgets.meter import FRESH, Holding, mark_of, split_of
from runs_budgets.places import LiesIn, Places, labelled
from runs_budgets.quotas import Quotas
from runs_budgets.registry import Registry
from runs_budgets.sections import NOTHING, Metered, Quota
from runs_core import (
    BudgetGone,
    BudgetSeen,
    Change,
    Class,
    Gives,
    Key,
    Lease,
    LeaseGone,
    LeaseSeen,
    Node,
    NodeGone,
    NodeSeen,
    Payer,
    Pledge,
    PledgeGone,
    PledgeSeen,
    Run,
    RunGone,
    RunSeen,
    RunSpec,
    Split,
    Takes,
    Tier,
    TimePassed,
    section,
)

Told = Iterable[Key | Payer | Gives | Takes]
Minimum = Callable[[Run], int | None]
"""The GPUs that a malleable run cannot do without; None: it is fixed."""


def fixed(_: Run) -> int | None:
    """No run is malleable."""
    return None


class Funding:
    """Every claim's class and every envelope's use, by what changed.

    minimum: asks who is malleable. lies_in: whether a node has such labels.

    Budgets, runs, nodes, leases and pledges may come in any order. Time that passes is taken moment by moment: a
    window's end or the end of its hours counts from when it came, however late the next change is.
    """

    def __init__(self, minimum: Minimum = fixed, lies_in: LiesIn = labelled) -> None:
        self.family = Family()
        self.books = Books()
        self.places = Places(self.books, lies_in)
        self.registry = Registry(self.books, self.family, self.places)
        self.quotas = Quotas(self.books, self.family, self.registry)
        self._minimum = minimum
        self._runs: dict[Key, tuple[str, datetime | None, RunSpec]] = {}
        self._holdings: dict[Key, Holding] = {}
        self._pledges: dict[Key, Pledge] = {}
        self._counted: dict[str, dict[Key, int]] = {}
        self._recorded: dict[str, int] = {}
        self._late: dict[str, list[Lease]] = {}
        self._moment: datetime | None = None
        self._handle: dict[type, Callable[[Any], None]] = {
            LeaseSeen: self._lease_seen,
            LeaseGone: self._lease_gone,
            PledgeSeen: self._pledge_seen,
            PledgeGone: self._pledge_gone,
            NodeSeen: self._node_seen,
            NodeGone: self._node_gone,
            RunSeen: self._run_seen,
            RunGone: self._run_gone,
            BudgetSeen: self._budget_seen,
            BudgetGone: self._budget_gone,
            TimePassed: self._time_passed,
        }
        self.hears: Mapping[type, Sequence[str]] = {
            **dict.fromkeys(self._handle, ()),
            RunSeen: ("meta.uid", "spec", "status.admitted_at"),
        }

    def apply(self, change: Change) -> Told:
        """Take it up. Returns the runs whose class changed, and the envelopes that can give more than before."""
        handle = self._handle.get(type(change))
        if handle is not None:
            handle(change)
        return self.books.told()

    def apply_all(self, changes: Sequence[Change]) -> Told:
        """Likewise, of one after the other."""
        return tuple([told for change in _known_first(changes) for told in self.apply(change)])

    # -- answers ------------------------------------------------------------------------------------------------------

    @property
    def now(self) -> datetime:
        """Until when everything is counted."""
        return moment_of(self.books.now)

    def classify(self, lease: Lease) -> Class | None:
        """What an open lease counts as now; None: it is not known to be open."""
        holding = self._holdings.get(lease.key)
        return None if holding is None else CLASSES[holding.cls]

    def meter(self, lease: Lease, now: datetime) -> Split | None:
        """GPU-seconds of a lease by class until now; None: it is not known to be open.

        In all its GPUs times the whole seconds since its start.
        """
        holding = self._holdings.get(lease.key)
        return None if holding is None else split_of(holding.until(micros(now)))

    def next_moment(self) -> datetime | None:
        """When next a window opens or closes, or an envelope's hours are used up: time does nothing else by itself."""
        now, found = self.books.now, self.quotas.next()
        if self.books.late:
            return moment_of(now + 1)  # what nobody had metered is counted as soon as time goes on
        at = min((at for at in found if at > now), default=None) if found else None
        return None if at is None else moment_of(at)

    def envelopes_of(self, owner: str) -> Iterator[Purse]:
        """The envelopes of that owner, by budget and name."""
        for budget in self.quotas.of_owner.get(owner, ()):
            yield from self.envelopes_in(budget)

    def envelopes_in(self, budget: str) -> Iterator[Purse]:
        """The envelopes of that Budget, by name."""
        of = self.books.purses.get(budget, {})
        yield from (of[name] for name in sorted(of))

    def envelope(self, payer: Payer) -> Purse | None:
        """That envelope; None: no Budget has it now."""
        purse = self.books.purses.get(payer.budget, {}).get(payer.envelope)
        return purse if purse is not None and purse.spec is not None else None

    def unfunded(self) -> Collection[Key]:
        """Runs with a lease that nobody pays for, in no order."""
        return set(self.books.unfunded.values())

    # -- leases and pledges -------------------------------------------------------------------------------------------

    def _lease_seen(self, change: LeaseSeen) -> None:
        lease = change.lease
        key = lease.meta.key
        holding = self._holdings.get(key)
        if holding is None:
            (self._ended if lease.status.closed else self._open)(lease)
        elif lease.status.closed:
            self._close(key, holding, lease)

    def _lease_gone(self, change: LeaseGone) -> None:
        holding = self._holdings.get(change.key)
        if holding is not None:
            self._close(change.key, holding, None)

    def _open(self, lease: Lease) -> None:
        key, spec = lease.key, lease.spec
        books = self.books
        holding = books.again(*key)
        if holding is None or holding.spec != spec:
            start = books.now if spec.start is self._moment else micros(spec.start)
            holding = Holding(lease, start, books.now)
        self._holdings[key] = holding
        payer = spec.payer
        if payer is None:
            holding.cls = UNFUNDED
            books.note(holding, lease.run)
            return
        claim, changed = self.registry.take_up(lease.run, spec.run_ref.uid, spec.owner, payer)
        holding.claim = claim
        claim.holdings[key] = holding
        if not claim.purse.anywhere:
            self.places.moved()
        if holding.cls != FRESH:
            books.note(holding, lease.run)
            books.meter(claim, holding, holding.gpus)
            if not books.supposing:
                self._counted.get(payer.budget, {}).pop(key, None)
        self.registry.settle(claim, changed + self.registry.place(claim))
        self._end_hours()

    def _close(self, key: Key, holding: Holding, lease: Lease | None) -> None:
        books, claim = self.books, holding.claim
        del self._holdings[key]
        books.set_aside(holding, *key)
        if holding.cls == UNFUNDED:
            books.unfunded.pop(holding, None)
        if claim is None:
            return
        changed = self.registry.withdraw(claim)
        if books.late and lease is not None:
            books.count_late(holding)
        books.meter(claim, holding, -holding.gpus)
        del claim.holdings[key]
        if not claim.purse.anywhere:
            self.places.moved()
        self.registry.settle(claim, changed + self.registry.place(claim))
        holding.claim = None
        if lease is not None and not books.supposing:
            self._counted.setdefault(claim.purse.payer.budget, {})[key] = books.now

    def _ended(self, lease: Lease) -> None:
        """A lease that ended while nobody watched: what the Budget's status lacks of it is counted, once."""
        payer, end = lease.spec.payer, lease.status.end
        mark = mark_of(lease)
        if payer is None or end is None or mark is None or self.books.supposing:
            return
        purse = self.books.purses.get(payer.budget, {}).get(payer.envelope)
        if purse is None or purse.spec is None:
            self._late.setdefault(payer.budget, []).append(lease)
            return
        counted, until = self._counted.setdefault(payer.budget, {}), micros(end)
        if until > self._recorded.get(payer.budget, 0) and lease.key not in counted:
            counted[lease.key] = until
            since = max(purse.until, micros(lease.spec.start))
            self.books.catch_up(purse, lease.spec.owner, mark, lease.gpus * max(0, until - since))

    def _pledge_seen(self, change: PledgeSeen) -> None:
        pledge = change.pledge
        self._unpledge(pledge.run)
        self._pledges[pledge.run] = pledge
        for share in pledge.shares:
            claim, changed = self.registry.take_up(pledge.run, pledge.uid, pledge.owner, share.payer)
            claim.pledged += share.gpus
            claim.pledged_since = micros(pledge.since)
            claim.pledged_loan = share.tier is Tier.STRANGER
            self.registry.settle(claim, changed + self.registry.place(claim))

    def _pledge_gone(self, change: PledgeGone) -> None:
        self._unpledge(change.run)

    def _unpledge(self, run: Key) -> None:
        pledge = self._pledges.pop(run, None)
        for share in pledge.shares if pledge is not None else ():
            claim = self.books.purse(share.payer).claims.get(pledge.uid if pledge is not None else "")
            if claim is not None:
                changed = self.registry.withdraw(claim)
                claim.pledged, claim.pledged_since, claim.pledged_loan = 0, NEVER, False
                self.registry.settle(claim, changed + self.registry.place(claim))

    # -- nodes, runs, budgets, time -----------------------------------------------------------------------------------

    def _node_seen(self, change: NodeSeen) -> None:
        self._node(change.node.name, change.node if isinstance(change.node, Node) else None)

    def _node_gone(self, change: NodeGone) -> None:
        self._node(change.name, None)

    def _node(self, name: str, node: Node | None) -> None:
        for claim in self.places.put(name, node):
            self.registry.look_again(claim)
        self._end_hours()

    def _run_seen(self, change: RunSeen) -> None:
        run = change.run
        key, admitted = run.meta.key, run.status.admitted_at
        known = self._runs.get(key)
        if known is not None and known[2] is run.spec and known[1] == admitted and known[0] == run.meta.uid:
            return
        self._runs[key] = run.meta.uid, admitted, run.spec
        self.registry.know(key, (run.meta.uid, admitted, self._minimum(run), run.spec.resources.flavor))

    def _run_gone(self, change: RunGone) -> None:
        self._runs.pop(change.key, None)
        self.registry.know(change.key, None)

    def _budget_seen(self, change: BudgetSeen) -> None:
        budget = change.budget
        name, account = budget.name, section(budget.status.sections, Metered)
        if account is not None and account.metered_until is not None:
            self._recorded_until(name, micros(account.metered_until))
        new = budget.spec.owner, section(budget.spec.sections, Quota) or NOTHING
        if self.quotas.known.get(name) == new:
            return
        self.quotas.put(name, new, account)
        self.places.moved()
        for lease in self._late.pop(name, ()):
            self._ended(lease)
        self._end_hours()

    def _budget_gone(self, change: BudgetGone) -> None:
        if change.name in self.quotas.known:
            self.quotas.put(change.name, None)
            self.places.moved()
        self._end_hours()

    def _recorded_until(self, name: str, until: int) -> None:
        """The Budget's status counts everything until then: what ended before need not be remembered."""
        if self.books.supposing:
            return
        self._recorded[name] = max(until, self._recorded.get(name, until))
        counted = self._counted.get(name, {})
        for key in [key for key, end in counted.items() if end <= until]:
            del counted[key]

    def _time_passed(self, change: TimePassed) -> None:
        if self._late and not self.books.supposing:
            self._late.clear()
        self._moment = change.now
        self.quotas.pass_to(micros(change.now))

    def _end_hours(self) -> None:
        """Where what was found out just now ends an envelope's hours."""
        dues = self.books.dues
        if dues and dues[0][0] <= self.books.now:
            self.quotas.pass_to(self.books.now)

    def observed(self) -> None:
        """What became known is all there is to know at this moment: what changes a class from here on was decided."""
        if self.books.recent and not self.books.supposing:
            self.books.found()

    def supposed(self, on: bool) -> None:  # noqa: FBT001 - as core calls it
        """A what-if begins, or is over and its changes are taken back: then every meter is exactly as before."""
        if on:
            self.books.suppose()
        else:
            self.quotas.end_supposing()


def _known_first(changes: Sequence[Change]) -> Sequence[Change]:
    """A run that starts holds its leases, and is admitted: with that known first its claims are placed once."""
    at = last = len(changes) - 1
    if type(changes[last]) is not RunSeen:
        return changes
    while at and type(changes[at - 1]) is LeaseSeen:
        at -= 1
    return changes if at == last else (*changes[:at], changes[last], *changes[at:last])

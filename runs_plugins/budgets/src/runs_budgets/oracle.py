"""The same answers from plain lists, all anew each time: slow and obvious, for tests to compare with."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime

import attrs

from runs_budgets.claims import BORROWED, OWNED, SHARED, UNFUNDED
from runs_budgets.clock import HOUR, NEVER, SECOND, micros
from runs_budgets.sections import Envelope, Quota, Sharing
from runs_core import Key, Lease, Node, Pledge, Tier

Spot = tuple[str, str]
About = tuple[str, datetime | None, int | None, str | None]
"""Of a run: its uid, its admission, what it needs at least where it is malleable, and the flavor that it says."""
UNKNOWN: About = ("", None, None, None)
_AS = {Tier.OWN: OWNED, Tier.CHILD: SHARED, Tier.SIBLING: SHARED, Tier.COUSIN: SHARED, Tier.STRANGER: BORROWED}


@attrs.frozen
class Facts:
    """Everything that a class depends on. spent, lent_out: envelopes whose hours, or hours to lend, are used up."""

    budgets: Mapping[str, tuple[str, Quota]]
    runs: Mapping[Key, About]
    leases: Collection[Lease]
    pledges: Collection[Pledge]
    now: int
    nodes: Mapping[str, Node]
    spent: Collection[Spot] = ()
    lent_out: Collection[Spot] = ()


@attrs.frozen
class Evaluation:
    """Class of each lease; funded GPUs of each envelope by class; rank order of all claims as (run uid, envelope)."""

    classes: Mapping[Key, int]
    funded: Mapping[Spot, Sequence[int]]
    order: Sequence[tuple[str, Spot]]


# -- family -----------------------------------------------------------------------------------------------------------


def parents_of(facts: Facts) -> dict[str, set[str]]:
    """The parents that count, of each owner that has a Budget."""
    named: dict[str, set[str]] = defaultdict(set)
    for owner, quota in facts.budgets.values():
        named[owner] |= set(quota.parents) - {owner}
    return {
        owner: set() if owner in _above(owner, named) else {parent for parent in parents if parent in named}
        for owner, parents in list(named.items())
    }


def _above(owner: str, named: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    more = set(named.get(owner, ()))
    while more - found:
        found |= more
        more = {elder for one in found for elder in named.get(one, ())}
    return found


def tier_of(owner: str | None, other: str | None, parents: Mapping[str, set[str]]) -> Tier:
    """How near the owner of an envelope (second) is to the owner of a run."""
    if owner is None or other is None:
        return Tier.STRANGER
    mine, theirs = parents.get(owner, set()), parents.get(other, set())
    if owner == other:
        return Tier.OWN
    if other in mine:
        return Tier.CHILD
    if mine & theirs:
        return Tier.SIBLING
    grands = [{grand for parent in some for grand in parents.get(parent, ())} for some in (mine, theirs)]
    return Tier.COUSIN if grands[0] & grands[1] else Tier.STRANGER


# -- claims -----------------------------------------------------------------------------------------------------------


@attrs.define
class _Claim:
    run: Key
    uid: str
    owner: str | None
    spot: Spot
    tier: Tier
    leases: list[Lease] = attrs.field(factory=list)
    pledged: int = 0
    pledged_since: int = NEVER
    lent: bool = True

    @property
    def need(self) -> int:
        return self.pledged + sum(lease.gpus for lease in self.leases)

    def rank(self, runs: Mapping[Key, About]) -> tuple[object, ...]:
        uid, admitted, _, _ = runs.get(self.run, UNKNOWN)
        at = NEVER if admitted is None or uid != self.uid else micros(admitted)
        since = min([self.pledged_since, *(micros(lease.spec.start) for lease in self.leases)])
        courtesy = self.tier in (Tier.CHILD, Tier.SIBLING, Tier.COUSIN)
        return (int(courtesy), self.tier if courtesy else 0, since, at, self.run, self.spot, self.uid)

    def ordered(self) -> list[Lease]:
        return sorted(
            self.leases, key=lambda lease: (lease.spec.group, lease.spec.role, lease.spec.part, lease.meta.name)
        )

    def amounts(self, runs: Mapping[Key, About]) -> list[int]:
        """All that it may take, most first."""
        uid, _, least, _ = runs.get(self.run, UNKNOWN)
        amounts = [self.need]
        if least is not None and uid == self.uid:
            groups = sorted({lease.spec.group for lease in self.leases})
            upto = [sum(lease.gpus for lease in self.leases if lease.spec.group <= group) for group in groups]
            amounts += [held for held in reversed(upto) if least <= held < self.need]
        return amounts


def _claims(facts: Facts) -> list[_Claim]:
    parents = parents_of(facts)
    found: dict[tuple[str, Spot], _Claim] = {}

    def claim(run: Key, uid: str, owner: str | None, spot: Spot) -> _Claim:
        holder = facts.budgets[spot[0]][0] if spot[0] in facts.budgets else None
        return found.setdefault((uid, spot), _Claim(run, uid, owner, spot, tier_of(owner, holder, parents)))

    for lease in facts.leases:
        spec = lease.spec
        if spec.payer is not None:
            spot = spec.payer.budget, spec.payer.envelope
            one = claim(lease.run, spec.run_ref.uid, spec.owner, spot)
            one.leases.append(lease)
            one.lent = one.lent and spec.loan
    for pledge in facts.pledges:
        for share in pledge.shares:
            one = claim(pledge.run, pledge.uid, pledge.owner, (share.payer.budget, share.payer.envelope))
            one.pledged += share.gpus
            one.pledged_since = micros(pledge.since)
            one.lent = one.lent and share.tier is Tier.STRANGER
    return sorted(found.values(), key=lambda one: one.rank(facts.runs))


# -- the fill ---------------------------------------------------------------------------------------------------------


def envelopes_of(facts: Facts) -> Iterator[tuple[Spot, Envelope]]:
    """All envelopes; of two of one name in a Budget the first counts."""
    for name, (_, quota) in facts.budgets.items():
        yield from (((name, envelope.name), envelope) for envelope in reversed(quota.envelopes))


def is_open(envelope: Envelope, now: int) -> bool:
    """Whether it is within its window."""
    start, end = envelope.window.start, envelope.window.end
    return (start is None or micros(start) <= now) and (end is None or now < micros(end))


def evaluate_all(facts: Facts) -> Evaluation:
    """All claims of the cluster, ranked once; each takes what is left. O(claims x bounds)."""
    envelopes = dict(envelopes_of(facts))
    left: dict[tuple[str, ...], int] = {}
    for (budget, name), envelope in envelopes.items():
        left["gpus", budget, name] = envelope.gpus
        if envelope.lending is not None and envelope.lending.max_gpus is not None:
            left["lent", budget, name] = envelope.lending.max_gpus
    for budget, (_, quota) in facts.budgets.items():
        for cap in quota.aggregate_caps:
            left["cap", budget, cap.name] = cap.gpus
    funded: dict[Spot, list[int]] = {spot: [0, 0, 0, 0] for spot in envelopes}
    classes = {lease.key: UNFUNDED for lease in facts.leases}
    claims = _claims(facts)
    for claim in claims:
        found = envelopes.get(claim.spot)
        if found is None or not _may(claim, found, facts):
            continue
        bounds = [bound for bound in _bounds(claim, found, facts.budgets[claim.spot[0]][1]) if bound in left]
        room = min(left[bound] for bound in bounds)
        taken = next((amount for amount in claim.amounts(facts.runs) if amount <= room), 0)
        for bound in bounds:
            left[bound] -= taken
        funded[claim.spot][_AS[claim.tier]] += taken
        for lease in claim.ordered():
            if lease.gpus <= taken:
                classes[lease.key] = _AS[claim.tier]
                taken -= lease.gpus
            else:
                break
    return Evaluation(classes, funded, [(claim.uid, claim.spot) for claim in claims])


def _may(claim: _Claim, envelope: Envelope, facts: Facts) -> bool:
    uid, _, _, flavor = facts.runs.get(claim.run, UNKNOWN)
    if uid == claim.uid and flavor not in (None, envelope.flavor):
        return False
    names = {slots.node for lease in claim.leases for slots in lease.spec.slots}
    if not all(set(envelope.selector) <= set(facts.nodes[name].labels) for name in names & set(facts.nodes)):
        return False
    if not is_open(envelope, facts.now) or claim.spot in facts.spent:
        return False
    match claim.tier:
        case Tier.OWN:
            return True
        case Tier.STRANGER:
            return claim.lent and envelope.lending is not None and claim.spot not in facts.lent_out
        case _:
            return envelope.sharing is Sharing.FAMILY


def _bounds(claim: _Claim, envelope: Envelope, quota: Quota) -> Iterator[tuple[str, ...]]:
    budget, name = claim.spot
    yield "gpus", budget, name
    if claim.tier is Tier.STRANGER:
        yield "lent", budget, name
    for cap in quota.aggregate_caps:
        if name in cap.envelopes and envelope.flavor == cap.flavor:
            yield "cap", budget, cap.name


# -- the meter --------------------------------------------------------------------------------------------------------


class Chronicle:
    """A history told moment by moment, metered with nothing but the classes of each moment."""

    def __init__(self) -> None:
        self.now = 0
        self.budgets: dict[str, tuple[str, Quota]] = {}
        self.runs: dict[Key, About] = {}
        self.leases: dict[Key, Lease] = {}
        self.pledges: dict[Key, Pledge] = {}
        self.nodes: dict[str, Node] = {}
        self.used: dict[Spot, list[int]] = {}
        self.lease_seconds: dict[Key, list[int]] = {}
        self._counted: dict[Key, int] = {}
        self._windows: dict[Spot, datetime | None] = {}
        self._offsets: dict[Spot, dict[datetime | None, tuple[int, int]]] = {}

    def facts(self) -> Facts:
        """As things stand."""
        bare = self._bare()
        envelopes = dict(envelopes_of(bare))
        return attrs.evolve(
            bare,
            spent=[s for s, e in envelopes.items() if e.gpu_hours is not None and self.funded(s) >= e.gpu_hours * HOUR],
            lent_out=[
                spot
                for spot, envelope in envelopes.items()
                if envelope.lending is not None
                and envelope.lending.max_gpu_hours is not None
                and self.lent(spot) >= envelope.lending.max_gpu_hours * HOUR
            ],
        )

    def _bare(self) -> Facts:
        return Facts(self.budgets, self.runs, self.leases.values(), self.pledges.values(), self.now, self.nodes)

    def funded(self, spot: Spot) -> int:
        """GPU-microseconds funded in this window."""
        return sum(self.used.get(spot, [0, 0, 0])[:3]) - self._offset(spot)[0]

    def lent(self, spot: Spot) -> int:
        """GPU-microseconds lent in this window."""
        return self.used.get(spot, [0, 0, 0])[BORROWED] - self._offset(spot)[1]

    def _offset(self, spot: Spot) -> tuple[int, int]:
        return self._offsets[spot][self._windows[spot]] if spot in self._windows else (0, 0)

    def put_budget(self, name: str, new: tuple[str, Quota] | None) -> None:
        """Another window has a count of its own."""
        if new is None:
            del self.budgets[name]
            return
        self.budgets[name] = new
        for envelope in reversed(new[1].envelopes):
            spot, start = (name, envelope.name), envelope.window.start
            used = self.used.get(spot, [0, 0, 0, 0])
            fresh = (sum(used[:3]), used[BORROWED]) if spot in self._windows else (0, 0)
            self._offsets.setdefault(spot, {}).setdefault(start, fresh)
            self._windows[spot] = start

    def _forget(self) -> None:
        """What nobody names or claims any more."""
        shares = [share.payer for pledge in self.pledges.values() for share in pledge.shares]
        payers = [lease.spec.payer for lease in self.leases.values() if lease.spec.payer is not None] + shares
        kept = {spot for spot, _ in envelopes_of(self._bare())} | {(payer.budget, payer.envelope) for payer in payers}
        for spot in [spot for spot in {**self.used, **self._windows} if spot not in kept]:
            for index in (self.used, self._windows, self._offsets):
                index.pop(spot, None)

    def pass_to(self, now: int) -> None:
        """Until then, one moment after the other."""
        self._forget()
        while self.now < now:
            facts = self.facts()
            found = evaluate_all(facts)
            until = min([now, *self._moments(facts, found)])
            for lease in self.leases.values():
                self._meter(lease, found.classes[lease.key], until)
            self.now = until

    def _meter(self, lease: Lease, cls: int, until: int) -> None:
        if lease.spec.payer is not None:
            spot = lease.spec.payer.budget, lease.spec.payer.envelope
            self.used.setdefault(spot, [0, 0, 0, 0])[cls] += lease.gpus * (until - self.now)
        whole, before = (until - micros(lease.spec.start)) // SECOND, self._counted.get(lease.key, 0)
        if whole > before:
            self.lease_seconds.setdefault(lease.key, [0, 0, 0, 0])[cls] += lease.gpus * (whole - before)
            self._counted[lease.key] = whole

    def _moments(self, facts: Facts, found: Evaluation) -> Iterator[int]:
        rates: dict[Spot, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        for lease in self.leases.values():
            if lease.spec.payer is not None:
                rates[lease.spec.payer.budget, lease.spec.payer.envelope][found.classes[lease.key]] += lease.gpus
        for spot, envelope in dict(envelopes_of(facts)).items():
            edges = (edge for edge in (envelope.window.start, envelope.window.end) if edge is not None)
            yield from (at for edge in edges if (at := micros(edge)) > self.now)
            bounds = [(envelope.gpu_hours, self.funded(spot), sum(rates[spot][:3]))]
            if envelope.lending is not None:
                bounds.append((envelope.lending.max_gpu_hours, self.lent(spot), rates[spot][BORROWED]))
            for hours, used, rate in bounds:
                if hours is not None and rate and used < hours * HOUR:
                    yield self.now + -(-(hours * HOUR - used) // rate)

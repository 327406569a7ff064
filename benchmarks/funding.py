"""What one change of funding costs at 100,000 GPUs, against evaluating every claim anew.

500 Budgets in families of ten, 2,000 envelopes, 20,000 claims, some of them unfunded; then with half of all claims on
one envelope, and with half of them on fifty envelopes under one aggregate cap. A change is a lease that closes or one
that opens; those that open claim at the end of their band, as leases do.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from statistics import median
from time import process_time
from types import MappingProxyType

import attrs

from benchmarks.measure import cpu_of
from benchmarks.result import Goal, Result, Side
from benchmarks.sound import Unusable
from runs_budgets.claims import CLASSES
from runs_budgets.clock import micros
from runs_budgets.fill import Fill
from runs_budgets.funding import Funding
from runs_budgets.oracle import Facts, evaluate_all
from runs_budgets.sections import AggregateCap, Envelope, Lending, Quota
from runs_core.values.budget import Budget, BudgetSpec
from runs_core.values.change import BudgetSeen, LeaseSeen, TimePassed
from runs_core.values.classes import Class
from runs_core.values.lease import Closed, Lease, LeaseSpec, LeaseStatus, NodeSlots, Opened, Payer, RunRef
from runs_core.values.meta import Key, Meta

NAME = "funding"
BEGIN = datetime(2026, 1, 5, 12, tzinfo=UTC)
BUDGETS, CLAIMS = 500, 20_000
FLAVOR = "h100"
PLAIN, CROWDED, CAPPED = "spread", "one envelope", "one cap"


class Market:
    """Leases on the envelopes of many families. shape: where half of the claims are."""

    def __init__(self, shape: str, claims: int, budgets: int = BUDGETS, *, index: Funding | None = None) -> None:
        self.rng = random.Random(1)
        self.shape = shape
        self.funding = index or Funding()
        self.budgets: dict[str, tuple[str, Quota]] = {}
        self.leases: list[Lease] = []
        self.spots: list[tuple[int, str]] = []
        self.made = 0
        self.funding.apply(TimePassed(BEGIN))
        for at in range(budgets):
            self._found(at, claims)
        for at in range((budgets + 9) // 10):
            self._put(f"parent-{at}", f"p{at}", Quota(parents=("root",)))
        for at in range(claims):
            lease = self.lease(BEGIN + timedelta(milliseconds=at))
            self.leases.append(lease)
            self.funding.apply(LeaseSeen(lease))
        self.now = BEGIN + timedelta(hours=1)
        self.funding.apply(TimePassed(self.now))

    def _found(self, at: int, claims: int) -> None:
        many = self.shape == CAPPED and at == 0
        names = [f"e{number}" for number in range(50 if many else 4)]
        large = claims * 8 // 5
        envelopes = tuple(
            Envelope(
                name=name,
                flavor=FLAVOR,
                gpus=large if self.shape == CROWDED and (at, name) == (0, "e0") else large // 25 if many else 40,
                lending=Lending(to=("*",), max_gpus=20) if name == "e3" else None,
            )
            for name in names
        )
        cap = AggregateCap(name="all", flavor=FLAVOR, envelopes=tuple(names), gpus=large)
        self._put(
            f"budget-{at}",
            f"o{at}",
            Quota(parents=(f"p{at // 10}",), envelopes=envelopes, aggregate_caps=(cap,) * many),
        )
        self.spots += [(at, name) for name in names]

    def _put(self, name: str, owner: str, quota: Quota) -> None:
        self.budgets[name] = owner, quota
        sections: Mapping[type, object] = MappingProxyType({Quota: quota})
        self.funding.apply(BudgetSeen(Budget(meta=Meta(name=name), spec=BudgetSpec(owner=owner, sections=sections))))

    def lease(self, start: datetime) -> Lease:
        """Of a new run: of the envelope's owner, of its family, or of anybody."""
        rng = self.rng
        half = self.shape != PLAIN and rng.random() < 0.5
        at, name = (0, "e0" if self.shape == CROWDED else f"e{rng.randrange(50)}") if half else rng.choice(self.spots)
        whose = rng.random()
        owner = at if whose < 0.6 else at // 10 * 10 + rng.randrange(10) if whose < 0.9 else rng.randrange(BUDGETS)
        self.made += 1
        spec = LeaseSpec(
            run_ref=RunRef(name=f"r{self.made}", uid=f"uid-{self.made}"),
            owner=f"o{owner}",
            group=0,
            slots=(NodeSlots(node="n", ordinals=tuple(range(rng.choice((1, 1, 2, 4, 8, 8))))),),
            attempt=1,
            payer=Payer(budget=f"budget-{at}", envelope=name),
            loan=owner // 10 != at // 10,
            start=start,
            reason=Opened.START,
        )
        return Lease(meta=Meta(name=f"lease-{self.made}", namespace="team"), spec=spec)

    def changes(self, count: int) -> Iterator[LeaseSeen]:
        """One lease closes, another opens; so many changes."""
        for _ in range(count // 2):
            at = self.rng.randrange(len(self.leases))
            status = LeaseStatus(closed=True, end=self.now, closure_reason=Closed.SUCCEEDED)
            yield LeaseSeen(attrs.evolve(self.leases[at], status=status))
            self.leases[at] = self.lease(self.now)
            yield LeaseSeen(self.leases[at])

    def facts(self) -> Facts:
        return Facts(self.budgets, {}, self.leases, (), micros(self.now), {})

    def classes(self) -> dict[Key, Class]:
        """What every open lease counts as."""
        found = ((lease.key, self.funding.classify(lease)) for lease in self.leases)
        return {key: cls for key, cls in found if cls is not None}


def cost(market: Market, count: int) -> tuple[float, float]:
    """Seconds of CPU of one change, and the claims that were looked at for it."""
    changes = list(market.changes(count))
    touched, apply = Fill.touched, market.funding.apply
    began = process_time()
    for change in changes:
        apply(change)
    return (process_time() - began) / len(changes), (Fill.touched - touched) / len(changes)


def demand_equal(market: Market) -> float:
    """What the index says is what a full evaluation finds; returns the part of claims that nobody pays for."""
    found = evaluate_all(market.facts())
    wrong = [
        lease.key for lease in market.leases if market.funding.classify(lease) != CLASSES[found.classes[lease.key]]
    ]
    if wrong:
        raise Unusable(f"{len(wrong)} leases are in another class than a full evaluation finds, the first: {wrong[0]}")
    unfunded = sum(cls == 3 for cls in found.classes.values()) / len(found.classes)
    if not 0.01 < unfunded < 0.5:
        raise Unusable(f"{unfunded:.0%} of the claims are unfunded: neither plenty nor want is evidence")
    return unfunded


def demand_exact(market: Market, count: int) -> float:
    """Exactly the runs whose class changed are told; returns how many those are, for one change."""
    runs = {lease.key: lease.run for lease in market.leases}
    moves = 0
    for change in market.changes(count):
        before = market.classes()
        told = {thing for thing in market.funding.apply(change) if isinstance(thing, Key)}
        after = market.classes()
        runs[change.lease.key] = change.lease.run
        moved = {runs[key] for key, cls in before.items() if after.get(key, cls) != cls}
        if told != moved:
            raise Unusable(f"told {sorted(told)}, changed {sorted(moved)}")
        moves += len(moved)
    return moves / count


def compare(
    claims: int, *, budgets: int = BUDGETS, repetitions: int, changes: int, index: type[Funding] = Funding
) -> Result:
    facts: dict[str, float] = {}
    goals: list[Goal] = []
    for shape, limit in ((PLAIN, 25.0), (CROWDED, 250.0), (CAPPED, 250.0)):
        market = Market(shape, claims, budgets, index=index())
        cost(market, changes)  # what is remembered of families is there before the first measure
        found = [cost(market, changes) for _ in range(repetitions)]
        one = median(seconds for seconds, _ in found)
        facts[f"unfunded part of the claims, {shape}"] = round(demand_equal(market), 3)
        facts[f"other runs whose class one change moves, {shape}"] = round(demand_exact(market, 40), 2)
        facts[f"claims looked at for one change, {shape}"] = round(median(looked for _, looked in found), 1)
        goals.append(
            Goal(
                name=f"CPU of one change, {shape}",
                side=Side.AT_MOST,
                limit=limit,
                measured=round(one * 1e6, 1),
                unit="µs",
            )
        )
        if shape == PLAIN:
            whole = median(cpu_of(lambda market=market: evaluate_all(market.facts())) for _ in range(3))  # type: ignore[misc]
            facts["ms of CPU of a full evaluation"] = round(whole * 1000, 1)
            goals.append(
                Goal(name="full evaluation / one change", side=Side.AT_LEAST, limit=500, measured=round(whole / one))
            )
    return Result(
        name=NAME,
        title=f"Funding of {claims:,} claims on {budgets * 4:,} envelopes of {budgets} owners",
        quick=False,
        goals=goals,
        facts=facts,
    )


def run(*, quick: bool) -> Result:
    return compare(CLAIMS, repetitions=3 if quick else 9, changes=2_000)

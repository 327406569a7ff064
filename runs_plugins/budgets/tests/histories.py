"""Random histories of budgets, runs, leases, pledges and time, told to the index and to the oracle at once."""

from __future__ import annotations

import random
from collections.abc import Sequence
from copy import copy
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from zlib import crc32

import attrs

from runs_budgets.clock import micros, moment_of
from runs_budgets.funding import Funding
from runs_budgets.oracle import Chronicle
from runs_budgets.sections import AggregateCap, Envelope, Lending, Quota, Sharing, Window
from runs_core import (
    Budget,
    BudgetGone,
    BudgetSeen,
    BudgetSpec,
    Change,
    Closed,
    Gives,
    Key,
    Lease,
    LeaseGone,
    LeaseSeen,
    LeaseSpec,
    Meta,
    Node,
    NodeGone,
    NodeSeen,
    NodeSlots,
    Opened,
    Payer,
    Pledge,
    PledgeGone,
    PledgeSeen,
    Resources,
    Run,
    RunGone,
    RunRef,
    RunSeen,
    RunSpec,
    RunStatus,
    Share,
    Takes,
    Tier,
    TimePassed,
)
from runs_core.values.lease import LeaseStatus
from runs_core.values.placement import Placement

BEGIN = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
OWNERS = ("ann", "bob", "cat", "org", "sub", "top")
BUDGETS = ("b0", "b1", "b2", "b3", "b4", "b5")
ENVELOPES = ("e0", "e1", "e2")
NODES = ("n0", "n1", "n2", "n3")
HERE, THERE = (("zone", "here"),), (("zone", "there"),)
LEAST = "least"


# -- values -----------------------------------------------------------------------------------------------------------


def envelope(rng: random.Random, name: str, now: datetime) -> Envelope:
    def near() -> datetime | None:
        return now + timedelta(seconds=rng.choice((-600, -60, 30, 90, 900))) if rng.random() < 0.1 else None

    start, end = near(), near()
    if start is not None and end is not None and start >= end:
        start, end = None, start
    lending = Lending(
        to=("*",),
        max_gpus=rng.choice((None, 1, 4, 8)),
        max_gpu_hours=rng.choice((None, None, 1)),
    )
    return Envelope(
        name=name,
        flavor=rng.choice(("h100", "h100", "b200")),
        selector=HERE if rng.random() < 0.15 else (),
        gpus=rng.choice((4, 8, 16, 16, 32, 64)),
        window=Window(start=start, end=end),
        gpu_hours=rng.choice((None, None, None, 1, 2)),
        sharing=rng.choice((Sharing.FAMILY, Sharing.FAMILY, Sharing.FAMILY, Sharing.NONE)),
        lending=lending if rng.random() < 0.5 else None,
    )


def quota(rng: random.Random, owner: str, now: datetime) -> Quota:
    envelopes = tuple(envelope(rng, name, now) for name in ENVELOPES[: rng.randint(0, 3)])
    caps = []
    for at in range(rng.choice((0, 0, 1, 2))):
        flavor = rng.choice(("h100", "h100", "b200"))
        of = tuple(one.name for one in envelopes if one.flavor == flavor and rng.random() < 0.8)
        if of:
            caps.append(AggregateCap(name=f"c{at}", flavor=flavor, envelopes=of, gpus=rng.choice((4, 16, 24, 40))))
    parents = tuple(sorted({other for other in rng.choices(OWNERS[-3:], k=rng.choice((1, 1, 2, 3))) if other != owner}))
    return Quota(parents=parents, envelopes=envelopes, aggregate_caps=tuple(caps))


def owner_of(uid: str) -> str | None:
    """A run spends for one owner, for life; few for nobody."""
    return (*OWNERS, *OWNERS[:3], None)[crc32(uid.encode()) % 10]


def a_budget(name: str, owner: str, of: Quota) -> Budget:
    return Budget(meta=Meta(name=name), spec=BudgetSpec(owner=owner, sections=MappingProxyType({Quota: of})))


def a_run(key: Key, uid: str, admitted: datetime | None, least: int | None, flavor: str | None) -> Run:
    meta = Meta(name=key.name, namespace=key.namespace, uid=uid, labels=((LEAST, str(least)),) if least else ())
    status = RunStatus(admitted_at=admitted)
    return Run(meta=meta, spec=RunSpec(resources=Resources(flavor=flavor, gpus=8)), status=status)


def least_of(run: Run) -> int | None:
    """Malleable runs say so by a label here."""
    found = dict(run.meta.labels).get(LEAST)
    return int(found) if found else None


def a_lease(  # noqa: PLR0917 - as they stand in the spec
    key: Key,
    uid: str,
    owner: str | None,
    payer: Payer | None,
    gpus: int,
    start: datetime,
    group: int,
    node: str = NODES[0],
    loan: bool = False,
) -> Lease:
    spec = LeaseSpec(
        run_ref=RunRef(name=key.name, uid=uid),
        owner=owner,
        group=group,
        slots=(NodeSlots(node=node, ordinals=tuple(range(gpus))),),
        attempt=1,
        payer=payer,
        loan=loan,
        start=start,
        reason=Opened.START,
    )
    name = f"{key.name}-{uid}-{group}-{micros(start)}"
    return Lease(meta=Meta(name=name, namespace=key.namespace), spec=spec)


def closed(lease: Lease, now: datetime) -> Lease:
    return attrs.evolve(lease, status=LeaseStatus(closed=True, end=now, closure_reason=Closed.SUCCEEDED))


# -- telling ----------------------------------------------------------------------------------------------------------


class Stage:
    """The index beside the oracle: every change goes to both. A change that says nothing new goes to neither."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        dense = rng.random() < 0.5
        self.names = BUDGETS
        self.paying = BUDGETS[:1] if dense else BUDGETS
        self.many = 50 if dense else 12
        self.funding = Funding(least_of)
        self.chronicle = Chronicle()
        self.runs: dict[Key, Run] = {}
        self.budgets: dict[str, Budget] = {}
        self.told: list[Key | Payer | Gives | Takes] = []
        self.tell(TimePassed(BEGIN))
        for name in self.names:
            self.tell(BudgetSeen(a_budget(name, OWNERS[self.names.index(name)], quota(rng, "", BEGIN))))

    @property
    def now(self) -> datetime:
        return moment_of(self.chronicle.now)

    def fork(self) -> Stage:
        """The same index, and facts of its own: to tell the index what is then taken back."""
        other = copy(self)
        other.runs, other.budgets, other.chronicle = dict(self.runs), dict(self.budgets), Chronicle()
        other.chronicle.now = self.chronicle.now
        for name in ("budgets", "runs", "leases", "pledges", "nodes"):
            setattr(other.chronicle, name, dict(getattr(self.chronicle, name)))
        return other

    def tell(self, change: Change) -> None:
        self.told = list(self.funding.apply(change))
        self.note(change)

    def note(self, change: object) -> None:
        """To the oracle alone."""
        facts = self.chronicle
        match change:
            case TimePassed(now):
                facts.pass_to(micros(now))
            case BudgetSeen(budget):
                self.budgets[budget.name] = budget
                facts.put_budget(budget.name, (budget.spec.owner, budget.spec.sections[Quota]))
            case BudgetGone(name):
                del self.budgets[name]
                facts.put_budget(name, None)
            case RunSeen(run):
                self.runs[run.key] = run
                facts.runs[run.key] = (run.uid, run.status.admitted_at, least_of(run), run.spec.resources.flavor)
            case RunGone(key):
                del self.runs[key]
                del facts.runs[key]
            case LeaseSeen(lease):
                if lease.status.closed:
                    del facts.leases[lease.key]
                else:
                    facts.leases[lease.key] = lease
            case LeaseGone(key):
                del facts.leases[key]
            case NodeSeen(Node() as node):
                facts.nodes[node.name] = node
            case NodeGone(name):
                del facts.nodes[name]
            case PledgeSeen(pledge):
                facts.pledges[pledge.run] = pledge
            case PledgeGone(run):
                del facts.pledges[run]
            case _:
                raise AssertionError(change)

    def inverse(self, change: object) -> Change:
        """What takes it back, as the world is now."""
        facts = self.chronicle
        match change:
            case TimePassed():
                return TimePassed(self.now)
            case BudgetSeen(budget):
                return BudgetSeen(self.budgets[budget.name]) if budget.name in self.budgets else BudgetGone(budget.name)
            case BudgetGone(name):
                return BudgetSeen(self.budgets[name])
            case RunSeen(run):
                return RunSeen(self.runs[run.key]) if run.key in self.runs else RunGone(run.key)
            case RunGone(key):
                return RunSeen(self.runs[key])
            case LeaseSeen(lease):
                known = facts.leases.get(lease.key)
                return LeaseGone(lease.key) if known is None else LeaseSeen(known)
            case LeaseGone(key):
                return LeaseSeen(facts.leases[key])
            case NodeSeen(node):
                there = facts.nodes.get(node.name)
                return NodeGone(node.name) if there is None else NodeSeen(there)
            case NodeGone(name):
                return NodeSeen(facts.nodes[name])
            case PledgeSeen(pledge):
                known_pledge = facts.pledges.get(pledge.run)
                return PledgeGone(pledge.run) if known_pledge is None else PledgeSeen(known_pledge)
            case PledgeGone(run):
                return PledgeSeen(facts.pledges[run])
            case _:
                raise AssertionError(change)

    # -- drawing a change ---------------------------------------------------------------------------------------------

    def draw(self) -> Change:
        """Something that may happen now."""
        rng, facts = self.rng, self.chronicle
        kind = rng.choices(
            (
                "open",
                "close",
                "time",
                "budget",
                "budget gone",
                "run",
                "run gone",
                "pledge",
                "pledge gone",
                "node",
                "node gone",
            ),
            (36, 16, 12, 5, 1, 8, 2, 5, 3, 3, 1),
        )[0]
        match kind:
            case "close" if facts.leases:
                lease = facts.leases[rng.choice(sorted(facts.leases))]
                return LeaseSeen(closed(lease, self.now))
            case "time":
                return TimePassed(self.now + timedelta(seconds=rng.choice((0.5, 1, 1.25, 30, 60, 300, 1800))))
            case "budget gone" if self.budgets:
                return BudgetGone(rng.choice(sorted(self.budgets)))
            case "budget" | "budget gone":
                return self.new_budget()
            case "run gone" if self.runs:
                return RunGone(rng.choice(sorted(self.runs)))
            case "run" | "run gone":
                return self.new_run()
            case "pledge gone" if facts.pledges:
                return PledgeGone(rng.choice(sorted(facts.pledges)))
            case "pledge" | "pledge gone":
                return self.new_pledge()
            case "node gone" if facts.nodes:
                return NodeGone(rng.choice(sorted(facts.nodes)))
            case "node" | "node gone":
                return NodeSeen(Node(name=rng.choice(NODES), labels=rng.choice((HERE, HERE, THERE, ()))))
            case _:
                return self.new_lease()

    def new_budget(self) -> Change:
        """Another owner only under another name, as the rule on Budgets has it; most edits are small."""
        rng = self.rng
        name = rng.choice(self.names)
        known = self.budgets.get(name)
        owner = known.spec.owner if known else OWNERS[self.names.index(name)]
        new = quota(rng, owner, self.now)
        if known and rng.random() < 0.6:
            old = known.spec.sections[Quota]
            new = attrs.evolve(old, parents=new.parents if rng.random() < 0.4 else old.parents)
            if new.envelopes:
                at = rng.randrange(len(new.envelopes))
                changed = attrs.evolve(
                    new.envelopes[at], gpus=rng.choice((1, 4, 8, 16)), sharing=rng.choice(list(Sharing))
                )
                new = attrs.evolve(new, envelopes=(*new.envelopes[:at], changed, *new.envelopes[at + 1 :]))
        return BudgetSeen(a_budget(name, owner, new))

    def new_run(self) -> Change:
        rng = self.rng
        key = Key("team", f"r{rng.randrange(self.many)}")
        known = self.runs.get(key)
        if known and rng.random() < 0.5:
            admitted_then = self.now - timedelta(seconds=rng.randrange(500))
            return RunSeen(a_run(key, known.uid, admitted_then, least_of(known), known.spec.resources.flavor))
        uid = rng.choice((f"{key.name}-a", f"{key.name}-b"))
        admitted = rng.choice((None, self.now, self.now - timedelta(seconds=rng.randrange(500))))
        flavor = rng.choice((None, "h100", "h100", "h100", "b200"))
        return RunSeen(a_run(key, uid, admitted, rng.choice((None, None, None, 2, 4)), flavor))

    def payer(self) -> Payer | None:
        rng = self.rng
        if rng.random() < 0.08:
            return None
        there = sorted(
            (name, one.name)
            for name, (_, of) in self.chronicle.budgets.items()
            if name in self.paying
            for one in of.envelopes
        )
        budget, name = (
            rng.choice(there) if there and rng.random() < 0.9 else (rng.choice(self.paying), rng.choice(ENVELOPES))
        )
        return Payer(budget=budget, envelope=name)

    def new_lease(self) -> Change:
        rng = self.rng
        key = Key("team", f"r{rng.randrange(self.many)}")
        uid = self.runs[key].uid if key in self.runs and rng.random() < 0.95 else f"{key.name}-a"
        theirs = [lease for lease in self.chronicle.leases.values() if lease.spec.run_ref.uid == uid]
        payer = theirs[0].spec.payer if theirs and rng.random() < 0.6 else self.payer()
        node, gpus, group = rng.choice(NODES), rng.choice((1, 1, 2, 4, 8)), rng.randrange(6)
        lease = a_lease(key, uid, owner_of(uid), payer, gpus, self.now, group, node=node, loan=rng.random() < 0.95)
        return LeaseSeen(lease) if lease.key not in self.chronicle.leases else self.new_run()

    def new_pledge(self) -> PledgeSeen:
        rng = self.rng
        key = Key("team", f"r{rng.randrange(self.many)}")
        payers = sorted({(rng.choice(self.paying), rng.choice(ENVELOPES)) for _ in range(rng.choice((1, 1, 2)))})
        shares = tuple(
            Share(
                Payer(budget=budget, envelope=name),
                rng.choice((Tier.OWN, Tier.STRANGER, Tier.STRANGER)),
                rng.choice((1, 4, 8)),
            )
            for budget, name in payers
        )
        uid = self.runs[key].uid if key in self.runs else f"{key.name}-a"
        pledge = Pledge(
            run=key, uid=uid, owner=owner_of(uid), shares=shares, placement=Placement(groups=()), since=self.now,
            resolution="rsl",
        )  # fmt: skip
        return PledgeSeen(pledge)

    def everything(self) -> list[Change]:
        """What would tell all that stands to somebody new, time apart."""
        facts = self.chronicle
        return [
            *(BudgetSeen(budget) for budget in self.budgets.values()),
            *(RunSeen(run) for run in self.runs.values()),
            *(LeaseSeen(lease) for lease in facts.leases.values()),
            *(PledgeSeen(pledge) for pledge in facts.pledges.values()),
            *(NodeSeen(node) for node in facts.nodes.values()),
        ]


def play(rng: random.Random, steps: int, checks: Sequence[object] = ()) -> Stage:
    """So many changes; each check is called with the stage after each."""
    stage = Stage(rng)
    for _ in range(steps):
        stage.tell(stage.draw())
        for check in checks:
            check(stage)  # type: ignore[operator]  # a check takes the stage
    return stage

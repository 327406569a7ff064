"""What would happen to a run now: the answer of `plan`, and the first half of `explain`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum

import attrs

from runs_core.decide.advice import Advice
from runs_core.decide.odds import Prospect
from runs_core.decide.paying import cover_held, unpaid
from runs_core.decide.reclaim import ACTIVATING
from runs_core.decide.start import class_of
from runs_core.errors import Problem
from runs_core.serve.views.eta import Eta
from runs_core.values.classes import Class, Tier
from runs_core.values.decision import Held, Reason, Starts, Waits
from runs_core.values.funding import Cover, Share
from runs_core.values.lease import Lease, Role
from runs_core.values.meta import Key
from runs_core.values.placement import Placement
from runs_core.values.pod import Pod
from runs_core.values.run import Phase, Run
from runs_core.world.world import World


class Verdict(StrEnum):
    """What is decided now. Reserve: it is told when it will start."""

    START = "Start"
    RESERVE = "Reserve"
    WAIT = "Wait"
    HELD = "Held"
    REFUSED = "Refused"


@attrs.frozen(kw_only=True)
class Place:
    """One node's share of one group. ranks: empty once its pods are gone."""

    node: str
    ordinals: tuple[int, ...]
    role: Role
    group: int
    ranks: tuple[int, ...]


@attrs.frozen(kw_only=True)
class Pays:
    """Who pays for how many GPUs. class_: None where nothing classifies claims."""

    budget: str
    envelope: str
    class_: Class | None
    gpus: int


@attrs.frozen(kw_only=True)
class Asked:
    """An envelope that was asked to pay. had, gave: GPUs. why: why it gave no more."""

    tier: Tier
    budget: str
    envelope: str
    had: int
    gave: int
    why: str


@attrs.frozen(kw_only=True)
class MayBeCut:
    """A unit of work that may be drawn. odds: 0 to 1, exact; None: there are too many ways to draw to go through."""

    run: Key
    group: int | None
    gpus: int
    stage: str
    odds: float | None


@attrs.frozen(kw_only=True)
class Spared:
    """Work that could be taken back and is safe for now. until: the first of it is no more."""

    gpus: int
    until: datetime


@attrs.frozen(kw_only=True)
class Remedy:
    """A change after which it would start, found by trying it. command: None where no one command makes it."""

    change: str
    command: str | None
    starts_at: datetime


@attrs.frozen(kw_only=True)
class Plan:
    """verdict None: the run is over, or is being undone, and nothing is to be decided.

    cover: every envelope that was asked to pay, where somebody keeps quotas. cuts: who may be cut for it. forecast:
    None where nothing says when it will start.
    """

    run: Key
    verdict: Verdict | None
    reasons: tuple[Reason, ...] = ()
    placement: tuple[Place, ...] = ()
    payers: tuple[Pays, ...] = ()
    cover: tuple[Asked, ...] = ()
    cuts: tuple[MayBeCut, ...] = ()
    spared: Spared | None = None
    forecast: Eta | None = None
    remedies: tuple[Remedy, ...] = ()


TAKES_BACK = "takes GPUs back, and starts once those who have them have gone"


def of_outcome(
    run: Key,
    outcome: Held | Waits | Starts,
    remedies: Sequence[Remedy] = (),
    *,
    foreseen: Prospect | None = None,
    expected: Eta | None = None,
) -> Plan:
    """The plan for a run that has not started.

    foreseen: who would be cut for it, where it waits for room. expected: when it starts.
    """
    match outcome:
        case Held(reasons=reasons):
            return Plan(run=run, verdict=Verdict.HELD, reasons=reasons, remedies=tuple(remedies))
        case Waits(reasons=reasons):
            cuts, spared = who_may_be_cut(foreseen)
            waits = Verdict.WAIT if expected is None or expected.reservation is None else Verdict.RESERVE
            return Plan(
                run=run,
                verdict=Verdict.START if cuts else waits,
                reasons=(Reason("core", ACTIVATING, TAKES_BACK), *reasons) if cuts else reasons,
                payers=_would_pay(outcome.cover.shares) if cuts and outcome.cover is not None else (),
                cover=asked(outcome.cover),
                cuts=cuts,
                spared=spared,
                forecast=None if cuts else expected,
                remedies=tuple(remedies),
            )
        case Starts(placement=placement, cover=cover):
            payers = _would_pay(cover.shares) if cover is not None else ()
            where = _intended(placement)
            return Plan(run=run, verdict=Verdict.START, placement=where, payers=payers, cover=asked(cover))


def of_standing(world: World, run: Run, advice: Advice) -> Plan:
    """The plan for a run that has started, is being undone, or is over: what it holds, and its status as the reason."""
    started = run.status.phase in (Phase.STARTING, Phase.RUNNING) and run.status.ending is None
    leases = world.leases_of(run.key)
    return Plan(
        run=run.key,
        verdict=Verdict.START if started else None,
        reasons=(Reason("core", run.status.reason, run.status.message),),
        placement=tuple(_held(leases, world.pods_of(run.key))),
        payers=_payers([(lease, advice.classify(lease, world, world.now)) for lease in leases]),
        cover=asked(cover_held(world, run, advice) if advice.funding and unpaid(world, run) else None),
    )


def asked(cover: Cover | None) -> tuple[Asked, ...]:
    """The trace. None: nobody was asked."""
    return tuple(
        Asked(
            tier=look.tier,
            budget=look.payer.budget,
            envelope=look.payer.envelope,
            had=look.had,
            gave=look.gave,
            why=look.why,
        )
        for look in (cover.looks if cover is not None else ())
    )


def who_may_be_cut(found: Prospect | None) -> tuple[tuple[MayBeCut, ...], Spared | None]:
    """Likeliest first, and what is spared for now."""
    if found is None:
        return (), None
    cuts = tuple(
        MayBeCut(
            run=one.unit.run,
            group=one.unit.group,
            gpus=one.unit.gpus_held,
            stage=one.stage,
            odds=None if one.odds is None else float(one.odds),
        )
        for one in found.chances
    )
    until = found.spared_until
    return cuts, None if until is None else Spared(gpus=found.spared_gpus, until=until)


def refused(run: Key, problems: Iterable[Problem]) -> Plan:
    """The plan for what would not be accepted."""
    reasons = tuple(Reason("core", "Invalid", str(problem)) for problem in problems)
    return Plan(run=run, verdict=Verdict.REFUSED, reasons=reasons)


def _intended(placement: Placement) -> tuple[Place, ...]:
    places = []
    for group in placement.groups:
        for node in sorted({pod.node for pod in group.pods}):
            pods = [pod for pod in group.pods if pod.node == node]
            places.append(
                Place(
                    node=node,
                    ordinals=tuple(sorted(ordinal for pod in pods for ordinal in pod.ordinals)),
                    role=Role.ACTIVE,
                    group=group.group,
                    ranks=tuple(sorted(pod.rank for pod in pods)),
                )
            )
    return tuple(places)


def _held(leases: Sequence[Lease], pods: Sequence[Pod]) -> Iterable[Place]:
    where = {(pod.rank.attempt, pod.rank.rank): pod.node for pod in pods if pod.rank is not None}
    for lease in leases:
        for slots in lease.spec.slots:
            ranks = (rank for rank in lease.spec.ranks if where.get((lease.spec.attempt, rank)) == slots.node)
            yield Place(
                node=slots.node,
                ordinals=slots.ordinals,
                role=lease.spec.role,
                group=lease.spec.group,
                ranks=tuple(sorted(ranks)),
            )


def _payers(leases: Sequence[tuple[Lease, Class | None]]) -> tuple[Pays, ...]:
    held: dict[tuple[str, str, Class | None], int] = {}
    for lease, cls in leases:
        if (payer := lease.spec.payer) is not None and cls is not Class.UNFUNDED:
            key = (payer.budget, payer.envelope, cls)
            held[key] = held.get(key, 0) + lease.gpus
    return tuple(
        Pays(budget=budget, envelope=envelope, class_=cls, gpus=gpus)
        for (budget, envelope, cls), gpus in sorted(held.items(), key=lambda item: (*item[0][:2], item[0][2] or ""))
    )


def _would_pay(shares: Sequence[Share]) -> tuple[Pays, ...]:
    return tuple(
        Pays(budget=one.payer.budget, envelope=one.payer.envelope, class_=class_of(one.tier), gpus=one.gpus)
        for one in shares
    )

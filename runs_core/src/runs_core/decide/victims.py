"""Who may be cut, stage by stage, and in which order.

The rule is section "The resolver" of the semantics. Stages come from plugins, and the last one, the lottery, from core.
A stage that is not at once acts only for contractual demand whose time has come, and takes courtesy claims first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import groupby
from typing import NamedTuple

import attrs

from runs_core.decide.advice import Advice
from runs_core.values.classes import COURTESY, Class, Tier
from runs_core.values.funding import LOTTERY, Cover, Stage, Unit
from runs_core.values.lease import Lease, Role
from runs_core.values.meta import Key
from runs_core.values.resolution import Candidate, Pool
from runs_core.values.run import Run
from runs_core.world.needs import min_runtime_of
from runs_core.world.world import World

CONTRACTUAL = frozenset({Tier.OWN, Tier.STRANGER})
"""Cover from one's own quota, or lent. What comes from the family is a courtesy."""
_PROTECTION = (Class.UNFUNDED, Class.SHARED, Class.BORROWED, Class.OWNED)
"""Least protected first."""


@attrs.frozen(kw_only=True)
class Hunt:
    """What victims are looked for. run: for whom; None: an administrator. stages: those that may act, in order.

    but: who is none at any of these stages.
    """

    flavor: str
    stages: tuple[Stage, ...]
    run: Run | None = None
    but: frozenset[Key] = frozenset()


class Victim(NamedTuple):
    """A unit that may be cut at a stage. leases: what stops with it. cls: of its claim; None where nobody asks."""

    stage: Stage
    unit: Unit
    run: Run
    leases: tuple[Lease, ...]
    cls: Class | None = None


def stages_for(advice: Advice, said: Cover, *, due: bool) -> tuple[Stage, ...]:
    """Those that may act for what is paid for like this. due: as of a Claimant."""
    if due and all(share.tier in CONTRACTUAL for share in said.shares):
        return every_stage(advice)
    return tuple(stage for stage in advice.stages if stage.at_once)


def every_stage(advice: Advice) -> tuple[Stage, ...]:
    """The plugins' in their order, then the lottery."""
    return (*advice.stages, LOTTERY)


class Victims(NamedTuple):
    """units: that could be cut, by stage. spared: until when others are safe, and the GPUs that they hold."""

    units: Sequence[Victim]
    spared: Sequence[tuple[datetime, int]]


def hunted(world: World, hunt: Hunt, advice: Advice) -> Victims:
    """Units that could be cut now."""
    found: list[Victim] = []
    spared: dict[Key, tuple[datetime, int]] = {}
    for stage in hunt.stages:
        for unit in _named(world, stage, hunt, advice):
            run = world.run(unit.run) if unit.run not in hunt.but else None
            if run is None or not run.status.phase.begun or run.status.ending is not None:
                continue
            if hunt.run is not None and (
                run.key == hunt.run.key or (stage is LOTTERY and is_of_an_earlier_run(world, run, hunt.run))
            ):
                continue
            if not (leases := tuple(leases_with(world, unit))):
                continue
            until = spared_until(world, run, stage, advice)
            if until is not None and until > world.now:
                spared.setdefault(run.key, (until, sum(lease.gpus for lease in leases)))
            else:
                found.append(Victim(stage, unit, run, leases, None if stage.at_once else _class(world, leases, advice)))
    return Victims(found, list(spared.values()))


def _named(world: World, stage: Stage, hunt: Hunt, advice: Advice) -> Sequence[Unit]:
    """Of the lottery: every run that holds GPUs of the flavor. O(open leases)."""
    if stage is not LOTTERY:
        return list(dict.fromkeys(_stops(unit) for unit in advice.victims(stage, hunt.flavor, world, world.now)))
    runs = {
        lease.run
        for lease in world.ledger.open.values()
        if getattr(world.node(lease.spec.slots[0].node), "flavor", None) == hunt.flavor
    }
    return [Unit(run) for run in sorted(runs)]


def _stops(unit: Unit) -> Unit:
    """What really stops: nobody ends one group and goes on with the others yet, so that a group takes its run along."""
    return Unit(unit.run)


def is_of_an_earlier_run(world: World, run: Run, to: Run) -> bool:
    """Whether it is of the same owner, and was admitted before: nobody is cut for their own later run."""
    owner = world.owner(to)
    if owner is None or world.owner(run) != owner:
        return False
    admitted, later = run.status.admitted_at, to.status.admitted_at
    return admitted is not None and (later is None or admitted <= later)


def spared_until(world: World, run: Run, stage: Stage, advice: Advice) -> datetime | None:
    """Until when nothing is taken from it at this stage."""
    if advice.protected(run, world, world.now):
        return world.now + world.settings.hooks.recheck
    until = protected_until(world, run)
    started = run.status.started_at
    if stage is not LOTTERY or started is None or until is None:
        return until
    return max(until, started + world.settings.resolver.quantum)


def protected_until(world: World, run: Run) -> datetime | None:
    """Until when nothing is taken from it, by its own word or the setting."""
    started = run.status.started_at
    return started + min_runtime_of(run.spec, world.settings.reclaim) if started is not None else None


def leases_with(world: World, unit: Unit) -> Iterator[Lease]:
    """What stops with it."""
    for lease in world.leases_of(unit.run):
        if lease.spec.role is Role.ACTIVE and (unit.group is None or lease.spec.group == unit.group):
            yield lease


def _class(world: World, leases: Sequence[Lease], advice: Advice) -> Class:
    """The least protected: a fixed run any part of which is a courtesy stops as a whole."""
    return min((advice.classify(lease, world, world.now) or Class.OWNED for lease in leases), key=_PROTECTION.index)


def pools_of(found: Sequence[Victim], candidate: Callable[[Victim], Candidate | None]) -> Iterator[Pool]:
    """Candidates in the order in which they are taken. candidate: None, where a unit holds nothing in the scope.

    At once: one pool. Else courtesy claims before contractual ones; where a pool is not drawn, the least protected
    class first, then the highest group, then by run.
    """
    for stage, group in groupby(found, key=lambda victim: victim.stage):
        parts: tuple[list[Victim], list[Victim]] = ([], [])
        for victim in group:
            parts[not (stage.at_once or victim.cls in COURTESY)].append(victim)
        for part in parts:
            ordered = part if stage.drawn else sorted(part, key=_in_order)
            units = tuple(unit for victim in ordered if (unit := candidate(victim)) is not None)
            if units:
                yield Pool(stage=stage.name, drawn=stage.drawn, candidates=units)


def _in_order(victim: Victim) -> tuple[int, int, tuple[str, str]]:
    protection = _PROTECTION.index(victim.cls) if victim.cls is not None else 0
    return (protection, -1 if victim.unit.group is None else -victim.unit.group, victim.unit.run)

"""A plugin with purses, one for each envelope of an owner, that says what there is to spend: for tests of core."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from types import SimpleNamespace

import attrs

from runs_core.testing.builders import a_budget, lasting
from runs_core.testing.harness import Harness
from runs_core.testing.plugins import a_plugin
from runs_core.values.change import Change, LeaseGone, LeaseSeen
from runs_core.values.classes import Class, Split, Tier
from runs_core.values.funding import Cap, Offer, Offers, Stage, Unit
from runs_core.values.lease import Closed, Lease, Payer
from runs_core.values.meta import Key, Pairs
from runs_core.values.node import Node
from runs_core.values.run import Run
from runs_core.world.view import View

HOUR = timedelta(hours=1)


@attrs.frozen(kw_only=True)
class Purse:
    """GPUs that one envelope of the owner pays for, in the order listed. opens: nothing before."""

    name: str
    gpus: int
    selector: Pairs = ()
    caps: tuple[Cap, ...] = ()
    opens: datetime | None = None


class Purses:
    """Counts what each purse pays for. Whoever holds a payer is owned as long as the purse is open."""

    def __init__(self, purses: Sequence[Purse]) -> None:
        self.purses = purses
        self.open: dict[Key, Lease] = {}

    def apply(self, change: Change) -> Iterable[Key | Payer]:
        match change:
            case LeaseSeen(lease):
                return self._put(lease.key, None if lease.status.closed else lease)
            case LeaseGone(key):
                return self._put(key, None)
            case _:
                return ()

    def _put(self, key: Key, lease: Lease | None) -> Iterable[Key | Payer]:
        old = self.open.pop(key, None)
        if lease is not None:
            self.open[key] = lease
        return [old.spec.payer] if old is not None and old.spec.payer is not None else []

    def used(self, name: str) -> int:
        return sum(lease.gpus for lease in self.open.values() if lease.spec.payer and lease.spec.payer.envelope == name)


def purses(*declared: Purse, unfunded: bool = True) -> SimpleNamespace:
    def runs_index() -> Purses:
        return Purses(declared)

    def runs_cover(view: View, now: datetime) -> Offers:
        index = view.index(Purses)
        return Offers(offers=tuple(_offer(one, index, now) for one in index.purses), unfunded=unfunded)

    def runs_classify(lease: Lease) -> Class:
        return Class.OWNED if lease.spec.payer is not None else Class.UNFUNDED

    def runs_meter(lease: Lease, now: datetime) -> Split:
        cls = Class.OWNED if lease.spec.payer is not None else Class.UNFUNDED
        return Split().plus(cls, int((now - lease.spec.start).total_seconds()) * lease.gpus)

    def runs_stages() -> Sequence[Stage]:
        return [Stage(name="unfunded", order=1, closure=Closed.UNFUNDED_RECLAIMED, at_once=True)]

    def runs_victims(view: View) -> Sequence[Unit]:
        leases = view.index(Purses).open.values()
        return [Unit(lease.run) for lease in leases if lease.spec.payer is None]

    return a_plugin(runs_index, runs_cover, runs_classify, runs_meter, runs_stages, runs_victims)


def _offer(purse: Purse, index: Purses, now: datetime) -> Offer:
    free = purse.gpus - index.used(purse.name)
    shut = purse.opens is not None and now < purse.opens
    return Offer(
        tier=Tier.OWN,
        payer=Payer(budget="vision", envelope=purse.name),
        had=free,
        gpus=0 if shut else free,
        why=f"closed until {purse.opens:%H:%M}" if shut else "",
        selector=purse.selector,
        caps=purse.caps,
        opens=purse.opens if shut else None,
    )


def a_stage(*things: Node | Run, plugin: SimpleNamespace) -> Harness:
    return Harness(a_budget("vision"), *things, plugins={"purses": plugin}, oracles=True)


def hours(run: Run, count: float) -> Run:
    return lasting(run, count * HOUR)


def leases(stage: Harness, name: str) -> list[tuple[tuple[int, ...], str | None]]:
    """Ranks and payer of each open lease of the run."""
    found = stage.world.leases_of(stage.run(name).key)
    return [(lease.spec.ranks, lease.spec.payer.envelope if lease.spec.payer else None) for lease in found]

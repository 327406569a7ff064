"""What a crash, a late write or a person left that no decision will ever come back to, and what mends it.

Most of what is half done is finished by the next decision about its run, since decisions look at what is there. This
looks for the rest. Nothing is mended that has not been found again and again for as long as the grace time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

import attrs

from runs_core.decide.release import Cause, end_pods, orphaned, release
from runs_core.serve.doubled import late_comers
from runs_core.settings import AuditSettings
from runs_core.values.effect import CloseLease, Effect, RemoveRun
from runs_core.values.lease import Closed, Lease, LeaseStatus, Role
from runs_core.values.meta import Key
from runs_core.values.pod import Pod
from runs_core.values.run import Phase, Run
from runs_core.world.invariants import Breach, breaches
from runs_core.world.world import World

LOOKS_IN_GRACE = 3
"""How often it is looked while something waits for its grace time."""
MOST_MENDED = 100
"""At one look. More at once is no leftover but a mistake, and is not to be mended faster than people can read."""


class ServiceOf(NamedTuple):
    """A Service that was made for the run of this uid."""

    key: Key
    uid: str


@attrs.frozen(kw_only=True)
class Finding:
    """run: whose it is. what: a sentence. effects: mend it, as any decision's. lease, service: to be let go.

    Two findings of equal `run` and `what` are the same one, found again.
    """

    run: Key
    what: str
    effects: tuple[Effect, ...] = ()
    lease: Lease | None = None
    service: Key | None = None


def findings(
    world: World,
    lingering: Iterable[Lease] = (),
    services: Iterable[ServiceOf] = (),
    doomed: Mapping[Key, str] = MappingProxyType({}),
) -> list[Finding]:
    """All of them, by kind and run.

    Nothing is said of what belongs to a run that cannot be read: it is there.

    lingering: closed leases that still have the ledger's finalizer. doomed: runs that cannot be read and are asked to
    go, with their uids. O(open leases, pods of ours, runs).
    """
    return [
        *_orphans(world),
        *_stale(world),
        *_leaked(world),
        *_bereft(world),
        *_doubled(world),
        *(
            Finding(run=lease.run, what=f"lease {lease.key.name} is closed and was not let go", lease=lease)
            for lease in sorted(lingering, key=lambda lease: lease.key)
        ),
        *_left_services(world, services),
        *_doomed(world, doomed),
    ]


def _orphans(world: World) -> Iterator[Finding]:
    """Open leases of a run that is gone."""
    by_uid: dict[tuple[Key, str], list[Lease]] = {}
    for key in sorted(world.ledger.open):
        lease = world.ledger.open[key]
        run = world.run(lease.run)
        if run is None and world.unread(lease.run) is not None:
            continue  # it is there
        if run is None or run.uid != lease.spec.run_ref.uid:
            by_uid.setdefault((lease.run, lease.spec.run_ref.uid), []).append(lease)
    for (run_key, uid), leases in by_uid.items():
        decision = orphaned(world, leases)
        if decision is not None:
            yield Finding(run=run_key, what=f"leases of the run {uid}, which is gone", effects=decision.effects)


def _stale(world: World) -> Iterator[Finding]:
    """Open leases of an attempt that is over: its pods end, then they close."""
    for run in world.runs():
        leases = [lease for lease in world.leases_of(run.key) if _over(run, lease)]
        if not leases:
            continue
        attempts = {lease.spec.attempt for lease in leases}
        ended = end_pods(world, run, [pod for pod in _pods(world, run) if pod.rank and pod.rank.attempt in attempts])
        closed = () if ended.living else tuple(CloseLease(_closed(lease, run, world.now)) for lease in leases)
        if ended.effects or closed:
            told = ", ".join(map(str, sorted(attempts)))
            yield Finding(
                run=run.key, what=f"open leases of attempt {told}, which is over", effects=(*ended.effects, *closed)
            )


def _over(run: Run, lease: Lease) -> bool:
    if run.status.ending is not None or lease.spec.run_ref.uid != run.uid:
        return False
    if run.status.phase.terminal:
        return True
    return run.status.phase in (Phase.STARTING, Phase.RUNNING) and lease.spec.attempt < run.status.attempt


def _closed(lease: Lease, run: Run, now: datetime) -> Lease:
    reason = Closed.SUCCEEDED if run.status.phase is Phase.SUCCEEDED else Closed.RUN_FAILED
    end, detail = max(now, lease.spec.start), "left open by an attempt that was over"
    return attrs.evolve(lease, status=LeaseStatus(closed=True, end=end, closure_reason=reason, closure_detail=detail))


def _leaked(world: World) -> Iterator[Finding]:
    """Live pods of ours without an open lease of their rank on their node."""
    for key in sorted(world.gangs.by_run):
        if world.unread(key) is not None:
            continue
        held = {
            (lease.spec.run_ref.uid, lease.spec.attempt, rank, slots.node)
            for lease in world.leases_of(key)
            for slots in lease.spec.slots
            for rank in lease.spec.ranks
        }
        for pod in world.pods_of(key):
            if pod.phase.ended or pod.deleting is not None or pod.rank is None:
                continue
            if pod.node is not None and (pod.rank.uid, pod.rank.attempt, pod.rank.rank, pod.node) in held:
                continue
            if pod.node is None and any(one[:3] == (pod.rank.uid, pod.rank.attempt, pod.rank.rank) for one in held):
                continue
            ended = end_pods(world, world.run(key), [pod])
            yield Finding(
                run=key, what=f"pod {pod.name} on node {pod.node} holds GPUs without a lease", effects=ended.effects
            )


def _bereft(world: World) -> Iterator[Finding]:
    """Runs that hold less than they are: somebody took leases away by force."""
    for run in world.runs():
        if run.status.ending is not None or run.status.phase not in (Phase.STARTING, Phase.RUNNING):
            continue
        leases = [lease for lease in world.leases_of(run.key) if not _over(run, lease)]
        width = sum(lease.gpus for lease in leases if lease.spec.role is Role.ACTIVE)
        if width >= run.status.width:
            continue
        message = f"leases are missing: {width} of its {run.status.width} GPUs are leased"
        cause = Cause(closure=Closed.EVICTED, reason="Evicted", message=message, then=Phase.QUEUED)
        yield Finding(run=run.key, what="leases are missing", effects=release(world, run, cause).effects)


def _doubled(world: World) -> Iterator[Finding]:
    """Runs in places that another had before them: a leader that was paused may start them late."""
    for lease, first in late_comers([lease for lease in world.ledger.open.values() if _stays(world, lease)]):
        run = world.run(lease.run)
        if run is None or run.status.ending is not None or run.status.phase not in (Phase.STARTING, Phase.RUNNING):
            continue
        message = f"run {first.run} was there first: lease {lease.key.name} names a place that it had"
        cause = Cause(closure=Closed.EVICTED, reason="Evicted", message=message, then=Phase.QUEUED)
        yield Finding(run=run.key, what=message, effects=release(world, run, cause).effects)


def _stays(world: World, lease: Lease) -> bool:
    """Whether nothing of the above ends it."""
    run = world.run(lease.run)
    return run is not None and run.uid == lease.spec.run_ref.uid and not _over(run, lease)


def _left_services(world: World, services: Iterable[ServiceOf]) -> Iterator[Finding]:
    uids = {run.uid for run in world.runs()}
    unclear = {key.namespace for key in world.unread_runs()}
    for service in sorted(services):
        if service.uid not in uids and service.key.namespace not in unclear:
            what = f"Service {service.key.name} of the run {service.uid}, which is gone"
            yield Finding(run=service.key, what=what, service=service.key)


def _doomed(world: World, doomed: Mapping[Key, str]) -> Iterator[Finding]:
    """Nobody decides on a run that cannot be read; it may go once nothing is held in its name."""
    for key in sorted(doomed):
        if not world.leases_of(key) and not world.gangs.live.get(key):
            yield Finding(
                run=key, what=f"run {doomed[key]} cannot be read and is to go", effects=(RemoveRun(key, doomed[key]),)
            )


def _pods(world: World, run: Run) -> list[Pod]:
    return [pod for pod in world.pods_of(run.key) if pod.rank is not None and pod.rank.uid == run.uid]


class Auditor:
    """Remembers since when each finding stands. broken: how often each invariant was found broken."""

    def __init__(self, settings: AuditSettings) -> None:
        self._settings = settings
        self._since: dict[tuple[Key, str], datetime] = {}
        self._told: set[Breach] = set()
        self._next: datetime | None = None
        self.mended = 0
        self.broken: dict[int, int] = {}

    def due(self, now: datetime) -> bool:
        """Whether it is time to look."""
        return self._next is None or now >= self._next

    def look(self, now: datetime, found: Sequence[Finding], busy: Callable[[Key], bool]) -> list[Finding]:
        """Those to be mended now. busy: something is still being written for this run; it is not judged meanwhile."""
        grace, period = self._settings.grace, self._settings.period
        idle = [one for one in found if not busy(one.run)]
        self._since = {(one.run, one.what): self._since.get((one.run, one.what), now) for one in idle}
        ripe = [one for one in idle if now - self._since[one.run, one.what] >= grace][:MOST_MENDED]
        self._next = now + (min(grace / LOOKS_IN_GRACE, period) if idle else period)
        self.mended += len(ripe)
        return ripe

    def check(self, world: World) -> list[Breach]:
        """Invariants that are broken and were not when it last looked."""
        found = breaches(world)
        fresh = [breach for breach in found if breach not in self._told]
        self._told = set(found)
        for breach in fresh:
            self.broken[breach.invariant] = self.broken.get(breach.invariant, 0) + 1
        return fresh

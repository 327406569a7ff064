"""The process on a live cluster: stands by with everything in view, leads while it is elected, and stops in good order.

Whoever is deposed throws away all that it knew and had not written, and stands by anew: see docs/decisions.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Protocol

import attrs

from runs_core.cluster.kube.api import Refused
from runs_core.cluster.kube.election import Campaign, Election
from runs_core.cluster.kube.sweep import Swept
from runs_core.cluster.port import Cluster
from runs_core.decide.batch import Batch
from runs_core.errors import Deposed, RunsError, Unavailable
from runs_core.serve import log
from runs_core.serve.audit import Auditor, Finding, ServiceOf, findings
from runs_core.serve.health import STALE_SECONDS, Health
from runs_core.serve.loop import Loop
from runs_core.serve.reload import LOOK_SECONDS, Reload
from runs_core.serve.signals import Stopping
from runs_core.settings import Settings
from runs_core.values.effect import Effect, Emit
from runs_core.values.lease import Lease
from runs_core.values.meta import Key

FIRST_LISTS_SECONDS = 60.0
SLOW_LISTS_SECONDS = 5.0
"""A list that has not come for so long is told of."""
LONGEST_WAIT_SECONDS = 5.0
STANDBY_SECONDS = 1.0
STOP_SECONDS = 20.0
"""For what is in flight; Kubernetes kills a pod 30 s after it asked it to go, unless told otherwise."""
RETRY_SECONDS = (0.1, 0.5, 1.0, 2.0)
SERVICES_SECONDS = 5.0
COLLECT_EVERY = 500_000
"""Containers more than at the last collection. What the loop makes holds no cycles and goes by its references; what
is kept (each run for a day after its end) was looked at once for nothing, for a twelfth of all CPU at 50,000."""


class LiveCluster(Cluster, Protocol):
    """What the process needs of a cluster beside what the loop does."""

    @property
    def lingering(self) -> dict[Key, Lease]: ...
    @property
    def doomed(self) -> dict[Key, str]: ...
    @property
    def unread_journal(self) -> Sequence[str]: ...
    @property
    def hidden(self) -> Sequence[str]: ...
    def now(self) -> datetime: ...
    def start(self) -> None: ...
    def missing(self, seconds: float) -> list[str]: ...
    def stale(self, seconds: float) -> list[str]: ...
    def lead(self, holder: str) -> int: ...
    def allow(self, allowed: Callable[[], bool]) -> None: ...
    def take(self, settings: Settings) -> None: ...
    def wait(self, seconds: float) -> None: ...
    def wake(self) -> None: ...
    def busy(self, run: Key) -> bool: ...
    def services(self, seconds: float) -> list[tuple[Key, str]]: ...
    def untold(self) -> int: ...
    def tidy(self, leases: Sequence[Lease], services: Sequence[Key]) -> None: ...
    def sweep(self) -> Swept: ...
    def stop(self, seconds: float) -> bool: ...


class Standing(Protocol):
    """How a process stands for election."""

    def run(self, *, running: bool) -> None: ...
    def stop(self) -> None: ...


@attrs.frozen(kw_only=True)
class Parts:
    """What a process is put together from.

    cluster, loop: make new ones, as often as this process stands by, or leads, anew. journal: where events about the
    scheduler itself belong to.
    """

    cluster: Callable[[], LiveCluster]
    loop: Callable[[LiveCluster], Loop]
    election: Election
    stop: Stopping
    health: Health
    reload: Reload
    journal: Key
    campaign: Callable[[Election, Callable[[], None]], Standing] = Campaign
    clock: Callable[[], float] = time.monotonic


class Process:
    """led: how often it took over. `run` is for the main thread."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._cluster: LiveCluster | None = None
        self._campaign = parts.campaign(parts.election, self._wake)
        self._auditor = Auditor(parts.reload.settings.audit)
        self._reload_at = parts.clock()
        self._hidden: frozenset[str] = frozenset()
        self.led = 0
        self._anew = False
        parts.health.needs(self._blind)
        parts.stop.tell(self._wake)

    def run(self) -> None:
        """Until it is asked to stop. Unavailable: the cluster could not be seen from the very beginning."""
        try:
            while not self._parts.stop.asked:
                self._once()
        except RunsError:
            raise
        except Exception:
            log.LOGGER.exception("a defect ends this process")
            raise
        finally:
            self._campaign.stop()

    def _once(self) -> None:
        cluster = self._cluster = self._parts.cluster()
        cluster.start()
        seconds = 0.0
        try:
            term = self._stand_by(cluster)
            if term is not None:
                self._lead(cluster, term)
                seconds = STOP_SECONDS
        except Deposed as error:
            log.warn(f"leads no more, and stands by: {error}")
            self._campaign.run(running=False)
        finally:
            if not cluster.stop(seconds):
                log.warn("not all was written; whoever leads next finds the rest in the journal")

    # -- standing by ------------------------------------------------------------------------------------------------

    def _stand_by(self, cluster: LiveCluster) -> int | None:
        """Until this process is elected: the term. None: it is to stop."""
        self._see_everything(cluster)
        self._campaign.run(running=True)
        log.info("stands by", identity=self._parts.election.identity)
        while not self._parts.stop.asked:
            term = self._parts.election.term()
            if term is not None:
                return term
            if self._parts.election.failing is not None:
                log.warn(f"cannot stand for election: {self._parts.election.failing}")
            cluster.wait(STANDBY_SECONDS)
            cluster.observe()
            self._turned(None, cluster)
        return None

    def _see_everything(self, cluster: LiveCluster) -> None:
        """Nothing is decided before everything was listed: what has not been seen yet is not gone."""
        began = self._parts.clock()
        gc.disable()
        try:
            while (missing := cluster.missing(0.0)) and not self._parts.stop.asked:
                waited = self._parts.clock() - began
                if not self.led and waited > FIRST_LISTS_SECONDS:
                    remedy = "see that the API server runs and lets this account list them"
                    raise Unavailable(f"cannot list {unlisted(missing)}; {remedy}")
                if waited > SLOW_LISTS_SECONDS:
                    log.warn(f"cannot list {unlisted(missing)}")
                cluster.wait(STANDBY_SECONDS)
                cluster.observe()
                self._parts.health.turned()
            cluster.observe()
        finally:
            if self._anew:
                gc.unfreeze()  # of a term that is over
                gc.collect()
            self._anew = True
            settle_memory()

    # -- leading ----------------------------------------------------------------------------------------------------

    def _lead(self, cluster: LiveCluster, term: int) -> None:
        """Until it is to stop. Deposed: another leads, or may lead."""
        election = self._parts.election
        cluster.allow(lambda: election.holds(term))
        began = self._parts.clock()
        number = self._insist(term, lambda: cluster.lead(election.identity))
        loop = self._parts.loop(cluster)
        self._insist(term, loop.cycle)
        self._insist(term, lambda: self._tell_unread(loop, cluster))
        if self._parts.stop.asked:
            return  # perhaps before it took over
        self.led += 1
        world = loop.world
        log.info(
            "leads",
            identity=election.identity,
            term=number,
            seconds=round(self._parts.clock() - began, 3),
            runs=len(world.runs()),
            leases=len(world.ledger.open),
            nodes=len(world.nodes()),
        )
        settle_memory()
        self._auditor = Auditor(self._parts.reload.settings.audit)
        self._hidden = frozenset()
        while not self._parts.stop.asked:
            made = self._insist(term, loop.cycle)
            self._turned(loop, cluster)
            self._insist(term, lambda: self._audit(loop, cluster))
            cluster.wait(0.0 if made else _pause(loop, cluster))

    def _tell_unread(self, loop: Loop, cluster: LiveCluster) -> int:
        """That the journal was not whole. What holds GPUs stands in leases, which the audit looks at right away."""
        told = cluster.unread_journal
        if told:
            now, about = loop.world.now, self._parts.journal
            carry_out(loop, [Emit("ConfigMap", about, "JournalUnread", what, now, warning=True) for what in told])
        for what in told:
            log.warn(what)
        return len(told)

    def _insist(self, term: int, act: Callable[[], int]) -> int:
        """Do it, as long as the term holds, until the API server takes it. Deposed: the term is over."""
        tries = 0
        while not self._parts.stop.asked:
            if not self._parts.election.holds(term):
                raise Deposed(self._parts.election.failing or "its term has run out")
            try:
                return act()
            except (Unavailable, Refused) as error:
                log.warn(f"the API server does not take it: {error}")
                asked = (error.retry_after or 0.0) if isinstance(error, Refused) else 0.0
                self._rest(term, max(asked, RETRY_SECONDS[min(tries, len(RETRY_SECONDS) - 1)]))
            tries += 1
        return 0

    def _rest(self, term: int, seconds: float) -> None:
        """As long as a busy server asks for, or a moment, whatever comes in meanwhile."""
        until = self._parts.clock() + seconds
        while (left := until - self._parts.clock()) > 0 and self._parts.election.holds(term):
            if self._parts.stop.asked:
                return
            self._parts.stop.rest(min(left, LONGEST_WAIT_SECONDS))
            self._parts.health.turned()

    # -- the audit --------------------------------------------------------------------------------------------------

    def _audit(self, loop: Loop, cluster: LiveCluster) -> int:
        """When it is due; how many things were mended."""
        world = loop.world
        if not self._auditor.due(world.now):
            return 0
        hidden = frozenset(cluster.hidden)
        for what in sorted(hidden - self._hidden):
            log.warn(f"{what}; its run is left as it is until it can, or is gone")
        self._hidden = hidden
        found = findings(world, list(cluster.lingering.values()), _services(cluster), cluster.doomed)
        ripe = self._auditor.look(world.now, found, cluster.busy)
        effects: list[Effect] = [effect for one in ripe for effect in one.effects]
        for breach in self._auditor.check(world):
            what = f"invariant {breach.invariant} is broken: {breach.what}"
            log.warn(what, times=self._auditor.broken[breach.invariant])
            effects.append(Emit("ConfigMap", self._parts.journal, "InvariantBroken", what, world.now, warning=True))
        if effects:
            carry_out(loop, effects)
        cluster.tidy([one.lease for one in ripe if one.lease], [one.service for one in ripe if one.service])
        self._tell(ripe)
        swept = cluster.sweep()
        if swept.leases or swept.reservations or swept.resolutions or swept.journals:
            log.info(
                "removed what was kept long enough",
                leases=swept.leases,
                reservations=swept.reservations,
                resolutions=swept.resolutions,
                journals=swept.journals,
            )
        if swept.refusal is not None:
            log.warn(f"what was kept long enough cannot be removed: {swept.refusal}")
        return len(ripe)

    def _tell(self, mended: Collection[Finding]) -> None:
        for one in mended:
            log.info("mended", run=str(one.run), what=one.what)

    # -- each turn --------------------------------------------------------------------------------------------------

    def _turned(self, loop: Loop | None, cluster: LiveCluster) -> None:
        self._parts.health.turned()
        if self._parts.clock() < self._reload_at:
            return
        self._reload_at = self._parts.clock() + LOOK_SECONDS
        if left_out := cluster.untold():
            log.info("there were too many events to write them all", left_out=left_out)
        for blind in cluster.stale(STALE_SECONDS):
            log.warn(f"nothing new is seen of a part of the cluster: {blind}")
        settings = self._parts.reload.changed()
        if settings is not None:
            cluster.take(settings)
            if loop is not None:
                loop.world.settings = settings
                loop.world.touch(*(run.key for run in loop.world.runs()))

    def _blind(self) -> list[str]:
        """What keeps this process from seeing the cluster as it is."""
        cluster = self._cluster
        if cluster is None:
            return ["has not begun to look"]
        missing = [f"not listed yet: {what}" for what in cluster.missing(0.0)]
        return missing or cluster.stale(STALE_SECONDS)

    def _wake(self) -> None:
        if self._cluster is not None:
            self._cluster.wake()


def unlisted(missing: Sequence[str]) -> str:
    """`KIND: why` each; kinds that the same thing keeps are told together."""
    kinds: dict[str, list[str]] = {}
    for one in missing:
        kind, _, why = one.partition(": ")
        kinds.setdefault(why, []).append(kind)
    return "; ".join(sorted(f"{', '.join(names)}: {why}" for why, names in kinds.items()))


def carry_out(loop: Loop, effects: Sequence[Effect]) -> None:
    """Effects that no decision has: taken up by the world and committed, or neither."""
    batch = Batch(loop.world)
    batch.add(effects)
    try:
        loop.cluster.commit(effects, ())
    except BaseException:
        batch.undo()
        raise


def _pause(loop: Loop, cluster: LiveCluster) -> float:
    moment = loop.next_moment()
    left = LONGEST_WAIT_SECONDS if moment is None else (moment - cluster.now()).total_seconds()
    return min(LONGEST_WAIT_SECONDS, max(left, 0.0))


def settle_memory() -> None:
    """What was built so far stays for good: the collector need not look at it again, and seldom at the rest."""
    gc.enable()
    gc.freeze()
    gc.set_threshold(COLLECT_EVERY)


def _services(cluster: LiveCluster) -> list[ServiceOf]:
    """None where they cannot be had now: they are looked for again."""
    try:
        return [ServiceOf(key, uid) for key, uid in cluster.services(SERVICES_SECONDS)]
    except RunsError as error:
        log.warn(f"the Services of runs cannot be listed: {error}")
        return []

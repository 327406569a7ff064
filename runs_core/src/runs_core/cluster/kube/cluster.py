"""A live cluster as the loop sees it: watches come in as changes, effects go out through the journal and the pool."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial

import attrs

from runs_core.cluster.kube import paths, takeover
from runs_core.cluster.kube.api import Api
from runs_core.cluster.kube.binding import Binding
from runs_core.cluster.kube.gather import Gathering
from runs_core.cluster.kube.incoming import Incoming
from runs_core.cluster.kube.journal import Journal
from runs_core.cluster.kube.mirror import Mirror
from runs_core.cluster.kube.news import Everything, Failed, Skipped, Written
from runs_core.cluster.kube.nonce import standing
from runs_core.cluster.kube.outgoing import Outgoing
from runs_core.cluster.kube.reading import Reader
from runs_core.cluster.kube.reflect import Event, Inbox, Listed, Reflector, Restored
from runs_core.cluster.kube.snapshot import key_of
from runs_core.cluster.kube.steps import steps
from runs_core.cluster.kube.sweep import Sweeper, Swept
from runs_core.cluster.kube.takeover import Held
from runs_core.cluster.kube.unread import Unread
from runs_core.cluster.kube.writer import Writer
from runs_core.cluster.kube.writes import Writes
from runs_core.errors import Deposed, RunsError
from runs_core.schema.pods import UID_LABEL
from runs_core.settings import Settings
from runs_core.values import change as c
from runs_core.values import effect as e
from runs_core.values.effect import Effect
from runs_core.values.lease import Lease
from runs_core.values.meta import Key
from runs_core.values.record import Record
from runs_core.values.section import Section

Clock = Callable[[], datetime]
Told = Callable[[Sequence[Record]], None]


def wall_clock() -> datetime:
    """UTC, whole milliseconds."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


class KubeCluster:
    """Implements Cluster. One thread calls observe and commit; reflectors and writers work beside it.

    flavors: of the nodes as last observed, sorted.
    """

    plays_pods = False
    outlives = True

    def __init__(
        self,
        api: Api,
        settings: Settings,
        *,
        namespace: str,
        told: Told,
        sections: Sequence[Section] = (),
        clock: Clock = wall_clock,
        inbox: Inbox | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._told = told
        self._home = namespace
        self._api = api
        self.inbox = inbox or Inbox()
        self.writer = Writer()
        self.journal = Journal(api, namespace)
        self.mirror = Mirror()
        self._reader = Reader(self.mirror, settings.fleet, sections)
        self.reflectors = [
            Reflector(api, kind, path, self.inbox, partial(self._reader.seen, kind))
            for kind, path in paths.LISTS.items()
        ]
        self.flavors: tuple[str, ...] = ()
        self._gathering = Gathering(lambda: self.writer.pressing)
        self._writes = Writes(api, self.mirror.run, self.mirror.node, sections, namespace)
        self._sweeper = Sweeper(api, self._writes, self.writer, Unread(api, namespace))
        self._out = Outgoing(self._writes, self.writer, self.mirror, self.inbox, clock)
        self._binding = Binding(self.journal, self.mirror, self._out, namespace)
        self._in = Incoming(self.mirror, self._out, self._sweeper, reader=self._reader, settings=settings, clock=clock)

    @property
    def lingering(self) -> dict[Key, Lease]:
        """Closed leases that were not let go yet."""
        return self._in.lingering

    @property
    def doomed(self) -> dict[Key, str]:
        """Runs that cannot be read and are on their way out, with their uids."""
        return self._in.doomed

    @property
    def unread_journal(self) -> Sequence[str]:
        """What could not be read of the journal when it was taken over, a sentence each."""
        return self.journal.unread

    def now(self) -> datetime:
        """The cluster's time, UTC."""
        return self._clock()

    def lead(self, holder: str) -> int:
        """Take the journal over; the term that began. Everything must have been listed before.

        What the leader before left half done is taken as begun, and the next `observe` tells everything that is known.
        Deposed: another took over at the same time. Refused, Unavailable: not now; nothing was decided.
        """
        nonces = standing(self._api, self._home)
        before = self.journal.take_over(holder, nonces.commitment(1))
        self._in.chain = self.journal.entry.chain
        held = self._look_again()
        takeover.adopt([lease for lease in before.opening() if held.allows(lease)], self.writer, self._adopted)
        self.inbox.put(Everything())
        self.inbox.put(c.NoncesSeen(nonces))
        self.inbox.put(c.ChainSeen(self._in.chain))
        self.inbox.put(c.HeadSeen(before.head))
        return self.journal.entry.term

    def _look_again(self) -> Held:
        """Returns what open leases hold."""
        found = {listed.resource: listed for listed in takeover.look_again(self._api, self._reader)}
        for listed in found.values():
            self.inbox.put(listed)
        self._in.led_at = found["Resolution"].version
        return Held.of(found["GPULease"].items, self.mirror)

    def _adopted(self, lease: Lease) -> None:
        effect = e.OpenLease(lease)
        self.inbox.put(Written(effect=effect, answer=self._writes.write(effect)))

    def take(self, settings: Settings) -> None:
        """Go on with these; how objects are read stays as it was."""
        self._settings = attrs.evolve(settings, fleet=self._settings.fleet)
        self._in.refusals.settings = self._settings

    def allow(self, allowed: Callable[[], bool]) -> None:
        """Asked before each write of a batch is sent; once it says no, the rest is left to whoever leads then."""
        self.writer.allowed = allowed

    def start(self) -> None:
        """Begin to look."""
        for reflector in self.reflectors:
            reflector.start()

    def missing(self, seconds: float) -> list[str]:
        """Wait for the first lists; the kinds whose list has not come in time, with what keeps it."""
        return [
            f"{reflector.resource}: {reflector.failing or 'no answer yet'}"
            for reflector in self.reflectors
            if not reflector.listed.wait(seconds)
        ]

    def stale(self, seconds: float) -> list[str]:
        """The kinds that nothing was heard of for so long, with what keeps it."""
        now = time.monotonic()
        return [
            f"{reflector.resource}: nothing heard for over {seconds:.0f} s ({reflector.failing or 'silence'})"
            for reflector in self.reflectors
            if now - reflector.heard > seconds
        ]

    def wait(self, seconds: float) -> None:
        """Until something comes in, a write is over, somebody calls `wake`, or the time is over.

        Right after a batch a little longer: what comes meanwhile shares the next write of the journal.
        """
        self.inbox.wait(seconds)
        self._gathering.wait()

    def wake(self) -> None:
        """From any thread."""
        self.inbox.wake()

    def busy(self, run: Key) -> bool:
        """Whether something is still to be written for this run, or not all that it holds can be read."""
        return self.writer.busy(run) or any(run == known for known, _ in self._in.hidden.values())

    @property
    def hidden(self) -> list[str]:
        """Which leases cannot be read, a sentence each."""
        return [f"GPULease {key} cannot be read: {why}" for key, (_, why) in sorted(self._in.hidden.items())]

    def services(self, seconds: float) -> list[tuple[Key, str]]:
        """The Services of runs, each with its run's uid. Refused, Unavailable: not now."""
        _, answer = self._api.call(
            "GET", paths.collection("Service"), query={"labelSelector": UID_LABEL}, seconds=seconds
        )
        items = answer.get("items") or []
        return [(key_of(item), item["metadata"]["labels"][UID_LABEL]) for item in items]

    def tidy(self, leases: Sequence[Lease], services: Sequence[Key]) -> None:
        """Let go of closed leases, and of Services that nobody needs, when there is time."""
        self._out.tidy(leases, services)

    def untold(self) -> int:
        """How many events were left out since the last call, because there were too many."""
        return self._out.untold()

    def sweep(self) -> Swept:
        """Remove more of what was kept long enough, when there is time; what came of it since the last call."""
        retention, made = self._settings.retention, self.journal.entry.evidence
        return self._sweeper.begin(self._clock(), retention, self._in.chain.number, made)

    def stop(self, seconds: float) -> bool:
        """Finish what is in flight; False: something was left for the next leader, who finds it in the journal.

        What the leader before left stays there as well, until this one has begun to write its own.
        """
        for reflector in self.reflectors:
            reflector.stop()
        drained = self._binding.give_up() & self.writer.drain(seconds)
        if drained and self._binding.owns and self.journal.entry.intents and self.writer.allowed():
            with suppress(RunsError):  # whoever leads next finds that it was all written
                self.journal.write(attrs.evolve(self.journal.entry, intents={}))
        self.writer.stop()
        return drained

    # -- the port ---------------------------------------------------------------------------------------------------

    def observe(self) -> tuple[datetime, Sequence[c.Change]]:
        """What came in since the last call. Deposed: what was known is worth nothing any more."""
        self._binding.go_on(self._in.chain)
        changes: list[c.Change] = []
        for news in self.inbox.take():
            match news:
                case Listed():
                    changes += self._in.listed(news)
                case Event():
                    changes += self._in.told(news)
                case Written():
                    changes += self._in.written(news)
                case Skipped():
                    changes += self._in.skipped(news)
                case Failed():
                    changes += self._in.failed(news)
                case Everything():
                    changes += [*self.mirror.known(), *self._in.still_unread()]
                case Restored():
                    raise Deposed(f"the API server shows {news.resource}s as they were before; all is looked at anew")
                case c.HeadSeen() | c.ChainSeen() | c.NoncesSeen():
                    changes.append(news)
                case _:
                    raise AssertionError(f"unknown news {news!r}")
        if any(isinstance(change, (c.NodeSeen, c.NodeGone)) for change in changes):
            self.flavors = self.mirror.flavors()
        if self._binding.ready:
            self.inbox.wake()
        return self._clock(), changes

    def commit(self, effects: Sequence[Effect], records: Sequence[Record]) -> None:
        """Into the journal, then to the pool. Deposed: another scheduler leads now; nothing was written."""
        batch = sorted(steps(effects, self.mirror.run_of_pod), key=lambda step: not step.resolutions)
        self._binding.begin(batch, self._in.chain)
        self._gathering.begin()
        self._told(records)

"""What lists, watches and writes tell, as changes: each object as it counts, and nothing that is out of date."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

import attrs

from runs_core.cluster.kube import paths
from runs_core.cluster.kube.api import Object, Refused
from runs_core.cluster.kube.mirror import Mirror
from runs_core.cluster.kube.news import Failed, Skipped, Written
from runs_core.cluster.kube.outgoing import Outgoing
from runs_core.cluster.kube.reading import Reader, Seen
from runs_core.cluster.kube.reflect import Event, Listed
from runs_core.cluster.kube.refusals import Refusals
from runs_core.cluster.kube.snapshot import key_of
from runs_core.cluster.kube.statuses import Overtaken
from runs_core.cluster.kube.steps import Step
from runs_core.cluster.kube.sweep import Sweeper
from runs_core.cluster.kube.write_leases import SPENT
from runs_core.cluster.kube.write_pods import Enlarged
from runs_core.cluster.kube.writer import PREMISE
from runs_core.cluster.seen import Name, Value
from runs_core.decide.carry_out import too_late
from runs_core.schema.pods import RUN_LABEL
from runs_core.settings import Settings
from runs_core.values import change as c
from runs_core.values import effect as e
from runs_core.values.lease import Lease
from runs_core.values.meta import Key
from runs_core.values.nonces import Chain
from runs_core.values.resolution import Resolution, ResolutionPhase
from runs_core.values.run import Phase, Run

OVER = (Phase.RUNNING, Phase.SUCCEEDED, Phase.FAILED)


class Incoming:
    """Used by the thread that decides.

    doomed: runs that cannot be read and are on their way out, with their uids; unread: those that stay, with the
    reason. hidden: open leases that cannot be read, each with its run and the reason. lingering: closed leases that
    were not let go yet. chain: the last resolution that was seen. led_at: the version of the resolutions as they were
    when this process took over; None: it has not.
    """

    def __init__(
        self,
        mirror: Mirror,
        outgoing: Outgoing,
        sweeper: Sweeper,
        *,
        reader: Reader,
        settings: Settings,
        clock: Callable[[], datetime],
    ) -> None:
        self._mirror = mirror
        self._outgoing = outgoing
        self._sweeper = sweeper
        self._reader = reader
        self._clock = clock
        self.refusals = Refusals(settings)
        self.doomed: dict[Key, str] = {}
        self.unread: dict[Key, str] = {}
        self.hidden: dict[Key, tuple[Key, str]] = {}
        self.lingering: dict[Key, Lease] = {}
        self.chain = Chain()
        self.led_at: int | None = None
        self._listed_at: dict[str, int] = {}
        self._late: set[Name] = set()

    def listed(self, news: Listed[Seen]) -> Iterator[c.Change]:
        """What was known and is not in the list is gone."""
        for seen in news.items:
            yield from self._seen(news.resource, seen)
        here = {seen.key for seen in news.items}
        if news.resource == "Run":
            for key in sorted(self.unread.keys() - here):
                yield from self._unread_no_more(key)
        elif news.resource == "GPULease":
            self.hidden = {key: known for key, known in self.hidden.items() if key in here}
        for key in self._mirror.names(news.resource):
            if key not in here:
                self._sweeper.saw((news.resource, key), None)
                yield from self._mirror.vanished((news.resource, key), news.version)
        self._listed_at[news.resource] = news.version

    def told(self, news: Event) -> Iterator[c.Change]:
        """Passed over if it is from before the last list: what it tells of may be gone, and its end never be told."""
        version = int(news.item["metadata"]["resourceVersion"])
        if version <= self._listed_at.get(news.resource, 0):
            return
        if news.deleted:
            yield from self._counts(news.resource, Seen(key=key_of(news.item), version=version))
        else:
            yield from self._item(news.resource, news.item)

    def written(self, news: Written) -> Iterator[c.Change]:
        """How the server has it counts from now on; an answer that comes after a later list is late news as any."""
        if news.answer and news.answer.get("kind") in paths.LISTS and "resourceVersion" in news.answer["metadata"]:
            yield from self.told(Event(resource=news.answer["kind"], deleted=False, item=news.answer))
        else:
            self._mirror.done(news.effect)
        self._outgoing.over(news.effect)
        yield from self._mirror.settled(news.effect, written=True)

    def skipped(self, news: Skipped) -> Iterator[c.Change]:
        """The next one says it."""
        self._outgoing.over(news.status)
        yield from self._mirror.settled(news.status, written=False)

    def failed(self, news: Failed) -> Iterator[c.Change]:
        """What was seen counts again, and a start that was refused is not tried again at once."""
        news.freed.known = True
        for effect in news.effects:
            self._outgoing.over(effect)
            yield from self._mirror.settled(effect, written=False)
        if news.refusal.reason == SPENT:
            yield from self._spend(news)
        made = any(isinstance(effect, (e.OpenLease, e.MakePod, e.BindPod)) for effect in news.effects)
        if isinstance(news.refusal, Overtaken | Enlarged):
            stored = news.refusal.stored
            yield from self._item(stored["kind"], stored)
        if made and not isinstance(news.refusal, Overtaken) and news.refusal.reason not in (PREMISE, SPENT):
            yield from self._refused(news.key, news.refusal)
        for effect in news.effects:
            if isinstance(effect, e.PutResolution) and (to := effect.resolution.spec.beneficiary) is not None:
                yield from self._refused(to.run, news.refusal)

    def _refused(self, run: Key, refusal: Refused) -> Iterator[c.Change]:
        """Held against that run, unless it is gone: the next of its name has nothing to do with it."""
        if self._mirror.run(run) is not None or not self._mirror.version(("Run", run)):
            yield self.refusals.add(run, refusal, self._clock())

    def _item(self, kind: str, item: Object) -> Iterator[c.Change]:
        yield from self._seen(kind, self._reader.seen(kind, item))

    def _seen(self, kind: str, seen: Seen) -> Iterator[c.Change]:
        if seen.value is not None:
            yield from self._counts(kind, seen)
        elif seen.unread is not None and not self._mirror.passed((kind, seen.key), seen.version):
            if kind == "Run" and seen.held and "deletionTimestamp" in seen.unread["metadata"]:
                yield from self._counts(kind, seen)  # to whoever decides it is gone: what it held is closed
                self.doomed[seen.key] = seen.unread["metadata"]["uid"]
            elif kind == "Run":
                self.doomed.pop(seen.key, None)
                self.unread[seen.key] = seen.why
                yield c.RunUnread(seen.key, seen.why)
            elif kind == "GPULease":
                self._hide(seen.key, seen.unread, seen.why)

    def _hide(self, key: Key, lease: Object, why: str) -> None:
        """Unless it is closed, as far as that can be told."""
        run, status = (lease["metadata"].get("labels") or {}).get(RUN_LABEL, ""), lease.get("status")
        self.hidden.pop(key, None)
        if not (isinstance(status, dict) and status.get("closed") is True):
            self.hidden[key] = (Key(key.namespace, run), why)

    def _unread_no_more(self, key: Key) -> Iterator[c.Change]:
        """It can be read now, or is gone."""
        if self.unread.pop(key, None) is not None:
            yield c.RunUnread(key, None)

    def still_unread(self) -> Iterator[c.Change]:
        """For who begins anew."""
        yield from (c.RunUnread(key, why) for key, why in sorted(self.unread.items()))

    def _counts(self, kind: str, seen: Seen) -> Iterator[c.Change]:
        """From now on, if it is newer than what was; without a value it is gone."""
        name, value = (kind, seen.key), seen.value
        if self._mirror.passed(name, seen.version):
            return
        if kind == "GPULease":
            self.hidden.pop(seen.key, None)
            self._watch_lingering(seen.key, value, held=seen.held)
        if kind == "Run":
            self.doomed.pop(seen.key, None)
            yield from self._unread_no_more(seen.key)
            bare = isinstance(value, Run) and value.meta.deleting is None and not seen.held
            (self._outgoing.bare.add if bare else self._outgoing.bare.discard)(seen.key)
        if value is None and kind in ("Run", "Budget"):
            self._outgoing.gone(seen.key)
        if isinstance(value, Resolution):
            value = self._judged(name, seen.version, value)
        if kind in ("GPULease", "Reservation", "Resolution"):
            self._sweeper.saw(name, value)
        yield from self._mirror.saw(name, seen.version, value)
        yield from self._went_on(value)
        yield from self._came_up(name, value)

    def _judged(self, name: Name, version: int, value: Resolution) -> Resolution:
        """One that was kept after this process took over, and not by it, was sent too late: nobody follows it."""
        if value.status.phase is not ResolutionPhase.ACTIVATING:
            self._late.discard(name)
            return value
        known = self._mirror.get(name)
        ours = isinstance(known, Resolution) and known.spec.digest == value.spec.digest
        if name not in self._late and (ours or self.led_at is None or version <= self.led_at):
            return value
        late = too_late(value, self._clock())
        if name not in self._late:
            self._late.add(name)
            self._outgoing.begin(Step(key=Key("late", value.name), effects=[e.SetResolutionStatus(late)]))
        return late

    def _went_on(self, value: Value | None) -> Iterator[c.Change]:
        """What the last resolution was stays known, even if its record goes."""
        if isinstance(value, Resolution) and value.spec.number > self.chain.number:
            self.chain = Chain(number=value.spec.number, commitment=value.spec.next_commitment)
            yield c.ChainSeen(self.chain)

    def _watch_lingering(self, key: Key, value: Value | None, *, held: bool) -> None:
        if isinstance(value, Lease) and value.status.closed and held:
            self.lingering[key] = value
        else:
            self.lingering.pop(key, None)

    def _spend(self, news: Failed) -> Iterator[c.Change]:
        """That attempt was begun before, by whomever, and came to nothing: the next start is another one."""
        run = self._mirror.run(news.key)
        attempts = [effect.lease.spec.attempt for effect in news.effects if isinstance(effect, e.OpenLease)]
        if run is not None and attempts:
            status = attrs.evolve(run.status, attempt=max(run.status.attempt, *attempts))
            spent = attrs.evolve(run, status=status)
            self._outgoing.begin(Step(key=news.key, effects=[e.SetRunStatus(spent)]))
            yield c.RunSeen(spent)

    def _came_up(self, name: Name, value: Value | None) -> Iterator[c.Change]:
        """A run that runs, or is gone, has no refusals to its name any more."""
        kind, key = name
        if kind == "Run" and key in self.refusals and (not isinstance(value, Run) or value.status.phase in OVER):
            yield self.refusals.forget(key)

"""A live cluster as the loop sees it: watches come in as changes, effects go out through the journal and the pool."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial

import attrs

from runs_core.cluster.kube import paths
from runs_core.cluster.kube.api import Api, Object, Refused
from runs_core.cluster.kube.gates import Audits, Gate, Places
from runs_core.cluster.kube.gather import Gathering
from runs_core.cluster.kube.journal import Intent, Journal
from runs_core.cluster.kube.mirror import Mirror
from runs_core.cluster.kube.nonce import standing
from runs_core.cluster.kube.pace import Pace
from runs_core.cluster.kube.podmake import FINALIZER
from runs_core.cluster.kube.reflect import Event, Inbox, Listed, Reflector, everything
from runs_core.cluster.kube.statuses import Basis, Overtaken
from runs_core.cluster.kube.steps import Step, steps
from runs_core.cluster.kube.sweep import Sweeper, Swept
from runs_core.cluster.kube.unsent import Skipping, Unsent
from runs_core.cluster.kube.writer import PREMISE, THREADS, Work, Write, Writer
from runs_core.cluster.kube.writes import NEVER_SEEN, SPENT, Writes
from runs_core.cluster.seen import Name, Value, as_change, read
from runs_core.decide.carry_out import too_late
from runs_core.errors import InvalidInput, RunsError
from runs_core.schema.pods import UID_LABEL
from runs_core.settings import Settings
from runs_core.values import change as c
from runs_core.values import effect as e
from runs_core.values.budget import Budget
from runs_core.values.effect import Effect
from runs_core.values.lease import Lease
from runs_core.values.meta import Key
from runs_core.values.node import Node
from runs_core.values.nonces import Chain
from runs_core.values.pod import Pod
from runs_core.values.record import Record
from runs_core.values.resolution import Resolution, ResolutionPhase
from runs_core.values.run import Phase, Run
from runs_core.values.section import Section
from runs_core.world.ledger import entry, fold

Clock = Callable[[], datetime]
Told = Callable[[Sequence[Record]], None]
Place = tuple[str, int]
"""A node, and one of the ledger's places on it."""
LONGEST_BACKOFF = timedelta(hours=1)
WRITTEN = ("Run", "GPULease", "Reservation", "Resolution", "Pod")
"""Kinds whose objects a leader writes as it decides."""
OVER = (Phase.RUNNING, Phase.SUCCEEDED, Phase.FAILED)


@attrs.frozen(kw_only=True)
class Written:
    """A write is over. answer: the object as the server has it now."""

    effect: Effect
    answer: Object | None


@attrs.frozen(kw_only=True)
class Skipped:
    """A status that was overtaken by the next before it was sent."""

    status: e.SetRunStatus | e.SetBudgetStatus


@attrs.frozen(kw_only=True)
class Failed:
    """The work of one run was refused. effects: what of it was not written, and will not be. freed: its places."""

    key: Key
    effects: Sequence[Effect]
    refusal: Refused
    freed: Gate


@attrs.frozen(kw_only=True)
class Held:
    """What open leases hold: places, and runs by uid, each with an attempt."""

    places: AbstractSet[Place]
    runs: Mapping[str, int]

    def allows(self, lease: Lease) -> bool:
        """Whether nobody is in its places, and no other attempt of its run has any."""
        attempt = self.runs.get(lease.spec.run_ref.uid, lease.spec.attempt)
        return attempt == lease.spec.attempt and self.places.isdisjoint(_places(lease))


class Everything:
    """The world is empty, and wants to be told all that is known."""


def wall_clock() -> datetime:
    """UTC, whole milliseconds."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


class KubeCluster:
    """Implements Cluster. One thread calls observe and commit; reflectors and writers work beside it.

    aside: stored objects that cannot be read, by kind and key, with the reason. doomed: those runs of them that are on
    their way out, with their uids. lingering: closed leases that were not let go yet. flavors: of the nodes as last
    observed, sorted.
    """

    plays_pods = False

    def __init__(
        self,
        api: Api,
        settings: Settings,
        *,
        namespace: str,
        told: Told,
        sections: Sequence[Section] = (),
        clock: Clock = wall_clock,
    ) -> None:
        self._settings = settings
        self._sections = sections
        self._clock = clock
        self._told = told
        self.inbox = Inbox()
        self.reflectors = [Reflector(api, kind, path, self.inbox) for kind, path in paths.LISTS.items()]
        self.writer = Writer()
        self.journal = Journal(api, namespace)
        self.mirror = Mirror()
        self._places = Places()
        self._audits = Audits()
        self._listed_at: dict[str, int] = {}
        self.aside: dict[Name, str] = {}
        self.doomed: dict[Key, str] = {}
        self.lingering: dict[Key, Lease] = {}
        self.flavors: tuple[str, ...] = ()
        self._intents: dict[str, Intent] = {}
        self._gathering = Gathering(lambda: self.writer.pressing)
        self._refused: dict[Key, int] = {}
        self._bare: set[Key] = set()
        self._skipping = Skipping()
        self._pace = Pace()
        self._chain = Chain()
        self._led_at: int | None = None
        self._late: set[Name] = set()
        self._home = namespace
        self._api = api
        self._writes = Writes(api, self._run_of, self._node_of, sections, namespace)
        self._sweeper = Sweeper(api, self._writes, self.writer)

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
        self._chain = self.journal.entry.chain
        held = self._look_again()
        self._adopt([lease for lease in before.opening() if held.allows(lease)])
        self.inbox.put(Everything())
        self.inbox.put(c.NoncesSeen(nonces))
        self.inbox.put(c.ChainSeen(self._chain))
        self.inbox.put(c.HeadSeen(before.head))
        return self.journal.entry.term

    def _look_again(self) -> Held:
        """List what a leader writes: a watch may be late, and what the one before wrote must not be decided again.

        Returns what open leases hold.
        """
        with ThreadPoolExecutor(max_workers=len(WRITTEN), thread_name_prefix="look") as pool:
            found = list(pool.map(lambda kind: everything(self._api, kind, paths.LISTS[kind]), WRITTEN))
        for listed in found:
            self.inbox.put(listed)
        self._led_at = next(listed.version for listed in found if listed.resource == "Resolution")
        items = next(listed.items for listed in found if listed.resource == "GPULease")
        held = [item for item in items if not (item.get("status") or {}).get("closed")]
        places = {(node, at) for item in held for node, found in item["spec"]["slots"].items() for at in found}
        return Held(places=places, runs={item["spec"]["runRef"]["uid"]: item["spec"]["attempt"] for item in held})

    def _adopt(self, leases: Sequence[Lease]) -> None:
        """Open what the leader before may still be opening: its own late writes then change nothing.

        It has sent none before whoever was there had left. What is refused now would be to it as well. Runs that have
        all of their leases go on, others are undone.
        """
        if not leases:
            return
        with ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="adopt") as pool:
            for refusal in pool.map(lambda lease: self.writer.attempt(partial(self._adopted, lease)), leases):
                if refusal is not None and refusal.passing:
                    raise refusal

    def _adopted(self, lease: Lease) -> None:
        effect = e.OpenLease(lease)
        self.inbox.put(Written(effect=effect, answer=self._writes.write(effect)))

    def known(self) -> Iterator[c.Change]:
        """What builds a world from nothing."""
        for kind in paths.LISTS:
            for key in self.mirror.names(kind):
                change = as_change((kind, key), self.mirror.get((kind, key)))
                if change is not None:
                    yield change

    def take(self, settings: Settings) -> None:
        """Go on with these; how objects are read stays as it was."""
        self._settings = attrs.evolve(settings, fleet=self._settings.fleet)

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
            f"{reflector.resource}: nothing heard for {now - reflector.heard:.0f} s ({reflector.failing or 'silence'})"
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
        """Whether something is still to be written for this run."""
        return self.writer.busy(run)

    def services(self, seconds: float) -> list[tuple[Key, str]]:
        """The Services of runs, each with its run's uid. Refused, Unavailable: not now."""
        _, answer = self._api.call(
            "GET", paths.collection("Service"), query={"labelSelector": UID_LABEL}, seconds=seconds
        )
        items = answer.get("items") or []
        return [(_key(item), item["metadata"]["labels"][UID_LABEL]) for item in items]

    def tidy(self, leases: Sequence[Lease], services: Sequence[Key]) -> None:
        """Let go of closed leases, and of Services that nobody needs, when there is time. What fails is tried later."""
        tasks: list[tuple[Key, Write]] = [(lease.run, partial(self._let_go, lease)) for lease in leases]
        tasks += [(key, partial(self._writes.remove_service, key)) for key in services]
        for key, task in tasks:
            self.writer.add(Work(key=key, stages=[[task]], failed=_unheard, done=self.inbox.wake))

    def _let_go(self, lease: Lease) -> None:
        self.inbox.put(Written(effect=e.CloseLease(lease), answer=self._writes.close(lease)))

    def sweep(self) -> Swept:
        """Remove more of what was kept long enough, when there is time; what came of it since the last call."""
        return self._sweeper.begin(self._clock(), self._settings.retention, self._chain.number)

    def stop(self, seconds: float) -> bool:
        """Finish what is in flight; False: something was left for the next leader, who finds it in the journal."""
        for reflector in self.reflectors:
            reflector.stop()
        drained = self.writer.drain(seconds)
        if drained and self.journal.entry.intents and self.writer.allowed():
            with suppress(RunsError):  # whoever leads next finds that it was all written
                self.journal.write(attrs.evolve(self.journal.entry, intents={}))
        self.writer.stop()
        return drained

    # -- the port ---------------------------------------------------------------------------------------------------

    def observe(self) -> tuple[datetime, Sequence[c.Change]]:
        """What came in since the last call."""
        changes: list[c.Change] = []
        for news in self.inbox.take():
            match news:
                case Listed():
                    changes += self._listed(news)
                case Event():
                    changes += self._told_late(news)
                case Written():
                    changes += self._written(news)
                case Skipped():
                    self._skipping.over(news.status)
                    changes += self.mirror.settled(news.status, written=False)
                case Failed():
                    changes += self._failed(news)
                case Everything():
                    changes += self.known()
                case c.HeadSeen() | c.ChainSeen() | c.NoncesSeen():
                    changes.append(news)
                case _:
                    raise AssertionError(f"unknown news {news!r}")
        if any(isinstance(change, (c.NodeSeen, c.NodeGone)) for change in changes):
            nodes = (self.mirror.seen[("Node", key)] for key in self.mirror.names("Node"))
            self.flavors = tuple(sorted({node.flavor for node in nodes if isinstance(node, Node) and node.gpus}))
        return self._clock(), changes

    def commit(self, effects: Sequence[Effect], records: Sequence[Record]) -> None:
        """Into the journal, then to the pool. Deposed: another scheduler leads now; nothing was written."""
        batch = sorted(steps(effects, self._run_of_pod), key=lambda step: not step.resolutions)
        self._bind(batch)
        for step in batch:
            self._begin(step)
        self._told(records)

    def _begin(self, step: Step) -> None:
        """What it is decided on is noted before it counts as written."""
        work = self._work(step)
        self.mirror.assume(step.effects)
        self.writer.add(work)

    def _bind(self, batch: Sequence[Step]) -> None:
        intents = {run: intent for run, intent in self._intents.items() if self._under_way(run, intent)}
        for step in batch:
            if step.opens or step.closes:
                key = str(step.key)
                intents[key] = intents.get(key, Intent()).joined(step.opens, step.closes)
        head = fold(self.journal.entry.head, *(made for step in batch for made in _entries(step.effects)))
        self.journal.write(attrs.evolve(self.journal.entry, intents=intents, head=head, chain=self._chain))
        self._intents = intents
        self._gathering.begin()

    def _under_way(self, run: str, intent: Intent) -> bool:
        """Whether a lease of it is still to be written: what is written can be seen, and need not be told."""
        namespace = run.split("/", 1)[0]
        return any(self.mirror.assumes(("GPULease", Key(namespace, name))) for name in intent.names)

    # -- out --------------------------------------------------------------------------------------------------------

    def _work(self, step: Step) -> Work:
        written: set[int] = set()
        freed = Gate()
        telling = [effect for effect in step.effects if isinstance(effect, e.Emit)]

        def failed(refusal: Refused) -> None:
            freed.tell(came=False)
            telling.clear()
            left = [effect for effect in step.effects if id(effect) not in written]
            self.inbox.put(Failed(key=step.key, effects=left, refusal=refusal, freed=freed))

        def done() -> None:
            self._tell(telling)
            self.inbox.wake()

        gates = [*self._audits.gates(step.key), *self._places.gates(step.opens)]
        for resolution in step.resolutions:
            self._audits.hold(resolution, freed)
        self._places.free(step.closes, freed)
        unsent = self._skipping.follow(step, self._known(step.key))
        step.says_first = unsent is not None and unsent.first
        stages = list(self._stages(step, written, freed, unsent))
        frees = any(isinstance(effect, e.EndPod | e.RemovePod | e.CloseLease) for effect in step.effects)
        why = unsent is not None and unsent.waits()
        return Work(
            key=step.key,
            stages=stages,
            failed=failed,
            done=done,
            gates=gates,
            frees=frees,
            last_can_wait=step.says_last,
            why=why,
        )

    def _known(self, key: Key) -> Run | Budget | None:
        kind = "Run" if key.namespace else "Budget"
        found = self.mirror.get((kind, key))
        return found if isinstance(found, Run | Budget) else None

    def _tell(self, events: Sequence[e.Emit]) -> None:
        """In their own time: nothing waits for an event. When there are too many, those that warn of nothing go."""
        for event in events:
            if event.warning or self._pace.allows():
                key = Key(f"event of {event.key.namespace}", event.key.name)
                write = partial(self._write_event, event)
                self.writer.add(Work(key=key, stages=[[write]], failed=_unheard, done=_nothing, last_can_wait=True))

    def _write_event(self, event: e.Emit) -> None:
        self._writes.write(event)

    def untold(self) -> int:
        """How many events were left out since the last call, because there were too many."""
        return self._pace.refused()

    def _stages(self, step: Step, written: set[int], freed: Gate, unsent: Unsent | None) -> Iterator[list[Write]]:
        """Our finalizer, then a gang's Service, come first; whoever waits for places goes on once they are free."""
        run = next((eff.run for eff in step.effects if isinstance(eff, e.SetRunStatus)), None)
        if run is not None and run.key in self._bare:
            basis = self._basis(e.SetRunStatus(run))
            yield [partial(self._keep, run, basis, starts=bool(step.opens))]
        several = any(isinstance(effect, e.MakePod) and effect.ranks > 1 for effect in step.effects)
        if step.opens and run is not None and several and run.spec.template is not None:
            yield [lambda: self._writes.make_service(run)]
        for effects in step.stages():
            yield [self._task(effect, written, unsent) for effect in effects]
            if isinstance(effects[0], (e.CloseLease, e.PutResolution)):
                yield [lambda: freed.tell(came=True)]

    def _keep(self, run: Run, basis: Basis, *, starts: bool) -> None:
        """Nothing starts without our finalizer; where it may not be set, a status can at least say so."""
        if run.key not in self._bare:
            return
        try:
            self._writes.keep(run, basis)
            self._bare.discard(run.key)
        except Refused as error:
            if starts or error.passing:
                raise

    def _task(self, effect: Effect, written: set[int], unsent: Unsent | None) -> Write:
        basis = self._basis(effect)

        def write() -> None:
            if unsent is not None and unsent.status is effect and not unsent.begin():
                written.add(id(effect))
                self.inbox.put(Skipped(status=unsent.status))
                return
            answer = self._writes.write(effect, basis)
            written.add(id(effect))
            self.inbox.put(Written(effect=effect, answer=answer))

        return write

    def _basis(self, effect: Effect) -> Basis:
        match effect:
            case e.SetRunStatus(run):
                name: Name = ("Run", run.key)
            case e.SetBudgetStatus(budget):
                name = ("Budget", budget.meta.key)
            case _:
                return NEVER_SEEN
        return Basis(version=self.mirror.version(name), value=self.mirror.get(name))

    # -- in ---------------------------------------------------------------------------------------------------------

    def _listed(self, news: Listed) -> Iterator[c.Change]:
        here = set()
        for item in news.items:
            here.add(_key(item))
            yield from self._item(news.resource, item, deleted=False)
        for key in self.mirror.names(news.resource):
            if key not in here:
                self._sweeper.saw((news.resource, key), None)
                yield from self.mirror.vanished((news.resource, key), news.version)
        self._listed_at[news.resource] = news.version

    def _told_late(self, news: Event) -> Iterator[c.Change]:
        """Passed over if it is from before the last list: what it tells of may be gone, and its end never be told."""
        if int(news.item["metadata"]["resourceVersion"]) > self._listed_at.get(news.resource, 0):
            yield from self._item(news.resource, news.item, deleted=news.deleted)

    def _item(self, kind: str, item: Object, *, deleted: bool) -> Iterator[c.Change]:
        name = (kind, _key(item))
        version = int(item["metadata"]["resourceVersion"])
        if self.mirror.passed(name, version):
            return
        value: Value | None = None
        held = FINALIZER in (item["metadata"].get("finalizers") or [])
        self.aside.pop(name, None)
        if kind == "Run":
            self.doomed.pop(name[1], None)
        if not deleted:
            try:
                value = read(kind, item, self._settings.fleet, self._sections, self.mirror.seen.get((kind, _key(item))))
            except InvalidInput as error:
                self.aside[name] = str(error)
                if kind != "Run" or not held or "deletionTimestamp" not in item["metadata"]:
                    return
                self.doomed[name[1]] = item["metadata"]["uid"]  # to whoever decides it is gone: what it held is closed
        if kind == "GPULease":
            self._watch_lingering(name[1], value, held=held)
        if kind == "Run":
            bare = isinstance(value, Run) and value.meta.deleting is None and not held
            (self._bare.add if bare else self._bare.discard)(name[1])
        if isinstance(value, Resolution):
            value = self._judged(name, version, value)
        if kind in ("GPULease", "Resolution"):
            self._sweeper.saw(name, value)
        yield from self.mirror.saw(name, version, value)
        yield from self._went_on(value)
        yield from self._came_up(name, value)

    def _judged(self, name: Name, version: int, value: Resolution) -> Resolution:
        """One that was kept after this process took over, and not by it, was sent too late: nobody follows it."""
        if value.status.phase is not ResolutionPhase.ACTIVATING:
            self._late.discard(name)
            return value
        known = self.mirror.get(name)
        ours = isinstance(known, Resolution) and known.spec.digest == value.spec.digest
        if name not in self._late and (ours or self._led_at is None or version <= self._led_at):
            return value
        late = too_late(value, self._clock())
        if name not in self._late:
            self._late.add(name)
            self._begin(Step(key=Key("late", value.name), effects=[e.SetResolutionStatus(late)]))
        return late

    def _went_on(self, value: Value | None) -> Iterator[c.Change]:
        """What the last resolution was stays known, even if its record goes."""
        if isinstance(value, Resolution) and value.spec.number > self._chain.number:
            self._chain = Chain(number=value.spec.number, commitment=value.spec.next_commitment)
            yield c.ChainSeen(self._chain)

    def _watch_lingering(self, key: Key, value: Value | None, *, held: bool) -> None:
        if isinstance(value, Lease) and value.status.closed and held:
            self.lingering[key] = value
        else:
            self.lingering.pop(key, None)

    def _written(self, news: Written) -> Iterator[c.Change]:
        if news.answer and news.answer.get("kind") in paths.LISTS and "resourceVersion" in news.answer["metadata"]:
            yield from self._item(news.answer["kind"], news.answer, deleted=False)
        else:
            self.mirror.done(news.effect)
        if isinstance(news.effect, e.SetRunStatus | e.SetBudgetStatus):
            self._skipping.over(news.effect)
        yield from self.mirror.settled(news.effect, written=True)

    def _failed(self, news: Failed) -> Iterator[c.Change]:
        news.freed.known = True
        for effect in news.effects:
            if isinstance(effect, e.SetRunStatus | e.SetBudgetStatus):
                self._skipping.over(effect)
            yield from self.mirror.settled(effect, written=False)
        if news.refusal.reason == SPENT:
            yield from self._spend(news)
        made = any(isinstance(effect, (e.OpenLease, e.MakePod, e.BindPod)) for effect in news.effects)
        if isinstance(news.refusal, Overtaken):
            stored = news.refusal.stored
            yield from self._item(stored["kind"], stored, deleted=False)
        elif made and news.refusal.reason not in (PREMISE, SPENT):
            yield c.StartRefused(news.key, self._refusal(news.key, news.refusal))
        for effect in news.effects:
            if isinstance(effect, e.PutResolution) and (to := effect.resolution.spec.beneficiary) is not None:
                yield c.StartRefused(to.run, self._refusal(to.run, news.refusal))

    def _spend(self, news: Failed) -> Iterator[c.Change]:
        """That attempt was begun before, by whomever, and came to nothing: the next start is another one."""
        run = self._run_of(news.key)
        attempts = [effect.lease.spec.attempt for effect in news.effects if isinstance(effect, e.OpenLease)]
        if run is not None and attempts:
            status = attrs.evolve(run.status, attempt=max(run.status.attempt, *attempts))
            spent = attrs.evolve(run, status=status)
            step = Step(key=news.key, effects=[e.SetRunStatus(spent)])
            self._begin(step)
            yield c.RunSeen(spent)

    def _refusal(self, key: Key, refusal: Refused) -> c.Refusal:
        """Twice as long after each refusal in a row, an hour at most."""
        count = self._refused.get(key, 0) + 1
        self._refused[key] = count
        pause = min(self._settings.starts.backoff * 2 ** min(count - 1, 10), LONGEST_BACKOFF)
        return c.Refusal(message=str(refusal), count=count, until=self._clock() + pause)

    def _came_up(self, name: Name, value: Value | None) -> Iterator[c.Change]:
        """A run that runs, or is gone, has no refusals to its name any more."""
        kind, key = name
        if kind == "Run" and key in self._refused and (not isinstance(value, Run) or value.status.phase in OVER):
            del self._refused[key]
            yield c.StartRefused(key, None)

    def _run_of_pod(self, key: Key) -> Key | None:
        found = self.mirror.get(("Pod", key))
        return found.rank.run if isinstance(found, Pod) and found.rank is not None else None

    def _run_of(self, key: Key) -> Run | None:
        found = self.mirror.seen.get(("Run", key))
        return found if isinstance(found, Run) else None

    def _node_of(self, name: str) -> Node | None:
        found = self.mirror.seen.get(("Node", Key("", name)))
        return found if isinstance(found, Node) else None


def _unheard(_: Refused) -> None:
    """What is only tidying is found again; an event is not worth more."""


def _nothing() -> None:
    """Nobody waits for it."""


def _entries(effects: Sequence[Effect]) -> Iterator[int]:
    for effect in effects:
        if isinstance(effect, (e.OpenLease, e.CloseLease)):
            yield entry(effect.lease, closing=isinstance(effect, e.CloseLease))


def _places(lease: Lease) -> Iterator[Place]:
    for slots in lease.spec.slots:
        yield from ((slots.node, at) for at in slots.ordinals)


def _key(item: Object) -> Key:
    meta = item["metadata"]
    return Key(meta.get("namespace", ""), meta["name"])

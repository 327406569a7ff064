"""Steps as work for the pool: what each waits for, in which stages it is written, and what is told of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from http import HTTPStatus

from runs_core.cluster.kube.api import Refused
from runs_core.cluster.kube.gates import Audits, Gate, Places
from runs_core.cluster.kube.mirror import Mirror
from runs_core.cluster.kube.news import Failed, Skipped, Written
from runs_core.cluster.kube.pace import Pace
from runs_core.cluster.kube.reflect import Inbox
from runs_core.cluster.kube.statuses import Basis
from runs_core.cluster.kube.steps import REFUSED, Step
from runs_core.cluster.kube.unsent import Skipping, Unsent
from runs_core.cluster.kube.writer import Work, Write, Writer
from runs_core.cluster.kube.writes import NEVER_SEEN, Writes
from runs_core.cluster.seen import Name
from runs_core.values import effect as e
from runs_core.values.budget import Budget
from runs_core.values.effect import Effect
from runs_core.values.lease import Lease
from runs_core.values.meta import Key
from runs_core.values.run import Run

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 60.0
"""Until it is decided anew what may not be written."""
FINAL = (HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN, HTTPStatus.UNPROCESSABLE_ENTITY)


class Outgoing:
    """Used by the thread that decides; threads of the pool carry it out. bare: runs that lack our finalizer."""

    def __init__(
        self, writes: Writes, writer: Writer, mirror: Mirror, inbox: Inbox, clock: Callable[[], datetime]
    ) -> None:
        self._clock = clock
        self._writes = writes
        self._writer = writer
        self._mirror = mirror
        self._inbox = inbox
        self._places = Places()
        self._audits = Audits()
        self._skipping = Skipping()
        self._pace = Pace()
        self._refused: dict[Key, int] = {}
        self.bare: set[Key] = set()

    def begin(self, step: Step, bound: Gate | None = None) -> None:
        """What it is decided on is noted before it counts as written. bound: waits for that, and tells if it fails."""
        work = self._work(step, bound)
        self._mirror.assume(step.effects)
        self._writer.add(work)

    def over(self, effect: Effect) -> None:
        """It was written, refused or skipped."""
        if isinstance(effect, e.SetRunStatus | e.SetBudgetStatus):
            self._skipping.over(effect)

    def gone(self, key: Key) -> None:
        """That run or budget is not there any more: nothing is held against the next of its name."""
        self._refused.pop(key, None)

    def untold(self) -> int:
        """How many events were left out since the last call, because there were too many."""
        return self._pace.refused()

    def tidy(self, leases: Sequence[Lease], services: Sequence[Key]) -> None:
        """Let go of closed leases, and of Services that nobody needs, when there is time. What fails is tried later."""
        tasks: list[tuple[Key, Write]] = [(lease.run, partial(self._let_go, lease)) for lease in leases]
        tasks += [(key, partial(self._writes.remove_service, key)) for key in services]
        for key, task in tasks:
            self._writer.add(Work(key=key, stages=[[task]], failed=_unheard, done=self._inbox.wake))

    def _let_go(self, lease: Lease) -> None:
        self._inbox.put(Written(effect=e.CloseLease(lease), answer=self._writes.leases.close(lease)))

    def _work(self, step: Step, bound: Gate | None) -> Work:
        written: set[int] = set()
        freed = Gate()
        telling = [effect for effect in step.effects if isinstance(effect, e.Emit)]

        def failed(refusal: Refused) -> None:
            freed.tell(came=False)
            if bound is not None:
                bound.tell(came=False)
            telling.clear()
            left = [effect for effect in step.effects if id(effect) not in written]
            self._fail(step, Failed(key=step.key, effects=left, refusal=refusal, freed=freed))

        def done() -> None:
            self._tell(telling)
            self._inbox.wake()

        gates = [*self._audits.gates(step), *self._places.gates(step.opens)]
        gates += [bound] if bound is not None else []
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

    def _fail(self, step: Step, news: Failed) -> None:
        """What may not be written is not known at once, unless others wait: it would be decided, and refused, again."""
        final = news.refusal.status in FINAL
        if final and (step.patient or step.promised):
            self._tell_refused(step, news.refusal)
        if not (final and step.patient):
            self._inbox.put(news)
            return
        count = self._refused[step.key] = self._refused.get(step.key, 0) + 1
        pause = min(FIRST_PAUSE_SECONDS * 2 ** min(count - 1, 10), LONGEST_PAUSE_SECONDS)
        self._writer.tell_later(partial(self._inbox.put, news), pause)

    def _tell_refused(self, step: Step, refusal: Refused) -> None:
        """Of one refusal one event, however often it comes; and not of all, where all are refused."""
        kind, key = step.about
        message = (
            f"the cluster refuses what the scheduler writes for it: {refusal}; "
            "it is tried again within a minute or so: let the scheduler's account do it"
        )
        if self._pace.allows():
            self._send(e.Emit(kind, key, REFUSED, message, self._clock(), warning=True, once=True))

    def _known(self, key: Key) -> Run | Budget | None:
        kind = "Run" if key.namespace else "Budget"
        found = self._mirror.get((kind, key))
        return found if isinstance(found, Run | Budget) else None

    def _tell(self, events: Sequence[e.Emit]) -> None:
        """In their own time: nothing waits for an event. When there are too many, those that warn of nothing go."""
        for event in events:
            if event.warning or self._pace.allows():
                self._send(event)

    def _send(self, event: e.Emit) -> None:
        key = Key(f"event of {event.key.namespace}", event.key.name)
        write = partial(self._write_event, event)
        self._writer.add(Work(key=key, stages=[[write]], failed=_unheard, done=_nothing, last_can_wait=True))

    def _write_event(self, event: e.Emit) -> None:
        self._writes.write(event)

    def _stages(self, step: Step, written: set[int], freed: Gate, unsent: Unsent | None) -> Iterator[list[Write]]:
        """Our finalizer, then a gang's Service, come first; whoever waits for places goes on once they are free."""
        run = next((eff.run for eff in step.effects if isinstance(eff, e.SetRunStatus)), None)
        if run is not None and run.key in self.bare:
            basis = self._basis(e.SetRunStatus(run))
            yield [partial(self._keep, run, basis, starts=bool(step.opens))]
        several = any(isinstance(effect, e.MakePod) and effect.ranks > 1 for effect in step.effects)
        if step.opens and run is not None and several and run.spec.template is not None:
            yield [lambda: self._writes.make_service(run)]
        for effects in step.stages():
            yield [self._task(step.key, effect, written, unsent) for effect in effects]
            if isinstance(effects[0], (e.CloseLease, e.PutResolution)):
                yield [lambda: freed.tell(came=True)]

    def _keep(self, run: Run, basis: Basis, *, starts: bool) -> None:
        """Nothing starts without our finalizer; where it may not be set, a status can at least say so."""
        if run.key not in self.bare:
            return
        try:
            self._writes.keep(run, basis)
            self.bare.discard(run.key)
        except Refused as error:
            if starts or error.passing:
                raise

    def _task(self, key: Key, effect: Effect, written: set[int], unsent: Unsent | None) -> Write:
        basis = self._basis(effect)

        def write() -> None:
            if unsent is not None and unsent.status is effect and not unsent.begin():
                written.add(id(effect))
                self._inbox.put(Skipped(status=unsent.status))
                return
            answer = self._writes.write(effect, basis)
            written.add(id(effect))
            if self._refused and not isinstance(effect, e.MeterLease):
                self._refused.pop(key, None)
            self._inbox.put(Written(effect=effect, answer=answer))

        return write

    def _basis(self, effect: Effect) -> Basis:
        match effect:
            case e.SetRunStatus(run):
                name: Name = ("Run", run.key)
            case e.SetBudgetStatus(budget):
                name = ("Budget", budget.meta.key)
            case e.CloseLease(lease):
                name = ("GPULease", lease.key)
            case e.RemovePod(key):
                name = ("Pod", key)
            case _:
                return NEVER_SEEN
        return Basis(version=self._mirror.version(name), value=self._mirror.get(name))


def _unheard(_: Refused) -> None:
    """What is only tidying is found again; an event is not worth more."""


def _nothing() -> None:
    """Nobody waits for it."""

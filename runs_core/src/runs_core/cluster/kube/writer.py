"""A bounded pool that carries out writes: those of one run in order, those of different runs side by side."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from http import HTTPStatus

import attrs

from runs_core.cluster.kube.api import Refused
from runs_core.cluster.kube.gates import Gate, after
from runs_core.cluster.kube.lanes import Lane, Lanes
from runs_core.cluster.kube.tries import Pause, Tries
from runs_core.errors import Unavailable
from runs_core.values.meta import Key

THREADS = 8
"""More would not be answered sooner by a busy server, and what waits with us may be overtaken and never be sent."""
Write = Callable[[], None]
PREMISE = "PremiseFailed"
"""Reason of a refusal that is nobody's but ours: what was to be written before was refused."""
STOPPED = Refused(HTTPStatus.SERVICE_UNAVAILABLE, "Stopped", "the scheduler stopped before this was written")


@attrs.frozen(kw_only=True, eq=False)
class Work:
    """Writes for one run: stages in order, the writes of a stage in any order.

    gates: what has to come about first. failed: told the first refusal; then nothing more is written.

    done: told when it is over, either way. frees: others wait for its places. last_can_wait: the last stage only tells
    of what is so. why: of no more than why the run waits.
    """

    key: Key
    stages: Sequence[Sequence[Write]]
    failed: Callable[[Refused], None]
    done: Callable[[], None]
    gates: Sequence[Gate] = ()
    frees: bool = False
    last_can_wait: bool = False
    why: bool = False

    def can_wait(self, stage: int) -> bool:
        """Whether nothing but the next work of this run would wait for that stage."""
        return self.last_can_wait and stage == len(self.stages) - 1


def _always() -> bool:
    return True


class Writer:
    """retried: how often a write was tried again. in_flight: writes that were begun or wait for their turn.

    allowed: asked before each write is sent; once it says no, nothing more is. Whoever leads then finds the rest in the
    journal.
    """

    def __init__(self, *, threads: int = THREADS) -> None:
        self._lanes = Lanes(threads)
        self._lock = threading.Lock()
        self._chains: dict[Key, deque[Work]] = {}
        self._stopped = threading.Event()
        self._quiet = threading.Condition(self._lock)
        self.allowed: Callable[[], bool] = _always
        self.retried = 0

    def add(self, work: Work) -> None:
        """After all that was added for the same run before."""
        with self._lock:
            chain = self._chains.get(work.key)
            if chain is None:
                self._chains[work.key] = deque([work])
            else:
                chain.append(work)
        if chain is None:
            self._begin(work)
        elif not work.can_wait(0):
            self._lanes.hurry(work.key)

    @property
    def in_flight(self) -> int:
        with self._lock:
            return len(self._chains)

    @property
    def pressing(self) -> int:
        """How many writes wait for a thread, those aside that only tell."""
        return self._lanes.pressing

    def busy(self, key: Key) -> bool:
        """Whether something is still to be written for this run."""
        with self._lock:
            return key in self._chains

    def drain(self, seconds: float) -> bool:
        """Wait until everything is written; False: not in time."""
        with self._quiet:
            return self._quiet.wait_for(lambda: not self._chains, timeout=seconds)

    def stop(self) -> None:
        """Nothing new is begun; what a server is answering right now is finished."""
        self._stopped.set()
        self._lanes.stop()

    def _begin(self, work: Work) -> None:
        after(work.gates, Progress(self, work).begin)

    def finished(self, work: Work, refusal: Refused | None) -> None:
        """The next work of this run may begin; after a refusal all that there is of it was decided in vain."""
        work.done()
        vain: list[Work] = []
        with self._lock:
            chain = self._chains[work.key]
            chain.popleft()
            if refusal is not None:
                vain += chain
                chain.clear()
            following = chain[0] if chain else None
            if following is None:
                del self._chains[work.key]
                self._quiet.notify_all()
        for late in vain:
            late.failed(Refused(HTTPStatus.CONFLICT, PREMISE, f"it was to follow what was refused: {refusal}"))
        if following is not None:
            self._begin(following)

    def submit(self, task: Callable[[], None], work: Work, stage: int) -> None:
        with self._lock:
            chain = self._chains[work.key]
            waited_for = any(not follower.can_wait(0) for follower in list(chain)[1:])
            if work.can_wait(stage):
                lane = Lane.FREES if waited_for else Lane.WHY if work.why else Lane.TELLS
            else:
                lane = Lane.FREES if work.frees else Lane.TAKES
            self._lanes.submit(task, lane, work.key)

    def later(self, task: Callable[[], None], seconds: float, work: Work) -> None:
        """After so long, in which no thread waits for it."""
        self.retried += 1
        self._lanes.later(task, seconds, frees=work.frees)

    def tell_later(self, task: Callable[[], None], seconds: float) -> None:
        """After so long, by any thread; never, if nothing more is begun by then."""
        self._lanes.later(task, seconds, frees=True)

    def once(self, write: Write, tries: Tries) -> Refused | Pause | None:
        """Send it. None: it is written; Pause: it is to be sent again."""
        if not self.allowed():
            return Refused(HTTPStatus.SERVICE_UNAVAILABLE, "Deposed", "another scheduler leads now")
        try:
            write()
        except (Refused, Unavailable) as error:
            return tries.after(error)
        return None

    def attempt(self, write: Write, tries: Tries | None = None) -> Refused | None:
        """Until it is written or refused, in this thread."""
        tries = tries or Tries()
        while isinstance(told := self.once(write, tries), Pause):
            if not self.rest(told):
                return STOPPED
        return told

    def rest(self, pause: Pause) -> bool:
        """In this thread. False: nothing more is begun."""
        if self._stopped.wait(pause.seconds):
            return False
        self.retried += 1
        return True


class Progress:
    """How far one work is."""

    def __init__(self, writer: Writer, work: Work) -> None:
        self._writer = writer
        self._work = work
        self._stage = 0
        self._left = 0
        self._refusal: Refused | None = None
        self._lock = threading.Lock()

    def begin(self, may: bool) -> None:  # noqa: FBT001  # a gate tells it
        """Once it is known whether what it waits for has come about."""
        if not may:
            self._refusal = Refused(HTTPStatus.CONFLICT, PREMISE, "what it waits for did not come about")
        self.next_stage()

    def next_stage(self) -> None:
        """Begin the next stage that has writes; over when there is none, or something was refused."""
        stages = self._work.stages
        while self._refusal is None and self._stage < len(stages) and not stages[self._stage]:
            self._stage += 1
        if self._refusal is not None or self._stage >= len(stages):
            if self._refusal is not None:
                self._work.failed(self._refusal)
            self._writer.finished(self._work, self._refusal)
            return
        stage, self._stage = self._stage, self._stage + 1
        writes = stages[stage]
        self._left = len(writes)
        for write in writes:
            self._writer.submit(partial(self._one, write, Tries()), self._work, stage)

    def _one(self, write: Write, tries: Tries) -> None:
        refusal = self._tried(write, tries) if self._refusal is None else None
        if isinstance(refusal, Pause):
            self._writer.later(partial(self._one, write, tries), refusal.seconds, self._work)
            return
        with self._lock:
            self._refusal = self._refusal or refusal
            self._left -= 1
            over = not self._left
        if over:
            self.next_stage()

    def _tried(self, write: Write, tries: Tries) -> Refused | Pause | None:
        """A server that has too much to do is given less: then this thread waits as well."""
        try:
            while isinstance(told := self._writer.once(write, tries), Pause) and told.crowded:
                if not self._writer.rest(told):
                    return STOPPED
        except Exception as defect:  # noqa: BLE001  # in a pool nobody would hear of it, and the run would wait for ever
            return Refused(HTTPStatus.INTERNAL_SERVER_ERROR, "Defect", f"{type(defect).__name__}: {defect}")
        return told

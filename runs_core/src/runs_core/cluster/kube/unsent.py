"""Status writes that were decided and have not begun: one that the next makes needless is never sent.

Not to send one is the same as to send it late: whoever might take over meanwhile finds what a crash would leave. So
only the next write of the run may stand in for it, never one with others between: the cause of an end is written before
its leases close. A run that succeeds before anybody was told that it began says both at once, and before its leases
close, so that whoever finds them closed finds it over as well.
"""

from __future__ import annotations

import threading

from runs_core.cluster.kube.steps import Step
from runs_core.values import effect as e
from runs_core.values.budget import Budget
from runs_core.values.meta import Key
from runs_core.values.run import Phase, Run

Status = e.SetRunStatus | e.SetBudgetStatus
WAITS = (Phase.QUEUED, Phase.RESERVED, Phase.HELD)
BEGAN = (Phase.STARTING, Phase.RUNNING)


class Unsent:
    """One status write. before: its object as it counts while this is not written. first: of all writes of its step."""

    def __init__(self, status: Status, before: Run | Budget | None, *, first: bool = False) -> None:
        self.status = status
        self.before = before
        self.first = first
        self._lock = threading.Lock()
        self._begun = self._needless = False

    def begin(self) -> bool:
        """Whether to send it; asked by whoever is about to, in any thread."""
        with self._lock:
            self._begun = not self._needless
            return self._begun

    def skip(self) -> bool:
        """Never send it; False: it is too late for that."""
        with self._lock:
            self._needless = not self._begun and not self.first
            return self._needless

    def began(self) -> bool:
        """Whether it says of a run no more than that it began."""
        now = self.status.run.status if isinstance(self.status, e.SetRunStatus) else None
        return now is not None and now.phase in BEGAN and now.ending is None

    def waits(self) -> bool:
        """Whether it and what was before it say no more than why the run, at the same attempt, holds nothing."""
        before, now = self.before, self.status.run if isinstance(self.status, e.SetRunStatus) else None
        if not isinstance(before, Run) or now is None or before.uid != now.uid:
            return False
        same = before.status.attempt == now.status.attempt
        return same and all(one.status.phase in WAITS and one.status.ending is None for one in (before, now))


class Skipping:
    """The last status write of each run and budget. Used by the thread that decides."""

    def __init__(self) -> None:
        self._last: dict[Key, Unsent] = {}

    def follow(self, step: Step, before: Run | Budget | None) -> Unsent | None:
        """The step is written next: what it makes needless is skipped. Returns its own status write, if it has one.

        before: the object as it counts without this step.
        """
        last = self._last.pop(step.key, None)
        status = next((eff for eff in step.effects if isinstance(eff, e.SetRunStatus | e.SetBudgetStatus)), None)
        if status is None:
            return None
        ends = last is not None and _succeeds(step) and last.began()
        if last is not None and (step.only_says or (_starts(step) and last.waits()) or ends) and last.skip():
            made = Unsent(status, last.before, first=ends)
        else:
            made = Unsent(status, before)
        self._last[step.key] = made
        return made

    def over(self, status: Status) -> None:
        """It was written, refused or skipped."""
        key = status.run.key if isinstance(status, e.SetRunStatus) else Key("", status.budget.name)
        if (last := self._last.get(key)) is not None and last.status is status:
            del self._last[key]


def _starts(step: Step) -> bool:
    making = (e.OpenLease, e.MakePod, e.BindPod, e.SetRunStatus, e.Emit)
    return all(isinstance(effect, making) for effect in step.effects)


def _succeeds(step: Step) -> bool:
    """Nothing but a success, and what it closes."""
    ending = (e.CloseLease, e.SetRunStatus, e.Emit)
    said = [effect.run.status.phase for effect in step.effects if isinstance(effect, e.SetRunStatus)]
    return said == [Phase.SUCCEEDED] and all(isinstance(effect, ending) for effect in step.effects)

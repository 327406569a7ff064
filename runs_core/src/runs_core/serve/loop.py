"""The loop: observe, decide, commit, tell. It does not know which cluster it has."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType

from runs_core.cluster.port import Cluster
from runs_core.decide.advice import Advice, Silent
from runs_core.decide.aside import aside_effects
from runs_core.decide.batch import Batch, Clock
from runs_core.decide.budget import Accounts
from runs_core.decide.cycle import cycle
from runs_core.decide.held import wane
from runs_core.decide.manual import released
from runs_core.errors import Conflict
from runs_core.settings import Settings
from runs_core.values.change import TimePassed
from runs_core.values.decision import Decision, Removed
from runs_core.values.effect import Effect, SetRunStatus
from runs_core.values.record import Record
from runs_core.values.run import Phase
from runs_core.world.world import World

Told = Callable[[Record], None]
MOST_CONFLICTS = 100
MOST_IN_A_ROW, IN_A_ROW, SHORTEST_WAIT = 100, timedelta(seconds=2), timedelta(seconds=1)
"""So many moments of plugins may come, each so soon after the one before, until they have to wait: a plugin that always
names the next instant would have time stand still."""


def _untold(_: Record) -> None:
    return None


class Loop:
    """told: gets each record once it is committed. clock: seconds, for timings only."""

    def __init__(
        self,
        cluster: Cluster,
        settings: Settings | None = None,
        advice: Advice | None = None,
        *,
        told: Told = _untold,
        clock: Clock = time.perf_counter,
    ) -> None:
        self.cluster = cluster
        self.advice: Advice = advice or Silent()
        self.world = World(settings)
        self.world.plays_pods = cluster.plays_pods
        self.world.funded = self.advice.funding
        self.world.rank = lambda run: self.advice.rank(run, self.world)
        self.world.demand = lambda run: self.advice.demand(run, self.world)
        self.cycles = 0
        self._told = [told]
        self._clock = clock
        self._accounts = Accounts(outlives=cluster.outlives)
        self._moment: datetime | None = None
        self._came: datetime | None = None
        self._row = 0
        self._settled = False

    def cycle(self) -> int:
        """One turn; how many decisions were committed. Conflict: nothing was, and the world is as it was observed."""
        now, changes = self.cluster.observe()
        world = self.world
        if self._settled and not changes and not world.touched and now == world.now:
            return 0
        self._settled = False
        # time first: a run that was never admitted stands in line from when it is seen
        world.apply_all((TimePassed(now), *changes), [], seen=True)
        hurried = False
        if self._moment is not None and self._moment <= now:
            hurried = self._hurried(now)
            world.touch(*(run.key for run in world.runs() if run.status.phase is Phase.HELD))
            wane(world)
        batch = cycle(world, self.advice, self._clock)
        effects = [effect for decision in batch.decisions for effect in decision.effects]
        due = self._accounts.next_moment()
        if world.touched_budgets or (due is not None and due <= now):
            effects += self._accounts.effects(world, batch, self.advice)
        if world.by_hand():
            effects += released(world, batch)
        if world.touched_nodes or world.touched_unread:
            effects += aside_effects(world, batch)
        if effects:
            self.cycles += 1
            self._commit(batch, effects)
        moment = self._moment = self.advice.moment(world, now)
        if moment is not None and (hurried or moment <= now):
            self._moment = max(moment, now + SHORTEST_WAIT)
        self._settled = True
        return len(batch.decisions)

    def _hurried(self, now: datetime) -> bool:
        """Whether moments of plugins come too fast; one has come."""
        soon = self._came is not None and now - self._came <= IN_A_ROW
        self._came, self._row = now, self._row + 1 if soon else 0
        return self._row >= MOST_IN_A_ROW

    def settle(self) -> int:
        """Cycles until nothing is left to do at the present time; how many decisions that took."""
        total = conflicts = 0
        while True:
            try:
                made = self.cycle()
            except Conflict:
                conflicts += 1
                if conflicts > MOST_CONFLICTS:
                    raise
                continue
            total += made
            if not made:
                return total

    def tell(self, told: Told) -> None:
        """Let one more hear of each record once it is committed."""
        self._told.append(told)

    def next_moment(self) -> datetime | None:
        """When time alone gives the loop something to do."""
        world = self.world
        all_moments = [world.next_deadline(), self._moment, self._accounts.next_moment()]
        if len(world.line):
            all_moments.append(world.slack.next_moment())
        moments = [when for when in all_moments if when is not None]
        return min(moments, default=None)

    def _commit(self, batch: Batch, effects: Sequence[Effect]) -> None:
        records = [
            self._record(decision, seconds) for decision, seconds in zip(batch.decisions, batch.seconds, strict=True)
        ]
        try:
            self.cluster.commit(effects, records)
        except BaseException:
            batch.undo()
            raise
        for record in records:
            for told in self._told:
                told(record)

    def _record(self, decision: Decision, seconds: Mapping[str, float]) -> Record:
        run = None
        for effect in reversed(decision.effects):
            if isinstance(effect, SetRunStatus):
                run = effect.run
                break
        run = run or self.world.run(decision.run)
        if run is not None and run.uid == decision.uid:
            phase, width = run.status.phase, run.status.width
        else:  # it is gone, or another of its name came
            phase = decision.outcome.phase if isinstance(decision.outcome, Removed) else Phase.FAILED
            width = 0
        return Record(
            at=self.world.now,
            run=decision.run,
            uid=decision.uid,
            outcome=decision.outcome,
            phase=phase,
            width=width,
            seconds=MappingProxyType(seconds),
        )

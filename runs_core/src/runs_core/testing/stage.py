"""A cluster in memory and a loop on it that a test can look into."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from runs_core.cluster.trace.cluster import TraceCluster
from runs_core.errors import Conflict
from runs_core.serve.loop import Loop
from runs_core.settings import Settings
from runs_core.values import change as c
from runs_core.values.effect import Effect
from runs_core.values.record import Record


class Stage(TraceCluster):
    """A cluster in memory that remembers what the last commit wrote, and can be told to refuse one."""

    outlives = True

    def __init__(self, settings: Settings, begin: datetime) -> None:
        super().__init__(iter(()), settings, begin=begin, told=lambda _: None)
        self.refuses: Callable[[], bool] = lambda: False
        self.refused = 0
        self.written: Sequence[Effect] = ()
        self.saw: Sequence[c.Change] = ()

    def observe(self) -> tuple[datetime, Sequence[c.Change]]:
        self.written = ()
        now, self.saw = super().observe()
        return now, self.saw

    def commit(self, effects: Sequence[Effect], records: Sequence[Record]) -> None:
        if self.refuses():
            self.refused += 1
            raise Conflict("the test refuses this commit")
        super().commit(effects, records)
        self.written = tuple(effects)


class CheckedLoop(Loop):
    """The loop, and after each of its cycles the check."""

    check: Callable[[], None] = staticmethod(lambda: None)

    def cycle(self) -> int:
        try:
            return super().cycle()
        finally:
            self.check()

"""The real loop on a stage in memory, with a virtual clock, checked after every cycle.

    stage = Harness(a_node("n1", gpus=8), a_run("first", gpus=8), a_run("second", gpus=4))
    stage.settle()
    assert stage.phase("first") is Phase.RUNNING or stage.phase("first") is Phase.STARTING
    assert stage.run("second").status.reason == "NotEnoughGPUs"
    stage.lose("n1")                      # the node object is deleted; lose("n1", taint=True): out of service
    stage.advance(minutes=5)              # stops at everything that happens on the way
    assert stage.phase("first") is Phase.QUEUED
    stage.restore("n1")
    stage.advance_until_quiet()

What happens from outside (`submit`, `edit`, `lose`, `evict`, …) is only put before the loop; `settle`, `advance` and
`advance_until_quiet` let it be seen, several changes at once if there are several. Pods end by themselves only where
the run says so, by the annotation `runs.dev/simulated-duration` as on the embedded cluster: see `lasting`.

After every cycle, a refused one too, the invariants are checked (`AssertionError` names each breach), that a cycle
which saw no node change rebuilt no index, and, with `oracles=True`, that every index equals its recomputation.
`counted` tells how much went on, so that a test can refuse an idle history.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

import attrs

from runs_core.decide.advice import Advice
from runs_core.errors import NotFound
from runs_core.hooks.ask import PluginAdvice
from runs_core.settings import Settings
from runs_core.testing.builders import A_MONDAY
from runs_core.testing.checks import Checks, Counted
from runs_core.testing.outside import Name, Outside, Thing, key_of
from runs_core.testing.plugins import advice_of
from runs_core.testing.stage import CheckedLoop, Stage
from runs_core.values import change as c
from runs_core.values.meta import Key
from runs_core.values.pod import Pod
from runs_core.values.record import Record
from runs_core.values.reservation import Reservation
from runs_core.values.run import Phase, Run
from runs_core.world.invariants import Witness
from runs_core.world.world import World

MOST_STOPS = 100_000


class Harness(Outside):
    """things: what the cluster holds at the beginning. oracles: compare every index after every cycle, slowly.

    plugins: by name, in place of an advice; each loop attaches their indexes anew, as a process does.
    """

    def __init__(
        self,
        *things: Thing,
        settings: Settings | None = None,
        advice: Advice | None = None,
        plugins: Mapping[str, object] | None = None,
        oracles: bool = False,
        begin: datetime = A_MONDAY,
    ) -> None:
        self._settings = settings or Settings()
        self._advice = advice
        self._plugins = plugins
        super().__init__(Stage(self._settings, begin))
        self.records: list[Record] = []
        self._checks = Checks(self.stage, oracles=oracles)
        self.loop = self._loop()
        for thing in things:
            self.add(thing)

    def _loop(self) -> CheckedLoop:
        advice = advice_of(self._plugins, self._settings) if self._plugins is not None else self._advice
        loop = CheckedLoop(self.stage, self._settings, advice, told=self._told)
        loop.check = self.check
        if self._plugins is not None and isinstance(advice, PluginAdvice):
            advice.attach(loop.world, loop.world)
        return loop

    # -- reading ----------------------------------------------------------------------------------------------------

    @property
    def world(self) -> World:
        return self.loop.world

    def run(self, name: Name) -> Run:
        """The run as it now stands. NotFound: there is none."""
        found = self.world.run(key_of(name))
        if found is None:
            raise NotFound(f"run {key_of(name)} is not there")
        return found

    def phase(self, name: Name) -> Phase:
        return self.run(name).status.phase

    def pods(self, name: Name) -> Sequence[Pod]:
        """The run's pods of every try, by name."""
        return self.world.pods_of(key_of(name))

    def placed(self, name: Name) -> dict[str, int]:
        """GPUs that the run's open leases hold, by node."""
        found: dict[str, int] = {}
        for lease in self.world.leases_of(key_of(name)):
            for slots in lease.spec.slots:
                found[slots.node] = found.get(slots.node, 0) + len(slots.ordinals)
        return found

    def records_of(self, name: Name) -> list[Record]:
        """What was decided for it, in order."""
        return [record for record in self.records if record.run == key_of(name)]

    def restart(self, facts: Callable[[Sequence[c.Change]], Sequence[c.Change]] = tuple) -> None:
        """Another process goes on: a new loop, which knows only what the cluster holds.

        facts: the order in which it gets to know them; the first tells the time and the last the ledger's head.
        """
        *known, head = self.world.everything()
        known += (c.LeaseSeen(lease) for _, lease in sorted(self.witness.closed.items()))
        self.loop = self._loop()
        self._checks.restarted()
        for change in facts((*known, head)):
            self.world.apply(change)

    # -- time -------------------------------------------------------------------------------------------------------

    def settle(self) -> int:
        """Cycles until nothing is left to do now; how many decisions that took."""
        return self.loop.settle()

    def advance(self, seconds: float = 0, *, minutes: float = 0, hours: float = 0, days: float = 0) -> None:
        """Time passes, with a stop at everything that happens on the way."""
        until = self.now + timedelta(seconds=seconds, minutes=minutes, hours=hours, days=days)
        self.settle()
        while self.now < until:
            moment = self.loop.next_moment()
            self.stage.advance(until if moment is None or moment <= self.now else min(moment, until))
            self.settle()

    def advance_until_quiet(self, most: timedelta = timedelta(days=365)) -> None:
        """Until nothing happens by itself but that finished runs are forgotten, or so much time has passed."""
        end = self.now + most
        self.settle()
        for _ in range(MOST_STOPS):
            moments = [when for when in (self.stage.kubelet.next_moment(), self._next_to_do()) if when is not None]
            if not moments or min(moments) > end:
                return
            self.stage.advance(min(moments))
            self.settle()
        raise AssertionError(f"not quiet after {MOST_STOPS} stops, at {self.now}")

    def _next_to_do(self) -> datetime | None:
        """The first moment at which time touches an unfinished run; retention aside."""
        world = self.world
        for when, key in world.deadlines():
            run = world.run(key)
            if run is not None and not run.status.phase.terminal:
                return when
        return None

    # -- checking ---------------------------------------------------------------------------------------------------

    @property
    def witness(self) -> Witness:
        """Every lease as it was last written."""
        return self._checks.witness

    @property
    def reservations(self) -> Mapping[Key, Reservation]:
        """Every promise as it was last written."""
        return self._checks.reservations

    @property
    def counted(self) -> Counted:
        """How much went on."""
        return attrs.evolve(self._checks.counted, losses=self.losses, conflicts=self.stage.refused)

    def check(self) -> None:
        """All that must hold after a cycle."""
        self._checks.check(self.world)
        self.seen()

    def _told(self, record: Record) -> None:
        self.records.append(record)
        self._checks.counted.record(record)

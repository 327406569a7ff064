"""The invariants, checked while a simulation goes on: what must hold after every cycle, on a fleet of any size."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from runs_core.cluster.trace.cluster import NONCES
from runs_core.decide.verify import verify
from runs_core.errors import InvariantBroken
from runs_core.values.effect import CloseLease, Effect, OpenLease, PutResolution
from runs_core.values.meta import Key
from runs_core.values.quantity import format_time
from runs_core.values.record import Record
from runs_core.world.invariants import Breach, Witness, breaches
from runs_core.world.world import World


class Checking:
    """Told all that is written. every: so many decisions from one check to the next; None: none is made.

    A check reads every open lease and every run, and it remembers each lease that was ever closed.
    """

    def __init__(self, every: int | None) -> None:
        self.checks = 0
        self._every = every
        self._decided = 0
        self._opened: set[Key] = set()
        self._witness = Witness()
        self._resolved: list[Breach] = []

    def wrote(self, effects: Sequence[Effect], records: Sequence[Record]) -> None:
        """The loop did this."""
        if self._every is None:
            return
        self._decided += len(records)
        for effect in effects:
            match effect:
                case OpenLease(lease):
                    self._opened.add(lease.key)
                    self._witness.see(lease)
                case CloseLease(lease):
                    self._witness.see(lease)
                case PutResolution(resolution):
                    said = verify(resolution, resolution.spec.evidence.data, NONCES.commitment(resolution.spec.number))
                    self._resolved += [Breach(7, f"{resolution.name}: {what}") for what in said]
                case _:
                    pass

    def check(self, world: World, now: datetime, *, last: bool = False) -> None:
        """When it is time, or at the end. InvariantBroken: names the first breach."""
        if self._every is None or not (last or self._decided >= self._every):
            return
        self._decided = 0
        self.checks += 1
        found = [*breaches(world, self._opened), *self._witness.breaches(world), *self._resolved]
        self._opened.clear()
        if found:
            number, what = found[0]
            more = f", and {len(found) - 1} more" if len(found) > 1 else ""
            raise InvariantBroken(
                f"invariant {number} is broken at {format_time(now)} of virtual time: {what}{more}; "
                f"this is a defect of the scheduler or of a plugin: simulate the same again with RUNS_PLUGINS= to tell"
            )

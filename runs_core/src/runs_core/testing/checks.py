"""All that must hold after a cycle, whatever went on, and how much went on."""

from __future__ import annotations

import attrs

from runs_core.cluster.trace.cluster import NONCES
from runs_core.decide.reach import gain_of, gains
from runs_core.decide.verify import verify
from runs_core.testing.stage import Stage
from runs_core.values import change as c
from runs_core.values.decision import Starts, Waits
from runs_core.values.effect import CloseLease, OpenLease, PutReservation, PutResolution, SetReservationStatus
from runs_core.values.meta import Key
from runs_core.values.record import Record
from runs_core.values.reservation import Reservation
from runs_core.world.invariants import Witness, breaches
from runs_core.world.oracle import differences
from runs_core.world.slack import Gains
from runs_core.world.world import World


@attrs.define(kw_only=True)
class Counted:
    """What went on, over the life of a Harness. utilisation: the highest part of the present GPUs that was leased."""

    cycles: int = 0
    starts: int = 0
    waits: int = 0
    losses: int = 0
    conflicts: int = 0
    utilisation: float = 0.0

    def add(self, other: Counted) -> None:
        """Sum over several histories; of utilisation, the highest."""
        self.cycles += other.cycles
        self.starts += other.starts
        self.waits += other.waits
        self.losses += other.losses
        self.conflicts += other.conflicts
        self.utilisation = max(self.utilisation, other.utilisation)

    def record(self, record: Record) -> None:
        """A decision."""
        self.starts += isinstance(record.outcome, Starts)
        self.waits += isinstance(record.outcome, Waits)


def miscounted(world: World) -> list[str]:
    """Where what may be taken back is not what it is, counted from nothing."""
    anew: dict[str, Gains] = {}
    for key in world.slack.all():
        if (gain := gain_of(world, key)) is not None:
            anew.setdefault(gain.flavor, Gains()).add(gain, 1)
    return [
        f"may be taken back of {flavor}: {gains(world, flavor).said()}, counted anew {anew.get(flavor, Gains()).said()}"
        for flavor in world.fleet.flavors
        if gains(world, flavor).said() != anew.get(flavor, Gains()).said()
    ]


class Checks:
    """What a stage wrote, kept to look back at. oracles: compare every index after every cycle, slowly."""

    def __init__(self, stage: Stage, *, oracles: bool) -> None:
        self.witness = Witness()
        self.reservations: dict[Key, Reservation] = {}
        self.counted = Counted()
        self._stage = stage
        self._oracles = oracles
        self._rebuilds = 0

    def restarted(self) -> None:
        """From now on another process's world is checked."""
        self._rebuilds = 0

    def check(self, world: World) -> None:
        """AssertionError names each breach."""
        opened = self._witness()
        found = [f"invariant {number}: {what}" for number, what in breaches(world, opened)]
        found += [f"invariant {number}: {what}" for number, what in self.witness.breaches(world)]
        found += self._unverified()
        found += self._rebuilt(world)
        found += [*differences(world), *miscounted(world)] if self._oracles else []
        if found:
            raise AssertionError(f"at {self._stage.now}: " + "; ".join(found))
        self._count(world)

    def _witness(self) -> set[Key]:
        opened: set[Key] = set()
        for effect in self._stage.written:
            if isinstance(effect, OpenLease | CloseLease):
                self.witness.see(effect.lease)
            if isinstance(effect, OpenLease):
                opened.add(effect.lease.key)
            if isinstance(effect, PutReservation | SetReservationStatus):
                self.reservations[effect.reservation.key] = effect.reservation
        return opened

    def _unverified(self) -> list[str]:
        """What of the resolutions just kept does not follow from themselves."""
        kept = [effect.resolution for effect in self._stage.written if isinstance(effect, PutResolution)]
        return [
            f"invariant 7: {one.name}: {what}"
            for one in kept
            for what in verify(one, one.spec.evidence.data, NONCES.commitment(one.spec.number))
        ]

    def _rebuilt(self, world: World) -> list[str]:
        rebuilds = world.fleet.rebuilds - self._rebuilds
        self._rebuilds += rebuilds
        saw_node = any(isinstance(change, c.NodeSeen | c.NodeGone) for change in self._stage.saw)
        return [f"{rebuilds} rebuilds in a cycle that saw no node"] if rebuilds and not saw_node else []

    def _count(self, world: World) -> None:
        self.counted.cycles += 1
        held = sum(lease.gpus for lease in world.ledger.open.values())
        present = sum(node.gpus for node in world.nodes())
        if present:
            self.counted.utilisation = max(self.counted.utilisation, min(1.0, held / present))

"""All that the scheduler can do.

Each effect is one write of the cluster, and `expected` is the change that it comes back as.
"""

from __future__ import annotations

from datetime import datetime
from typing import assert_never

import attrs

from runs_core.values.budget import Budget
from runs_core.values.change import (
    BudgetSeen,
    Change,
    LeaseSeen,
    PodGone,
    PodSeen,
    ReservationSeen,
    ResolutionSeen,
    RunGone,
    RunSeen,
    StorageSeen,
)
from runs_core.values.lease import Lease
from runs_core.values.meta import Key
from runs_core.values.pod import Pod
from runs_core.values.reservation import Reservation
from runs_core.values.resolution import Resolution
from runs_core.values.run import Run
from runs_core.values.storage import VolumeClaim


@attrs.frozen
class OpenLease:
    """Mint a lease. Meeting one of that name, open and equal, counts as done."""

    lease: Lease


@attrs.frozen
class CloseLease:
    """Stamp a lease closed. lease: as it will stand."""

    lease: Lease


@attrs.frozen
class MeterLease:
    """Write down what a lease has used by class so far. lease: open, as it will stand."""

    lease: Lease


@attrs.frozen
class SelectNode:
    """Say for which node the volume of an unbound claim is to be made. run: whose. claim: as it will stand."""

    run: Key
    claim: VolumeClaim


@attrs.frozen
class MakePod:
    """Make a rank's pod on its node.

    template: canonical JSON of the PodTemplateSpec, None on clusters that only simulate. ranks: of the whole gang.
    """

    pod: Pod
    template: str | None
    ranks: int = 1


@attrs.frozen
class BindPod:
    """Give a pod that somebody else made its rank and its node. pod: as it will stand."""

    pod: Pod


@attrs.frozen
class EndPod:
    """SIGTERM now, the kill after its grace. pod: as it will stand, with `deleting` and `grace` set."""

    pod: Pod


@attrs.frozen
class RemovePod:
    """Take a pod's object away at once: it has ended, or its node is lost and nothing on it runs any more."""

    key: Key


@attrs.frozen
class SetRunStatus:
    """Write a run's status. run: as it will stand; only its status is written."""

    run: Run


@attrs.frozen
class RemoveRun:
    """Let a run's object go: it was deleted and holds nothing any more, or it finished long ago.

    uid: of this run; another of its name stays.
    """

    key: Key
    uid: str


@attrs.frozen
class SetBudgetStatus:
    """Write a budget's status. budget: as it will stand; only its status is written."""

    budget: Budget


@attrs.frozen
class PutReservation:
    """Make a reservation, with its status. Meeting one of that name, of the same run, counts as done."""

    reservation: Reservation


@attrs.frozen
class SetReservationStatus:
    """Write a reservation's status. reservation: as it will stand; only its status is written."""

    reservation: Reservation


@attrs.frozen
class PutResolution:
    """Keep a resolution, with its evidence. Meeting one of that name, and equal, counts as done.

    What else is written for the runs that it cuts waits until it is kept; if it is refused, so is that.
    """

    resolution: Resolution


@attrs.frozen
class SetResolutionStatus:
    """Write a resolution's status. resolution: as it will stand; only its status is written."""

    resolution: Resolution


@attrs.frozen
class Emit:
    """Tell a person, on the object meant. Repeated ones are counted, not listed again.

    once: it says what goes on being so, and a second telling does not count.
    """

    kind: str
    key: Key
    reason: str
    message: str
    at: datetime
    warning: bool = False
    once: bool = False


Made = OpenLease | CloseLease | MeterLease | MakePod | BindPod | EndPod | RemovePod
Told = SetRunStatus | SetBudgetStatus | PutResolution | SetResolutionStatus | Emit
Promised = PutReservation | SetReservationStatus
Effect = Made | SelectNode | RemoveRun | Promised | Told


def expected(effect: Effect) -> Change | None:
    """What will be observed once the effect is written; None: nothing that a decision reads."""
    match effect:
        case Emit():
            return None
        case SetRunStatus():
            return RunSeen(effect.run)
        case MakePod() | BindPod() | EndPod():
            return PodSeen(effect.pod)
        case OpenLease() | CloseLease() | MeterLease():
            return LeaseSeen(effect.lease)
        case RemovePod(key):
            return PodGone(key)
        case SelectNode(_, claim):
            return StorageSeen(claim)
        case RemoveRun(key, _):
            return RunGone(key)
        case SetBudgetStatus(budget):
            return BudgetSeen(budget)
        case PutReservation(reservation) | SetReservationStatus(reservation):
            return ReservationSeen(reservation)
        case PutResolution(resolution) | SetResolutionStatus(resolution):
            return ResolutionSeen(resolution)
        case _:
            assert_never(effect)

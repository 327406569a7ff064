"""What a write makes of an object."""

from __future__ import annotations

import attrs

from runs_core.cluster.seen import Name, Value
from runs_core.values import effect as e
from runs_core.values.budget import Budget
from runs_core.values.effect import Effect
from runs_core.values.meta import Key
from runs_core.values.pod import Pod
from runs_core.values.reservation import Reservation
from runs_core.values.resolution import Resolution
from runs_core.values.run import Run
from runs_core.values.storage import VolumeClaim


def outcome(effect: Effect) -> tuple[Name, Value | None] | None:
    """Which object a write makes what of; None: nothing that anybody decides on."""
    match effect:
        case e.OpenLease(lease) | e.CloseLease(lease) | e.MeterLease(lease):
            return ("GPULease", lease.key), lease
        case e.MakePod(pod, _) | e.BindPod(pod) | e.EndPod(pod):
            return ("Pod", pod.key), pod
        case e.RemovePod(key):
            return ("Pod", key), None
        case e.SelectNode(_, claim):
            return ("PersistentVolumeClaim", claim.key), claim
        case e.SetRunStatus(run):
            return ("Run", run.key), run
        case e.RemoveRun(key, _):
            return ("Run", key), None
        case e.SetBudgetStatus(budget):
            return ("Budget", Key("", budget.name)), budget
        case e.PutReservation(reservation) | e.SetReservationStatus(reservation):
            return ("Reservation", reservation.key), reservation
        case e.PutResolution(resolution) | e.SetResolutionStatus(resolution):
            return ("Resolution", resolution.meta.key), resolution
        case e.Emit():
            return None


def overlaid(seen: Value | None, assumed: Value | None) -> Value | None:
    """An object as it counts while that write is under way. Another of its name, made since, is not what it was of."""
    if isinstance(seen, Run | Pod) and isinstance(assumed, Run | Pod) and "" != assumed.uid != seen.uid:
        return seen
    match seen, assumed:
        case Run(), Run():
            return attrs.evolve(seen, status=assumed.status)
        case Budget(), Budget():
            return attrs.evolve(seen, status=assumed.status)
        case Reservation(), Reservation():
            return attrs.evolve(seen, status=assumed.status)
        case Resolution(), Resolution():
            return attrs.evolve(seen, status=assumed.status)
        case Pod(), Pod():
            return attrs.evolve(
                seen,
                node=assumed.node or seen.node,
                rank=assumed.rank or seen.rank,
                claim=None if assumed.rank else seen.claim,
                deleting=assumed.deleting or seen.deleting,
                grace=seen.grace if assumed.grace is None else assumed.grace,
            )
        case VolumeClaim(), VolumeClaim():
            return attrs.evolve(seen, node=assumed.node)
        case None, Run() | Budget() | VolumeClaim():
            return None
        case _:
            return assumed

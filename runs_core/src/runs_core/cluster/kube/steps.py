"""A batch as steps: writes for one run that may be made in one order. Steps of the same run follow each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

import attrs

from runs_core.values import effect as e
from runs_core.values.effect import Effect
from runs_core.values.lease import Lease
from runs_core.values.meta import Key
from runs_core.values.resolution import Resolution, ResolutionPhase

STATUS = 6
REFUSED = "WriteRefused"
"""Reason of the event that tells of a write that the cluster refuses again and again."""
_Patient = (
    e.SetRunStatus
    | e.SetBudgetStatus
    | e.SetReservationStatus
    | e.SetResolutionStatus
    | e.MeterLease
    | e.EndPod
    | e.RemovePod
    | e.RemoveRun
    | e.Emit
)


@attrs.define(kw_only=True)
class Step:
    """key: of the run. effects: as decided. says_first: its status goes before all else."""

    key: Key
    effects: list[Effect] = attrs.field(factory=list)
    says_first: bool = False

    @property
    def opens(self) -> list[Lease]:
        return [effect.lease for effect in self.effects if isinstance(effect, e.OpenLease)]

    @property
    def closes(self) -> list[Lease]:
        return [effect.lease for effect in self.effects if isinstance(effect, e.CloseLease)]

    @property
    def writes(self) -> list[Effect]:
        """All that others wait for: not the events."""
        return [effect for effect in self.effects if not isinstance(effect, e.Emit)]

    @property
    def says_last(self) -> bool:
        """Whether a status is all that is left to write in the end."""
        return bool(self.writes) and not self.says_first and rank(self.writes[-1]) == STATUS

    @property
    def only_says(self) -> bool:
        """Whether there is nothing in it but the status of a run or a budget, and events."""
        return all(isinstance(effect, e.SetRunStatus | e.SetBudgetStatus | e.Emit) for effect in self.effects)

    @property
    def patient(self) -> bool:
        """Whether no other run waits for any of it: nothing begins, no place comes free, and nobody is cut."""
        return all(isinstance(effect, _Patient) for effect in self.effects)

    @property
    def about(self) -> tuple[str, Key]:
        """Kind and key of the object that people look at."""
        match self.effects[0]:
            case e.SetBudgetStatus(budget):
                return "Budget", budget.meta.key
            case e.SetResolutionStatus(resolution):
                return "Resolution", resolution.meta.key
            case e.PutReservation(reservation) | e.SetReservationStatus(reservation):
                return "Run", reservation.run
            case _:
                return "Run", self.key

    @property
    def resolutions(self) -> list[Resolution]:
        return [effect.resolution for effect in self.effects if isinstance(effect, e.PutResolution)]

    @property
    def promised(self) -> list[Key]:
        """The runs whose promises it tells of."""
        told = (one.reservation for one in self.effects if isinstance(one, e.PutReservation | e.SetReservationStatus))
        return [reservation.run for reservation in told]

    def stages(self) -> Iterator[list[Effect]]:
        """What may be written side by side, in order."""
        writes = self.writes
        if self.says_first:
            writes = sorted(writes, key=lambda effect: rank(effect) != STATUS)
        for _, together in groupby(writes, key=rank):
            yield list(together)


def steps(effects: Sequence[Effect], run_of: Callable[[Key], Key | None]) -> list[Step]:
    """In the order of their first effects. run_of: whose rank a pod is, by its key.

    One batch may end a run and start it again: what would have to be written before what is there begins a new step.
    """
    made: list[Step] = []
    latest: dict[Key, Step] = {}
    for effect in effects:
        key = about(effect, run_of)
        step = latest.get(key)
        if step is None or _goes_back(step.effects[-1], effect):
            step = latest[key] = Step(key=key)
            made.append(step)
        step.effects.append(effect)
    return made


def _goes_back(last: Effect, effect: Effect) -> bool:
    before, now = rank(last), rank(effect)
    return now < before or now == before == STATUS  # a second status is another decision's, and the last has to count


def rank(effect: Effect) -> int:
    """Pods are told to go before leases close; leases are minted before pods, pods made before the status says so.

    Volumes are asked for on a node once its places are held.
    """
    match effect:
        case e.PutResolution():
            return 0
        case e.EndPod() | e.RemovePod():
            return 1
        case e.CloseLease() | e.MeterLease():
            return 2
        case e.OpenLease():
            return 3
        case e.SelectNode():
            return 4
        case e.MakePod() | e.BindPod():
            return 5
        case e.PutReservation():
            return 1
        case e.SetRunStatus() | e.SetBudgetStatus() | e.SetReservationStatus() | e.SetResolutionStatus():
            return STATUS
        case e.Emit() | e.RemoveRun():
            return 7


def about(effect: Effect, run_of: Callable[[Key], Key | None]) -> Key:
    """The run that a write belongs to; writes for one run are in order."""
    match effect:
        case e.OpenLease(lease) | e.CloseLease(lease) | e.MeterLease(lease):
            return lease.run
        case e.MakePod(pod, _) | e.BindPod(pod) | e.EndPod(pod):
            return pod.rank.run if pod.rank else pod.key
        case e.RemovePod(key):
            return run_of(key) or key
        case e.SelectNode(run_key, _):
            return run_key
        case e.RemoveRun(key, _):
            return key
        case e.SetRunStatus(run):
            return run.key
        case e.SetBudgetStatus(budget):
            return Key("", budget.name)  # no run is without a namespace
        case e.SetResolutionStatus(resolution) if (given := _given_to(resolution)) is not None:
            return given  # after its start, and not at all if that is refused
        case e.PutReservation(reservation) | e.SetReservationStatus(reservation):
            return Key(f"reservation {reservation.key.namespace}", reservation.key.name)
        case e.PutResolution(resolution) | e.SetResolutionStatus(resolution):
            return Key("resolution", resolution.name)
        case e.Emit():
            return effect.key


def _given_to(resolution: Resolution) -> Key | None:
    """The run that has what was taken, if one has."""
    to = resolution.spec.beneficiary
    return to.run if to is not None and resolution.status.phase is ResolutionPhase.RELEASED else None

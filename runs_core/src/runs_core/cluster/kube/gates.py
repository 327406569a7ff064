"""What a write has to wait for.

Nobody is let onto a place before it is written that whoever held it has left, and nobody is told to go, or is promised
what they have, before the resolution that says so is kept.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from runs_core.cluster.kube.steps import Step
from runs_core.values.lease import Lease
from runs_core.values.meta import Key
from runs_core.values.resolution import Resolution

Then = Callable[[bool], None]


class Gate:
    """Told once, by any thread, whether what others wait for has come about. told: None until then.

    known: whoever decides knows that it will not come about.
    """

    def __init__(self) -> None:
        self.told: bool | None = None
        self.known = False
        self._waiting: list[Then] = []
        self._lock = threading.Lock()

    def tell(self, *, came: bool) -> None:
        """The first word counts."""
        with self._lock:
            if self.told is not None:
                return
            self.told = came
            waiting, self._waiting = self._waiting, []
        for then in waiting:
            then(came)

    def then(self, told: Then) -> None:
        """Call it once that is known: at once, or in the thread that tells."""
        with self._lock:
            came = self.told
            if came is None:
                self._waiting.append(told)
                return
        told(came)


def after(gates: Sequence[Gate], then: Then) -> None:
    """Once all have come about, or the first has not."""
    if not gates:
        then(True)  # noqa: FBT003  # nothing to wait for
        return
    gates[0].then(lambda came: after(gates[1:], then) if came else then(False))  # noqa: FBT003  # likewise


class Places:
    """The places whose last lease is being closed. Used by one thread."""

    def __init__(self) -> None:
        self._freeing: dict[str, list[tuple[int, Gate]]] = {}

    def free(self, leases: Sequence[Lease], gate: Gate) -> None:
        """These leases are closed once the gate says so."""
        for lease in leases:
            for slots in lease.spec.slots:
                self._freeing.setdefault(slots.node, []).append((slots.mask, gate))

    def gates(self, leases: Sequence[Lease]) -> list[Gate]:
        """What has to come about before these leases may be opened."""
        found: list[Gate] = []
        for lease in leases:
            for slots in lease.spec.slots:
                freeing = [one for one in self._freeing.pop(slots.node, ()) if not (one[1].told or one[1].known)]
                if freeing:
                    self._freeing[slots.node] = freeing
                found += (gate for mask, gate in freeing if mask & slots.mask and gate not in found)
        return found


class Audits:
    """The runs that a resolution cuts, or is for, while it is being written. Used by one thread."""

    def __init__(self) -> None:
        self._cutting: dict[Key, list[Gate]] = {}
        self._giving: dict[Key, list[Gate]] = {}

    def hold(self, resolution: Resolution, gate: Gate) -> None:
        """It is kept once the gate says so. O(what is being kept), since what was is forgotten."""
        self._cutting, self._giving = _standing(self._cutting), _standing(self._giving)
        for run in {cut.run for cut in resolution.spec.cuts}:
            self._cutting.setdefault(run, []).append(gate)
        if resolution.spec.beneficiary is not None:
            self._giving.setdefault(resolution.spec.beneficiary.run, []).append(gate)

    def gates(self, step: Step) -> list[Gate]:
        """What has to come about before it may be written."""
        promised = [gate for run in step.promised for gate in _left(self._giving, run)]
        return [*_left(self._cutting, step.key), *promised]


def _left(waiting: dict[Key, list[Gate]], run: Key) -> list[Gate]:
    """Those that have not come about; the others are forgotten."""
    left = [gate for gate in waiting.pop(run, ()) if not (gate.told or gate.known)]
    if left:
        waiting[run] = left
    return left


def _standing(waiting: dict[Key, list[Gate]]) -> dict[Key, list[Gate]]:
    """Those runs of which something has not come about."""
    return {run: gates for run in list(waiting) if (gates := _left(waiting, run))}

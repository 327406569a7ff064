"""What a simulation took back: resolutions, the units that they cut, and the work that was lost with them."""

from __future__ import annotations

from collections import Counter

from runs_core.serve.measure import MICROSECOND
from runs_core.serve.standing import MILLION
from runs_core.serve.summary import Preemptions, StageCuts
from runs_core.values.lease import Closed, Lease
from runs_core.values.meta import Key
from runs_core.values.resolution import Resolution, resolution_name

RESOLUTION = resolution_name(0)[:-1]
_GPU_HOUR = 3600 * MILLION


class Cuts:
    """Memory: a number for each run that was ever cut, and for each group that has got a payer since it started."""

    def __init__(self) -> None:
        self._resolutions = 0
        self._runs: Counter[Key] = Counter()
        self._units: Counter[str] = Counter()
        self._gpus: Counter[str] = Counter()
        self._lost = 0
        self._before: Counter[tuple[str, int, int]] = Counter()

    def decided(self, resolution: Resolution) -> None:
        """It was kept."""
        self._resolutions += 1
        for cut in resolution.spec.cuts:
            self._units[cut.stage] += 1
            self._gpus[cut.stage] += cut.gpus
        self._runs.update({cut.run for cut in resolution.spec.cuts})

    def ended(self, lease: Lease) -> None:
        """A lease closed, for whatever reason: one that was taken back names its resolution.

        Work goes on under another lease where somebody comes to pay for it: then the time before is lost with it.
        """
        spec, status = lease.spec, lease.status
        if status.end is None:
            return
        work, group = (
            lease.gpus * ((status.end - spec.start) // MICROSECOND),
            (spec.run_ref.uid, spec.attempt, spec.group),
        )
        if status.closure_reason is Closed.REPAID:
            self._before[group] += work
            return
        before = self._before.pop(group, 0)
        if status.closure_detail.startswith(RESOLUTION):
            self._lost += before + work

    def summary(self) -> Preemptions:
        """So far."""
        stages = sorted(self._units)
        return Preemptions(
            resolutions=self._resolutions,
            cuts=self._units.total(),
            gpus=self._gpus.total(),
            runs=len(self._runs),
            most=max(self._runs.values(), default=0),
            lost_gpu_hours=round(self._lost / _GPU_HOUR, 6),
            by_stage=tuple(StageCuts(stage=one, cuts=self._units[one], gpus=self._gpus[one]) for one in stages),
        )

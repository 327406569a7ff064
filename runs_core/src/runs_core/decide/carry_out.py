"""What a resolution said and nobody did: whoever decided it was stopped before all of it was written."""

from __future__ import annotations

from datetime import datetime

import attrs

from runs_core.decide.advice import Advice
from runs_core.decide.reclaim import cut_decision
from runs_core.decide.victims import every_stage
from runs_core.values.decision import Decision
from runs_core.values.funding import LOTTERY
from runs_core.values.resolution import Cut, Resolution, ResolutionPhase, ResolutionStatus
from runs_core.values.run import Run
from runs_core.world.world import World


def cut_now(world: World, run: Run, advice: Advice) -> Decision | None:
    """Tell it to go, if a resolution that still stands says so; None: none does, or it has been told."""
    if not run.status.phase.begun or run.status.ending is not None:
        return None
    for resolution, cut in world.cutting(run.key):
        if _meant(world, run, cut, resolution):
            stages = {stage.name: stage for stage in every_stage(advice)}
            return cut_decision(world, cut, resolution, stages.get(cut.stage, LOTTERY))
    return None


def _meant(world: World, run: Run, cut: Cut, resolution: Resolution) -> bool:
    """Whether it holds what it held then: a start after that is another one."""
    at = resolution.spec.at
    return run.uid == cut.uid and any(lease.spec.start < at for lease in world.leases_of(run.key))


def too_late(resolution: Resolution, now: datetime) -> Resolution:
    """As it counts if whoever decided it had been replaced when it arrived."""
    told = "it arrived after another scheduler had taken over, and cuts nobody"
    status = ResolutionStatus(phase=ResolutionPhase.CANCELED, reason="Late", message=told, end=now)
    return attrs.evolve(resolution, status=status)

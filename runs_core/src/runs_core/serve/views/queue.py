"""The line: who waits, in which order, behind how much."""

from __future__ import annotations

from datetime import datetime

import attrs

from runs_core.decide.advice import Advice
from runs_core.serve.views.present import Present
from runs_core.values.meta import Key
from runs_core.values.reservation import Basis, Remedy
from runs_core.values.run import Phase
from runs_core.world.world import World


@attrs.frozen(kw_only=True)
class Waiting:
    """position: from 1. reason, message: as of now. earliest_start, basis: as promised; None where nothing is.

    remedies: what would have started it when that was promised, of the first in line.

    ahead: GPUs of the same flavor that runs before it want, those left out that the present fleet could never take.
    fundable: whether somebody's quota would pay; true where no plugin keeps quotas.
    """

    position: int
    run: Key
    gpus: int
    flavor: str | None
    fundable: bool
    phase: Phase
    reason: str
    message: str
    queued_since: datetime | None
    earliest_start: datetime | None = None
    basis: Basis | None = None
    remedies: tuple[Remedy, ...] = ()
    ahead: int


@attrs.frozen(kw_only=True)
class Line:
    """In line order."""

    items: tuple[Waiting, ...]


def line(world: World, advice: Advice) -> Line:
    """Everybody who waits. Costs one answer for each need."""
    present = Present(world, advice)
    ahead: dict[str | None, int] = {}
    items = []
    for position, key in enumerate(world.line.waiting(), start=1):
        run = world.run(key)
        if run is None:
            continue
        flavor, said = run.spec.resources.flavor, present.of(run)
        promised = world.promises.by_run.get(key)
        items.append(
            Waiting(
                position=position,
                run=key,
                gpus=world.wanted(run),
                flavor=flavor,
                fundable=said.fundable,
                phase=run.status.phase,
                reason=said.reason,
                message=said.message,
                queued_since=run.status.queued_since,
                earliest_start=promised.status.earliest_start if promised is not None else None,
                basis=promised.status.basis if promised is not None else None,
                remedies=promised.status.remedies if promised is not None else (),
                ahead=ahead.get(flavor, 0),
            )
        )
        if not said.never:
            ahead[flavor] = ahead.get(flavor, 0) + world.wanted(run)
    return Line(items=tuple(items))

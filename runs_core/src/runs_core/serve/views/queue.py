"""The line: who waits, in which order, behind how much."""

from __future__ import annotations

from datetime import datetime

import attrs

from runs_core.values.meta import Key
from runs_core.values.run import Phase
from runs_core.world.world import World


@attrs.frozen(kw_only=True)
class Waiting:
    """position: from 1. ahead: GPUs of the same flavor that runs before it want. earliest_start: None without forecast.

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
    ahead: int


@attrs.frozen(kw_only=True)
class Line:
    """In line order."""

    items: tuple[Waiting, ...]


def line(world: World) -> Line:
    """Everybody who waits. O(waiting)."""
    ahead: dict[str | None, int] = {}
    items = []
    for position, key in enumerate(world.line.waiting(), start=1):
        run = world.run(key)
        if run is None:
            continue
        flavor = run.spec.resources.flavor
        items.append(
            Waiting(
                position=position,
                run=key,
                gpus=run.gpus,
                flavor=flavor,
                fundable=True,
                phase=run.status.phase,
                reason=run.status.reason,
                message=run.status.message,
                queued_since=run.status.queued_since,
                ahead=ahead.get(flavor, 0),
            )
        )
        ahead[flavor] = ahead.get(flavor, 0) + run.gpus
    return Line(items=tuple(items))

"""When a run that waits will start, as of now: worked out for whoever asks."""

from __future__ import annotations

from datetime import datetime

import attrs

from runs_core.decide.advice import Advice
from runs_core.decide.forecast import foresee
from runs_core.values.meta import Key
from runs_core.values.reservation import Basis, Promise, ShortOf
from runs_core.values.run import Run
from runs_core.world.world import World


@attrs.frozen(kw_only=True)
class Eta:
    """What is expected. latest: where nine of ten such runs have ended. blocked_by: by their expected ends.

    reservation, promises: what it was promised, if anything; earliest_start may be another by now.
    """

    earliest_start: datetime
    latest: datetime
    basis: Basis
    deficit_gpus: int
    short_of: ShortOf
    blocked_by: tuple[Key, ...] = ()
    reservation: str | None = None
    promises: tuple[Promise, ...] = ()


def eta(world: World, run: Run, advice: Advice) -> Eta | None:
    """None: nothing says when."""
    found = foresee(world, run, advice)
    if found is None:
        return None
    known = world.promises.by_run.get(run.key)
    return Eta(
        earliest_start=found.at,
        latest=found.latest,
        basis=found.basis,
        deficit_gpus=found.deficit_gpus,
        short_of=found.short_of,
        blocked_by=found.blocked_by,
        reservation=known.meta.name if known is not None else None,
        promises=known.status.promises if known is not None else (),
    )

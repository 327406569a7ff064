"""What a waiting run was told of why it waits, and who is to be told otherwise."""

from __future__ import annotations

from collections.abc import Iterable

from runs_core.decide.flavor import find_flavor
from runs_core.decide.match import NEVER_CODES, NEVER_FITS, WAIT_CODES, no_flavor
from runs_core.decide.place import fits_when_empty
from runs_core.decide.quota import OUT_OF_QUOTA
from runs_core.values.meta import Key
from runs_core.values.need import Need
from runs_core.world.queues import FUNDABLE
from runs_core.world.world import World


def says_otherwise(world: World, key: Key, band: int) -> bool:
    """Whether the run's status says that it waits for quota where it waits for room, or the other way round."""
    run = world.run(key)
    reason = run.status.reason if run is not None else ""
    return (reason == OUT_OF_QUOTA) is (band == FUNDABLE) and reason in WAIT_CODES and reason not in NEVER_CODES


def is_answered(world: World, key: Key) -> bool:
    """Whether the run's status still says why it waits. Counts in its message are of the day it was answered.

    This, not what a process remembers, decides who is answered again, so that a restart changes nothing.
    """
    run = world.run(key)
    assert run is not None
    status = run.status
    if status.reason not in WAIT_CODES or status.observed_generation != run.meta.generation:
        return False
    said = status.reason if status.reason in NEVER_CODES else ""
    return said == _never(world, world.line.entries[key].shape.need)


def judged_anew(world: World, fresh: Iterable[Key]) -> list[Key]:
    """The runs that are to be told whether the fleet, as its nodes are now, could ever take them."""
    line, known = world.line, world.fleet.changed
    line.judged = known
    found: list[Key] = []
    for shape in line.shapes.values():
        if shape.judged == known:
            continue
        before, shape.never, shape.judged = shape.never, _never(world, shape.need), known
        if before != shape.never:
            found += (key for key in line.members(shape) if key not in fresh and not is_answered(world, key))
    return found


def _never(world: World, need: Need) -> str:
    """Why the present fleet could not take it even if it were empty, in one word; empty: it could."""
    found = find_flavor(world, need)
    if found is None:
        return no_flavor(world, need).reasons[0].code
    return "" if fits_when_empty(world.fleet, found[1], need) else NEVER_FITS

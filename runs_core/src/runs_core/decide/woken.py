"""Who could start since more GPUs came free."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from runs_core.decide.flavor import find_flavor
from runs_core.values.meta import Key
from runs_core.world.queues import Shape
from runs_core.world.world import World


def kept_for(world: World) -> Iterator[Key]:
    """Runs that places are kept for, where more are free than when the line was last asked: each by itself."""
    line = world.line
    for key in world.promises.by_run if line.asked != world.fleet.freed else ():
        entry = line.entries.get(key)
        found = find_flavor(world, entry.shape.need) if entry is not None else None
        if entry is not None and found is not None and found[1].free + found[1].withheld >= entry.shape.need.gpus:
            yield key


def woken(world: World, fresh: Collection[Key]) -> Iterator[Key]:
    """The first runs of each need that free GPUs alone would take, where more are free than when it was last asked.

    fresh: who is asked anyhow.
    """
    line, known = world.line, world.fleet.freed
    if line.asked == known:
        return
    line.asked = known
    if len(fresh) == len(line.entries):  # as most often: an arrival finds nobody before it
        return
    for (_, gpus_per_pod), shapes in line.sizes.items():
        found = find_flavor(world, shapes[0].need)
        if found is None:
            continue
        flavor = found[1]
        most = flavor.pods(gpus_per_pod) + flavor.withheld
        for shape in shapes:
            if shape.need.pods > most:
                break
            if shape.failed != flavor.freed:
                yield from (key for _, key in line.heads(shape))


def is_out_of_reach(world: World, shape: Shape) -> bool:
    """Whether it is clear, without a trial, that nobody of this need can start."""
    found = find_flavor(world, shape.need)
    return found is None or shape.failed == found[1].freed or found[1].free + found[1].withheld < shape.need.gpus

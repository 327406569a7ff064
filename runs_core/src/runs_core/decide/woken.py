"""Who could start since more GPUs came free."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import chain, islice

from runs_core.decide.flavor import find_flavor
from runs_core.values.meta import Key
from runs_core.world.queues import FUNDABLE, Head, Shape
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
                yield from (key for _, key in first_of(world, shape))


def first_of(world: World, shape: Shape) -> Iterable[Head]:
    """The first run of this need in each band that could start, and who may start unpaid behind one that holds quota.

    Those ask the same of the budgets as it does, and stand in its queue: whom its quota is kept from, others may pass.
    """
    heads = world.line.heads(shape)
    return chain(heads, _behind(world, shape)) if world.held.by_run else heads


def _behind(world: World, shape: Shape) -> Iterator[Head]:
    for queue in shape.queues.values():
        if queue.size > 1 and queue.band == FUNDABLE and queue.cover is not None and queue.cover.unfunded:
            behind = islice(world.line.in_order(queue), 1, None)
            yield from islice((head for head in behind if head[1] not in world.held.by_run), 1)


def is_out_of_reach(world: World, shape: Shape) -> bool:
    """Whether it is clear, without a trial, that nobody of this need can start.

    That none found room says nothing of places that are promised to others: one may use those where another may not.
    """
    found = find_flavor(world, shape.need)
    if found is None:
        return True
    flavor = found[1]
    return (shape.failed == flavor.freed and not flavor.withheld) or flavor.free + flavor.withheld < shape.need.gpus

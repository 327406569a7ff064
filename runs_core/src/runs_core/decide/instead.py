"""The world without one run of the line, so that another in its place can be tried as what it would be: the last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from runs_core.decide.advice import Advice
from runs_core.decide.consider import tried
from runs_core.decide.cover import cover
from runs_core.decide.flavor import find_flavor
from runs_core.decide.hold import holds
from runs_core.decide.slices import rank_of
from runs_core.values.change import Change, PledgeSeen, ReservationGone, RunGone
from runs_core.values.funding import Pledge
from runs_core.values.meta import Key
from runs_core.values.run import Run
from runs_core.world.world import World

MOST_OTHERS = 32
"""Runs that start because one leaves the line: beyond that nothing is told."""


@contextmanager
def without(world: World, run: Run, advice: Advice) -> Iterator[bool]:
    """What if it were canceled: whoever else could start then has its places. False: they are too many.

    A run that the world does not know leaves nothing.
    """
    known = world.promises.by_run.get(run.key)
    stirred = world.promises.stirred
    changes: list[Change] = [RunGone(run.key)] if world.run(run.key) is not None else []
    changes += [ReservationGone(known.key)] if known is not None else []
    try:
        with ExitStack() as stack:
            stack.enter_context(world.supposing(changes))
            yield known is None or _settles(world, advice, stack)
    finally:
        world.promises.stirred = stirred  # nothing has happened


def _settles(world: World, advice: Advice, stack: ExitStack) -> bool:
    """The line is asked as it would be, in its order, until nobody starts any more."""
    asked: set[Key] = set()
    for _ in range(MOST_OTHERS):
        changes: Sequence[Change] = ()
        for key in _asked(world):
            if key not in asked:
                asked.add(key)
                if changes := _start(world, key, advice):
                    break
        if not changes:
            return True
        stack.enter_context(world.supposing(changes))
    return False


def _asked(world: World) -> Sequence[Key]:
    """Who is asked where more is free: the first of each need, and who is promised something, in line order."""
    heads = {key for shape in world.line.shapes.values() for _, key in world.line.heads(shape)}
    able = (key for key in heads | set(world.promises.by_run) if _within_reach(world, key))
    return sorted(able, key=lambda key: rank_of(world, key))


def _within_reach(world: World, key: Key) -> bool:
    entry = world.line.entries.get(key)
    found = find_flavor(world, entry.shape.need) if entry is not None else None
    return entry is not None and found is not None and found[1].free + found[1].withheld >= entry.shape.need.gpus


def _start(world: World, key: Key, advice: Advice) -> Sequence[Change]:
    """What its start would be; none: it would not."""
    run = world.run(key)
    if run is None:
        return ()
    said = cover(world, advice, world.ask(run), world.order(run)) if advice.funding else None
    placement = tried(world, run, said, advice)
    if placement is None or holds(world, run, advice) is not None:
        return ()
    shares = said.of(placement.gpus).shares if said is not None else ()
    taken = Pledge(
        run=key,
        uid=run.uid,
        owner=world.owner(run),
        shares=shares,
        placement=placement,
        since=world.now,
        resolution="",
    )
    known = world.promises.by_run.get(key)
    return (PledgeSeen(taken), *((ReservationGone(known.key),) if known is not None else ()))

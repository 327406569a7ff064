"""What would start a run that waits: changes of its spec, each found by trying it with the functions that decide.

The rule is section "Reservations and forecasts" of the semantics. Nothing is written. One change at a time is tried,
and of each kind the smallest that helps is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType

import attrs

from runs_core.decide.advice import Advice
from runs_core.decide.consider import tried
from runs_core.decide.cover import cover
from runs_core.decide.flavor import find_flavor
from runs_core.decide.forecast import foresee
from runs_core.decide.hold import holds
from runs_core.decide.instead import without
from runs_core.decide.odds import foreseen
from runs_core.decide.slices import standing
from runs_core.values.funding import Cover
from runs_core.values.quantity import counted, format_duration
from runs_core.values.run import Run, RunSpec, Spread
from runs_core.world.held import LAST, Order
from runs_core.world.queues import band_of
from runs_core.world.world import World

MINUTE = timedelta(minutes=1)
UNPAID = ", and nobody pays for that"
TAKES_BACK = ", once those have gone whose GPUs it takes back"
Starts = Callable[[RunSpec], str | None]
"""None: a run of this spec would not start now; else what is to be said of it besides, or nothing."""
Option = tuple[str, RunSpec]
"""A change in words, and the spec after it."""


@attrs.frozen(kw_only=True)
class Tried:
    """A change that comes true. change: in words. spec: after it. at: when the run would start then.

    anew: it takes another run in place of this one, whose shape is fixed. words: of a `runs` command that makes it.
    """

    change: str
    spec: RunSpec
    at: datetime
    anew: bool = False
    words: tuple[str, ...] = ()


def remedies(world: World, run: Run, advice: Advice) -> tuple[Tried, ...]:
    """For a run that has not started, those after which it would start now, or at a time where now none is known.

    Cost: a plan for each change tried, log2(width) for narrower widths, and one for each need in line if places are
    kept for this run, which others may take once it goes.
    """
    if run.status.phase.begun or run.status.ending is not None or world.pledge(run.key) is not None:
        return ()
    if run.spec.suspend:
        resumed = attrs.evolve(run.spec, suspend=False)
        found = _first(world, [("resume it", resumed)], _trial(world, run, advice))
        return tuple(attrs.evolve(one, words=("resume", run.meta.name)) for one in found)
    return (*_of_another_shape(world, run, advice), *_paid(world, run, advice), *_shorter(world, run, advice))


def _trial(world: World, run: Run, advice: Advice, order: Order | None = None) -> Starts:
    """order: its place in line, where that is not the run's own."""
    paid = _is_paid(world, run, advice)

    def starts(spec: RunSpec) -> str | None:
        changed = attrs.evolve(run, spec=spec)
        if holds(world, changed, advice) is not None:
            return None
        said = cover(world, advice, world.ask(changed), order or world.order(changed)) if advice.funding else None
        if tried(world, changed, said, advice) is None:
            return None
        return UNPAID if paid and said is not None and not said.fundable else ""

    return starts


def _is_paid(world: World, run: Run, advice: Advice) -> bool:
    return not advice.funding or cover(world, advice, world.ask(run), world.order(run)).fundable


def _first(world: World, options: Iterable[Option], starts: Starts) -> Iterator[Tried]:
    """The first of them that comes true now, or none."""
    for change, spec in options:
        besides = starts(spec)
        if besides is not None:
            yield Tried(change=change + besides, spec=spec, at=world.now)
            return


# -- another shape ----------------------------------------------------------------------------------------------------


def _of_another_shape(world: World, run: Run, advice: Advice) -> Sequence[Tried]:
    """Once it is in line its shape is fixed: another run takes its place, at the end of the line.

    None is told to a run that holds quota for which others of its owner wait: it would go to them.
    """
    anew = world.run(run.key) is not None
    if _leaves_quota(world, run):
        return ()
    flavors = [name for name in world.flavors() if name != (run.spec.resources.flavor or world.sole_flavor())]
    with without(world, run, advice) as settled:
        if not settled:
            return ()
        starts = _trial(world, run, advice, LAST if anew else None)
        kinds = (_narrower(world, run, starts), _groups(run.spec), _spread(run.spec), _elsewhere(run.spec))
        options = (*kinds, *([_of_flavor(run.spec, flavor)] for flavor in flavors))
        return [attrs.evolve(one, anew=anew) for some in options for one in _first(world, some, starts)]


def _leaves_quota(world: World, run: Run) -> bool:
    hold = world.held.by_run.get(run.key)
    queues = world.line.of_owner.get(hold.owner, ()) if hold is not None else ()
    return sum(queue.size for queue in queues) > 1


def _narrower(world: World, run: Run, starts: Starts) -> Iterator[Option]:
    """The widest gang that starts. One that may be narrower by itself is no wider for asking for less."""
    found, step = find_flavor(world, world.need(run)), run.spec.resources.gpus_per_pod
    if found is None or world.demand(run) is not None:
        return
    low, high = 0, min(run.pods, found[1].pods(step) + found[1].withheld // step + 1)
    middle = high - 1  # what is free fits most often
    while high - low > 1:
        if starts(_as_wide(run.spec, middle * step)) is not None:
            low = middle
        else:
            high = middle
        middle = (low + high) // 2
    if low:
        yield f"ask for {counted(low * step, 'GPU')} instead of {run.gpus}", _as_wide(run.spec, low * step)


def _as_wide(spec: RunSpec, gpus: int) -> RunSpec:
    return attrs.evolve(spec, resources=attrs.evolve(spec.resources, gpus=gpus))


def _groups(spec: RunSpec) -> Iterator[Option]:
    """Smaller ones, the largest first, then none."""
    size, step = spec.topology.group_gpus, spec.resources.gpus_per_pod
    for gpus in (one for one in range((size or 0) - step, step, -step) if size and size % one == 0):
        told = f"take groups of {counted(gpus, 'GPU')} instead of {size} (topology.groupGPUs)"
        yield told, attrs.evolve(spec, topology=attrs.evolve(spec.topology, group_gpus=gpus))
    if size:
        yield "take no groups", attrs.evolve(spec, topology=attrs.evolve(spec.topology, group_gpus=None))


def _spread(spec: RunSpec) -> Iterator[Option]:
    topology = spec.topology
    if topology.spread is Spread.SINGLE_DOMAIN:
        told = "let it lie in several domains (topology.spread: Allowed)"
        yield told, attrs.evolve(spec, topology=attrs.evolve(topology, spread=Spread.ALLOWED))


def _elsewhere(spec: RunSpec) -> Iterator[Option]:
    """Without one label, then without any."""
    topology = spec.topology
    for one in topology.selector if len(topology.selector) > 1 else ():
        fewer = tuple(other for other in topology.selector if other != one)
        told = f"drop {one[0]} from topology.selector"
        yield told, attrs.evolve(spec, topology=attrs.evolve(topology, selector=fewer))
    if topology.selector:
        yield "drop topology.selector", attrs.evolve(spec, topology=attrs.evolve(topology, selector=()))


def _of_flavor(spec: RunSpec, flavor: str) -> Option:
    return f"take the flavor {flavor}", attrs.evolve(spec, resources=attrs.evolve(spec.resources, flavor=flavor))


# -- in its place in line ---------------------------------------------------------------------------------------------


def _paid(world: World, run: Run, advice: Advice) -> Iterator[Tried]:
    """What plugins propose so that somebody pays, or nobody needs to."""
    said = cover(world, advice, world.ask(run), world.order(run)) if advice.funding else None
    if said is None or said.fundable:
        return
    starts, ask = _trial(world, run, advice), world.ask(run)
    ask = attrs.evolve(ask, flavor=ask.flavor or world.sole_flavor() or "")
    for one in advice.proposals(run, ask, said.left, world):
        spec = attrs.evolve(run.spec, sections=MappingProxyType({**run.spec.sections, type(one.section): one.section}))
        option, changed = (one.change, spec), attrs.evolve(run, spec=spec)
        then = cover(world, advice, world.ask(changed), world.order(changed))
        with world.line.in_band(run.key, band_of(then)):  # who is paid for leaves no places to those behind it
            found = next(_first(world, [option], starts), None) or _in_time(world, changed, one.change, then, advice)
        if found is not None:
            yield attrs.evolve(found, words=one.words)


def _in_time(world: World, changed: Run, change: str, said: Cover, advice: Advice) -> Tried | None:
    """That GPUs would be taken back for it, or when it would be promised to start, if one more may be promised that."""
    if holds(world, changed, advice) is not None:
        return None
    back = foreseen(world, changed, said, advice, most=1)
    if back is not None and back.chances:
        return Tried(change=f"{change}{TAKES_BACK}", spec=changed.spec, at=world.now)
    if len(world.promises.by_run) >= world.settings.reservations.max:
        return None
    found = foresee(world, changed, advice)
    return Tried(change=change, spec=changed.spec, at=found.at) if found is not None else None


def _shorter(world: World, run: Run, advice: Advice) -> Iterator[Tried]:
    """The longest time, in whole minutes, after which it would leave early enough the places that others have later."""
    known = standing(world, run.key, behind=run.key in world.promises.by_run)
    until = {(one.start - world.now) // MINUTE for one in known}
    length = world.ends.length(run)
    minutes = sorted(one for one in until if one > 0 and (length is None or one * MINUTE < length))
    starts, low, high = _trial(world, run, advice), -1, len(minutes)
    while high - low > 1:
        middle = (low + high) // 2
        if starts(_as_long(run.spec, minutes[middle] * MINUTE)) is not None:
            low = middle
        else:
            high = middle
    if low >= 0:
        lasts = minutes[low] * MINUTE
        told = f"expect it to be over within {format_duration(lasts)} (runtime.expectedDuration)"
        yield from _first(world, [(told, _as_long(run.spec, lasts))], starts)


def _as_long(spec: RunSpec, length: timedelta) -> RunSpec:
    return attrs.evolve(spec, runtime=attrs.evolve(spec.runtime, expected_duration=length))

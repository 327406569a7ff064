"""When a run that waits will start: once enough of what runs is expected to have ended.

The rule is section "Reservations and forecasts" of the semantics.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import attrs

from runs_core.decide.advice import Advice
from runs_core.decide.cover import cover
from runs_core.decide.opening import opening
from runs_core.decide.patience import patient_until
from runs_core.decide.place import fits_when_empty
from runs_core.decide.recalled import Recalls, displaced_at, recalled
from runs_core.decide.search import Found, Question, Search
from runs_core.decide.slices import is_due, left, met, others, standing
from runs_core.decide.why_not import why_not
from runs_core.values.meta import Key
from runs_core.values.placement import Placement
from runs_core.values.reservation import MOST_BLOCKERS, Basis, ShortOf
from runs_core.values.run import Run
from runs_core.world.domains import DomainFleet
from runs_core.world.ends import End
from runs_core.world.world import World


@attrs.frozen(kw_only=True)
class Forecast:
    """latest: where nine of ten such runs have ended. deficit_gpus: that are missing now. blocked_by: by their ends.

    until: so long all goes as it says if nobody ends before: to the first of those ends.
    """

    at: datetime
    latest: datetime
    basis: Basis
    deficit_gpus: int
    short_of: ShortOf
    blocked_by: tuple[Key, ...]
    until: datetime
    placement: Placement


def forecast(world: World, asked: Question, advice: Advice) -> Forecast | None:
    """None: nothing says when it will fit. Cost: the domains that moved since somebody asked last, and its width."""
    search, found = _first(world, asked, advice, before=asked.before)
    basis: Basis | None = None
    before = found.at if found is not None else asked.before
    if asked.patient is not None and (before is None or asked.patient < before):
        _, sooner = _first(world, asked, advice, patient=asked.patient, before=before)
        if sooner is not None:
            found, basis = sooner, Basis.PATIENCE
    if found is None:
        return None
    at, placement, blockers = found
    basis = basis or _basis(world, asked, placement, blockers)
    late = Search(world, asked, advice, most=True).first() if basis is Basis.HISTORY else found
    deficit = _deficit(world, asked, search.narrow)
    return Forecast(
        at=at,
        latest=max(at, late.at) if late is not None else at,
        basis=basis,
        deficit_gpus=deficit,
        short_of=ShortOf.CAPACITY if deficit else ShortOf.TOPOLOGY,
        blocked_by=tuple(end.run for end in blockers[:MOST_BLOCKERS]),
        until=found.until,
        placement=placement,
    )


def _first(
    world: World, asked: Question, advice: Advice, *, patient: datetime | None = None, before: datetime | None = None
) -> tuple[Search, Found | None]:
    """By whom it was searched. Who is recalled has to be so at the moment that is found, or stays to its end."""
    while True:
        search = Search(world, asked, advice, most=False, patient=patient, before=before)
        found = search.first()
        recalls = _still_recalled(world, asked, found, advice) if found is not None else asked.recalls
        if found is None or recalls == asked.recalls:
            return search, found
        asked = attrs.evolve(asked, recalls=recalls)


def _still_recalled(world: World, asked: Question, found: Found, advice: Advice) -> Recalls:
    """Without those that had its places, and whom somebody would pay for again by then."""
    recalls = asked.recalls
    gone = {one.run for one in recalls.runs if one.since <= found.at}.intersection(end.run for end in found.blockers)
    if not (gone and recalls.claims):
        return recalls
    paid = gone.difference(displaced_at(world, recalls, asked.need.flavor, advice, found.at))
    return attrs.evolve(recalls, runs=tuple(one for one in recalls.runs if one.run not in paid))


def at_opening(world: World, asked: Question, at: datetime, unpaid: int, advice: Advice) -> Forecast | None:
    """For a run that is paid for in full then; None: as far as is known it finds no room. unpaid: GPUs, now."""
    found = Search(world, asked, advice, most=False).at(at)
    if found is None:
        return None
    _, placement, blockers = found
    return Forecast(
        at=at,
        latest=at,
        basis=Basis.WINDOW,
        deficit_gpus=unpaid,
        short_of=ShortOf.QUOTA,
        blocked_by=tuple(end.run for end in blockers[:MOST_BLOCKERS]),
        until=found.until,
        placement=placement,
    )


def foresee(world: World, run: Run, advice: Advice) -> Forecast | None:
    """As of now, for a run that waits or is about to; None: nobody would pay, it fits never, or nothing says when."""
    need = world.need(run)
    name = need.flavor or world.sole_flavor()
    fleet = world.fleet.flavors.get(name) if name else None
    if fleet is None or name is None:
        return None
    need = (need if need.flavor else attrs.evolve(need, flavor=name)).as_wide(need.gpus)
    ask = world.ask(run)
    said = cover(world, advice, ask, world.order(run)).of(need.gpus) if advice.funding else None
    if not fits_when_empty(world.fleet, fleet, need):
        return None
    known = world.promises.by_run.get(run.key)
    if said is not None and not said.fundable:
        if (opens := opening(world, ask, world.order(run), said, advice)) is None:
            return None
        asked = Question(run=run, need=need, fleet=fleet, said=opens.said.of(need.gpus), behind=True)
        return at_opening(world, asked, opens.at, said.left, advice)
    kept = known is None or not why_not(world, known, advice)
    patient = patient_until(world, run, need, said, advice)
    tried = is_due(world, run.key)
    recalls = recalled(world, run, need, said, advice, behind=kept)
    asked = Question(
        run=run, need=need, fleet=fleet, said=said, behind=kept, patient=patient, tried=tried, recalls=recalls
    )
    return forecast(world, asked, advice)


def _basis(world: World, asked: Question, placement: Placement, blockers: Sequence[End]) -> Basis:
    """The least certain of those of the ends that it waits for, and of others' promises on the same nodes."""
    nodes, known = set[str](), list(others(world, asked.run.key, behind=asked.behind))
    if known:
        nodes.update(pod.node for group in placement.groups for pod in group.pods)
    near = (one for one in known if any(place.node in nodes for place in one.status.places))
    bases = {*(end.basis for end in blockers), *(one.status.basis for one in near)}
    return next((basis for basis in (Basis.PATIENCE, Basis.HISTORY) if basis in bases), Basis.ENDS)


def _deficit(world: World, asked: Question, narrow: Iterable[DomainFleet]) -> int:
    """GPUs that are missing now, on the nodes that will do. narrow: domains with nodes that will not."""
    length, filter_ = world.ends.length(asked.run), asked.need.filter
    free = asked.fleet.free - sum(
        level * (mask & ~domain.eligible(filter_)).bit_count()
        for domain in narrow
        if domain.free
        for level, mask in enumerate(domain.levels)
    )
    for name, mask in left(world, met(standing(world, asked.run.key, behind=False), world.now, length)).items():
        state = world.fleet.states.get(name)
        if state is None or state.node is None or state.domain is None or state.level < 0 or state.kept == mask:
            continue
        if asked.fleet.domains.get(state.node.domain) is state.domain:
            held = (state.active | state.spare | state.pledged | mask).bit_count()
            level = max(0, state.node.gpus - held - state.foreign_gpus)
            free += (level - state.level) * (state.domain.eligible(filter_) >> state.bit & 1)
    return max(0, asked.need.gpus - free)

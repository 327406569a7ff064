"""Where a gang goes that somebody pays for: an envelope pays only for places that its selector matches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import NamedTuple

import attrs

from runs_core.decide.advice import Advice
from runs_core.decide.place import place
from runs_core.decide.then import Then
from runs_core.values.change import PledgeSeen
from runs_core.values.funding import Cover, Pledge, Share
from runs_core.values.meta import Key, Pairs
from runs_core.values.need import Need, NodeFilter
from runs_core.values.placement import PlacedGroup, PlacedPod, Placement
from runs_core.world.flavors import FlavorFleet
from runs_core.world.needs import narrowed
from runs_core.world.world import World


class Part(NamedTuple):
    """Ranks that follow each other and have to lie where all of these labels are."""

    pods: int
    selector: Pairs


def parts(need: Need, shares: Sequence[Share]) -> tuple[Part, ...]:
    """What has to lie where: whole groups, or pods where there are no groups. One part without labels: anywhere.

    Labels that contradict each other, in one group, leave a key with two values: no node has both.
    """
    if not any(share.selector for share in shares):
        return (Part(need.pods, ()),)
    wanted = [share.selector for share in shares for _ in range(share.gpus // need.gpus_per_pod)]
    size = need.pods if need.single_domain else need.group_pods or 1
    chunks = [wanted[at : at + size] for at in range(0, need.pods, size)]
    each = [(len(chunk), tuple(sorted({pair for selector in chunk for pair in selector}))) for chunk in chunks]
    return tuple(Part(sum(pods for pods, _ in same), labels) for labels, same in groupby(each, key=lambda one: one[1]))


def place_paid(
    world: World, flavor: FlavorFleet, need: Need, shares: Sequence[Share], advice: Advice
) -> Placement | None:
    """The plan for the whole width inside its payers' places, or None."""
    wanted = parts(need, shares)
    if len(wanted) == 1 and not wanted[0].selector:
        return place(world.fleet, flavor, need, advice=advice, view=world)
    return _placed(world, flavor, need, wanted, advice)


def place_widest(world: World, flavor: FlavorFleet, need: Need, said: Cover | None, advice: Advice) -> Placement | None:
    """The plan for the widest gang that is paid for and fits, or None. said: who pays; None: nobody is asked.

    Of a gang that nobody pays for the width is a matter of room alone.
    """
    shares = said.shares if said is not None else ()
    if need.demand is None:
        return place_paid(world, flavor, need, shares, advice)
    room = min(flavor.free, said.gpus) if said is not None and shares else flavor.free
    for gpus in need.demand.widths(room):
        narrower = said.of(gpus).shares if said is not None else ()
        placement = place_paid(world, flavor, need.as_wide(gpus), narrower, advice)
        if placement is not None:
            return placement
    return None


def filters(world: World, need: Need, shares: Sequence[Share]) -> tuple[NodeFilter, ...]:
    """What the payers ask of the nodes, part by part; none: nothing."""
    wanted = parts(need, shares)
    if len(wanted) == 1 and not wanted[0].selector:
        return ()
    return tuple(narrowed(need.filter, part.selector, world.settings.fleet) for part in wanted)


def _placed(world: World, flavor: FlavorFleet, need: Need, wanted: Sequence[Part], advice: Advice) -> Placement | None:
    """One part after another, each beside those before."""
    part, *others = wanted
    filter_ = narrowed(need.filter, part.selector, world.settings.fleet)
    first = place(world.fleet, flavor, attrs.evolve(need, pods=part.pods, filter=filter_), advice=advice, view=world)
    if first is None or not others:
        return first
    with _beside(world, flavor, first, len(others)) as rest:
        behind = _placed(world, rest, need, others, advice)
    return None if behind is None else Placement(groups=(*first.groups, *_moved(behind, first)))


@contextmanager
def _beside(world: World, flavor: FlavorFleet, placement: Placement, number: int) -> Iterator[FlavorFleet]:
    """The places of a part are kept while the next one is placed; of a fleet that is copied, on the copies."""
    if isinstance(flavor, Then):
        yield flavor.beside(placement)
        return
    key = Key("", f"part-{number}")
    trial = Pledge(run=key, uid="", owner=None, shares=(), placement=placement, since=world.now, resolution="")
    with world.supposing([PledgeSeen(trial)]):
        yield flavor


def _moved(placement: Placement, first: Placement) -> Iterator[PlacedGroup]:
    """Groups and ranks go on counting."""
    groups = len(first.groups)
    ranks = sum(len(group.pods) for group in first.groups)
    for group in placement.groups:
        pods = tuple(PlacedPod(pod.rank + ranks, pod.node, pod.ordinals) for pod in group.pods)
        yield PlacedGroup(group.group + groups, group.domain, pods)

"""What a resolution keeps for its beneficiary: its places and its payers, as the object has them and as values."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from runs_core.values.classes import Tier
from runs_core.values.funding import Pledge, Share
from runs_core.values.lease import Payer
from runs_core.values.node import Domain
from runs_core.values.placement import PlacedGroup, PlacedPod, Placement
from runs_core.values.resolution import Bound, Paid, Resolution, ResolutionPhase


def bound_of(placement: Placement) -> tuple[Bound, ...]:
    """A placement as the object has it."""
    found: list[Bound] = []
    for group in placement.groups:
        places: dict[str, list[int]] = {}
        for pod in group.pods:
            places.setdefault(pod.node, []).extend(pod.ordinals)
        found += (
            Bound(group=group.group, domain=str(group.domain), node=node, ordinals=tuple(sorted(places[node])))
            for node in sorted(places)
        )
    return tuple(found)


def placement_of(bound: Sequence[Bound], gpus_per_pod: int) -> Placement:
    """Ranks go to a group's nodes by name, and to the places of a node from the lowest, as the planner does it."""
    groups: list[PlacedGroup] = []
    rank = 0
    for number, parts in groupby(bound, key=lambda one: (one.group, one.domain)):
        pods: list[PlacedPod] = []
        for one in parts:
            for at in range(0, len(one.ordinals), gpus_per_pod):
                pods.append(PlacedPod(rank, one.node, one.ordinals[at : at + gpus_per_pod]))
                rank += 1
        groups.append(PlacedGroup(number[0], Domain(*number[1].split("/")), tuple(pods)))
    return Placement(groups=tuple(groups))


def paid_of(shares: Sequence[Share]) -> tuple[Paid, ...]:
    """Shares as the object has them."""
    return tuple(
        Paid(
            budget=share.payer.budget,
            envelope=share.payer.envelope,
            tier=int(share.tier),
            gpus=share.gpus,
            selector=share.selector,
        )
        for share in shares
    )


def pledge_of(resolution: Resolution) -> Pledge | None:
    """What it keeps for its beneficiary while it is Activating; None: nothing, or no more."""
    spec, to = resolution.spec, resolution.spec.beneficiary
    if to is None or resolution.status.phase is not ResolutionPhase.ACTIVATING:
        return None
    return Pledge(
        run=to.run,
        uid=to.uid,
        owner=to.owner,
        shares=tuple(
            Share(Payer(budget=one.budget, envelope=one.envelope), Tier(one.tier), one.gpus, one.selector)
            for one in spec.payers
        ),
        placement=placement_of(spec.bound, spec.need.gpus_per_pod),
        since=spec.at,
        resolution=resolution.name,
    )

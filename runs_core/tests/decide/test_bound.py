from __future__ import annotations

import attrs

from runs_core.decide.advice import Silent
from runs_core.decide.bound import bound_of, paid_of, placement_of, pledge_of
from runs_core.decide.place import place
from runs_core.testing.builders import a_need, a_node, a_run, a_world
from runs_core.testing.resolutions import resolutions
from runs_core.values.classes import Tier
from runs_core.values.funding import Share
from runs_core.values.lease import Payer
from runs_core.values.placement import Placement
from runs_core.values.resolution import ResolutionPhase, ResolutionStatus

ONE = resolutions(1)[0]


def a_placement(*, gpus: int, per_pod: int, group: int | None) -> Placement:
    run = a_run("r", gpus=gpus, gpus_per_pod=per_pod, group_gpus=group)
    world = a_world(*(a_node(f"n{at}", domain=f"d{at % 3}") for at in range(6)))
    found = place(world.fleet, world.fleet.flavors["h100"], a_need(run), advice=Silent(), view=world)
    assert found is not None
    return found


def test_a_placement_comes_back_from_the_object_as_it_was() -> None:
    for gpus, per_pod, group in ((8, 1, None), (32, 4, 8), (24, 2, None), (40, 8, 16), (6, 1, 2)):
        placement = a_placement(gpus=gpus, per_pod=per_pod, group=group)
        assert placement_of(bound_of(placement), per_pod) == placement


def test_an_activating_resolution_pledges_its_places_and_payers() -> None:
    shares = (Share(Payer(budget="x", envelope="main"), Tier.OWN, ONE.spec.need.gpus, (("zone", "a"),)),)
    one = attrs.evolve(ONE, spec=attrs.evolve(ONE.spec, payers=paid_of(shares)))
    pledge = pledge_of(one)
    assert pledge is not None
    assert one.spec.beneficiary is not None
    assert (pledge.run, pledge.uid) == (one.spec.beneficiary.run, one.spec.beneficiary.uid)
    assert (pledge.shares, pledge.since, pledge.resolution) == (shares, one.spec.at, one.name)
    ordinals = [pod.ordinals for group in pledge.placement.groups for pod in group.pods]
    assert sum(map(len, ordinals)) == one.spec.need.gpus


def test_one_that_is_over_pledges_nothing() -> None:
    for phase in (ResolutionPhase.RELEASED, ResolutionPhase.CANCELED):
        assert pledge_of(attrs.evolve(ONE, status=ResolutionStatus(phase=phase))) is None

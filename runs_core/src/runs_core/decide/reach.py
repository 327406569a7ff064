"""Whether anybody could be given room at all, counted in pods and by GPUs alone: to be sure, it errs towards yes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from runs_core.decide.victims import leases_with
from runs_core.values.funding import Unit
from runs_core.values.lease import Lease
from runs_core.values.meta import Key
from runs_core.values.need import Need
from runs_core.world.flavors import FlavorFleet
from runs_core.world.queues import At
from runs_core.world.slack import Gain, Gains
from runs_core.world.world import World

ByNode = Mapping[str, int]
"""GPUs."""
ANY = 1 << 60
"""Pods, where nobody can tell how many."""


def gains(world: World, flavor: str) -> Gains:
    """What may be taken back in a flavor by now: of those runs is counted anew of which something has changed."""
    slack = world.slack
    slack.takeable(flavor, world.now)
    if slack.stirred:
        stirred, slack.stirred = slack.stirred, set()
        slack.counts((key, gain_of(world, key)) for key in stirred)
    return slack.gains(flavor)


def gain_of(world: World, key: Key) -> Gain | None:
    """What may be taken back of this run; None: nothing."""
    slack, run = world.slack.all().get(key), world.run(key)
    if slack is None or run is None or key not in world.slack.takeable(slack.flavor, world.now):
        return None
    gpus = gpus_of(leases_with(world, Unit(key)))
    budgets = tuple(sorted({payer.budget for payer in run.status.payers}))
    return Gain(slack.flavor, unpaid=bool(run.status.funding.unfunded), budgets=budgets, gpus=gpus)


def gpus_of(leases: Iterable[Lease]) -> dict[str, int]:
    """By node."""
    gpus: dict[str, int] = {}
    for lease in leases:
        for slots in lease.spec.slots:
            gpus[slots.node] = gpus.get(slots.node, 0) + len(slots.ordinals)
    return gpus


def might_fit(
    world: World, fleet: FlavorFleet, need: Need, kept: Mapping[str, int], those: Sequence[ByNode] = ()
) -> bool:
    """Whether so many pods might fit, were only these places kept, and those gone.

    kept: masks by node, where it is not all that is promised. Nothing of the fleet is touched: most find no room.
    """
    if need.demand is not None:
        return True
    gpus, states, missing = need.gpus_per_pod, world.fleet.states, need.pods - fleet.pods(need.gpus_per_pod)
    free: dict[str, int] = {}
    for name, mask in kept.items():
        state = states.get(name)
        if state is not None and state.kept != mask and state.level >= 0:
            free[name] = state.free_but(mask)
            missing -= free[name] // gpus - state.level // gpus
    for gain in those:
        for name, more in gain.items():
            if missing <= 0:
                return True
            state = states.get(name)
            if state is not None and state.level >= 0:
                before = free.get(name, state.level)
                free[name] = before + more
                missing -= (before + more) // gpus - before // gpus
    return missing <= 0


class Reach(dict[At, int]):
    """How many pods might fit, as the world stands now: every promised place free, and all gone that may be."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._node: dict[str, tuple[int, int]] = {}
        self._promised: set[str] = {name for name in world.promises.masks if self._on(name)[1]}

    def holds(self, need: Need, displacing: frozenset[str] | None) -> bool:
        """Whether so many pods might fit. displacing: Budgets whose family may lose by its claim; None: nobody may."""
        return self[need.flavor, need.gpus_per_pod, displacing] >= need.pods

    def __missing__(self, at: At) -> int:
        flavor, gpus_per_pod, displacing = at
        name = flavor or self._world.sole_flavor()
        fleet = self._world.fleet.flavors.get(name) if name else None
        most = self[at] = ANY if name is None or fleet is None else self._seats(name, fleet, displacing, gpus_per_pod)
        return most

    def _seats(self, name: str, fleet: FlavorFleet, displacing: frozenset[str] | None, gpus_per_pod: int) -> int:
        those: list[ByNode] = []
        if displacing is not None:
            known = gains(self._world, name)
            those = [known.unpaid, *map(known.of, displacing)]
        return fleet.pods(gpus_per_pod) + sum(self._more(node, those, gpus_per_pod) for node in self._nodes(those))

    def _nodes(self, those: Iterable[ByNode]) -> Iterable[str]:
        return self._promised.union(*those)

    def _more(self, node: str, those: Iterable[ByNode], gpus_per_pod: int) -> int:
        level, withheld = self._on(node)
        if level < 0:
            return 0
        more = withheld + sum(gain.get(node, 0) for gain in those)
        return (level + more) // gpus_per_pod - level // gpus_per_pod

    def _on(self, node: str) -> tuple[int, int]:
        """Free and promised GPUs of a node; fewer than none: it takes nothing new."""
        found = self._node.get(node)
        if found is None:
            state = self._world.fleet.states.get(node)
            found = self._node[node] = (state.level, state.withheld) if state is not None else (-1, 0)
        return found

"""Whether anybody could be given room at all, counted in pods and by GPUs alone: to be sure, it errs towards yes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from runs_core.decide.victims import leases_with
from runs_core.values.funding import Unit
from runs_core.values.need import Need
from runs_core.world.flavors import FlavorFleet
from runs_core.world.slack import Gains
from runs_core.world.world import World

Gain = Mapping[str, int]
"""GPUs by node."""
NOTHING: Gain = {}


def gains(world: World, flavor: str) -> Gains:
    """What may be taken back in a flavor: counted anew where something of it has changed since. O(all of that)."""
    slack = world.slack
    takeable, known = slack.takeable(flavor, world.now), slack.counted.get(flavor)
    if known is not None and known[0] == slack.moved:
        return known[1]
    unpaid: dict[str, int] = {}
    shared: dict[str, dict[str, int]] = {}
    for key in takeable:
        if (run := world.run(key)) is None:
            continue
        payers = {payer.budget for payer in run.status.payers}
        into = [unpaid] if run.status.funding.unfunded else [shared.setdefault(budget, {}) for budget in payers]
        for lease in leases_with(world, Unit(key)):
            for slots in lease.spec.slots:
                for gain in into:
                    gain[slots.node] = gain.get(slots.node, 0) + len(slots.ordinals)
    counted = Gains(unpaid, shared)
    slack.counted[flavor] = slack.moved, counted
    return counted


class Reach:
    """As the world stands now: with every place free that is promised to anybody, and all gone that may be."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._most: dict[tuple[str, frozenset[str], int], int] = {}
        self._node: dict[str, tuple[int, int]] = {}
        self._promised: set[str] = {name for name in world.promises.masks if self._on(name)[1]}

    def holds(self, need: Need, name: str, fleet: FlavorFleet, displacing: frozenset[str] = frozenset()) -> bool:
        """Whether so many pods might fit. displacing: Budgets whose family may lose by its claim."""
        at = name, displacing, need.gpus_per_pod
        most = self._most.get(at)
        if most is None:
            most = self._most[at] = self._seats(name, fleet, displacing, need.gpus_per_pod)
        return most >= need.pods

    def _seats(self, name: str, fleet: FlavorFleet, displacing: frozenset[str], gpus_per_pod: int) -> int:
        known = gains(self._world, name)
        those = [known.unpaid, *(known.shared.get(budget, NOTHING) for budget in displacing)]
        return fleet.pods(gpus_per_pod) + sum(self._more(node, those, gpus_per_pod) for node in self._nodes(those))

    def _nodes(self, those: Iterable[Gain]) -> Iterable[str]:
        return self._promised.union(*those)

    def _more(self, node: str, those: Iterable[Gain], gpus_per_pod: int) -> int:
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

"""Section 5 of the semantics, "Place", word by word and as slowly as it likes: no masks, no memory, no index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from runs_core.values.need import Need
from runs_core.values.node import Domain, Node
from runs_core.values.placement import PlacedGroup, PlacedPod, Placement
from runs_core.world.facts import recomputed
from runs_core.world.filters import allows
from runs_core.world.world import World


class Spot(NamedTuple):
    """One pod's node, and the places it takes there."""

    node: str
    places: tuple[int, ...]


class Floor:
    """The nodes of one flavor as a plan sees them while it is made."""

    def __init__(self, world: World, flavor: str, need: Need) -> None:
        self.need = need
        self.nodes: dict[str, Node] = {}
        self.places: dict[str, list[int]] = {}
        self.blocked: dict[str, int] = {}
        self.left: dict[str, list[int]] = {}
        said = recomputed(world)
        for node in world.nodes():
            active, spare, pledged, cpu, memory, ephemeral, pods, foreign = _load(said[f"node {node.name}"])
            held = active | spare
            takes = node.ready and not node.cordoned and not node.lost and not held >> node.gpus
            if node.flavor != flavor or not takes:
                continue
            self.nodes[node.name] = node
            self.places[node.name] = [place for place in range(node.gpus) if not (held | pledged) >> place & 1]
            self.blocked[node.name] = foreign
            self.left[node.name] = [
                node.cpu_milli - cpu,
                node.memory_bytes - memory,
                node.ephemeral_bytes - ephemeral,
                node.pods - pods,
            ]

    def free(self, name: str) -> int:
        return max(0, len(self.places[name]) - self.blocked[name])

    def domains(self) -> list[Domain]:
        return sorted({node.domain for node in self.nodes.values()})

    def free_in(self, domain: Domain) -> int:
        return sum(self.free(name) for name, node in self.nodes.items() if node.domain == domain)

    def seat(self, domain: Domain) -> Spot | None:
        """One pod on the node with the least free GPUs that still fits it, tie by name."""
        fitting = [(self.free(name), name) for name in self.nodes if self._fits(name, domain)]
        if not fitting:
            return None
        _, name = min(fitting)
        taken, self.places[name] = (
            self.places[name][: self.need.gpus_per_pod],
            self.places[name][self.need.gpus_per_pod :],
        )
        self._book(name, 1)
        return Spot(name, tuple(taken))

    def seats(self, domain: Domain, pods: int) -> list[Spot]:
        """As many as fit, up to `pods`."""
        found: list[Spot] = []
        while len(found) < pods and (spot := self.seat(domain)) is not None:
            found.append(spot)
        return found

    def give_back(self, spots: Sequence[Spot]) -> None:
        for spot in spots:
            self.places[spot.node] = sorted([*self.places[spot.node], *spot.places])
            self._book(spot.node, -1)

    def capacity(self, domain: Domain, pods: int) -> int:
        spots = self.seats(domain, pods)
        self.give_back(spots)
        return len(spots)

    def _fits(self, name: str, domain: Domain) -> bool:
        node, asked = self.nodes[name], self._asked()
        return (
            node.domain == domain
            and self.free(name) >= self.need.gpus_per_pod
            and allows(self.need.filter, node)
            and all(left >= want for left, want in zip(self.left[name], asked, strict=True) if want)
        )

    def _asked(self) -> tuple[int, int, int, int]:
        requests = self.need.requests
        return (requests.cpu_milli, requests.memory_bytes, requests.ephemeral_bytes, 1)

    def _book(self, name: str, sign: int) -> None:
        self.left[name] = [left - sign * want for left, want in zip(self.left[name], self._asked(), strict=True)]


def _load(said: object) -> tuple[int, int, int, int, int, int, int, int]:
    assert isinstance(said, tuple)
    active, spare, pledged, cpu, memory, ephemeral, pods, foreign, _ = said
    return active, spare, pledged, cpu, memory, ephemeral, pods, foreign


def placed(world: World, flavor: str, need: Need) -> Placement | None:
    """The plan, where the semantics leave no choice: groups, one domain, or all in one domain."""
    floor = Floor(world, flavor, need)
    if need.single_domain or need.group_pods is None:
        size = need.group_pods or need.pods
        domain = _best(floor, need.pods, floor.domains())
        if domain is None:
            return None
        spots = [floor.seats(domain, min(size, need.pods - at)) for at in range(0, need.pods, size)]
        return _placement([(domain, group) for group in spots])
    chunks: list[tuple[Domain, list[Spot]]] = []
    for at in range(0, need.pods, need.group_pods):
        pods = min(need.group_pods, need.pods - at)
        used = sorted({domain for domain, _ in chunks})
        domain = _best(floor, pods, used) or _best(floor, pods, [key for key in floor.domains() if key not in used])
        if domain is None:
            return None
        chunks.append((domain, floor.seats(domain, pods)))
    return _placement(chunks)


def _best(floor: Floor, pods: int, domains: Sequence[Domain]) -> Domain | None:
    """The domain with the least free GPUs that still fits, tie by key."""
    fitting = [(floor.free_in(key), key) for key in domains if floor.capacity(key, pods) == pods]
    return min(fitting)[1] if fitting else None


def fewest_domains(world: World, flavor: str, need: Need) -> int | None:
    """How few domains can take a run without groups; None: all of them together cannot."""
    floor = Floor(world, flavor, need)
    capacities = sorted((floor.capacity(key, need.pods) for key in floor.domains()), reverse=True)
    for count in range(1, len(capacities) + 1):
        if sum(capacities[:count]) >= need.pods:
            return count
    return None


def _placement(chunks: Sequence[tuple[Domain, Sequence[Spot]]]) -> Placement:
    """Ranks by group, in a group by node."""
    groups: list[PlacedGroup] = []
    rank = 0
    for number, (domain, spots) in enumerate(chunks):
        pods: list[PlacedPod] = []
        for spot in sorted(spots):
            pods.append(PlacedPod(rank, spot.node, spot.places))
            rank += 1
        groups.append(PlacedGroup(number, domain, tuple(pods)))
    return Placement(groups=tuple(groups))

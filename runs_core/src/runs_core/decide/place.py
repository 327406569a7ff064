"""Where a gang goes: best fit of groups to domains and of pods to nodes, all or nothing.

The rule is section "Place" of the semantics. Nothing is written: a trial keeps its own masks of the few domains that
it touches.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence
from operator import attrgetter

from runs_core.decide.advice import Advice
from runs_core.decide.room import Room, Seats
from runs_core.values.lease import mask_of
from runs_core.values.need import Need
from runs_core.values.node import Domain
from runs_core.values.placement import PlacedGroup, PlacedPod, Placement
from runs_core.world.flavors import FlavorFleet
from runs_core.world.fleet import Fleet
from runs_core.world.nodes import lowest
from runs_core.world.view import View

NAME = attrgetter("name")
FIRST = Domain("", "", "")
"""Comes before every domain that has a name."""


class Trial:
    """One attempt to place a need in one flavor. empty: on the present fleet as if nothing ran on it."""

    def __init__(self, fleet: Fleet, flavor: FlavorFleet, need: Need, *, empty: bool = False) -> None:
        self.fleet = fleet
        self.flavor = flavor
        self.need = need
        self.empty = empty
        self.rooms: dict[Domain, Room] = {}
        self.order: Sequence[tuple[int, Domain]] = flavor.emptied(need.filter) if empty else flavor.order

    def score(self, advice: Advice, view: View) -> None:
        """Order domains of equal free GPUs as the plugins' scores say, lower first."""
        keys = [key for _, key in self.order]
        scores = advice.scores(keys, self.need, view)
        if scores is not None:
            by_key = dict(zip(keys, scores, strict=True))
            self.order = sorted(self.order, key=lambda item: (item[0], by_key[item[1]], item[1]))

    def room(self, key: Domain) -> Room:
        found = self.rooms.get(key)
        if found is None:
            found = self.rooms[key] = Room(self.flavor.domains[key], self.need, empty=self.empty)
        return found

    def run(self) -> Placement | None:
        """Groups in order of their ranks; None: it does not fit."""
        chunks = self.chunks()
        return None if chunks is None else self._placed(chunks)

    def chunks(self) -> Sequence[tuple[Room, Seats]] | None:
        """Each group's domain and its seats there, in order of ranks."""
        need = self.need
        if need.single_domain:
            found = self._whole()
        elif need.group_pods is not None:
            found = self._groups(need.group_pods)
        else:
            found = self._whole() or self._fewest()
        for room in self.rooms.values():
            self.fleet.nodes_visited += room.visited
        return found

    def _fitting(self, gpus: int, but: Collection[Domain] = ()) -> Iterable[Room]:
        """Domains with that many free GPUs, the least free first."""
        order = self.order
        for at in range(bisect_left(order, (gpus, FIRST)), len(order)):
            key = order[at][1]
            if key not in but:
                yield self.room(key)

    def _best(self, pods: int, rooms: Iterable[Room]) -> tuple[Room, Seats] | None:
        for room in rooms:
            if room.bound() < pods:
                continue
            seats = room.take(pods)
            if len(seats) == pods:
                return room, seats
            room.give_back(seats)
        return None

    def _whole(self) -> list[tuple[Room, Seats]] | None:
        found = self._best(self.need.pods, self._fitting(self.need.gpus))
        if found is None:
            return None
        room, seats = found
        size = self.need.group_pods or len(seats)
        return [(room, seats[at : at + size]) for at in range(0, len(seats), size)]

    def _groups(self, size: int) -> list[tuple[Room, Seats]] | None:
        """Each group in a domain that the run already uses, else in the best fitting one."""
        chunks: list[tuple[Room, Seats]] = []
        used: dict[Domain, Room] = {}
        left = self.need.pods
        while left:
            pods = min(size, left)
            gpus = pods * self.need.gpus_per_pod
            nearest = sorted(
                (room for room in used.values() if room.free >= gpus), key=lambda r: (r.free, r.domain.key)
            )
            found = self._best(pods, nearest) or self._best(pods, self._fitting(gpus, used))
            if found is None:
                return None
            chunks.append(found)
            used[found[0].domain.key] = found[0]
            left -= pods
        return chunks

    def _fewest(self) -> list[tuple[Room, Seats]] | None:
        """The domains that take most, first, so that there are fewest; what is left goes where it fits best."""
        chunks: list[tuple[Room, Seats]] = []
        left = self.need.pods
        bounds = sorted(((room.bound(), room) for room in self._fitting(self.need.gpus_per_pod)), key=_most_first)
        while left:
            if chunks:
                fit = self._best(left, (r for r in self._fitting(left * self.need.gpus_per_pod) if not r.taken))
                if fit is not None:
                    return [*chunks, fit]
            biggest = self._biggest(bounds, left)
            if biggest is None:
                return None
            chunks.append(biggest)
            left -= len(biggest[1])
        return chunks

    def _biggest(self, bounds: Sequence[tuple[int, Room]], pods: int) -> tuple[Room, Seats] | None:
        """The unused domain that takes most pods; a bound that is no better than the best found ends the search."""
        best: tuple[Room, Seats] | None = None
        for bound, room in bounds:
            if best is not None and bound <= len(best[1]):
                break
            if bound and not room.taken:
                seats = room.take(pods)
                if best is None or len(seats) > len(best[1]):
                    if best is not None:
                        best[0].give_back(best[1])
                    best = (room, seats)
                else:
                    room.give_back(seats)
        return best if best is not None and best[1] else None

    def _placed(self, chunks: Sequence[tuple[Room, Seats]]) -> Placement:
        """Ranks of a group go to its nodes in the order of their names: the lease says by that who is where."""
        gpus = self.need.gpus_per_pod
        used: dict[str, int] = {}
        groups: list[PlacedGroup] = []
        rank = 0
        first = lowest(-1, gpus)
        for number, (room, seats) in enumerate(chunks):
            pods: list[PlacedPod] = []
            nodes = sorted(seats, key=NAME)
            if room.single.bit_count() == len(room.taken):
                pods = [PlacedPod(at, state.name, first) for at, state in enumerate(nodes, rank)]
            else:
                for at, state in enumerate(nodes, rank):
                    mask = used.get(state.name, 0)
                    ordinals = first if room.single >> state.bit & 1 else state.places(gpus, mask)
                    used[state.name] = mask | mask_of(ordinals)
                    pods.append(PlacedPod(at, state.name, ordinals))
            rank += len(nodes)
            groups.append(PlacedGroup(number, room.domain.key, tuple(pods)))
        return Placement(groups=tuple(groups))


def _most_first(item: tuple[int, Room]) -> tuple[int, int, Domain]:
    bound, room = item
    return (-bound, room.free, room.domain.key)


def place(
    fleet: Fleet,
    flavor: FlavorFleet,
    need: Need,
    *,
    advice: Advice,
    view: View,
    within: Collection[Domain] | None = None,
) -> Placement | None:
    """The plan for the whole width, or None. within: only in these domains.

    Cost: the domains looked at and the nodes used, not the fleet.
    """
    if flavor.pods(need.gpus_per_pod) < need.pods:
        return None
    trial = Trial(fleet, flavor, need)
    if within is not None:
        trial.order = [(free, key) for free, key in trial.order if key in within]
    if advice.scoring:
        trial.score(advice, view)
    return trial.run()


def fits(fleet: Fleet, flavor: FlavorFleet, need: Need) -> bool:
    """Whether `place` finds a plan, whatever plugins score."""
    return flavor.pods(need.gpus_per_pod) >= need.pods and Trial(fleet, flavor, need).chunks() is not None


def fits_when_empty(fleet: Fleet, flavor: FlavorFleet, need: Need) -> bool:
    """Whether the present fleet could take it if nothing ran.

    O(nodes of the flavor), once after each change of a node.
    """
    never = flavor.never.get(need)
    if never is None:
        never = flavor.never[need] = Trial(fleet, flavor, need, empty=True).chunks() is None
    return not never

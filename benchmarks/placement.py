"""What one placement costs on a large fleet, against a small one."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from benchmarks.measure import cpu_of, median_ratio
from benchmarks.result import Goal, Result, Side
from benchmarks.sound import demand_busy, demand_sound, used_now
from benchmarks.workload import FLAVOR, PLAIN, Demand, Player
from runs_core.decide.advice import Silent
from runs_core.decide.place import place
from runs_core.serve.process import settle_memory
from runs_core.values.need import Need
from runs_core.values.placement import Placement
from runs_core.world.flavors import FlavorFleet
from runs_core.world.fleet import Fleet
from runs_core.world.world import World

NAME = "placement"
SMALL, LARGE = 1_000, 12_500
LIMIT = 1.5
LEAST_USED, MOST_USED = 0.85, 0.90

Places = Callable[[World, Fleet, FlavorFleet, Need], Placement | None]


def plain_place(world: World, fleet: Fleet, flavor: FlavorFleet, need: Need) -> Placement | None:
    return place(fleet, flavor, need, advice=Silent(), view=world)


def a_busy_fleet(count: int) -> Player:
    """Runs of 1 to 64 GPUs that came and went until the free GPUs lie scattered."""
    player = Player(count, Demand(gpus=count * 8, load=0.87, burst=1.02))
    player.settle()
    waited = len(player.loop.world.line)
    player.play(count // 2)
    while not LEAST_USED < used_now(player) < MOST_USED:
        player.play(1)
    player.most_waiting = max(player.most_waiting, waited)
    return player


class Trials:
    """Placements on a fleet that stands still. visited: nodes looked at, by those that found a place."""

    def __init__(self, player: Player, places: Places) -> None:
        self.world = player.loop.world
        self.places = places
        self.draw = random.Random(7)
        self.placed = self.pods = self.tried = 0
        self.visited = 0

    def some(self, count: int) -> float:
        """Seconds of CPU for one of that many."""
        flavor = self.world.fleet.flavors[FLAVOR]
        needs = [_need(self.draw) for _ in range(count)]
        before = self.world.fleet.nodes_visited
        spent = cpu_of(lambda: self._all(flavor, needs))
        self.visited += self.world.fleet.nodes_visited - before
        self.tried += count
        return spent / count

    def _all(self, flavor: FlavorFleet, needs: Sequence[Need]) -> None:
        for need in needs:
            if self.places(self.world, self.world.fleet, flavor, need) is not None:
                self.placed += 1
                self.pods += need.pods


def _need(draw: random.Random) -> Need:
    shape = draw.choice(PLAIN)
    return Need(flavor=FLAVOR, pods=shape.gpus // shape.gpus_per_pod, gpus_per_pod=shape.gpus_per_pod)


def compare(small: int, large: int, places: Places, *, repetitions: int, count: int) -> Result:
    players = [a_busy_fleet(nodes) for nodes in (small, large)]
    below, above = (Trials(player, places) for player in players)
    settle_memory()
    ratio, on_large, on_small = median_ratio(lambda: above.some(count), lambda: below.some(count), repetitions)
    for player in players:
        demand_busy(player, used_now(player))
        demand_sound(player)
    visited = above.visited / above.pods if above.pods else float("inf")
    return Result(
        name=NAME,
        title=f"Placing runs of 1 to 64 GPUs on a busy, fragmented fleet of {large * 8:,} GPUs",
        quick=False,
        goals=(
            Goal(
                name=f"CPU of a placement, {large * 8:,} GPUs / {small * 8:,} GPUs",
                side=Side.AT_MOST,
                limit=LIMIT,
                measured=round(ratio, 3),
            ),
            Goal(name="nodes looked at for each pod placed", side=Side.AT_MOST, limit=4, measured=round(visited, 2)),
        ),
        facts={
            "µs per placement, large": round(on_large * 1e6, 1),
            "µs per placement, small": round(on_small * 1e6, 1),
            "utilisation, large": round(used_now(players[1]), 3),
            "utilisation, small": round(used_now(players[0]), 3),
            "placements tried": above.tried + below.tried,
            "placements found": above.placed + below.placed,
        },
    )


def run(*, quick: bool) -> Result:
    return compare(SMALL, LARGE, plain_place, repetitions=11 if quick else 31, count=300)

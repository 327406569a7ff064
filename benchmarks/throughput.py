"""Complete verdicts with their records, through the real loop, for the whole life of runs at 100,000 GPUs."""

from __future__ import annotations

import gc
from collections.abc import Callable
from itertools import chain
from statistics import median

from benchmarks.measure import percentile
from benchmarks.result import Goal, Result, Side
from benchmarks.sound import demand_busy, demand_sound
from benchmarks.workload import Demand, Player
from runs_core.serve.loop import Loop
from runs_core.serve.process import settle_memory

NAME = "throughput"
NODES = 12_500
LIMIT, AIM = 8_000, 20_000
WARM = 0.3
"""Arrivals before measuring, as a part of the nodes: the burst has thinned out, and ends have become steady."""


def _as_it_is(_: Loop) -> None:
    return None


def _most_alike(player: Player) -> list[float]:
    """CPU of the cycles that did the most frequent kind of work: a difference between them is not one of work."""
    return max(player.cycles.values(), key=len)


def passes() -> int:
    return sum(generation["collections"] for generation in gc.get_stats())


def steady(count: int, arrivals: int, *, prepare: Callable[[Loop], None] = _as_it_is, limit: float = LIMIT) -> Result:
    player = Player(count, Demand(gpus=count * 8), prepare)
    player.settle()
    player.play(int(WARM * count))
    player.reset()
    fleet = player.loop.world.fleet
    visited, rebuilds = fleet.nodes_visited, fleet.rebuilds
    player.fetch(arrivals + 1)
    settle_memory()
    collected = passes()
    player.play(arrivals)
    demand_busy(player, player.utilisation)
    demand_sound(player)
    starts = player.kinds["Starts"]
    alike = _most_alike(player)
    tail = percentile(alike, 0.99) / median(alike)
    every = [*chain.from_iterable(player.cycles.values())]
    everything = player.cpu + player.simulating
    rate = player.decisions / player.cpu
    kinds = {f"decisions: {kind}": made for kind, made in sorted(player.kinds.items())}
    return Result(
        name=NAME,
        title=f"The life of runs of 1 to 64 GPUs at load 0.85 on {count * 8:,} GPUs: arrive, start, run, be released",
        quick=False,
        goals=(
            Goal(
                name="verdicts with their records, per CPU second of the loop",
                side=Side.AT_LEAST,
                limit=limit,
                aim=AIM,
                measured=round(rate),
            ),
            Goal(name="rebuilds of an index", side=Side.AT_MOST, limit=0, measured=fleet.rebuilds - rebuilds),
            Goal(
                name="nodes looked at for each start",
                side=Side.AT_MOST,
                limit=16,
                measured=round((fleet.nodes_visited - visited) / starts, 2),
            ),
            Goal(
                name="CPU of cycles of equal work, 99th percentile / median",
                side=Side.AT_MOST,
                limit=3,
                measured=round(tail, 2),
            ),
        ),
        facts={
            "verdicts per CPU second, with the simulation of pods and time": round(player.decisions / everything),
            "runs per CPU second of the loop": round(arrivals / player.cpu),
            "µs per verdict": round(1e6 / rate, 1),
            "utilisation": round(player.utilisation, 3),
            "cycles of any work, 99th percentile / median": round(percentile(every, 0.99) / median(every), 2),
            "most runs waiting": player.most_waiting,
            "passes of the collector": passes() - collected,
            "decisions": player.decisions,
            **kinds,
        },
    )


def run(*, quick: bool) -> Result:
    return steady(NODES, 5_000 if quick else 30_000)

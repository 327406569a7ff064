"""What an arrival costs while 54,000 runs wait, against 6,000.

Several dozen different needs, a full fleet, ends and starts going on.
"""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.measure import median_ratio
from benchmarks.result import Goal, Result, Side
from benchmarks.sound import demand_busy, demand_sound
from benchmarks.workload import MANY, Demand, Player
from runs_core.serve.loop import Loop
from runs_core.serve.process import settle_memory

NAME = "waiting"
NODES = 2_500
SHORT, LONG = 6_000, 54_000
LIMIT = 1.3


def _as_it_is(_: Loop) -> None:
    return None


def a_full_fleet(count: int, waiting: int, prepare: Callable[[Loop], None] = _as_it_is) -> Player:
    demand = Demand(gpus=count * 8, shapes=MANY, load=1.0, burst=1.0, waiting=waiting)
    player = Player(count, demand, prepare)
    player.settle()
    player.reset()
    return player


def _arrivals(player: Player, count: int) -> float:
    """Seconds of CPU for one."""
    before = player.cpu
    player.play(count)
    return (player.cpu - before) / count


def compare(
    count: int, short: int, long: int, *, repetitions: int, arrivals: int, prepare: Callable[[Loop], None] = _as_it_is
) -> Result:
    below, above = (a_full_fleet(count, waiting, prepare) for waiting in (short, long))
    settle_memory()
    ratio, with_long, with_short = median_ratio(
        lambda: _arrivals(above, arrivals), lambda: _arrivals(below, arrivals), repetitions
    )
    for player in (below, above):
        demand_busy(player, player.utilisation)
        demand_sound(player)
    fleet = above.loop.world.fleet
    return Result(
        name=NAME,
        title=f"Arrivals at a full fleet of {count * 8:,} GPUs behind a long line of {len(MANY)} different needs",
        quick=False,
        goals=(
            Goal(
                name=f"CPU per arrival, {long:,} waiting / {short:,} waiting",
                side=Side.AT_MOST,
                limit=LIMIT,
                measured=round(ratio, 3),
            ),
            Goal(name="rebuilds of an index", side=Side.AT_MOST, limit=0, measured=fleet.rebuilds),
        ),
        facts={
            "µs per arrival, long line": round(with_long * 1e6, 1),
            "µs per arrival, short line": round(with_short * 1e6, 1),
            "needs in the long line": len(above.loop.world.line.shapes),
            "waiting at the end, long line": len(above.loop.world.line),
            "waiting at the end, short line": len(below.loop.world.line),
            "utilisation": round(above.utilisation, 3),
            "starts": above.kinds["Starts"],
            "releases": above.kinds["Released"],
            "waits": above.kinds["Waits"],
        },
    )


def run(*, quick: bool) -> Result:
    return compare(NODES, SHORT, LONG, repetitions=7 if quick else 25, arrivals=150)

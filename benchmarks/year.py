"""A year of 100,000 GPUs with both plugins: five million runs arrive, wait where they must, start, end, are forgotten.

The fleet begins nearly full. From then on runs arrive as `benchmarks.mix` says, more of them on weekdays, so that at
times there is no room and a line grows and is worked off; half of them say how long they take. Twenty owners in four
families spend on them. What is played is the real loop, pods and all, for as long as the limit on CPU lets it: either
all arrivals of the year are played within that, or the goal is missed. A tenth of the year is its first 500,000
arrivals, about 36 days, on the same fleet, within a tenth of the CPU.
"""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from itertools import pairwise
from time import process_time
from types import MappingProxyType

import attrs

from benchmarks.mix import Mix
from benchmarks.plugged import PLUGINS, held
from benchmarks.result import Goal, Result, Side
from benchmarks.sound import Unusable, demand_answers, demand_sound
from benchmarks.workload import FLAVOR, NODE_GPUS, Demand, Owner, Player
from runs_borrowing.sections import Borrowing
from runs_budgets.sections import Envelope, Lending, Quota
from runs_core.hooks.ask import PluginAdvice
from runs_core.serve.loop import Loop
from runs_core.serve.process import settle_memory
from runs_core.settings import RetentionSettings, Settings
from runs_core.values.classes import Split

NAME = "year"
NODES = 12_500
ARRIVALS = 5_000_000
LOAD = 0.83
"""So that so many arrivals take a year."""
CPU, MEMORY = 1200.0, 512.0
SLICE = 1_000
"""Arrivals from one look at the state to the next."""
LEAST = 8
GROWTH = 1.25
MANY = 100
"""Fewer of a kind come and go by chance."""
HOUR = timedelta(hours=1)
SETTINGS = Settings(retention=RetentionSettings(runs=HOUR, leases=HOUR))
"""Nobody comes to look at what is over."""
FAMILIES, MEMBERS = 4, 5
QUOTA = 1.05
"""As a part of the fleet."""
Prepare = Callable[[Loop], None]


def _as_it_is(_: Loop) -> None:
    return None


def owners(gpus: int) -> Iterator[Owner]:
    """The first of each family has half of its quota, and lends a part of it; a tenth of all runs may borrow."""
    part = int(gpus * QUOTA) // FAMILIES
    for family in range(FAMILIES):
        for member in range(MEMBERS):
            name, parent = f"f{family}-{member}", f"f{family}-0"
            own = part // 2 if not member else part // 2 // (MEMBERS - 1)
            lending = Lending(to=("*",), max_gpus=own // 4) if not member else None
            envelope = Envelope(name="main", flavor=FLAVOR, gpus=own, lending=lending)
            quota = Quota(parents=(parent,) if member else (), envelopes=(envelope,))
            wish = Borrowing(allow_borrow=True, sponsors=(f"f{(family + 1) % FAMILIES}-0",))
            yield Owner(
                name=name, budget=MappingProxyType({Quota: quota}), borrower=MappingProxyType({Borrowing: wish})
            )


@attrs.frozen(kw_only=True)
class Look:
    """What there is at one moment. kept: what the world knows, by kind."""

    at: float
    used: float
    kept: Mapping[str, int]


def _look(player: Player) -> Look:
    world = player.loop.world
    leased = sum(lease.gpus for lease in world.ledger.open.values())
    kept = {
        "runs": world.run_count(),
        "open leases": len(world.ledger.open),
        "pods": len(world.gangs.pods),
        "reservations": len(world.promises.by_run),
        "resolutions": len(world.resolutions()),
    }
    return Look(at=player.seconds, used=leased / player.gpus, kept=MappingProxyType(kept))


def a_player(count: int, settings: Settings = SETTINGS, prepare: Prepare = _as_it_is, load: float = LOAD) -> Player:
    """A fleet of so many nodes that is nearly full."""
    gpus = count * NODE_GPUS
    spenders = tuple(owners(gpus))
    mix = Mix(gpus=gpus, load=load, owners=spenders)
    demand = Demand(gpus=gpus, owners=spenders)
    player = Player(count, demand, prepare, plugins=PLUGINS, settings=settings, trace=mix.trace(), timed=False)
    player.settle()
    return player


def play(player: Player, arrivals: int, cpu: float, step: int = SLICE) -> list[Look]:
    """Until so many have arrived, or so much CPU is spent, whichever is first; what was there meanwhile."""
    began, looks = process_time(), [_look(player)]
    first = player.arrived
    while player.arrived - first < arrivals and process_time() - began < cpu:
        player.play(min(step, arrivals - (player.arrived - first)))
        looks.append(_look(player))
    return looks


def demand_waiting(player: Player, looks: list[Look]) -> Split:
    """The fleet was busy, some runs waited, and what runs is paid for by its own owner and by others."""
    used = busy(looks)
    if used <= 0.8:
        raise Unusable(f"{used:.0%} of the GPUs were in use: want more than 80 %")
    if not player.kinds["Waits"]:
        raise Unusable("no run waited: an idle fleet proves nothing")
    found = held(player)
    if not all((found.owned, found.shared)):
        raise Unusable(f"GPUs are held as {found}: want some owned and shared")
    return found


def busy(looks: list[Look]) -> float:
    """The part of the GPUs that was leased, averaged over time."""
    spans = [(after.at - before.at, before.used) for before, after in pairwise(looks)]
    return sum(span * used for span, used in spans) / sum(span for span, _ in spans)


def growth(looks: list[Look]) -> float:
    """How many times what was kept in the second quarter is kept in the last: of the kind that grew most."""
    if len(looks) < LEAST:
        raise Unusable(f"{len(looks)} looks are too few to tell what grows: want {LEAST} at least")
    quarter = len(looks) // 4
    found = []
    for kind in looks[0].kept:
        kept = [look.kept[kind] for look in looks]
        before, last = max(kept[quarter : 2 * quarter]), max(kept[-quarter:])
        if last >= MANY:
            found.append(last / max(before, 1))
    return max(found)


def memory() -> float:
    """MiB that this process ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def simulated(
    count: int,
    arrivals: int,
    *,
    cpu: float = CPU,
    settings: Settings = SETTINGS,
    prepare: Prepare = _as_it_is,
    load: float = LOAD,
    step: int = SLICE,
) -> Result:
    began = process_time()
    player = a_player(count, settings, prepare, load)
    player.reset()
    settle_memory()
    first = player.arrived
    looks = play(player, arrivals, cpu - (process_time() - began), step)
    spent, played = process_time() - began, player.arrived - first
    most = memory()
    demand_sound(player)
    if isinstance(player.loop.advice, PluginAdvice):
        demand_answers(player.loop.advice)
    classes = demand_waiting(player, looks)
    return Result(
        name=NAME,
        title=f"{arrivals:,} runs arrive at {count * NODE_GPUS:,} GPUs, with budgets and borrowing",
        quick=False,
        goals=(
            Goal(
                name=f"arrivals played within {cpu:,.0f} s of CPU",
                side=Side.AT_LEAST,
                limit=arrivals,
                measured=played,
            ),
            Goal(name="memory", side=Side.AT_MOST, limit=MEMORY, measured=round(most, 1), unit="MiB"),
            Goal(
                name="objects of one kind in the last quarter / in the second",
                side=Side.AT_MOST,
                limit=GROWTH,
                measured=round(growth(looks), 3),
            ),
        ),
        facts={**_facts(player, looks, spent, played), **_by_class(classes)},
    )


def _facts(player: Player, looks: list[Look], spent: float, played: int) -> Mapping[str, float]:
    return {
        "s of CPU in all": round(spent, 1),
        "µs of CPU per arrival": round(spent / played * 1e6, 1),
        "days that were simulated": round(player.seconds / 86_400, 1),
        "utilisation": round(busy(looks), 3),
        "part of the time in which some run waited": round(player.waiting, 3),
        "most runs waiting": player.most_waiting,
        **{f"{kind} at the end": kept for kind, kept in looks[-1].kept.items()},
        "decisions": player.decisions,
        **{f"decisions: {kind}": made for kind, made in sorted(player.kinds.items())},
    }


def _by_class(classes: Split) -> Mapping[str, float]:
    parts = {
        "owned": classes.owned,
        "shared": classes.shared,
        "borrowed": classes.borrowed,
        "unfunded": classes.unfunded,
    }
    return {f"{name} part of the GPUs held at the end": round(gpus / classes.total, 3) for name, gpus in parts.items()}


def run(*, quick: bool) -> Result:
    part = 10 if quick else 1
    return simulated(NODES, ARRIVALS // part, cpu=CPU / part)

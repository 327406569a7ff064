"""What an arrival costs with both plugins on, against the bare core: the same runs, on the same fleet.

Twenty owners, each tenth the parent of the nine behind it, each with quota for its part of 90 % of the fleet, so that
some work is unfunded, some shared and some lent, and what nobody pays for is taken back for who is paid for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from benchmarks.measure import median_ratio
from benchmarks.result import Goal, Result, Side
from benchmarks.sound import Unusable, demand_answers, demand_busy, demand_sound
from benchmarks.workload import FLAVOR, NODE_GPUS, Demand, Owner, Player
from runs_borrowing import plugin as borrowing
from runs_borrowing.sections import Borrowing
from runs_budgets import plugin as budgets
from runs_budgets.sections import Envelope, Lending, Quota
from runs_core.hooks.ask import PluginAdvice
from runs_core.serve.loop import Loop
from runs_core.serve.process import settle_memory
from runs_core.values.classes import Split

NAME = "plugged"
NODES = 500
OWNERS = 20
LIMIT = 2.0
PLUGINS: Mapping[str, object] = MappingProxyType({"budgets": budgets, "borrowing": borrowing})


def _as_it_is(_: Loop) -> None:
    return None


def owners(count: int, gpus: int) -> tuple[Owner, ...]:
    """Each with two envelopes, the second of which lends to the next owner of another family."""
    each = gpus * 9 // 10 // count // 2
    return tuple(
        Owner(
            name=f"o{at}",
            budget=MappingProxyType(
                {
                    Quota: Quota(
                        parents=(f"o{at // 10 * 10}",) if at % 10 else (),
                        envelopes=(
                            Envelope(name="main", flavor=FLAVOR, gpus=each),
                            Envelope(
                                name="more", flavor=FLAVOR, gpus=each, lending=Lending(to=("*",), max_gpus=each // 2)
                            ),
                        ),
                    )
                }
            ),
            borrower=MappingProxyType({Borrowing: Borrowing(allow_borrow=True, sponsors=(f"o{(at + 10) % count}",))}),
        )
        for at in range(count)
    )


def a_player(count: int, prepare: Callable[[Loop], None] = _as_it_is, *, plugins: bool, many: int = OWNERS) -> Player:
    demand = Demand(gpus=count * NODE_GPUS, load=1.0, owners=owners(many, count * NODE_GPUS))
    player = Player(count, demand, prepare, plugins=PLUGINS if plugins else None)
    player.settle()
    return player


def _arrivals(player: Player, count: int) -> float:
    """Seconds of CPU for one."""
    before = player.cpu
    player.play(count)
    return (player.cpu - before) / count


def held(player: Player) -> Split:
    """GPUs by class."""
    runs = [run.status.funding for run in player.loop.world.runs()]
    return Split(
        owned=sum(one.owned for one in runs),
        shared=sum(one.shared for one in runs),
        borrowed=sum(one.borrowed for one in runs),
        unfunded=sum(one.unfunded for one in runs),
    )


def demand_funded(player: Player) -> Split:
    """Some of each class is held, and something was taken back."""
    found = held(player)
    if not all((found.owned, found.shared, found.borrowed, found.unfunded)):
        raise Unusable(f"GPUs are held as {found}: want some of each class")
    if not player.kinds["Reclaims"]:
        raise Unusable("nothing was taken back: want some of it")
    return found


def compare(
    count: int,
    *,
    warm: int,
    repetitions: int,
    arrivals: int,
    prepare: Callable[[Loop], None] = _as_it_is,
    many: int = OWNERS,
    limit: float = LIMIT,
) -> Result:
    bare, both = a_player(count, plugins=False, many=many), a_player(count, prepare, plugins=True, many=many)
    for player in (bare, both):
        player.play(warm)
        player.reset()
    settle_memory()
    ratio, with_both, with_none = median_ratio(
        lambda: _arrivals(both, arrivals), lambda: _arrivals(bare, arrivals), repetitions
    )
    for player in (bare, both):
        demand_busy(player, player.utilisation)
        demand_sound(player)
    classes = demand_funded(both)
    if isinstance(both.loop.advice, PluginAdvice):
        demand_answers(both.loop.advice)
    kinds = {f"decisions: {kind}": made for kind, made in sorted(both.kinds.items())}
    return Result(
        name=NAME,
        title=f"The life of runs on {count * NODE_GPUS:,} GPUs, with budgets and borrowing and without any plugin",
        quick=False,
        goals=(
            Goal(
                name="CPU per arrival, both plugins / bare core",
                side=Side.AT_MOST,
                limit=limit,
                measured=round(ratio, 3),
            ),
        ),
        facts={
            "µs per arrival, both plugins": round(with_both * 1e6, 1),
            "µs per arrival, bare core": round(with_none * 1e6, 1),
            "decisions per arrival, both plugins": round(both.decisions / (arrivals * repetitions), 2),
            "decisions per arrival, bare core": round(bare.decisions / (arrivals * repetitions), 2),
            "utilisation, both plugins": round(both.utilisation, 3),
            "owned part of the held GPUs": round(classes.owned / classes.total, 3),
            "shared part": round(classes.shared / classes.total, 3),
            "borrowed part": round(classes.borrowed / classes.total, 3),
            "unfunded part": round(classes.unfunded / classes.total, 3),
            "most runs waiting, both plugins": both.most_waiting,
            **kinds,
        },
    )


def run(*, quick: bool) -> Result:
    return compare(NODES, warm=300, repetitions=3 if quick else 5, arrivals=30)

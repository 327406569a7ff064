"""What an arrival costs with both plugins on, against the bare core: the same runs, on the same fleet.

Twenty owners, each tenth the parent of the nine behind it. The goal is about quota that pays for what runs: then the
fleet does the same with plugins and without, and the ratio is what it costs to know who pays. Most of a family's quota
is its parent's, so that children live on it, and two owners have no family and hardly any quota, and borrow. Nobody is
promised a start on either side: without plugins there is no patience that a promise could rest on. The line is longest
at the beginning, and asking it is what plugins make dearer: so its first hundreds of arrivals alone would say more than
the plugins cost, and thousands are played. What the dearest of all stretches cost is told beside the median.

Also measured, without a goal, with promises: that, and quota for 90 % of the fleet only. There some work is unfunded,
and is taken back for who is paid for, so that about twice as much is decided as without plugins: that is no ratio of
equal work.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import median
from types import MappingProxyType

import attrs

from benchmarks.measure import interleaved
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
from runs_core.settings import ReservationSettings, Settings
from runs_core.values.classes import Split

NAME = "plugged"
NODES = 500
OWNERS = 20
UNPROMISED = Settings(reservations=ReservationSettings(max=0))
LIMIT = 2.0
PLENTY, SCARCE = 1.5, 0.9
"""Quota, as a part of the fleet."""
PLUGINS: Mapping[str, object] = MappingProxyType({"budgets": budgets, "borrowing": borrowing})
Owners = Callable[[int, int], tuple[Owner, ...]]
"""Of so many, for a fleet of so many GPUs."""


def _as_it_is(_: Loop) -> None:
    return None


def _owner(name: str, parent: str, envelopes: tuple[Envelope, ...], sponsor: str, borrows: float = 0.1) -> Owner:
    quota = Quota(parents=(parent,) if parent not in ("", name) else (), envelopes=envelopes)
    wish = Borrowing(allow_borrow=True, sponsors=(sponsor,))
    return Owner(
        name=name,
        budget=MappingProxyType({Quota: quota}),
        borrower=MappingProxyType({Borrowing: wish}),
        borrows=borrows,
    )


def plenty(count: int, gpus: int) -> tuple[Owner, ...]:
    """Two families: half of the quota of each is its parent's, who lends; the last of each is none of it."""
    size = count // 2
    part = int(gpus * PLENTY) // 4
    found = []
    for at in range(count):
        place, parent, other = at % size, at // size * size, (at // size * size + size) % count
        lending = Lending(to=("*",)) if not place else None
        alone = place == size - 1
        own = part if not place else max(1, part // 100) if alone else part // (size - 2)
        envelope = Envelope(name="main", flavor=FLAVOR, gpus=own, lending=lending)
        found.append(_owner(f"o{at}", "" if alone else f"o{parent}", (envelope,), f"o{other}", 1.0 if alone else 0.1))
    return tuple(found)


def scarce(count: int, gpus: int) -> tuple[Owner, ...]:
    """Each tenth the parent of those behind it, with two envelopes, the second of which lends."""
    each = int(gpus * SCARCE) // count // 2
    return tuple(
        _owner(
            f"o{at}",
            f"o{at // 10 * 10}",
            (
                Envelope(name="main", flavor=FLAVOR, gpus=each),
                Envelope(name="more", flavor=FLAVOR, gpus=each, lending=Lending(to=("*",), max_gpus=each // 2)),
            ),
            f"o{(at + 10) % count}",
        )
        for at in range(count)
    )


def a_player(
    count: int,
    prepare: Callable[[Loop], None] = _as_it_is,
    *,
    plugins: bool,
    many: int = OWNERS,
    quotas: Owners = scarce,
    settings: Settings | None = None,
) -> Player:
    demand = Demand(gpus=count * NODE_GPUS, load=1.0, owners=quotas(many, count * NODE_GPUS))
    player = Player(count, demand, prepare, plugins=PLUGINS if plugins else None, settings=settings)
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


def demand_alike(both: Player, bare: Player) -> Split:
    """Some is owned, shared and lent, nothing is without a payer, and the decisions are those without plugins."""
    found = held(both)
    if not all((found.owned, found.shared, found.borrowed)) or found.unfunded:
        raise Unusable(f"GPUs are held as {found}: want some owned, shared and borrowed, and none unfunded")
    if both.kinds != bare.kinds:
        raise Unusable(f"decisions with plugins are {dict(both.kinds)} and without {dict(bare.kinds)}: want the same")
    return found


def demand_contended(player: Player) -> Split:
    """Some is owned, shared and unfunded, and something was taken back. What is held for others is lent to nobody."""
    found = held(player)
    if not all((found.owned, found.shared, found.unfunded)):
        raise Unusable(f"GPUs are held as {found}: want some owned, shared and unfunded")
    if not player.kinds["Reclaims"]:
        raise Unusable("nothing was taken back: want some of it")
    return found


@attrs.frozen(kw_only=True)
class Measured:
    """Seconds of CPU per arrival, and who was measured. ratio: the median; most: of the stretch where it is largest."""

    ratio: float
    most: float
    with_both: float
    with_none: float
    both: Player
    bare: Player


def measure(
    count: int,
    quotas: Owners,
    *,
    warm: int,
    repetitions: int,
    arrivals: int,
    many: int = OWNERS,
    prepare: Callable[[Loop], None] = _as_it_is,
    settings: Settings | None = None,
) -> Measured:
    bare = a_player(count, plugins=False, many=many, quotas=quotas, settings=settings)
    both = a_player(count, prepare, plugins=True, many=many, quotas=quotas, settings=settings)
    for player in (bare, both):
        player.play(warm)
        player.reset()
    settle_memory()
    pairs = interleaved(lambda: _arrivals(both, arrivals), lambda: _arrivals(bare, arrivals), repetitions)
    for player in (bare, both):
        demand_busy(player, player.utilisation)
        demand_sound(player)
    if isinstance(both.loop.advice, PluginAdvice):
        demand_answers(both.loop.advice)
    ratios = [a / b for a, b in pairs]
    return Measured(
        ratio=median(ratios),
        most=max(ratios),
        with_both=median(a for a, _ in pairs),
        with_none=median(b for _, b in pairs),
        both=both,
        bare=bare,
    )


def compare(
    count: int,
    *,
    warm: int,
    repetitions: int,
    arrivals: int,
    prepare: Callable[[Loop], None] = _as_it_is,
    many: int = OWNERS,
    limit: float = LIMIT,
) -> tuple[Goal, Mapping[str, float]]:
    """The goal, and what else is worth knowing of it: with quota for all that runs."""
    of = measure(
        count,
        plenty,
        warm=warm,
        repetitions=repetitions,
        arrivals=arrivals,
        many=many,
        prepare=prepare,
        settings=UNPROMISED,
    )
    classes = demand_alike(of.both, of.bare)
    goal = Goal(
        name="CPU per arrival, both plugins / bare core",
        side=Side.AT_MOST,
        limit=limit,
        measured=round(of.ratio, 3),
    )
    return goal, {
        f"the same, of the dearest {arrivals} arrivals": round(of.most, 3),
        "arrivals": arrivals * repetitions,
        "µs per arrival, both plugins": round(of.with_both * 1e6, 1),
        "µs per arrival, bare core": round(of.with_none * 1e6, 1),
        "decisions per arrival, with plugins and without": round(of.both.decisions / (arrivals * repetitions), 2),
        "utilisation": round(of.both.utilisation, 3),
        "owned part of the held GPUs": round(classes.owned / classes.total, 3),
        "shared part": round(classes.shared / classes.total, 3),
        "borrowed part": round(classes.borrowed / classes.total, 3),
        "most runs waiting": of.both.most_waiting,
    }


def promised(count: int, *, warm: int, repetitions: int, arrivals: int) -> Mapping[str, float]:
    """The same where who finds no room is promised a start."""
    of = measure(count, plenty, warm=warm, repetitions=repetitions, arrivals=arrivals)
    return {
        "with promises: CPU per arrival, both plugins / bare core": round(of.ratio, 3),
        "with promises: decisions per arrival, both plugins": round(of.both.decisions / (arrivals * repetitions), 2),
    }


def contended(count: int, *, warm: int, repetitions: int, arrivals: int) -> Mapping[str, float]:
    """The same where quota is scarce."""
    of = measure(count, scarce, warm=warm, repetitions=repetitions, arrivals=arrivals)
    classes, total = demand_contended(of.both), arrivals * repetitions
    return {
        "quota scarce: CPU per arrival, both plugins / bare core": round(of.ratio, 3),
        "quota scarce: µs per arrival, both plugins": round(of.with_both * 1e6, 1),
        "quota scarce: decisions per arrival, both plugins": round(of.both.decisions / total, 2),
        "quota scarce: decisions per arrival, bare core": round(of.bare.decisions / total, 2),
        "quota scarce: unfunded part of the held GPUs": round(classes.unfunded / classes.total, 3),
        **{f"quota scarce: decisions: {kind}": made for kind, made in sorted(of.both.kinds.items())},
    }


def run(*, quick: bool) -> Result:
    repetitions = 3 if quick else 5
    goal, facts = compare(NODES, warm=300, repetitions=3 * repetitions, arrivals=300)
    return Result(
        name=NAME,
        title=f"The life of runs on {NODES * NODE_GPUS:,} GPUs, with budgets and borrowing and without any plugin",
        quick=False,
        goals=(goal,),
        facts={
            **facts,
            **promised(NODES, warm=300, repetitions=repetitions, arrivals=30),
            **contended(NODES, warm=300, repetitions=repetitions, arrivals=30),
        },
    )

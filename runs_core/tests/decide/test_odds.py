"""How likely each is to be cut: worked out by hand, held against what is drawn, and never guessed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from fractions import Fraction
from math import sqrt

import pytest

from runs_core.decide import odds
from runs_core.decide.cover import cover
from runs_core.decide.draw import Stream, Tree
from runs_core.decide.odds import Way, chances, foreseen, ways
from runs_core.decide.resolve import Taken, work_out
from runs_core.testing.builders import a_budget, a_node, a_run
from runs_core.testing.harness import Harness
from runs_core.testing.plugins import a_plugin
from runs_core.testing.purses import Purse, hours, purses
from runs_core.values.demand import Demand
from runs_core.values.resolution import Candidate, Pool
from runs_core.values.run import Run

HALF = Fraction(1, 2)
SEEDS = 3_000


def unit(name: str, gpus: int, owner: str) -> Candidate:
    return Candidate(namespace="research", name=name, uid=f"uid-of-{name}", owner=owner, gpus=gpus)


def lottery(*units: Candidate, drawn: bool = True) -> Pool:
    return Pool(stage="unfunded", drawn=drawn, candidates=units)


def drawing(missing: int, *pools: Pool) -> Callable[[Stream], Taken | None]:
    def enough(cuts: Sequence[Candidate]) -> bool:
        return sum(unit.gpus for unit in cuts) >= missing

    return lambda stream: work_out(stream, missing, pools, enough)


def told(missing: int, *pools: Pool, most: int = odds.MOST_WAYS) -> dict[str, Fraction | None]:
    return {one.unit.name: one.odds for one in chances(drawing(missing, *pools), pools, most)}


A1, A2, B = unit("a1", 1, "a"), unit("a2", 1, "a"), unit("b", 2, "b")


def test_an_owner_is_drawn_by_its_gpus_and_then_each_of_its_units_alike() -> None:
    """a has 12 of 16 GPUs, in three units: 12/16 x 1/3 each; b has 4."""
    units = (unit("a1", 4, "a"), unit("a2", 4, "a"), unit("a3", 4, "a"), unit("b", 4, "b"))
    quarter = Fraction(1, 4)
    assert told(4, lottery(*units)) == {"a1": quarter, "a2": quarter, "a3": quarter, "b": quarter}


def test_who_is_drawn_and_given_back_is_not_cut() -> None:
    """For 2: a with 3/5, and of it a1 (1) or a2 (2) alike; b (2) with 2/5. After a1 one more is missing, a2 or b with
    1/2, and a1 goes back. a2: 3/10 + 3/20; b: 2/5 + 3/20.
    """
    units = (unit("a1", 1, "a"), unit("a2", 2, "a"), unit("b", 2, "b"))
    assert told(2, lottery(*units)) == {"a2": Fraction(9, 20), "b": Fraction(11, 20)}


def test_who_is_wider_than_what_is_missing_is_no_candidate_while_others_can_serve() -> None:
    assert told(1, lottery(A1, A2, B)) == {"a1": HALF, "a2": HALF}


def test_what_was_drawn_changes_what_is_drawn_next() -> None:
    """a and b have 2 GPUs each. b first: done. One of a's first: 1 is missing, b is too wide, so a's other follows."""
    assert told(2, lottery(A1, A2, B)) == {"a1": HALF, "a2": HALF, "b": HALF}


def test_what_was_taken_last_is_given_back_first() -> None:
    """For 3, b and one of a's. Where both of a's came before b, the one that was drawn last goes back."""
    found = told(3, lottery(A1, A2, B))
    assert found["b"] == 1
    assert (found["a1"], found["a2"]) == (HALF, HALF)


def test_a_pool_in_order_leaves_nothing_to_chance() -> None:
    assert told(2, lottery(A1, A2, B, drawn=False)) == {"a1": 1, "a2": 1}


def test_a_later_stage_is_drawn_for_what_the_first_leaves_missing() -> None:
    first, later = lottery(A1), Pool(stage="lottery", drawn=True, candidates=(unit("c", 1, "c"), unit("d", 1, "d")))
    assert told(2, first, later) == {"a1": 1, "c": HALF, "d": HALF}


CROWD = tuple(unit(f"r{at}", 1 + at % 3, f"o{at % 4}") for at in range(9))


def frequencies(missing: int, pool: Pool) -> Counter[str]:
    found: Counter[str] = Counter()
    for seed in range(SEEDS):
        taken = drawing(missing, pool)(Stream(f"seed {seed}"))
        assert taken is not None
        found.update(unit.name for unit, _ in taken.cuts)
    return found


def differ(found: dict[str, Fraction | None], drawn: Counter[str]) -> list[str]:
    """Units that were cut more or less often than five times the standard deviation allows."""
    wrong = []
    for name, chance in found.items():
        assert chance is not None
        p = float(chance)
        if abs(drawn[name] - p * SEEDS) > 5 * sqrt(SEEDS * p * (1 - p)) + 1e-6:
            wrong.append(name)
    return wrong


@pytest.mark.parametrize("missing", [1, 2, 3, 5])
def test_the_odds_are_those_of_the_draw(missing: int) -> None:
    pool = lottery(*CROWD)
    found, drawn = told(missing, pool), frequencies(missing, pool)
    assert set(drawn) <= set(found)
    assert differ(found, drawn) == []


def test_odds_that_take_owners_for_alike_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    pool, right = lottery(*(unit(f"a{at}", 2, "a") for at in range(6)), B), Way.pick

    def alike(way: Way, weights: Tree) -> int:
        return right(way, Tree([bool(weight) for weight in weights.row]))

    monkeypatch.setattr(Way, "pick", alike)
    assert differ(told(3, pool), frequencies(3, pool)) != []


def test_all_ways_together_are_certain() -> None:
    assert sum(chance for chance, _ in ways(drawing(5, lottery(*CROWD)), odds.MOST_WAYS)) == 1


def test_too_many_ways_are_not_guessed_at() -> None:
    found = told(5, lottery(*CROWD), most=50)
    assert set(found) == {unit.name for unit in CROWD}
    assert set(found.values()) == {None}


# -- in a cluster -----------------------------------------------------------------------------------------------------


def runs_demand(run: Run) -> Demand | None:
    return Demand(least=4, most=8, step=2) if run.meta.name == "elastic" else None


@pytest.mark.parametrize("heir", ["heir", "elastic"])
def test_who_is_foreseen_to_be_cut_is_cut(heir: str) -> None:
    """All 8 GPUs are `wide`'s, which nobody pays for. The purse pays 4: the whole of one, the least of the other."""
    plugins = {"purses": purses(Purse(name="main", gpus=4)), "stretch": a_plugin(runs_demand)}
    stage = Harness(a_budget("vision"), a_node("n1", gpus=8), plugins=plugins, oracles=True)
    stage.submit(hours(a_run("wide", gpus=8), 9))
    stage.settle()
    stage.advance(minutes=31)
    asked = hours(a_run(heir, gpus=4 if heir == "heir" else 8), 1)
    world, advice = stage.loop.world, stage.loop.advice
    said = cover(world, advice, world.ask(asked), world.order(asked))
    found = foreseen(world, asked, said, advice)
    assert found is not None
    assert [(one.unit.name, one.odds) for one in found.chances] == [("wide", Fraction(1))]
    stage.submit(asked)
    stage.settle()
    assert [cut.name for cut in stage.world.resolutions()[-1].spec.cuts] == ["wide"]


def test_nobody_is_foreseen_to_be_cut_for_whom_nobody_pays() -> None:
    stage = Harness(a_node("n1", gpus=8), plugins={"purses": purses(Purse(name="main", gpus=4))}, oracles=True)
    world, advice, poor = stage.loop.world, stage.loop.advice, a_run("poor", gpus=8)
    assert foreseen(world, poor, cover(world, advice, world.ask(poor), world.order(poor)), advice) is None

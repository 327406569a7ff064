"""Each goal of the harness, at a small scale, held against code that is broken in the way the goal is there to find."""

import random
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import count
from time import process_time

import attrs
import pytest
from benchmarks import explanation, forecast, out_of_quota, placement, plugged, taking_back, throughput, waiting
from benchmarks.result import Goal, Result
from benchmarks.sound import Unusable, demand_answers, demand_busy, demand_sound, miscounted, used_now
from benchmarks.workload import BEGIN, FLAVOR, Demand, Player

from runs_core.decide import victims
from runs_core.decide.advice import Advice
from runs_core.decide.consider import consider
from runs_core.decide.forecast import Forecast, foresee
from runs_core.serve.loop import Loop
from runs_core.testing.plugins import a_plugin, advice_of
from runs_core.values.change import NodeGone, NodeSeen
from runs_core.values.decision import Outcome
from runs_core.values.funding import Ask
from runs_core.values.need import Need
from runs_core.values.node import Domain, Node
from runs_core.values.placement import Placement
from runs_core.values.run import Run
from runs_core.world import domains
from runs_core.world.facts import recomputed
from runs_core.world.flavors import FlavorFleet
from runs_core.world.fleet import Fleet
from runs_core.world.world import World


def goal(result: Result, part: str) -> Goal:
    (found,) = (goal for goal in result.goals if part in goal.name)
    return found


def each_turn(also: Callable[[World], object]) -> Callable[[Loop], None]:
    """Breaks a loop: it does this as well, each time it turns."""

    def prepare(loop: Loop) -> None:
        turn = loop.cycle

        def broken() -> int:
            also(loop.world)
            return turn()

        setattr(loop, "cycle", broken)  # noqa: B010  # mypy holds methods against assignment

    return prepare


# -- placement --------------------------------------------------------------------------------------------------------


def scanning(world: World, fleet: Fleet, flavor: FlavorFleet, need: Need) -> Placement | None:
    """Looks at each node of the fleet before it places."""
    for _ in world.nodes():
        placement.plain_place(world, fleet, flavor, Need(flavor=FLAVOR, pods=1, gpus_per_pod=1))
    return placement.plain_place(world, fleet, flavor, need)


@pytest.fixture(scope="module")
def scanned() -> Result:
    return placement.compare(40, 400, scanning, repetitions=3, count=10)


def test_a_placement_that_scans_the_fleet_misses_the_ratio(scanned: Result) -> None:
    assert not goal(scanned, "CPU of a placement").met


def test_a_placement_that_scans_the_fleet_misses_the_bound_on_nodes(scanned: Result) -> None:
    assert not goal(scanned, "nodes looked at").met


def test_the_real_placement_looks_at_no_more_nodes_than_it_may() -> None:
    result = placement.compare(40, 80, placement.plain_place, repetitions=3, count=50)
    assert goal(result, "nodes looked at").met
    assert result.facts["placements found"] > 100


# -- throughput -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def honest() -> Result:
    return throughput.steady(100, 150)


def test_a_loop_that_recomputes_all_indexes_each_turn_misses_the_rate(honest: Result) -> None:
    half = goal(honest, "per CPU second").measured / 2
    broken = throughput.steady(100, 60, prepare=each_turn(recomputed), limit=half)
    assert not goal(broken, "per CPU second").met


def test_the_honest_loop_keeps_a_third_of_its_rate(honest: Result) -> None:
    third = goal(honest, "per CPU second").measured / 3
    assert goal(throughput.steady(100, 150, limit=third), "per CPU second").met


def test_a_loop_that_pauses_now_and_then_misses_the_tail() -> None:
    turns = count()

    def pause(_: World) -> None:
        until = process_time() + (0.01 if next(turns) % 20 == 0 else 0)
        while process_time() < until:
            pass

    assert not goal(throughput.steady(100, 150, prepare=each_turn(pause)), "percentile").met


def test_a_rebuild_each_turn_misses_the_counter(monkeypatch: pytest.MonkeyPatch, honest: Result) -> None:
    monkeypatch.setattr(domains, "MOST_EMPTY_SEATS", 1)
    names = (f"passing-{number}" for number in count())
    broken = throughput.steady(100, 60, prepare=each_turn(lambda world: replace_a_node(world, names)))
    assert goal(honest, "rebuilds").met
    assert not goal(broken, "rebuilds").met


def replace_a_node(world: World, names: Iterator[str]) -> None:
    """A node of a fleet of its own goes, and one of another name comes: nobody's seat lasts."""
    for node in [node for node in world.nodes() if node.flavor == "other"]:
        world.apply(NodeGone(node.name))
    world.apply(NodeSeen(Node(name=next(names), flavor="other", gpus=1, pods=1, domain=Domain(name="other"))))


def test_a_start_that_looks_at_every_node_misses_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    place = domains.DomainFleet.eligible

    def curious(domain: domains.DomainFleet, *rest: object) -> int:
        looked_at[0].nodes_visited += len(domain.states)
        return place(domain, *rest)  # type: ignore[arg-type]  # handed on as it came

    looked_at: list[Fleet] = []
    monkeypatch.setattr(domains.DomainFleet, "eligible", curious)
    broken = throughput.steady(100, 60, prepare=lambda loop: looked_at.append(loop.world.fleet))
    assert not goal(broken, "for each start").met


# -- waiting ----------------------------------------------------------------------------------------------------------


def test_a_line_asked_in_full_on_each_arrival_misses_the_ratio() -> None:
    in_full = each_turn(lambda world: world.touch(*world.line.entries))
    broken = waiting.compare(60, 100, 1500, repetitions=3, arrivals=10, prepare=in_full)
    assert not goal(broken, "waiting /").met


# -- plugged ----------------------------------------------------------------------------------------------------------


def ratio_of(limit: float, prepare: Callable[[Loop], None] = lambda _: None) -> Goal:
    found, facts = plugged.compare(150, warm=30, repetitions=3, arrivals=15, many=10, prepare=prepare, limit=limit)
    assert facts["shared part"] > 0
    assert facts["borrowed part"] > 0
    return found


def test_plugins_that_make_the_loop_recompute_all_indexes_miss_the_ratio() -> None:
    honest = ratio_of(plugged.LIMIT).measured
    assert not ratio_of(2 * honest, each_turn(recomputed)).met


def test_plugins_under_which_the_fleet_does_other_work_are_no_evidence() -> None:
    both, bare = (plugged.a_player(60, plugins=plugins, many=10) for plugins in (True, False))
    for player in (both, bare):
        player.play(60)
    with pytest.raises(Unusable, match="and none unfunded"):
        plugged.demand_alike(both, bare)
    paid = plugged.a_player(60, plugins=True, many=10, quotas=plugged.plenty, settings=plugged.UNPROMISED)
    paid.play(60)
    with pytest.raises(Unusable, match="want the same"):
        plugged.demand_alike(paid, bare)


def test_plugins_that_have_nothing_to_pay_for_are_no_evidence() -> None:
    player = plugged.a_player(20, plugins=False, many=10)
    with pytest.raises(Unusable, match="want some owned, shared and unfunded"):
        plugged.demand_contended(player)


# -- out of quota -----------------------------------------------------------------------------------------------------


def out_of_quota_of(prepare: Callable[[Loop], None]) -> Result:
    return out_of_quota.compare(10, 5, 20, 1000, 3, 10, prepare)


def test_runs_out_of_quota_are_asked_nothing_until_an_envelope_changes() -> None:
    result = out_of_quota_of(lambda _: None)
    assert goal(result, "questions who pays").measured == 0
    assert result.facts["questions who pays in a turn"] > 0
    assert result.facts["questions who pays once one envelope changes"] > 0


def test_a_line_out_of_quota_that_is_asked_each_turn_misses_both_goals() -> None:
    broken = out_of_quota_of(each_turn(lambda world: world.touch(*world.line.entries)))
    assert not goal(broken, "CPU of a turn").met


def test_a_line_of_which_each_run_asks_for_itself_who_pays_misses_the_count(monkeypatch: pytest.MonkeyPatch) -> None:
    def alone(world: World, run: Run) -> Ask:
        return attrs.evolve(ask(world, run), selector=(("run", run.meta.name),))

    ask = World.ask
    monkeypatch.setattr(World, "ask", alone)
    broken = out_of_quota_of(each_turn(lambda world: world.line.unhear()))
    assert not goal(broken, "questions who pays").met


def test_a_plugin_that_has_failed_is_no_evidence() -> None:
    def runs_cover() -> object:
        raise ValueError("the disk is full")

    advice = advice_of({"broken": a_plugin(runs_cover)})
    demand_answers(advice)
    advice.offers(Ask(owner="vision", flavor=FLAVOR, gpus=8), World(), BEGIN)
    with pytest.raises(Unusable, match="broken failed 1 times in runs_cover: ValueError: the disk is full"):
        demand_answers(advice)


def test_a_line_that_waits_for_room_is_no_evidence_of_quota() -> None:
    line = out_of_quota.Line(4, 10, 5)
    line.give(0, 1000)
    with pytest.raises(Unusable, match="of 10 runs wait for quota"):
        line.demand_full()


# -- explanation ------------------------------------------------------------------------------------------------------


def test_an_explanation_that_asks_node_by_node_misses_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(world: World, run: Run, advice: Advice) -> Outcome:
        return [consider(world, run, advice) for _ in world.nodes()][-1]

    monkeypatch.setattr(explanation, "consider", slow)
    scale = 100 / explanation.NODES
    assert not explanation.explain_all(100, repetitions=3, limit=explanation.LIMIT * scale).met


# -- forecasts --------------------------------------------------------------------------------------------------------


def test_a_forecast_that_is_worked_out_many_times_misses_the_limit() -> None:
    def slow(world: World, run: Run, advice: Advice) -> Forecast | None:
        return [foresee(world, run, advice) for _ in range(200)][-1]

    assert not forecast.ask_each(600, slow, asked=5).met


def test_forecasts_that_say_nothing_are_no_evidence() -> None:
    with pytest.raises(Unusable, match="0 of 5 were told a time"):
        forecast.ask_each(600, lambda *_: None, asked=5)


# -- taking back ------------------------------------------------------------------------------------------------------


def test_a_resolver_that_looks_at_everything_for_each_candidate_misses_the_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    honest, spared = goal(taking_back.take_back(400, repetitions=1), "CPU").measured, victims.protected_until

    def curious(world: World, run: Run) -> datetime | None:
        assert [change for change in world.everything() for _ in "12"]
        return spared(world, run)

    monkeypatch.setattr(victims, "protected_until", curious)
    assert not taking_back.take_back(400, repetitions=1, limit=2 * honest).met


def test_a_taking_back_that_cuts_nobody_is_no_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(victims, "protected_until", lambda world, run: world.now + timedelta(hours=9))
    with pytest.raises(Unusable, match="want one resolution that cuts 80 runs, got"):
        taking_back.take_back(80, repetitions=1)


# -- evidence ---------------------------------------------------------------------------------------------------------


def test_an_idle_fleet_is_no_evidence() -> None:
    player = Player(20, Demand(gpus=160, burst=0.2))
    player.settle()
    with pytest.raises(Unusable, match="no run waited"):
        demand_busy(player, used_now(player))


def test_a_fleet_that_is_hardly_used_is_no_evidence() -> None:
    player = Player(20, Demand(gpus=160, burst=0.2))
    player.settle()
    player.most_waiting = 1
    with pytest.raises(Unusable, match="in use: want more than 80 %"):
        demand_busy(player, used_now(player))


def test_a_fleet_that_lost_count_is_no_evidence() -> None:
    player = Player(20, Demand(gpus=160))
    player.settle()
    demand_sound(player)
    ledger = player.loop.world.ledger
    del ledger.open[random.Random(1).choice(sorted(ledger.open))]
    assert list(miscounted(player.loop.world))
    with pytest.raises(Unusable, match="things are wrong"):
        demand_sound(player)

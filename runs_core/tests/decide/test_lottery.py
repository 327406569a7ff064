"""Every stage, once a promised time has come: whom the lottery spares, the order of pools, and when nobody is cut."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from types import SimpleNamespace

import attrs
import pytest

from runs_core.decide import victims
from runs_core.decide.batch import Batch
from runs_core.decide.cover import cover
from runs_core.decide.paying import stamped
from runs_core.decide.reclaim import Claimant, reclaim
from runs_core.decide.verify import verify
from runs_core.errors import PluginError
from runs_core.hooks.specs import hookimpl
from runs_core.schema.evidence import unpacked
from runs_core.settings import PatienceSettings, Settings
from runs_core.testing.builders import A_MONDAY, a_budget, a_node, a_run
from runs_core.testing.harness import Harness
from runs_core.testing.plugins import a_plugin, advice_of
from runs_core.testing.purses import Purse, hours, leases, purses
from runs_core.values.classes import Class, Tier
from runs_core.values.decision import Decision, Hold
from runs_core.values.effect import PutResolution
from runs_core.values.funding import Ask, Offers, Stage, Unit
from runs_core.values.lease import Closed, Lease
from runs_core.values.meta import Key
from runs_core.values.node import Node
from runs_core.values.resolution import Evidence, Resolution, ResolutionPhase
from runs_core.values.run import Phase, Run
from runs_core.world import about_runs
from runs_core.world.view import View


def classed(*declared: Purse, courtesy: str = "family") -> SimpleNamespace:
    """Purses, of which one is the family's: who is paid from it is shared. Whoever has no owner gets nothing."""
    plugin = purses(*declared)
    offered = plugin.runs_cover

    def runs_cover(ask: Ask, view: View, now: datetime) -> Offers:
        found: Offers = offered(view, now)
        return found if ask.owner is not None else Offers()

    def runs_classify(lease: Lease) -> Class:
        payer = lease.spec.payer
        return Class.UNFUNDED if payer is None else Class.SHARED if payer.envelope == courtesy else Class.OWNED

    plugin.runs_cover, plugin.runs_classify = hookimpl(runs_cover), hookimpl(runs_classify)
    return plugin


def stage_with(*things: Node | Run, **plugins: object) -> Harness:
    """Three owners, each with a namespace. Nobody's patience is ever over: when lots are drawn is told each time."""
    owners = [a_budget(f"org:{name}", namespaces=(name,)) for name in ("a", "b", "c")]
    return Harness(*owners, *things, plugins=plugins, settings=Settings(patience=PatienceSettings(default="Never")))


def decided(stage: Harness, key: str, *, due: bool = True) -> Sequence[Decision]:
    """What would be decided for this waiting run."""
    world, advice, run = stage.world, stage.loop.advice, stage.run(key)
    need = world.need(run)
    said = cover(world, advice, world.ask(run), world.order(run))
    assert need.flavor is not None
    claimant = Claimant(run=run, need=need, fleet=world.fleet.flavors[need.flavor], cover=said, due=due)
    return reclaim(world, claimant, advice)


def taken(stage: Harness, key: str) -> Resolution:
    """Decide it, and carry it out."""
    decisions = decided(stage, key)
    assert decisions
    batch = Batch(stage.world)
    for decision in decisions:
        batch.take(stamped(stage.world, decision, stage.loop.advice), {})
    stage.stage.commit([effect for decision in batch.decisions for effect in decision.effects], ())
    stage.check()
    stage.settle()
    return resolution_of(decisions)


def resolution_of(decisions: Sequence[Decision]) -> Resolution:
    (found,) = [one.resolution for decision in decisions for one in decision.effects if isinstance(one, PutResolution)]
    assert verify(found, found.spec.evidence.data, None) == []
    return found


def evidence_of(resolution: Resolution) -> Evidence:
    return unpacked(resolution.spec.evidence.data, resolution.spec.evidence.digest)


def cut(resolution: Resolution) -> list[tuple[str, str]]:
    return [(str(one.run), one.stage) for one in resolution.spec.cuts]


def paid(namespace: str, name: str, gpus: int, gpus_per_pod: int = 1) -> Run:
    return hours(a_run(name, namespace=namespace, gpus=gpus, gpus_per_pod=gpus_per_pod), 99)


def full(*runs: Run, after: float = 5, **plugins: object) -> Harness:
    """8 GPUs that these hold, paid for, for so many hours."""
    given = plugins or {"purses": classed(Purse(name="main", gpus=24))}
    stage = stage_with(a_node("n1", gpus=8), *runs, **given)
    stage.advance(hours=after)
    return stage


# -- whom the lottery spares ------------------------------------------------------------------------------------------


def test_the_lottery_cuts_funded_work_once_the_promised_time_has_come() -> None:
    """`x` holds all 8, owned. `heir` of another owner wants 4: `x` is whole, and so all of it goes."""
    stage = full(paid("a", "x", 8))
    stage.submit(paid("b", "heir", 4))
    stage.settle()
    assert decided(stage, "b/heir", due=False) == ()
    found = taken(stage, "b/heir")
    assert cut(found) == [("a/x", "lottery")]
    stage.advance(minutes=1)
    assert sum(len(ranks) for ranks, _ in leases(stage, "b/heir")) == 4
    [closed] = [lease for lease in stage.witness.closed.values() if lease.run.name == "x"]
    assert closed.status.closure_reason is Closed.PREEMPTED
    assert found.name in closed.status.closure_detail
    x = stage.run("a/x").status
    assert (x.phase, x.preemptions) == (Phase.QUEUED, 1)
    assert stage.world.resolutions()[-1].status.phase is ResolutionPhase.RELEASED


def test_a_run_is_in_no_lottery_until_its_quantum_is_over() -> None:
    stage = full(paid("a", "x", 8), after=3.99)
    stage.submit(paid("b", "heir", 4))
    stage.settle()
    assert decided(stage, "b/heir") == ()
    stage.advance(minutes=1)
    assert cut(resolution_of(decided(stage, "b/heir"))) == [("a/x", "lottery")]


def test_nobody_is_cut_for_a_later_run_of_their_own_owner() -> None:
    stage = full(paid("a", "x", 4), paid("b", "y", 4))
    stage.submit(paid("a", "heir", 4))
    stage.settle()
    assert cut(resolution_of(decided(stage, "a/heir"))) == [("b/y", "lottery")]
    stage.submit(paid("b", "other", 8))
    stage.settle()
    assert decided(stage, "b/other") == ()  # only `x` may go, and that is not enough


def test_a_run_of_the_same_owner_that_was_admitted_later_may_be_cut() -> None:
    """`heir` stood in line first; `late` is narrow, and went past."""
    stage = stage_with(a_node("n1", gpus=8), paid("b", "y", 6), purses=classed(Purse(name="main", gpus=24)))
    stage.settle()
    stage.submit(paid("a", "heir", 8))
    stage.advance(minutes=1)
    stage.submit(paid("a", "late", 2))
    stage.advance(hours=5)
    assert stage.phase("a/late") is Phase.RUNNING
    assert sorted(cut(resolution_of(decided(stage, "a/heir")))) == [("a/late", "lottery"), ("b/y", "lottery")]


def a_courtesy_beside_a_right() -> Harness:
    """`x` is paid for by the family, `y` as wide by its own quota."""
    plugin = classed(Purse(name="family", gpus=4), Purse(name="main", gpus=20))
    stage = full(paid("a", "x", 4), paid("b", "y", 4), purses=plugin)
    assert (leases(stage, "a/x")[0][1], leases(stage, "b/y")[0][1]) == ("family", "main")
    return stage


def test_a_courtesy_goes_before_what_is_paid_for_by_right() -> None:
    """In each of eight draws, though both are in the lottery."""
    stage = a_courtesy_beside_a_right()
    for number in range(8):
        stage.submit(paid("c", f"heir-{number}", 4))
        stage.settle()
        found = resolution_of(decided(stage, f"c/heir-{number}"))
        assert cut(found) == [("a/x", "lottery")]
        assert [[unit.cls for unit in pool.candidates] for pool in evidence_of(found).pools] == [[Class.SHARED]]
        stage.cancel(f"c/heir-{number}")
        stage.settle()


def test_a_resolution_that_takes_a_right_beside_a_courtesy_does_not_verify(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = a_courtesy_beside_a_right()
    stage.submit(paid("c", "heir", 4))
    stage.settle()
    monkeypatch.setattr(victims, "COURTESY", frozenset(Class))  # all in one drum
    effects = [one for decision in decided(stage, "c/heir") for one in decision.effects]
    (found,) = [one.resolution for one in effects if isinstance(one, PutResolution)]
    assert any("beside, a courtesy" in line for line in verify(found, found.spec.evidence.data, None))


def test_demand_that_a_family_pays_for_cuts_nobody_who_is_paid_for() -> None:
    plugin = classed(Purse(name="main", gpus=16))
    offered = plugin.runs_cover

    def runs_cover(ask: Ask, view: View, now: datetime) -> Offers:
        found: Offers = offered(ask, view, now)
        return attrs.evolve(found, offers=tuple(attrs.evolve(one, tier=Tier.SIBLING) for one in found.offers))

    for kin in (False, True):
        plugin.runs_cover = hookimpl(runs_cover) if kin else offered
        stage = full(paid("a", "x", 8), purses=plugin)
        stage.submit(paid("b", "heir", 8))
        stage.settle()
        assert bool(decided(stage, "b/heir")) is not kin


def test_two_of_one_width_are_drawn_alike_and_by_chance() -> None:
    """Ties: over 40 seeds, each of the two is drawn at least 8 times (fewer: once in 9,000 times)."""
    stage = full(paid("a", "x", 4), paid("b", "y", 4))
    seen = []
    for number in range(40):
        stage.submit(paid("c", f"heir-{number}", 4))
        stage.settle()
        seen += cut(resolution_of(decided(stage, f"c/heir-{number}")))
        stage.cancel(f"c/heir-{number}")
        stage.settle()
    assert min(seen.count(("a/x", "lottery")), seen.count(("b/y", "lottery"))) >= 8
    assert len(seen) == 40


def test_runs_without_an_owner_are_drawn_under_their_namespace() -> None:
    stage = stage_with(
        a_node("n1", gpus=8), paid("d", "x", 4), paid("d", "y", 4), purses=classed(Purse(name="main", gpus=24))
    )
    stage.advance(hours=5)
    stage.submit(paid("a", "heir", 4))
    stage.settle()
    drawn, *_ = evidence_of(resolution_of(decided(stage, "a/heir"))).draws
    assert drawn.owner == "namespace:d"


def test_a_process_that_comes_after_draws_the_same() -> None:
    """All of it follows from what is there: not from the order in which it came, nor from who saw it come."""
    for seed in range(6):
        runs = [paid("ab"[at % 2], f"r{at * 7 % 8}", 1) for at in range(8)]
        random.Random(seed).shuffle(runs)
        stage = full(*runs)
        stage.submit(paid("c", "heir", 5))
        stage.settle()
        before = resolution_of(decided(stage, "c/heir"))
        stage.restart()
        assert resolution_of(decided(stage, "c/heir")) == before
        assert len(before.spec.cuts) == 5


def test_nobody_is_cut_by_lot_for_demand_that_nobody_pays_for() -> None:
    stage = full(paid("a", "x", 8))
    stage.submit(paid("nobodys", "beggar", 4))
    stage.settle()
    assert decided(stage, "nobodys/beggar") == ()


# -- protections ------------------------------------------------------------------------------------------------------


def protecting(answer: Callable[[Run], Sequence[str] | None]) -> SimpleNamespace:
    def runs_protected(run: Run) -> Sequence[str] | None:
        return answer(run)

    return a_plugin(runs_protected)


def test_what_a_plugin_protects_is_cut_at_no_stage() -> None:
    money = classed(Purse(name="main", gpus=24))
    for protects, gone in ((("x",), ["b/y"]), (("y",), ["a/x"]), (("x", "y"), None)):
        guard = protecting(lambda run, names=protects: ["serves"] if run.meta.name in names else None)  # type: ignore[misc]  # bound now
        stage = full(paid("a", "x", 4), paid("b", "y", 4), purses=money, guard=guard)
        stage.submit(paid("c", "heir", 4))
        stage.settle()
        decisions = decided(stage, "c/heir")
        assert [name for name, _ in cut(resolution_of(decisions))] == gone if gone else decisions == ()


def test_a_plugin_that_fails_to_answer_protects() -> None:
    def broken(run: Run) -> Sequence[str]:
        raise RuntimeError("no idea")

    stage = full(paid("a", "x", 8), purses=classed(Purse(name="main", gpus=24)), guard=protecting(broken))
    stage.submit(paid("b", "heir", 4))
    stage.settle()
    assert decided(stage, "b/heir") == ()
    assert any(tally.hook == "runs_protected" and tally.failed for tally in stage.loop.advice.tallies)  # type: ignore[attr-defined]


def test_a_run_that_was_cut_is_not_cut_again_before_its_least_runtime_is_over() -> None:
    """Nobody pays for `wide`. It is cut, starts again once `heir` is through, and then has half an hour for sure."""
    stage = stage_with(a_node("n1", gpus=8), paid("a", "wide", 6), purses=purses(Purse(name="main", gpus=4)))
    stage.advance(minutes=31)
    stage.submit(hours(a_run("heir", namespace="b", gpus=4), 0.25))
    stage.advance(minutes=20)
    assert (stage.phase("a/wide"), stage.run("a/wide").status.preemptions) == (Phase.RUNNING, 1)
    stage.submit(hours(a_run("next", namespace="b", gpus=4), 0.25))
    stage.advance(minutes=20)
    assert stage.phase("b/next").waits
    stage.advance(minutes=12)
    assert stage.run("a/wide").status.preemptions == 2


def test_who_is_held_after_a_refused_start_causes_no_second_cut() -> None:
    """All who wait are asked for their holds before anybody is cut for them, the back-off of a refused start too."""
    money = purses(Purse(name="main", gpus=4))
    held: list[str] = []

    def runs_hold(run: Run) -> Sequence[Hold] | None:
        return [Hold("Later", "in a while", A_MONDAY + timedelta(hours=2))] if run.meta.name in held else None

    stage = stage_with(a_node("n1", gpus=8), paid("a", "wide", 6), purses=money, desk=a_plugin(runs_hold))
    stage.advance(minutes=31)
    held.append("heir")
    stage.submit(hours(a_run("heir", namespace="b", gpus=4), 1))
    stage.advance(minutes=20)
    assert stage.world.resolutions() == []
    held.clear()
    stage.advance(hours=2)
    assert [cut(one) for one in stage.world.resolutions()] == [[("a/wide", "unfunded")]]


# -- stages of plugins ------------------------------------------------------------------------------------------------


def spares(*units: Unit, name: str = "spares", order: int = 2) -> SimpleNamespace:
    def runs_stages() -> Sequence[Stage]:
        return [Stage(name=name, order=order, closure=Closed.PREEMPTED, drawn=False)]

    def runs_victims(stage: str) -> Sequence[Unit]:
        return units if stage == name else ()

    return a_plugin(runs_stages, runs_victims)


def test_a_stage_of_a_plugin_comes_before_the_lottery_and_after_unfunded_work() -> None:
    """8 are wanted: nobody pays for `u` with 2, the plugin's stage gives `y` with 2, the lottery has to give 4."""
    money, units = classed(Purse(name="main", gpus=24)), spares(Unit(Key("b", "y")))
    stage = full(paid("a", "x", 4), paid("b", "y", 2), paid("nobodys", "u", 2), purses=money, spares=units)
    assert [leases(stage, name)[0][1] for name in ("a/x", "b/y", "nobodys/u")] == ["main", "main", None]
    stage.submit(paid("c", "heir", 8))
    stage.settle()
    found = resolution_of(decided(stage, "c/heir"))
    assert cut(found) == [("nobodys/u", "unfunded"), ("b/y", "spares"), ("a/x", "lottery")]
    assert [pool.drawn for pool in evidence_of(found).pools] == [True, False, True]


def test_a_stage_in_order_takes_the_least_protected_class_first_then_by_run() -> None:
    """Of four alike, the family pays for the two that stand first in line."""
    money = classed(Purse(name="family", gpus=4), Purse(name="main", gpus=20))
    names = [("b", "q"), ("a", "s"), ("b", "p"), ("a", "r")]
    units = spares(*(Unit(Key(*name)) for name in names))
    stage = stage_with(a_node("n1", gpus=8), purses=money, spares=units)
    for name in names:
        stage.submit(paid(*name, 2))
        stage.settle()
    stage.advance(hours=5)
    stage.submit(paid("c", "heir", 8))
    stage.settle()
    assert [name for name, _ in cut(resolution_of(decided(stage, "c/heir")))] == ["a/s", "b/q", "a/r", "b/p"]


def test_a_group_of_a_run_takes_the_run_along() -> None:
    """Nothing can end one group and go on with the others yet; what is kept says what stops."""
    group = spares(Unit(Key("a", "x"), 1), Unit(Key("a", "x"), 0))
    stage = full(paid("a", "x", 8), purses=classed(Purse(name="main", gpus=24)), spares=group)
    stage.submit(paid("b", "heir", 4))
    stage.settle()
    (one,) = resolution_of(decided(stage, "b/heir")).spec.cuts
    assert (one.group, one.gpus, one.stage) == (None, 8, "spares")


def test_a_plugin_cannot_call_its_stage_lottery() -> None:
    with pytest.raises(PluginError, match="declares the stage lottery, which is core's"):
        advice_of({"spares": spares(name="lottery")})


# -- gangs and minimal sets -------------------------------------------------------------------------------------------


def test_a_gang_stops_as_a_whole_and_no_more_than_needed_stop() -> None:
    """Pods of 4 on two nodes of 8. `heir` wants one pod of 8: of `wide` (4+4 over both nodes) and the singles, whatever
    is drawn, one node must be empty in the end, and nothing is cut that could have stayed."""
    things = (a_node("n1"), a_node("n2"))
    runs = [paid("a", f"s{at}", 4, gpus_per_pod=4) for at in range(2)]
    stage = stage_with(
        *things, *runs, paid("b", "wide", 8, gpus_per_pod=4), purses=classed(Purse(name="main", gpus=99))
    )
    stage.advance(hours=5)
    outcomes = set()
    for number in range(20):
        stage.submit(paid("c", f"heir-{number}", 8, gpus_per_pod=8))
        stage.settle()
        found = resolution_of(decided(stage, f"c/heir-{number}"))
        outcomes.add(tuple(sorted(name for name, _ in cut(found))))
        stage.cancel(f"c/heir-{number}")
        stage.settle()
    assert outcomes <= {("a/s0", "a/s1"), ("b/wide",), ("a/s0", "b/wide"), ("a/s1", "b/wide")}
    assert all(len(one) < 3 for one in outcomes)


def test_a_resolution_refuses_where_nobody_that_may_be_cut_would_make_room() -> None:
    """`young` is inside its quantum, on each node: a pod of 8 fits nowhere, whoever else goes."""
    stage = stage_with(a_node("n1"), a_node("n2"), purses=classed(Purse(name="main", gpus=99)))
    for at in range(2):
        stage.submit(paid("a", f"old{at}", 6, gpus_per_pod=6))
    stage.advance(hours=5)
    for at in range(2):
        stage.submit(paid("b", f"young{at}", 2, gpus_per_pod=2))
    stage.settle()
    stage.submit(paid("c", "heir", 8, gpus_per_pod=8))
    stage.advance(minutes=45)
    assert decided(stage, "c/heir") == ()
    assert stage.world.resolutions() == []
    stage.advance(hours=4)
    assert len(cut(resolution_of(decided(stage, "c/heir")))) == 2


# -- rules that are wrong ---------------------------------------------------------------------------------------------

BROKEN: list[tuple[str, Callable[..., object], Callable[[], None]]] = [
    ("is_of_an_earlier_run", lambda *_: False, test_nobody_is_cut_for_a_later_run_of_their_own_owner),
    ("is_of_an_earlier_run", lambda *_: True, test_the_lottery_cuts_funded_work_once_the_promised_time_has_come),
    ("spared_until", lambda *_: None, test_a_run_is_in_no_lottery_until_its_quantum_is_over),
    ("spared_until", lambda *_: None, test_what_a_plugin_protects_is_cut_at_no_stage),
    (
        "min_runtime_of",
        lambda *_: timedelta(),
        test_a_run_that_was_cut_is_not_cut_again_before_its_least_runtime_is_over,
    ),
    ("_class", lambda *_: Class.OWNED, test_a_courtesy_goes_before_what_is_paid_for_by_right),
    (
        "_in_order",
        lambda victim: ord(victim.run.key.name),
        test_a_stage_in_order_takes_the_least_protected_class_first_then_by_run,
    ),
]


@pytest.mark.parametrize(("name", "wrong", "claim"), BROKEN, ids=lambda part: getattr(part, "__name__", part))
def test_a_rule_that_is_wrong_is_noticed(
    monkeypatch: pytest.MonkeyPatch, name: str, wrong: Callable[..., object], claim: Callable[[], None]
) -> None:
    for module in (victims, about_runs):
        monkeypatch.setattr(module, name, wrong, raising=module is victims)
    with pytest.raises((AssertionError, ValueError)):
        claim()

"""Who pays, as core decides it: a plugin with purses, one for each owner, says what there is to spend."""

from __future__ import annotations

from datetime import datetime, timedelta

import attrs

from runs_core.decide.quota import no_quota
from runs_core.testing.builders import A_MONDAY, a_need, a_node, a_run
from runs_core.testing.plugins import a_plugin
from runs_core.testing.purses import Purse, a_stage, hours, leases, purses
from runs_core.values.classes import Split
from runs_core.values.decision import Hold, Moves
from runs_core.values.funding import Ask, Cap, Cover, Offers
from runs_core.values.lease import Closed, Opened, Payer
from runs_core.values.meta import pairs
from runs_core.values.run import Phase, Run, Topology
from runs_core.world.view import View


def test_a_run_that_somebody_pays_for_says_who() -> None:
    stage = a_stage(a_node("n1", gpus=8), a_run("a", gpus=4), plugin=purses(Purse(name="main", gpus=4)))
    stage.settle()
    assert leases(stage, "a") == [((0, 1, 2, 3), "main")]
    status = stage.run("a").status
    assert [(one.budget, one.envelope, one.gpus) for one in status.payers] == [("vision", "main", 4)]
    assert status.funding == Split(owned=4)


def test_two_envelopes_share_a_gang_rank_by_rank() -> None:
    plugin = purses(Purse(name="a-part", gpus=5), Purse(name="b-part", gpus=9))
    stage = a_stage(a_node("n1", gpus=8), a_run("a", gpus=8, gpus_per_pod=2), plugin=plugin)
    stage.settle()
    assert leases(stage, "a") == [((0, 1), "a-part"), ((2, 3), "b-part")]  # 5 GPUs pay for two pods of 2


def test_a_shared_cap_bounds_both_of_its_envelopes() -> None:
    cap = (Cap("cap both", 6),)
    plugin = purses(Purse(name="a-part", gpus=4, caps=cap), Purse(name="b-part", gpus=4, caps=cap))
    stage = a_stage(a_node("n1", gpus=8), a_run("a", gpus=7), plugin=plugin)
    stage.settle()
    assert leases(stage, "a") == [((0, 1, 2, 3, 4, 5, 6), None)]
    stage.submit(a_run("b", gpus=1))
    stage.settle()
    assert leases(stage, "b") == [((0,), "a-part")]


def test_who_is_paid_for_goes_before_who_is_not() -> None:
    """Both wait; `early` was first, and wants more than the purse has."""
    full = hours(a_run("full", gpus=8), 1)
    stage = a_stage(a_node("n1", gpus=8), full, plugin=purses(Purse(name="main", gpus=8)))
    stage.settle()
    stage.submit(a_run("early", gpus=8, gpus_per_pod=8))
    stage.advance(minutes=1)
    stage.submit(a_run("late", gpus=4))
    stage.advance(hours=1)
    assert leases(stage, "early") == [((0,), "main")]
    assert stage.phase("late") is Phase.QUEUED


def test_who_asks_too_much_starts_on_idle_gpus_behind_those_who_are_paid_for() -> None:
    stage = a_stage(a_node("n1", gpus=8), plugin=purses(Purse(name="main", gpus=4)))
    stage.submit(a_run("wide", gpus=6))
    stage.submit(a_run("zz-paid", gpus=4))
    stage.settle()
    assert leases(stage, "zz-paid") == [((0, 1, 2, 3), "main")]
    assert stage.run("wide").status.reason == "OutOfQuota"
    assert "vision/main gives 4 of 4" in stage.run("wide").status.message


def test_who_must_not_start_unpaid_waits_for_quota_beside_idle_gpus() -> None:
    stage = a_stage(a_node("n1", gpus=8), plugin=purses(Purse(name="main", gpus=4), unfunded=False))
    stage.submit(a_run("wide", gpus=6))
    stage.settle()
    assert stage.phase("wide") is Phase.QUEUED
    assert stage.run("wide").status.message.endswith("waits for quota")


def test_a_gang_without_a_payer_gets_one_and_keeps_its_places_and_pods() -> None:
    first = hours(a_run("first", gpus=4), 1)
    stage = a_stage(a_node("n1", gpus=8), first, plugin=purses(Purse(name="main", gpus=4)))
    stage.settle()
    stage.submit(a_run("second", gpus=4, gpus_per_pod=2))
    stage.advance(minutes=30)
    [before] = stage.world.leases_of(stage.run("second").key)
    pods = [pod.uid for pod in stage.pods("second")]
    stage.advance(hours=1)
    [after] = stage.world.leases_of(stage.run("second").key)
    assert (before.spec.payer, after.spec.payer) == (None, Payer(budget="vision", envelope="main"))
    assert (after.spec.slots, after.spec.ranks, after.spec.attempt) == (before.spec.slots, before.spec.ranks, 1)
    assert (after.spec.reason, after.spec.part, after.meta.name != before.meta.name) == (Opened.REPAID, 1, True)
    assert [pod.uid for pod in stage.pods("second")] == pods
    closed = stage.witness.closed[before.key].status
    assert closed.closure_reason is Closed.REPAID
    assert closed.gpu_seconds == Split(unfunded=4 * 3602)  # until `first` ended, two seconds of start included
    assert stage.run("second").status.funding == Split(owned=4)
    assert any(isinstance(r.outcome, Moves) and r.outcome.reason == "Repaid" for r in stage.records_of("second"))


def test_the_line_for_cover_is_one_with_the_line_for_gpus() -> None:
    """`running` was admitted before `waiting`: what `first` gives back goes to it."""
    first = hours(a_run("first", gpus=4), 1)
    stage = a_stage(a_node("n1", gpus=8), first, plugin=purses(Purse(name="main", gpus=4)))
    stage.settle()
    stage.submit(hours(a_run("running", gpus=4), 8))
    stage.advance(minutes=1)
    stage.submit(a_run("waiting", gpus=4))
    stage.advance(hours=1)
    assert leases(stage, "running") == [((0, 1, 2, 3), "main")]
    assert leases(stage, "waiting") == [((0, 1, 2, 3), None)]


def test_who_is_held_in_the_line_for_cover_lets_those_behind_it_pass_and_takes_its_turn_once_the_hold_lifts() -> None:
    """x is held from minute 30 to minute 150. The purse comes free at 60 for z, which ends at 90; x has it at 150."""
    begins, lifts = A_MONDAY + timedelta(minutes=30), A_MONDAY + timedelta(minutes=150)

    def runs_hold(run: Run, now: datetime) -> Hold | None:
        return Hold("Audit", "under audit", lifts) if run.meta.name == "x" and begins <= now < lifts else None

    plugin = purses(Purse(name="main", gpus=4))
    plugin.runs_hold = a_plugin(runs_hold).runs_hold
    stage = a_stage(a_node("n1", gpus=8), a_node("n2", gpus=8), hours(a_run("first", gpus=4), 1), plugin=plugin)
    stage.settle()
    stage.submit(hours(a_run("x", gpus=4), 8))
    stage.settle()
    stage.submit(hours(a_run("z", gpus=4), 1.5))
    stage.advance(minutes=70)
    assert [payer for _, payer in leases(stage, "x") + leases(stage, "z")] == [None, "main"]
    stage.advance(minutes=70)
    assert stage.phase("z") is Phase.SUCCEEDED
    assert [payer for _, payer in leases(stage, "x")] == [None]
    stage.advance(minutes=15)
    assert [payer for _, payer in leases(stage, "x")] == ["main"]


def test_an_envelope_pays_only_for_its_places() -> None:
    west, east = a_node("west", labels={"zone": "west"}), a_node("a-east", labels={"zone": "east"})
    plugin = purses(Purse(name="main", gpus=8, selector=pairs({"zone": "west"})))
    stage = a_stage(west, east, a_run("a", gpus=4), plugin=plugin)
    stage.settle()
    assert stage.placed("a") == {"west": 4}


def test_each_group_lies_where_its_payer_pays() -> None:
    nodes = [a_node(f"{zone}-1", domain=zone, labels={"zone": zone}) for zone in ("east", "west")]
    places = {"a": "west", "b": "east"}
    parts = [Purse(name=name, gpus=4, selector=pairs({"zone": zone})) for name, zone in places.items()]
    plugin = purses(*parts)
    run = a_run("a", gpus=8, gpus_per_pod=4)
    run = attrs.evolve(run, spec=attrs.evolve(run.spec, topology=Topology(group_gpus=4)))
    stage = a_stage(*nodes, run, plugin=plugin)
    stage.settle()
    assert stage.placed("a") == {"east-1": 4, "west-1": 4}
    assert leases(stage, "a") == [((0,), "a"), ((1,), "b")]
    [first, _] = stage.world.leases_of(stage.run("a").key)
    assert [slots.node for slots in first.spec.slots] == ["west-1"]


def test_a_failing_plugin_pays_nothing_starts_nothing_and_takes_nothing() -> None:
    def runs_cover(ask: Ask) -> Offers:
        raise RuntimeError("no")

    stage = a_stage(a_node("n1", gpus=8), a_run("a", gpus=4), plugin=a_plugin(runs_cover))
    stage.settle()
    assert stage.phase("a") is Phase.QUEUED


def test_a_new_process_pays_the_same() -> None:
    runs = [hours(a_run(f"r{n}", gpus=4), 1 + n) for n in range(4)]
    told = []
    for restarts in (False, True):
        stage = a_stage(a_node("n1", gpus=8), *runs, plugin=purses(Purse(name="main", gpus=4)))
        stage.settle()
        for _ in range(8):
            stage.advance(minutes=45)
            if restarts:
                stage.restart()
        told.append([(record.run, record.at, type(record.outcome)) for record in stage.records])
    assert told[0] == told[1]
    assert sum(name is Moves for *_, name in told[0]) > 4


def test_of_many_that_wait_for_one_envelope_only_the_first_is_asked_again() -> None:
    asked: list[int] = []
    plugin = purses(Purse(name="main", gpus=8), unfunded=False)
    cover = plugin.runs_cover

    def runs_cover(ask: Ask, view: View, now: datetime) -> Offers:
        asked.append(ask.gpus)
        found: Offers = cover(view, now)
        return found

    counting = a_plugin(plugin.runs_index, runs_cover, plugin.runs_classify, plugin.runs_meter)
    stage = a_stage(a_node("n1", gpus=8), a_node("n2", gpus=8), hours(a_run("full", gpus=8), 1), plugin=counting)
    stage.settle()
    for number in range(50):
        stage.submit(hours(a_run(f"w{number:02}", gpus=8), 1))
    stage.settle()
    before = len(asked)
    stage.advance(hours=1, minutes=1)
    assert stage.phase("w00") is not Phase.QUEUED
    assert stage.phase("w01") is Phase.QUEUED
    assert len(asked) - before <= 4


def test_what_nobody_pays_for_is_counted_as_people_count() -> None:
    one, two = (no_quota(a_need(a_run("train", gpus=gpus)), Cover(left=gpus)) for gpus in (1, 2))
    assert one.message.startswith("no envelope pays for 1 GPU; ")
    assert two.message.startswith("no envelope pays for 2 GPUs; ")

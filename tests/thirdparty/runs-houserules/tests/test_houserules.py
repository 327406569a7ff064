from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from click.testing import CliRunner
from runs_core import Domain, Phase, Settings
from runs_core.hooks.ask import PluginAdvice
from runs_core.hooks.registry import of
from runs_core.testing.builders import A_MONDAY, a_lease, a_need, a_node, a_record, a_run, a_world, seen
from runs_core.testing.conformance import PluginConformance
from runs_core.testing.harness import Harness

from runs_houserules import plugin
from runs_houserules.commands import house_rules
from runs_houserules.rules import HouseRules, Ticket
from runs_houserules.usage import TeamUsage

VISION = {"team": "vision"}
NIGHT = datetime(2026, 1, 5, 18, tzinfo=UTC)


class TestConformance(PluginConformance):
    name = "houserules"
    plugin = plugin
    settings = HouseRules(daytime_gpus=4, teams=("vision",), team_gpus=10, ticket_gpus=16, rather=("d2",))
    runs = (
        a_run("wide", gpus=32, labels=VISION),
        a_run("narrow", gpus=2, labels={"team": "speech"}),
        a_run("ticket", gpus=32, sections=(Ticket(ticket="OPS-1"),)),
    )


def the_advice(rules, *things):
    world = a_world(*things)
    registry = of(houserules=plugin)
    advice = PluginAdvice(registry, Settings(plugins=MappingProxyType({"houserules": rules})))
    advice.attach(world, world)
    return advice, world


def codes(advice, world, run, now=A_MONDAY):
    return [hold.code for _, hold in advice.holds(run, world, now)]


def test_without_settings_no_run_waits_and_no_domain_is_liked_better():
    advice, world = the_advice(HouseRules())
    run = a_run("big", gpus=512, labels=VISION)
    assert codes(advice, world, run) == []
    assert advice.scores([Domain(), Domain(name="d2")], a_need(run), world) is None


def test_a_wide_run_of_the_team_waits_for_the_night():
    advice, world = the_advice(HouseRules(daytime_gpus=16, teams=("vision",)))
    run = a_run("wide", gpus=32, labels=VISION)
    [(by, hold)] = advice.holds(run, world, A_MONDAY)
    assert (by, hold.code, hold.until) == ("houserules", "OfficeHours", NIGHT)
    assert codes(advice, world, run, NIGHT) == []
    assert codes(advice, world, a_run("other", gpus=32)) == []


def test_a_big_run_needs_a_ticket():
    advice, world = the_advice(HouseRules(ticket_gpus=16))
    assert codes(advice, world, a_run("big", gpus=32)) == ["TicketMissing"]
    assert codes(advice, world, a_run("big", gpus=32, sections=(Ticket(ticket="OPS-1"),))) == []


def test_a_team_stops_at_its_cap_and_goes_on_when_a_lease_closes():
    running = a_run("first", labels=VISION, phase=Phase.RUNNING)
    lease = a_lease(running, {"n1": tuple(range(8))})
    advice, world = the_advice(HouseRules(team_gpus=12), a_node("n1"), running, lease)
    waiting = a_run("second", labels=VISION)
    assert codes(advice, world, waiting) == ["TeamCap"]
    with world.supposing([seen(a_run("first", labels={"team": "speech"}, phase=Phase.RUNNING))]):
        assert codes(advice, world, waiting) == []
    assert codes(advice, world, waiting) == ["TeamCap"]


def test_two_runs_of_a_team_that_come_at_once_cannot_both_pass_the_cap():
    settings = Settings(plugins=MappingProxyType({"houserules": HouseRules(team_gpus=12)}))
    advice = PluginAdvice(of(houserules=plugin), settings)
    fleet = (a_node("n1"), a_node("n2"))
    runs = [a_run(name, gpus=8, labels=VISION) for name in ("first", "second")]
    stage = Harness(*fleet, *runs, settings=settings, advice=advice)
    advice.attach(stage.loop.world, stage.loop.world)
    stage.settle()
    assert (stage.run("first").status.width, stage.run("second").status.width) == (8, 0)
    assert stage.run("second").status.reason == "TeamCap"


def test_usage_names_the_waiting_runs_of_the_team_whose_lease_it_is():
    usage = TeamUsage()
    running, waiting = a_run("first", labels=VISION, phase=Phase.RUNNING), a_run("second", labels=VISION)
    for thing in (running, waiting, a_run("third", labels={"team": "speech"})):
        usage.apply(seen(thing))
    assert list(usage.apply(seen(a_lease(running, {"n1": (0, 1)})))) == [waiting.key]
    assert usage.used("vision") == 2


def test_domains_that_are_rather_used_score_lower():
    advice, world = the_advice(HouseRules(rather=("d2",)))
    assert advice.scores([Domain(name="d1"), Domain(name="d2")], a_need(a_run("a")), world) == [1.0, 0.0]


def test_explain_tells_the_team_and_the_decisions():
    run = a_run("told", labels=VISION)
    advice, world = the_advice(HouseRules(team_gpus=12), run)
    advice.recorded(a_record(run))
    lines = [line for _, line in advice.explained(run, world, A_MONDAY + timedelta(hours=1))]
    assert lines == ["team vision runs on 0 of 12 GPUs", "1 decisions about it since the scheduler started"]
    advice.recorded(a_record(run, phase=Phase.SUCCEEDED))
    assert run.key not in plugin.DECISIONS


def test_the_command_prints_every_setting_with_its_default():
    shown = CliRunner().invoke(house_rules)
    assert shown.exit_code == 0
    assert "opens (default 8): Hour (UTC) at which the office opens." in shown.output

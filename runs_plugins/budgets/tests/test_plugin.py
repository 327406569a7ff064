"""The plugin in a cluster: what its hooks answer, and what comes of it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, ClassVar

import attrs
import pytest

from runs_budgets import plugin
from runs_budgets.sections import AggregateCap, Envelope, Lending, Metered, Quota, Sharing, Terms, Window
from runs_budgets.settings import BudgetSettings
from runs_core import Ask, Budget, BudgetGone, Class, Condition, Demand, Node, Offer, Payer, Phase, Run, Settings, Tier
from runs_core.decide.cover import cover
from runs_core.decide.odds import foreseen
from runs_core.hooks.ask import PluginAdvice
from runs_core.hooks.registry import of
from runs_core.hooks.sight import sight
from runs_core.testing.builders import A_MONDAY, a_budget, a_lease, a_node, a_run, a_world, seen
from runs_core.testing.conformance import PluginConformance
from runs_core.testing.harness import Harness
from runs_core.testing.plugins import a_plugin
from runs_core.values.lease import Lease

HOUR = timedelta(hours=1)


def quota(*envelopes: Envelope, parents: tuple[str, ...] = (), caps: tuple[AggregateCap, ...] = ()) -> Quota:
    return Quota(envelopes=envelopes, parents=parents, aggregate_caps=caps)


def envelope(name: str = "main", gpus: int = 8, **more: object) -> Envelope:
    return Envelope(name=name, flavor="h100", gpus=gpus, **more)  # type: ignore[arg-type]  # as Envelope takes them


def paid(run: Run, budget: str, gpus: int, *, owner: str, start: datetime = A_MONDAY) -> Lease:
    lease = a_lease(run, {f"node-of-{run.meta.name}": tuple(range(gpus))}, owner=owner, start=start)
    payer = Payer(budget=budget, envelope="main")
    return attrs.evolve(lease, spec=attrs.evolve(lease.spec, payer=payer))


class Bench:
    """A world with the plugin on."""

    def __init__(self, *things: Node | Run | Budget | Lease) -> None:
        self.world = a_world(*things)
        self.advice = PluginAdvice(of(budgets=plugin), Settings())
        self.advice.attach(self.world, self.world)
        self.view = sight(self.world)

    def offers(self, owner: str, gpus: int = 8, **more: object) -> dict[str, Offer]:
        asked = {"min_runtime": timedelta(minutes=30), **more}
        ask = Ask(owner=owner, flavor="h100", gpus=gpus, **asked)  # type: ignore[arg-type]  # as Ask takes them
        found = plugin.runs_cover(ask, self.view, self.world.now)
        return {f"{offer.payer.budget}/{offer.payer.envelope}": offer for offer in found.offers}


FAMILY = (
    a_budget("vision", sections=(quota(envelope(), parents=("org",)),)),
    a_budget("speech", sections=(quota(envelope(), parents=("org",)),)),
    a_budget("org", sections=(quota(envelope()),)),
    a_budget("else", sections=(quota(envelope(lending=Lending(to=("vis*",), max_gpus=4))),)),
)


class TestConformance(PluginConformance):
    name = "budgets"
    plugin: ClassVar[Any] = plugin
    runs: ClassVar = (
        a_run("picky", owner="vision", sections=(Terms(allow_unfunded=False),)),
        a_run("plain", owner="speech"),
    )


def test_own_quota_is_offered_first_and_a_tier_farther_than_needed_is_not_looked_at() -> None:
    bench = Bench(*FAMILY)
    assert [(name, offer.tier, offer.gpus) for name, offer in bench.offers("vision").items()] == [
        ("vision/main", Tier.OWN, 8)
    ]
    assert list(bench.offers("vision", gpus=9)) == ["vision/main", "org/main"]
    assert list(bench.offers("vision", gpus=17)) == ["vision/main", "org/main", "speech/main"]


def test_an_owner_displaces_its_family_and_the_family_says_whom_it_ranks_below() -> None:
    run = a_run("guest", phase=Phase.RUNNING)
    bench = Bench(*FAMILY, paid(run, "vision", 8, owner="speech"))
    assert (bench.offers("vision")["vision/main"].had, bench.offers("vision")["vision/main"].why) == (8, "")
    theirs = bench.offers("speech", gpus=64)["vision/main"]
    assert (theirs.had, theirs.gpus, theirs.why) == (0, 0, "ranks below 1 claim")


def test_each_refusal_says_why() -> None:
    later, before = A_MONDAY + HOUR, A_MONDAY - HOUR
    envelopes = (
        envelope("later", window=Window(start=later)),
        envelope("over", window=Window(end=before)),
        envelope("north", selector=(("region", "north"),)),
        envelope("brief", gpu_hours=1),
        envelope("small", gpus=16),
    )
    cap = AggregateCap(name="both", flavor="h100", envelopes=("small",), gpus=4)
    bench = Bench(a_budget("vision", sections=(quota(*envelopes, caps=(cap,)),)))
    found = bench.offers("vision", gpus=99, selector=(("region", "south"),))
    assert {name: (offer.gpus, offer.why) for name, offer in found.items()} == {
        "vision/later": (0, "closed until 2026-01-05T13:00:00Z"),
        "vision/over": (0, "closed since 2026-01-05T11:00:00Z"),
        "vision/north": (0, "elsewhere"),
        "vision/brief": (2, "hours left would pay less than its minRuntime"),
        "vision/small": (4, "cap both"),
    }


@pytest.mark.parametrize(("minutes", "gives"), [(30, 2), (15, 4), (60, 1), (61, 0)])
def test_hours_left_are_to_last_as_long_as_the_run_is_left_alone(minutes: int, gives: int) -> None:
    """One GPU-hour pays for 4 GPUs over 15 minutes, and for 0.98 over 61."""
    bench = Bench(a_budget("vision", sections=(quota(envelope("main", gpu_hours=1)),)))
    found = bench.offers("vision", min_runtime=timedelta(minutes=minutes))
    assert found["vision/main"].gpus == gives


def test_what_is_not_shared_is_not_offered_to_the_family() -> None:
    bench = Bench(*FAMILY[1:], a_budget("vision", sections=(quota(envelope(sharing=Sharing.NONE), parents=("org",)),)))
    assert bench.offers("speech", gpus=64)["vision/main"].why == "not shared"


def test_a_strangers_envelope_is_not_looked_at() -> None:
    assert "else/main" not in Bench(*FAMILY).offers("vision", gpus=999)


def test_the_family_is_asked_where_the_own_envelopes_have_the_gpus_and_not_the_pods() -> None:
    """4 and 4 of its own pay for no pod of 8, and the parent's 8 do."""
    own = quota(envelope("one", gpus=4), envelope("two", gpus=4), parents=("org",))
    bench = Bench(a_budget("vision", sections=(own,)), a_budget("org", sections=(quota(envelope()),)))
    assert list(bench.offers("vision", gpus=8)) == ["vision/one", "vision/two"]
    assert list(bench.offers("vision", gpus=8, unit=8)) == ["vision/one", "vision/two", "org/main"]


def test_a_cycle_made_by_two_edits_is_told_on_both_and_mended_by_one() -> None:
    one = a_budget("one", sections=(quota(envelope(), parents=("two",)),))
    two = a_budget("two", sections=(quota(envelope(), parents=("one",)),))
    bench = Bench(one, two)
    for budget in (one, two):
        ready = conditions(bench, budget)["Ready"]
        assert (ready.status, ready.reason) == ("False", "ParentCycle")
    assert list(bench.offers("one", gpus=99)) == ["one/main"]
    mended = a_budget("two", sections=(quota(envelope()),))
    bench.world.apply(seen(mended))
    assert conditions(bench, mended)["Ready"].status == "True"
    assert list(bench.offers("one", gpus=99)) == ["one/main", "two/main"]


def conditions(bench: Bench, budget: Budget) -> dict[str, Condition]:
    account = plugin.runs_account(budget, bench.view, bench.world.now, BudgetSettings())
    return {one.type: one for one in account.conditions}


def test_a_parent_that_no_budget_names_is_said_and_counts_for_nothing() -> None:
    orphans = [a_budget(name, sections=(quota(envelope(), parents=("ghost",)),)) for name in ("one", "two")]
    bench = Bench(*orphans)
    ready = conditions(bench, orphans[0])["Ready"]
    assert (ready.status, ready.reason) == ("True", "ParentUnknown")
    assert list(bench.offers("one", gpus=99)) == ["one/main"]


def test_two_budgets_of_one_owner_add_up() -> None:
    bench = Bench(*(a_budget(name, owner="vision", sections=(quota(envelope()),)) for name in ("b2", "b1")))
    assert list(bench.offers("vision", gpus=16)) == ["b1/main", "b2/main"]


def test_a_family_of_ten_thousand_is_asked_in_full_only_where_it_must_be() -> None:
    many = [a_budget(f"o{at:05}", sections=(quota(envelope(), parents=("org",)),)) for at in range(10_000)]
    bench = Bench(*many, FAMILY[2])
    assert list(bench.offers("o00007")) == ["o00007/main"]
    assert len(bench.offers("o00007", gpus=10**6)) == 10_000


def test_a_run_starts_on_its_owners_quota_and_the_next_one_starts_unfunded() -> None:
    stage = Harness(
        a_node("n1", gpus=8),
        a_node("n2", gpus=8),
        a_budget("vision", sections=(quota(envelope(gpus=8)),)),
        a_run("first", gpus=8),
        a_run("second", gpus=8),
        settings=Settings(),
        advice=(advice := PluginAdvice(of(budgets=plugin), Settings())),
    )
    advice.attach(stage.loop.world, stage.loop.world)
    stage.settle()
    assert [stage.run(name).status.funding.owned for name in ("first", "second")] == [8, 0]
    assert stage.run("second").status.funding.unfunded == 8
    assert [payer.envelope for payer in stage.run("first").status.payers] == ["main"]
    stage.advance(90)
    status = stage.world.budgets()[0].status
    metered = status.sections[Metered].envelopes[0]
    assert (metered.gpus.owned, metered.headroom) == (8, 0)
    assert metered.gpu_seconds.owned >= 8 * 60


def test_a_budget_that_goes_demotes_and_kills_nobody() -> None:
    run = a_run("train", phase=Phase.RUNNING, owner="vision")
    lease = paid(run, "vision", 8, owner="vision")
    bench = Bench(*FAMILY, run, lease)
    assert plugin.runs_classify(lease, bench.view) is Class.OWNED
    bench.world.apply(BudgetGone("vision"))
    assert plugin.runs_classify(lease, bench.view) is Class.UNFUNDED


def runs_demand(run: Run) -> Demand | None:
    return Demand(least=4, most=8, step=4) if run.meta.name == "elastic" else None


def test_who_may_be_cut_is_foreseen_for_the_least_width_alone() -> None:
    """Of lab's 12, its child has 8. `elastic` (lab) needs 4 and would take 8: for 4, `shared` stays paid for."""
    lab = a_budget("lab", sections=(quota(envelope(gpus=12)),))
    vision = a_budget("vision", sections=(quota(parents=("lab",)),))
    advice = PluginAdvice(of(budgets=plugin, stretch=a_plugin(runs_demand)), Settings())
    stage = Harness(a_node("n1", gpus=8), a_node("n2", gpus=8), lab, vision, settings=Settings(), advice=advice)
    advice.attach(stage.loop.world, stage.loop.world)
    for name in ("shared", "poor"):
        stage.submit(a_run(name, gpus=8, owner="vision"))
        stage.settle()
    stage.advance(minutes=31)
    elastic = a_run("elastic", gpus=8, owner="lab")
    world = stage.loop.world
    found = foreseen(world, elastic, cover(world, advice, world.ask(elastic), world.order(elastic)), advice)
    assert [one.unit.name for one in (found.chances if found is not None else ())] == ["poor"]


def test_a_budget_that_nobody_uses_is_not_written_again_and_again() -> None:
    """Over two minutes with a run every 10 s; `idle` pays for nobody."""
    budgets = [a_budget(name, sections=(quota(envelope()),)) for name in ("busy", "idle")]
    advice = PluginAdvice(of(budgets=plugin), Settings())
    stage = Harness(a_node("n1", gpus=8), *budgets, settings=Settings(), advice=advice)
    advice.attach(stage.loop.world, stage.loop.world)
    stage.settle()
    written: dict[str, set[datetime | None]] = {"busy": set(), "idle": set()}
    for at in range(12):
        stage.submit(a_run(f"run-{at}", gpus=1, owner="busy"))
        stage.advance(seconds=10)
        for budget in stage.world.budgets():
            written[budget.name].add(budget.status.sections[Metered].metered_until)
    assert len(written["busy"]) > 5
    assert len(written["idle"]) == 1

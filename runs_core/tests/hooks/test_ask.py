# ruff: noqa: ANN401 - plugins that lie answer what no type allows

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from time import perf_counter
from typing import Any

import attrs
import pytest

from runs_core.errors import PluginError
from runs_core.hooks.ask import PluginAdvice
from runs_core.hooks.contract import CONTRACTS, Contract, Failure
from runs_core.hooks.registry import of
from runs_core.hooks.specs import concerning
from runs_core.settings import HookSettings, Settings
from runs_core.testing.builders import A_MONDAY as NOW
from runs_core.testing.builders import a_budget, a_lease, a_need, a_node, a_record, a_run, a_world
from runs_core.testing.plugins import a_plugin, advice_of
from runs_core.values.classes import Class, Tier
from runs_core.values.decision import Hold
from runs_core.values.demand import Demand
from runs_core.values.fields import Fact, field
from runs_core.values.funding import Ask, Offer, Offers, Proposal, Stage
from runs_core.values.lease import Closed, Payer
from runs_core.values.node import Domain
from runs_core.values.record import Record
from runs_core.values.section import Section

RUN = a_run("train")
WORLD = a_world(a_node("n1"), RUN)
DOMAINS = (Domain(name="d1"), Domain(name="d2"))
BUSY = Hold("Busy", "wait for the others")
A_LEASE = a_lease(RUN, {"n1": (0,)})
AN_ASK = Ask(owner="vision", flavor="h100", gpus=8)
A_STAGE = Stage(name="unfunded", order=1, closure=Closed.UNFUNDED_RECLAIMED)
HASTY = Settings(hooks=HookSettings(timeout=timedelta(milliseconds=200)))


def hook(name: str, answer: Callable[[], Any]) -> Any:
    """A plugin that answers one hook so."""

    def implementation() -> Any:
        return answer()

    implementation.__name__ = name
    return a_plugin(implementation)


def raises() -> Any:
    raise ValueError("the disk is full")


def exits() -> Any:
    raise SystemExit(3)


def hangs() -> Any:
    while True:
        pass


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError


def raises_the_unspeakable() -> Any:
    raise Unspeakable


def half_a_generator() -> Any:
    yield BUSY
    raise ValueError("half way")


def endless() -> Any:
    while True:
        yield BUSY


def holds(advice: PluginAdvice) -> Sequence[tuple[str, Hold]]:
    return advice.holds(RUN, WORLD, NOW)


def failed(advice: PluginAdvice) -> dict[str, str]:
    """Last failure by plugin."""
    return {tally.plugin: tally.last_failure for tally in advice.tallies if tally.failed}


# -- holds: everybody may veto ----------------------------------------------------------------------------------------


def test_every_reason_of_every_plugin_counts_in_any_order() -> None:
    plugins = {
        "b": hook("runs_hold", lambda: [BUSY]),
        "a": hook("runs_hold", lambda: [Hold("Late", "come back"), BUSY]),
    }
    expected = [("a", BUSY), ("a", Hold("Late", "come back")), ("b", BUSY)]
    for order in (plugins, dict(reversed(plugins.items()))):
        assert holds(advice_of(order)) == expected


def test_a_hook_gets_only_the_arguments_that_it_names_in_its_own_order() -> None:
    asked: list[object] = []

    def runs_hold(now: datetime, run: object) -> None:
        asked.append((now, run))

    holds(advice_of({"a": a_plugin(runs_hold)}))
    assert asked == [(NOW, RUN)]


def test_a_plugin_gets_its_own_settings_or_their_defaults() -> None:
    @attrs.frozen(kw_only=True)
    class Mine:
        word: str = "please"

    def runs_settings() -> type:
        return Mine

    def runs_explained(settings: Mine) -> list[str]:
        return [settings.word]

    plugin = a_plugin(runs_settings, runs_explained)
    changed = Settings(plugins={"b": Mine(word="thanks")})
    lines = advice_of({"a": plugin, "b": plugin}, changed).explained(RUN, WORLD, NOW)
    assert lines == [("a", "please"), ("b", "thanks")]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (raises, "ValueError: the disk is full"),
        (exits, "SystemExit: 3"),
        (hangs, "no answer within 0."),
        (raises_the_unspeakable, "Unspeakable"),
        (half_a_generator, "ValueError: half way"),
        (endless, "got more than 16 holds"),
        (lambda: [BUSY] * 1000, "got more than 16 holds"),
        (lambda: True, "got bool, want a sequence of holds, or None"),
        (lambda: "Busy", "got str, want a sequence of holds"),
        (lambda: ["Busy"], "got str among the holds, want Hold(code, message, until)"),
        (lambda: [("Busy", "wait")], "got tuple among the holds"),
        (lambda: [Hold("not one word", "wait")], "got the code 'not one word'"),
        (lambda: [Hold(7, "wait")], "got the code 7"),  # type: ignore[arg-type]  # what a plugin may do
        (lambda: [Hold("Busy", "")], "got '', want a line of text"),
        (lambda: [Hold("Busy", "a" * 1_000_000)], "got 1000000 characters, want at most 1000"),
        (lambda: [Hold("Busy", "\x1b[2J")], "without control characters"),
        (lambda: [Hold("Busy", "wait", NOW)], "which is not after now"),
        (lambda: [Hold("Busy", "wait", datetime(2027, 1, 1))], "has no zone"),  # noqa: DTZ001 - the point of it
        (lambda: [Hold("Busy", "wait", "soon")], "got str, want a datetime"),  # type: ignore[arg-type]  # as above
    ],
)
def test_a_plugin_that_fails_to_answer_holds_and_silences_nobody(answer: Callable[[], Any], why: str) -> None:
    advice = advice_of({"a": hook("runs_hold", answer), "b": hook("runs_hold", lambda: [BUSY])}, HASTY)
    (by, hold), other = holds(advice)
    assert (by, hold.code, hold.until) == ("a", "PluginFailed", NOW + timedelta(minutes=1))
    assert hold.message.startswith("plugin a failed to answer whether this run may start (")
    assert why in hold.message
    assert hold.message.endswith("; mend it, or switch it off with `plugins: {a: {enabled: false}}`")
    assert other == ("b", BUSY)
    assert list(failed(advice)) == ["a"]


def test_the_time_of_a_hold_is_kept_in_utc() -> None:
    paris = timezone(timedelta(hours=1))
    advice = advice_of({"a": hook("runs_hold", lambda: [Hold("Busy", "wait", datetime(2026, 1, 6, 9, tzinfo=paris))])})
    [(_, hold)] = holds(advice)
    assert hold.until == datetime(2026, 1, 6, 8, tzinfo=UTC)
    assert hold.until is not None
    assert hold.until.tzinfo is UTC


def test_a_generator_is_as_good_as_a_list() -> None:
    assert holds(advice_of({"a": hook("runs_hold", lambda: (hold for hold in [BUSY]))})) == [("a", BUSY)]


def test_a_plugin_cannot_write_to_the_world() -> None:
    seen: list[Any] = []

    def runs_hold(view: Any) -> None:
        seen.append(view)
        view.run = None

    [(_, hold)] = holds(advice_of({"a": a_plugin(runs_hold)}))
    assert "FrozenInstanceError" in hold.message
    assert not hasattr(seen[0], "apply")
    assert seen[0].run(RUN.key) == RUN
    assert seen[0].now == NOW


# -- scores: summed ---------------------------------------------------------------------------------------------------


def scores(*answers: Callable[[], Any]) -> tuple[Sequence[float] | None, dict[str, str]]:
    plugins = {f"p{number}": hook("runs_score", answer) for number, answer in enumerate(answers)}
    advice = advice_of(plugins, HASTY)
    return advice.scores(DOMAINS, a_need(RUN), WORLD), failed(advice)


def test_scores_are_summed_domain_by_domain() -> None:
    assert scores(lambda: [1, 0], lambda: None, lambda: (0.5, 0.25)) == ([1.5, 0.25], {})


def test_without_an_opinion_there_is_no_score() -> None:
    assert scores(lambda: None) == (None, {})


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (raises, "the disk is full"),
        (hangs, "no answer"),
        (lambda: [1], "got 1 score for 2 domains"),
        (lambda: [1, 2, 3], "got more than 2 scores"),
        (lambda: [1, float("nan")], "got nan"),
        (lambda: [1, float("inf")], "got inf"),
        (lambda: [1, -1e300], "want a number within"),
        (lambda: [1, "2"], "got str, want a number"),
        (lambda: [1, True], "got bool, want a number"),
        (lambda: {"d1": 1, "d2": 2}, "got dict"),
    ],
)
def test_a_score_that_is_none_counts_for_nothing(answer: Callable[[], Any], why: str) -> None:
    total, failures = scores(answer, lambda: [2, 1])
    assert total == [2, 1]
    assert list(failures) == ["p0"]
    assert why in failures["p0"]


def test_scoring_says_whether_anybody_is_to_be_asked() -> None:
    assert advice_of({"a": hook("runs_score", lambda: None)}).scoring
    assert not advice_of({"a": hook("runs_hold", lambda: None)}).scoring


# -- rank: one owner --------------------------------------------------------------------------------------------------


def rank(answer: Any, *, named: str | None = "a") -> Any:
    advice = advice_of({"a": hook("runs_rank", lambda: answer)}, Settings(rank=named))
    return advice.rank(RUN, WORLD)


def test_ranks_of_any_shape_compare() -> None:
    shapes = [(1,), (0.5,), (1, 2), (1, "a"), ("a",), ("b", 1), ()]
    ordered = sorted(shapes, key=rank)
    assert ordered == [(), (0.5,), (1,), (1, 2), (1, "a"), ("a",), ("b", 1)]
    assert all((*rank(one), "research", "x") != (*rank(other), "research", "x") for one, other in pairwise(ordered))


@pytest.mark.parametrize("answer", [5, "a", [1], (None,), (float("nan"),), (True,), (1,) * 9])
def test_a_rank_that_is_none_leaves_the_run_to_its_admission_time(answer: object) -> None:
    advice = advice_of({"a": hook("runs_rank", lambda: answer)}, Settings(rank="a"))
    assert advice.rank(RUN, WORLD) is None
    assert list(failed(advice)) == ["a"]


def test_nobody_ranks_who_is_not_named() -> None:
    assert rank((1,), named=None) is None


def test_an_unknown_owner_of_the_line_is_a_start_up_error() -> None:
    with pytest.raises(PluginError, match="rank: got 'c', want one of a"):
        rank((1,), named="c")


# -- moments: the earliest --------------------------------------------------------------------------------------------


def moment(*answers: Callable[[], Any]) -> tuple[datetime | None, list[str]]:
    plugins = {f"p{number}": hook("runs_moments", answer) for number, answer in enumerate(answers)}
    advice = advice_of(plugins, HASTY)
    return advice.moment(WORLD, NOW), sorted(failed(advice))


def test_the_earliest_moment_of_all_plugins_counts() -> None:
    soon, late = NOW + timedelta(hours=1), NOW + timedelta(hours=2)
    assert moment(lambda: [late], lambda: [late, soon], lambda: None, list) == (soon, [])


@pytest.mark.parametrize(
    "answer",
    [
        raises,
        hangs,
        lambda: [NOW],
        lambda: [NOW - timedelta(days=1)],
        lambda: [datetime(2030, 1, 1)],  # noqa: DTZ001 - the point of it
        lambda: [NOW + timedelta(minutes=number + 1) for number in range(2000)],
        lambda: ["soon"],
        lambda: NOW + timedelta(minutes=1),
    ],
)
def test_a_moment_that_is_none_is_ignored(answer: Callable[[], Any]) -> None:
    later = NOW + timedelta(days=3)
    assert moment(answer, lambda: [later]) == (later, ["p0"])


# -- told -------------------------------------------------------------------------------------------------------------


def test_how_wide_a_run_may_be_is_what_the_one_plugin_says_that_answers() -> None:
    said = Demand(least=4, most=16, step=4)
    advice = advice_of({"a": hook("runs_demand", lambda: said), "b": hook("runs_hold", lambda: [BUSY])})
    assert advice.demand(RUN, WORLD) == said
    assert holds(advice) == [("b", BUSY)]
    assert advice_of({"a": hook("runs_demand", lambda: None)}).demand(RUN, WORLD) is None
    with pytest.raises(PluginError, match="a and b would all answer runs_demand"):
        advice_of({name: hook("runs_demand", lambda: said) for name in "ab"})


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (raises, "ValueError: the disk is full"),
        (hangs, "no answer within"),
        (lambda: 8, "got int, want Demand"),
        (lambda: Demand(least=0, most=8, step=4), "got least=0, want a multiple of 4 from 4"),
        (lambda: Demand(least=4, most=10, step=4), "got most=10, want a multiple of 4"),
        (lambda: Demand(least=4, most=8, step=2), "got step=2, want a multiple of 4"),
        (lambda: Demand(least=4.0, most=8, step=4), "got least=4.0, want a multiple of 4"),  # type: ignore[arg-type]  # as a plugin might
        (lambda: Demand(least=12, most=8, step=4), "got least=12 and most=8, want no more at least than at most"),
    ],
)
def test_a_width_that_no_gang_could_have_holds_the_run(answer: Callable[[], Any], why: str) -> None:
    """Groups of 4. Of what runs each group may then lose its payer by itself, and none that it has."""
    run = a_run("grouped", gpus=10, gpus_per_pod=2, group_gpus=4)
    advice = advice_of({"a": hook("runs_demand", answer)}, HASTY)
    [(plugin, hold)] = advice.holds(run, WORLD, NOW)
    assert (plugin, hold.code) == ("a", "PluginFailed")
    assert why in hold.message
    assert advice.demand(run, WORLD) == Demand(least=4, most=8, step=4)


@pytest.mark.parametrize("answer", [raises, exits, hangs])
def test_who_fails_to_listen_keeps_nobody_from_hearing(answer: Callable[[], Any]) -> None:
    heard: list[Record] = []

    def runs_recorded(record: Record) -> None:
        heard.append(record)

    advice = advice_of({"a": hook("runs_recorded", answer), "b": a_plugin(runs_recorded)}, HASTY)
    advice.recorded(a_record(RUN))
    assert heard == [a_record(RUN)]
    assert list(failed(advice)) == ["a"]


@pytest.mark.parametrize("answer", [raises, lambda: "text", lambda: ["a\nb"], lambda: ["a"] * 51, lambda: [1]])
def test_who_fails_to_explain_is_silent(answer: Callable[[], Any]) -> None:
    advice = advice_of({"a": hook("runs_explained", answer), "b": hook("runs_explained", lambda: ["because"])})
    assert advice.explained(RUN, WORLD, NOW) == [("b", "because")]
    assert list(failed(advice)) == ["a"]


# -- counting ---------------------------------------------------------------------------------------------------------


def test_calls_failures_hangs_and_time_are_counted_by_plugin_and_hook() -> None:
    turns: list[Callable[[], Any]] = [hangs, raises, lambda: None]

    def runs_hold() -> Any:
        return turns.pop()()

    advice = advice_of({"a": a_plugin(runs_hold)}, HASTY)
    for _ in range(3):
        holds(advice)
    [tally] = advice.tallies
    assert (tally.plugin, tally.hook, tally.asked, tally.failed, tally.hung) == ("a", "runs_hold", 3, 2, 1)
    assert 0.2 <= tally.slowest_seconds <= tally.seconds


def test_who_hangs_three_times_in_a_row_is_let_be_for_a_while_and_then_asked_again() -> None:
    turns: list[Callable[[], Any]] = [hangs, hangs, hangs, lambda: [BUSY]]

    def runs_hold() -> Any:
        return turns.pop(0)()

    soon = Settings(hooks=HookSettings(timeout=timedelta(milliseconds=50), recheck=timedelta(seconds=1)))
    advice = advice_of({"a": a_plugin(runs_hold)}, soon)
    began = perf_counter()
    answers = [holds(advice) for _ in range(50)]
    assert perf_counter() - began < 1, "who is let be costs no time"
    assert {hold.code for [(_, hold)] in answers} == {"PluginFailed"}
    assert "no answer within 0.05 s, 3 times in a row; it is let be for 1 s" in answers[-1][0][1].message
    [tally] = advice.tallies
    assert (tally.failed, tally.hung, len(turns)) == (50, 3, 1)
    while (found := holds(advice)) != [("a", BUSY)]:
        assert perf_counter() - began < 60, found


def test_a_registry_that_is_not_sound_gives_no_advice() -> None:
    with pytest.raises(PluginError, match="implements no hook"):
        PluginAdvice(of(a=a_plugin()), Settings())


@attrs.frozen(kw_only=True)
class Purse:
    """A section of a run, of the plugin below."""

    open: bool = field(Fact(doc="Whether it pays."), default=False)


NO_WORD: Any = 1
AN_OFFER = Offers(offers=(Offer(tier=Tier.OWN, payer=Payer(budget="b", envelope="main"), had=8, gpus=8),))
OPENED = Proposal(change="open the purse", section=Purse(open=True))


def proposing(*answers: object) -> PluginAdvice:
    def runs_sections() -> list[Section]:
        return [Section(plugin="purse", kind="Run", name="purse", cls=Purse)]

    def runs_remedies(short: int) -> list[object]:
        return [*answers, attrs.evolve(OPENED, change=f"open the purse for {short}")]

    return advice_of({"purse": a_plugin(runs_sections, runs_remedies)})


def test_a_plugin_proposes_other_values_of_its_own_section() -> None:
    found = proposing(OPENED).proposals(RUN, AN_ASK, 8, WORLD)
    assert found == [OPENED, attrs.evolve(OPENED, change="open the purse for 8")]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("open it", "got str among the proposals, want Proposal"),
        (
            attrs.evolve(OPENED, section=RUN.spec),
            "got a section RunSpec, want one of a class that runs_sections declared",
        ),
        (attrs.evolve(OPENED, change="two\nlines"), "without control characters"),
        (attrs.evolve(OPENED, words=(NO_WORD,)), "want a line of text"),
    ],
)
def test_who_proposes_what_it_must_not_proposes_nothing(answer: object, why: str) -> None:
    advice = proposing(answer)
    assert advice.proposals(RUN, AN_ASK, 8, WORLD) == []
    (tally,) = [one for one in advice.tallies if one.failed]
    assert why in tally.last_failure


def test_who_is_asked_by_section_is_asked_of_runs_with_one_and_of_no_other() -> None:
    def runs_sections() -> list[Section]:
        return [Section(plugin="purse", kind="Run", name="purse", cls=Purse)]

    @concerning(Purse)
    def runs_cover(ask: Ask) -> Offers:
        return AN_OFFER

    advice = advice_of({"purse": a_plugin(runs_sections, runs_cover)})
    assert advice.offers(AN_ASK, WORLD, NOW) == Offers(offers=())
    assert advice.offers(attrs.evolve(AN_ASK, sections={Purse: Purse()}), WORLD, NOW) == AN_OFFER
    assert [one.asked for one in advice.tallies if one.hook == "runs_cover"] == [1]


def holds_of(advice: PluginAdvice) -> list[object]:
    return [hold.code for _, hold in advice.holds(RUN, WORLD, NOW)]


QUESTIONS: dict[str, Callable[[PluginAdvice], object]] = {
    "runs_hold": holds_of,
    "runs_demand": lambda advice: [*holds_of(advice), advice.demand(RUN, WORLD)],
    "runs_score": lambda advice: advice.scores(DOMAINS, a_need(RUN), WORLD),
    "runs_rank": lambda advice: advice.rank(RUN, WORLD),
    "runs_moments": lambda advice: advice.moment(WORLD, NOW),
    "runs_recorded": lambda advice: advice.recorded(a_record(RUN)),
    "runs_explained": lambda advice: list(advice.explained(RUN, WORLD, NOW)),
    "runs_cover": lambda advice: advice.offers(AN_ASK, WORLD, NOW),
    "runs_classify": lambda advice: advice.classify(A_LEASE, WORLD, NOW),
    "runs_meter": lambda advice: advice.meter(A_LEASE, WORLD, NOW),
    "runs_account": lambda advice: advice.account(a_budget("b"), WORLD, NOW),
    "runs_victims": lambda advice: list(advice.victims(A_STAGE, "h100", WORLD, NOW)),
    "runs_protected": lambda advice: len(advice.protected(RUN, WORLD, NOW)),
    "runs_remedies": lambda advice: list(advice.proposals(RUN, AN_ASK, 8, WORLD)),
    "runs_index": lambda advice: advice.attach(a_world(), WORLD),
}


MEANT = {
    Failure.HOLDS: ["PluginFailed"],
    Failure.HOLDS_OR_GOES_ON: ["PluginFailed", Demand(least=1, most=8, step=1)],
    Failure.NO_OFFER: Offers(offers=(), unfunded=False),
    Failure.OWNED: Class.OWNED,
    Failure.PROTECTED: 1,
}


@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=lambda contract: contract.hook)
def test_a_failure_means_what_the_contract_says(contract: Contract) -> None:
    plugin = hook(contract.hook, raises)
    if contract.failure is Failure.REFUSES:
        with pytest.raises(PluginError, match="switch it off"):
            QUESTIONS.get(contract.hook, id)(advice_of({"a": plugin}))
        return
    advice = advice_of({"a": plugin}, Settings(rank="a" if contract.hook == "runs_rank" else None))
    answer = QUESTIONS[contract.hook](advice)
    assert answer == MEANT.get(contract.failure, [] if isinstance(answer, list) else None)
    assert list(failed(advice)) == ["a"]

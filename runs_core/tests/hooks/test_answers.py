# ruff: noqa: ANN401 - plugins that lie answer what no type allows
"""What a plugin answers wrongly is its failure alone: it never reaches whoever asked, and the others are heard."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import attrs
import pytest

from runs_core.errors import PluginError
from runs_core.hooks.ask import PluginAdvice
from runs_core.hooks.registry import of
from runs_core.settings import Settings
from runs_core.testing.builders import A_MONDAY as NOW
from runs_core.testing.builders import a_budget, a_lease, a_node, a_run, a_world, seen
from runs_core.testing.plugins import a_plugin, advice_of
from runs_core.values.classes import Class, Split, Tier
from runs_core.values.decision import Hold
from runs_core.values.funding import Account, Ask, Cap, Gives, Offer, Offers, Stage, Unit
from runs_core.values.lease import Closed, LeaseStatus, Payer
from runs_core.values.meta import Key
from runs_core.values.run import Condition

RUN = a_run("train")
WORLD = a_world(a_node("n1"), RUN)
LEASE = a_lease(RUN, {"n1": (0, 1)})
LATER = LEASE.spec.start + timedelta(seconds=10)
ASK = Ask(owner="vision", flavor="h100", gpus=8)
STAGE = Stage(name="loans", order=1, closure=Closed.PREEMPTED)
PAYER = Payer(budget="vision", envelope="h100")
SOUND = Offer(tier=Tier.OWN, payer=Payer(budget="lab", envelope="all"), had=4, gpus=4)


class Aborted(BaseException):
    pass


def hook(name: str, answer: Any) -> Any:
    def implementation() -> Any:
        return answer() if callable(answer) else answer

    implementation.__name__ = name
    return a_plugin(implementation)


def why(advice: PluginAdvice) -> str:
    [(plugin, sentence)] = [(one.plugin, one.last_failure) for one in advice.tallies if one.failed]
    assert plugin == "liar"
    return sentence


def raises(error: BaseException) -> Callable[[], Any]:
    def fail() -> Any:
        raise error

    return fail


@pytest.mark.parametrize(("given", "counts"), [(timedelta(microseconds=1), 1), (timedelta(seconds=90), 90)])
def test_time_is_not_asked_for_again_before_a_second_has_passed(given: timedelta, counts: int) -> None:
    soon = {"a": hook("runs_moments", [NOW + given]), "b": hook("runs_hold", [Hold("Soon", "wait", NOW + given)])}
    advice = advice_of(soon)
    assert advice.moment(WORLD, NOW) == NOW + timedelta(seconds=counts)
    assert [hold.until for _, hold in advice.holds(RUN, WORLD, NOW)] == [NOW + timedelta(seconds=counts)]


def an_offer(**other: Any) -> Any:
    return Offers(offers=(Offer(**{"tier": Tier.OWN, "payer": PAYER, "had": 8, "gpus": 8, **other}),))


@pytest.mark.parametrize("error", [Aborted("no"), asyncio.CancelledError("no"), GeneratorExit("no")])
def test_whatever_it_raises_is_its_failure_alone(error: BaseException) -> None:
    advice = advice_of({"liar": hook("runs_hold", raises(error)), "sound": hook("runs_hold", [Hold("Busy", "wait")])})
    assert [(by, hold.code) for by, hold in advice.holds(RUN, WORLD, NOW)] == [
        ("liar", "PluginFailed"),
        ("sound", "Busy"),
    ]
    assert why(advice) == f"{type(error).__name__}: no"


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (an_offer(tier="own"), "want a Tier, and a Payer of two texts"),
        (an_offer(payer=None), "want a Tier, and a Payer of two texts"),
        (an_offer(payer=Payer(budget=3, envelope=None)), "want a Tier, and a Payer of two texts"),  # type: ignore[arg-type]
        (an_offer(gpus=math.nan), "want whole numbers of GPUs"),
        (an_offer(had=-4, gpus=0), "none of them negative"),
        (an_offer(had=4, gpus=8), "got an offer of 8 GPUs by one who has 4"),
        (an_offer(why="shut\n\x1b[31m"), "want one line without control characters"),
        (an_offer(why=None), "got None, want a line of text"),
        (an_offer(selector="zone=a"), "got the selector 'zone=a', want pairs of texts"),
        (an_offer(caps=None), "got the caps None, want a tuple of Cap"),
        (an_offer(caps=(Cap("most", 1.5),)), "want whole numbers of GPUs"),  # type: ignore[arg-type]
        (an_offer(told="yes"), "got told='yes' and idle=None"),
        (an_offer(idle=math.nan), "got told=False and idle=nan"),
        (Offers(unfunded="no"), "got unfunded='no', want True or False"),  # type: ignore[arg-type]
    ],
)
def test_an_offer_that_cannot_be_pays_for_nothing(answer: Any, sentence: str) -> None:
    advice = advice_of({"liar": hook("runs_cover", answer), "sound": hook("runs_cover", Offers(offers=(SOUND,)))})
    said = advice.offers(ASK, WORLD, NOW)
    assert (said.offers, said.unfunded) == ((SOUND,), False)
    assert sentence in why(advice)


def test_offers_that_come_one_by_one_are_heard_all_the_same() -> None:
    def offers() -> Any:
        return Offers(offers=(one for one in [SOUND]))  # type: ignore[arg-type]

    advice = advice_of({"honest": hook("runs_cover", offers)})
    assert advice.offers(ASK, WORLD, NOW).offers == (SOUND,)


@pytest.mark.parametrize(
    "unit",
    [Unit("default/train"), Unit((1, 2)), Unit(["a", "b"]), Unit(RUN.key, "g"), Unit(RUN.key, math.nan)],  # type: ignore[arg-type]
)
def test_a_unit_that_cannot_be_is_no_candidate(unit: Unit) -> None:
    advice = advice_of({"liar": hook("runs_victims", [unit]), "sound": hook("runs_victims", [Unit(RUN.key)])})
    assert advice.victims(STAGE, "h100", WORLD, NOW) == [Unit(RUN.key)]
    assert why(advice)


@pytest.mark.parametrize(
    ("split", "sentence"),
    [
        (Split(owned=10**9), "got 1000000000 GPU-seconds of 2 GPUs"),
        (Split(owned=19), "want 20"),
        (Split(owned=20.0), "want a Split of whole GPU-seconds"),  # type: ignore[arg-type]
        (Split(owned=math.nan), "want a Split of whole GPU-seconds"),  # type: ignore[arg-type]
    ],
)
def test_a_meter_that_cannot_be_is_not_written_down(split: Split, sentence: str) -> None:
    advice = advice_of({"liar": hook("runs_meter", split)})
    assert advice.meter(LEASE, WORLD, LATER) is None
    assert sentence in why(advice)


def test_a_meter_that_counts_what_was_held_is_written_down() -> None:
    split = Split(owned=12, borrowed=8)
    assert advice_of({"honest": hook("runs_meter", split)}).meter(LEASE, WORLD, LATER) == split


def test_a_meter_stays_what_was_written_down_where_a_clock_was_set_back() -> None:
    # 15 seconds were metered already; by the clock there are 10 since the start.
    status = LeaseStatus(
        gpu_seconds=Split(owned=30), metered_as=Class.OWNED, metered_until=LATER + timedelta(seconds=5)
    )
    lease = attrs.evolve(LEASE, status=status)
    honest, liar = (advice_of({"liar": hook("runs_meter", Split(owned=used))}) for used in (30, 20))
    assert honest.meter(lease, WORLD, LATER) == Split(owned=30)
    assert liar.meter(lease, WORLD, LATER) is None
    assert "want 30" in why(liar)


def a_condition(**other: Any) -> Any:
    given = {"type": "Ready", "status": "True", "reason": "Fine", "last_transition_time": NOW, **other}
    return Account(conditions=(Condition(**given),))


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (a_condition(type=3), "got 3, want a line of text"),
        (a_condition(last_transition_time=NOW.replace(tzinfo=None)), "want a time with its zone"),
        (Account(sections={int: 1}), "want a class that runs_sections declared for Budget's status"),
    ],
)
def test_an_account_that_cannot_be_written_is_not(answer: Any, sentence: str) -> None:
    advice = advice_of({"liar": hook("runs_account", answer)})
    assert advice.account(a_budget("vision"), WORLD, NOW) is None
    assert sentence in why(advice)


@pytest.mark.parametrize(
    "told",
    [Key(1, 2), Payer(budget=3, envelope=None), Gives(PAYER, -4), Gives(None, 8), Gives(PAYER, math.nan)],  # type: ignore[arg-type]
)
def test_an_index_that_tells_of_what_cannot_be_is_broken(told: Any) -> None:
    class Index:
        def apply(self, _: object) -> Any:
            return [told]

    def runs_index() -> Any:
        return Index()

    advice, world = advice_of({"liar": a_plugin(runs_index)}), a_world(a_node("n1"))
    advice.attach(world, world)
    world.apply(seen(RUN))
    assert "want the Key of a run, a Payer, Gives, or Takes" in why(advice)


class Unreadable:
    @property
    def hears(self) -> Any:
        raise RuntimeError("no words")

    def apply(self, _: object) -> Any:
        return ()


@pytest.mark.parametrize(
    ("made", "sentence"),
    [(raises(Aborted("no")), "failed in runs_index: Aborted: no"), (Unreadable, "failed in runs_index: RuntimeError")],
)
def test_an_index_that_cannot_be_had_keeps_the_scheduler_from_starting(made: Any, sentence: str) -> None:
    advice, world = PluginAdvice(of(liar=hook("runs_index", made)), Settings()), a_world()
    with pytest.raises(PluginError, match=sentence):
        advice.attach(world, world)

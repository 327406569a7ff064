"""Who waits for quota is asked who pays only when its envelopes could pay: compared with asking everybody."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import attrs
import pytest

from runs_budgets import offers, plugin
from runs_budgets.books import Books
from runs_budgets.funding import Funding
from runs_budgets.offers import Asked, available
from runs_budgets.sections import AggregateCap, Envelope, Lending, Quota, Terms
from runs_core import Ask, Gives, Key, Offer, Payer, Takes, Tier
from runs_core.decide.cover import cover
from runs_core.decide.reach import Reach
from runs_core.decide.waiting import Turn
from runs_core.hooks.sight import sight
from runs_core.testing.builders import a_budget, a_node, a_run, lasting
from runs_core.testing.harness import Harness
from runs_core.values.template import PodTemplate, Requests
from runs_core.world.queues import FUNDABLE, Entry, Queue


def envelope(name: str, gpus: int, **more: object) -> Envelope:
    return Envelope(name=name, flavor="h100", gpus=gpus, **more)  # type: ignore[arg-type]  # as Envelope takes them


CAP = AggregateCap(name="both", flavor="h100", envelopes=("main", "more"), gpus=7)
BUDGETS = (
    a_budget("org", sections=(Quota(envelopes=(envelope("main", 5), envelope("more", 4)), aggregate_caps=(CAP,)),)),
    a_budget("vision", sections=(Quota(envelopes=(envelope("main", 4), envelope("more", 3)), parents=("org",)),)),
    a_budget("speech", sections=(Quota(envelopes=(envelope("main", 6, gpu_hours=40),), parents=("org",)),)),
    a_budget("else", sections=(Quota(envelopes=(envelope("main", 9, lending=Lending(to=("*",), max_gpus=4)),)),)),
)


def a_stage(nodes: int = 6) -> Harness:
    return Harness(
        *(a_node(f"n{at}", gpus=8) for at in range(nodes)), *BUDGETS, plugins={"budgets": plugin}, oracles=True
    )


def wrong(stage: Harness) -> tuple[int, list[str]]:
    """Of the queues that wait for quota: how many there are, and whose envelopes would pay."""
    world, found, looked = stage.world, [], 0
    for shape in world.line.shapes.values():
        for ask, queue in shape.queues.items():
            first = world.line.first(queue)
            if ask is not None and first is not None and queue.band != FUNDABLE:
                looked += 1
                if cover(world, stage.loop.advice, ask, first[0]).fundable:
                    found.append(f"{ask.owner} asks for {ask.gpus} by {ask.unit}")
    return looked, found


def outdated(stage: Harness) -> tuple[int, list[str]]:
    """Of the queues that wait for room and are said to be paid for still: how many, and whom others would pay for."""
    world, found, looked = stage.world, [], 0
    for shape in world.line.shapes.values():
        for ask, queue in shape.queues.items():
            if (
                ask is not None
                and queue.band == FUNDABLE
                and queue.cover is not None
                and world.line.hearing.stands(queue)
            ):
                looked += 1
                if cover(world, stage.loop.advice, ask, queue.seen).shares != queue.cover.shares:
                    found.append(f"{ask.owner} asks for {ask.gpus} by {ask.unit}")
    return looked, found


def remembered(stage: Harness) -> tuple[int, list[str]]:
    """Of all that envelopes could be asked: how much is remembered, and what is answered otherwise than in full."""
    funding, now = sight(stage.world).index(Funding), stage.world.now
    purses = [purse for of in funding.books.purses.values() for purse in of.values() if purse.spec is not None]
    asks = [Ask(owner="vision", flavor="h100", gpus=gpus, empty=gpus > 9) for gpus in (1, 4, 9, 10, 40)]

    def answers() -> list[Offer]:
        asked = [Asked(ask=ask, now=now) for ask in asks]
        return [available(purse, tier, one) for one in asked for purse in purses for tier in Tier]

    said, again = answers(), answers()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(offers, "_is_plain", lambda *_: False)
        full = answers()
    found = [f"{one} and {other}" for one, other in zip(said, full, strict=True) if one != other]
    return sum(one is other for one, other in zip(said, again, strict=True)), found


def play(seed: int, nodes: int = 6, judge: Callable[[Harness], tuple[int, list[str]]] = wrong) -> int:
    """A history, in which the judge finds nobody. How many queues it looked at."""
    rng, stage, total = random.Random(seed), a_stage(nodes), 0
    for number in range(60):
        unit = rng.choice((1, 1, 2, 4))
        run = a_run(
            f"r{number}",
            gpus=unit * rng.randint(1, 5),
            gpus_per_pod=unit,
            owner=rng.choice(("org", "vision", "speech", "else")),
            sections=(Terms(allow_unfunded=rng.random() < 0.3),),
        )
        stage.submit(lasting(run, timedelta(minutes=rng.randint(1, 40))))
        stage.advance(minutes=rng.choice((0, 1, 3)))
        looked, found = judge(stage)
        total += looked
        assert not found, found
    return total


def test_nobody_waits_for_quota_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    spared = watched(monkeypatch)
    assert sum(play(seed) for seed in range(3)) > 100
    assert sum(spared) > 30


def test_what_is_remembered_of_an_envelope_is_what_it_says_now(monkeypatch: pytest.MonkeyPatch) -> None:
    assert play(0, judge=remembered) > 100
    monkeypatch.setattr(offers, "_is_plain", lambda purse, tier: purse.steady and tier is not Tier.STRANGER)
    assert found_by(seeds=1, judge=remembered)


def watched(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Each time that a queue is heard of: whether it was spared the question."""
    hopeless: Callable[[Queue], bool] = Queue.hopeless.fget  # type: ignore[attr-defined]  # a property's
    spared: list[bool] = []

    def noted(queue: Queue) -> bool:
        spared.append(hopeless(queue))
        return spared[-1]

    monkeypatch.setattr(Queue, "hopeless", property(noted))
    return spared


def found_by(seeds: int = 10, nodes: int = 6, judge: Callable[[Harness], tuple[int, list[str]]] = wrong) -> bool:
    for seed in range(seeds):
        try:
            play(seed, nodes, judge)
        except AssertionError:
            return True
    return False


def test_an_index_that_tells_of_too_little_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Books.told

    def understated(self: Books) -> list[Key | Payer | Gives | Takes]:
        return [Gives(one.payer, one.gpus // 2) if isinstance(one, Gives) else one for one in told(self)]

    monkeypatch.setattr(Books, "told", understated)
    assert found_by()


def test_a_line_that_forgets_what_it_was_told_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    hopeless: Callable[[Queue], bool] = Queue.hopeless.fget  # type: ignore[attr-defined]  # a property's

    def by_the_last_answer(queue: Queue) -> bool:
        cover_ = queue.cover
        if cover_ is not None and queue.may is not None:
            queue.may = {look.payer: look.had for look in cover_.looks}
        return hopeless(queue)

    monkeypatch.setattr(Queue, "hopeless", property(by_the_last_answer))
    assert found_by()


def test_who_is_paid_for_is_not_asked_again_as_long_as_the_same_would_pay() -> None:
    assert sum(play(seed, 2, outdated) for seed in range(6)) > 100


def test_an_index_that_does_not_tell_of_all_that_is_taken_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Books.told
    monkeypatch.setattr(Books, "told", lambda self: [one for one in told(self) if not isinstance(one, Takes)])
    assert found_by(nodes=2, judge=outdated)


def test_what_time_alone_takes_is_not_told() -> None:
    stage = a_stage()
    stage.settle()
    ask = Ask(owner="speech", flavor="h100", gpus=20)
    told = {
        offer.payer.budget: offer.told for offer in stage.loop.advice.offers(ask, stage.world, stage.world.now).offers
    }
    assert told == {"speech": False, "org": True, "vision": True}


# -- who is not paid for, among work that is not either ---------------------------------------------------------------


def a_crowd(nodes: int, waiting: int) -> Harness:
    """So many nodes full of work that nobody pays for, past its least runtime; who waits wants the CPUs of one of them.

    Each of those wants other CPUs, so that none speaks for another.
    """
    stage = Harness(
        *(a_node(f"n{at}", gpus=8) for at in range(nodes)),
        attrs.evolve(a_node("a-wide", gpus=8), cpu_milli=1_000_000),
        plugins={"budgets": plugin},
    )
    stage.submit(a_run("for-long", gpus=8, gpus_per_pod=8))
    stage.settle()
    for at in range(nodes):
        stage.submit(lasting(a_run(f"r{at}", gpus=8, gpus_per_pod=8), timedelta(minutes=60 + at)))
    stage.settle()
    for at in range(waiting):
        run = a_run(f"w{at}", gpus=8, gpus_per_pod=8)
        template = PodTemplate(requests=Requests(cpu_milli=200_000 + at))
        stage.submit(attrs.evolve(run, spec=attrs.evolve(run.spec, template=template)))
    stage.advance(minutes=50)
    return stage


def test_for_whom_nothing_is_taken_back_what_may_be_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    stage, looked, asked = a_crowd(20, 5), list[str](), list[Key]()
    more, in_vain = Reach._more, Turn._in_vain

    def noted(reach: Reach, node: str, *rest: Any) -> int:  # noqa: ANN401 - handed on as they came
        looked.append(node)
        return more(reach, node, *rest)

    def asks(turn: Turn, key: Key, entry: Entry) -> bool:
        asked.append(key)
        return in_vain(turn, key, entry)

    monkeypatch.setattr(Reach, "_more", noted)
    monkeypatch.setattr(Turn, "_in_vain", asks)
    stage.advance(minutes=20)
    assert len(asked) > 25
    assert not looked

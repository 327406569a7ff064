"""What is told to start a run does: each change is made, in a world of its own, and what follows is looked at."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import attrs
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from runs_borrowing import plugin as borrowing
from runs_borrowing.sections import Borrowing
from runs_budgets import plugin as budgets
from runs_budgets.sections import Envelope, Lending, Quota, Terms
from runs_core import Budget, Node, Run
from runs_core.decide import instead, remedies
from runs_core.decide.advice import Advice
from runs_core.decide.flavor import find_flavor
from runs_core.decide.paid import place_widest
from runs_core.decide.remedies import Tried
from runs_core.testing.builders import NAMESPACE, a_budget, a_node, a_run, lasting
from runs_core.testing.harness import Harness
from runs_core.values.funding import Cover
from runs_core.values.meta import pairs
from runs_core.values.placement import Placement
from runs_core.values.run import Runtime, Spread
from runs_core.world.oracle import differences
from runs_core.world.supposed import keeping
from runs_core.world.world import World

EXAMPLES = 40
POD_START = timedelta(seconds=2)
HOUR = timedelta(hours=1)
BOTH = {"budgets": budgets, "borrowing": borrowing}
ANEW = "-2"
DOMAIN = "runs.dev/fabric-domain"
KINDS: dict[str, str | tuple[str, ...]] = {
    "narrower": "ask for ",
    "groups": ("take groups of ", "take no groups"),
    "flavor": "take the flavor ",
    "spread": "let it lie in several domains",
    "anywhere": "drop ",
    "sponsor": "borrow ",
    "unfunded": "set funding.allowUnfunded",
    "shorter": "expect it to be over within ",
}


def some_nodes(rng: random.Random) -> Iterator[Node]:
    for name, flavor, gpus, domain in (
        *((f"n{number}", "h100", 4, f"d{number % 3}") for number in range(6)),
        ("x0", "a100", 8, "d0"),
    ):
        yield a_node(name, gpus=gpus, domain=domain, flavor=flavor, labels={DOMAIN: domain})


def some_budgets(rng: random.Random) -> Iterator[Budget]:
    """lab is whose runs these are; anybody may borrow of bank, and lab alone of guild."""
    lends = {"lab": None, "bank": Lending(to=("*",)), "guild": Lending(to=("lab",), max_gpus=rng.choice((2, 8)))}
    for name, lending in lends.items():
        one = Envelope(name="main", flavor="h100", gpus=rng.choice((4, 8, 16)), lending=lending)
        namespaces = (NAMESPACE,) if name == "lab" else (name,)
        yield a_budget(name, namespaces=namespaces, sections=(Quota(envelopes=(one,)),))


def a_wish(rng: random.Random, number: int, *, funded: bool) -> Run:
    """It says how long it takes, and takes so long; or it says nothing."""
    per_pod = rng.choice((1, 2, 2, 4))
    gpus = per_pod * rng.choice((1, 1, 2, 4, 6))
    spread = rng.choice((Spread.ALLOWED, Spread.SINGLE_DOMAIN))
    half = max(per_pod, gpus // 2 // per_pod * per_pod)
    group = rng.choice((gpus, half)) if spread is Spread.ALLOWED else None
    sections: tuple[object, ...] = ()
    if funded:
        asks = rng.choice(((), (), ("guild",)))
        sections = (Terms(allow_unfunded=rng.random() < 0.4), Borrowing(allow_borrow=bool(asks), sponsors=asks))
    run = a_run(
        f"r{number:02}",
        gpus=gpus,
        gpus_per_pod=per_pod,
        group_gpus=group,
        spread=spread,
        flavor=rng.choice(("h100", "h100", "h100", "a100")),
        sections=sections,
    )
    where = rng.choice(({}, {}, {}, {DOMAIN: "d0"}))
    topology = attrs.evolve(run.spec.topology, selector=pairs(where))
    length = timedelta(minutes=rng.choice((5, 9, 20, 45, 45)))
    says = Runtime(expected_duration=length if rng.random() < 0.8 else None, min_runtime=timedelta(minutes=3))
    return lasting(attrs.evolve(run, spec=attrs.evolve(run.spec, topology=topology, runtime=says)), length - POD_START)


def some_left(rng: random.Random) -> Iterator[Run]:
    """Who takes some of each domain for long, and leaves room in each for a part of a gang."""
    for domain in ("d0", "d1", "d2"):
        run = a_run(f"in-{domain}", gpus=rng.choice((4, 5, 6)))
        topology = attrs.evolve(run.spec.topology, selector=pairs({DOMAIN: domain}))
        says = Runtime(expected_duration=2 * HOUR)
        yield lasting(attrs.evolve(run, spec=attrs.evolve(run.spec, topology=topology, runtime=says)), 2 * HOUR)


def a_moment(seed: int) -> Harness:
    """Some way into a day on which more is wanted than there is."""
    rng = random.Random(seed)
    funded = rng.random() < 0.4
    stage = Harness(*some_nodes(rng), *(some_budgets(rng) if funded else ()), plugins=BOTH if funded else {})
    stage.settle()
    apart = list(some_left(rng)) if rng.random() < 0.5 else []
    for run in apart:
        stage.submit(run)
        stage.advance(seconds=1)
    for number in range(rng.randint(3, 6) if apart else rng.randint(10, 20)):
        stage.submit(a_wish(rng, number, funded=funded))
        stage.advance(seconds=rng.choice((0, 7, 61)))
    return stage


def waiting(stage: Harness) -> list[Run]:
    return [run for run in stage.world.runs() if run.status.phase.waits]


def told(stage: Harness, run: Run) -> tuple[Tried, ...]:
    return remedies.remedies(stage.world, run, stage.loop.advice)


def done(seed: int, run: Run, one: Tried) -> list[str]:
    """What was told, done in that very moment, and what then is otherwise than told."""
    stage, name = a_moment(seed), run.meta.name
    if one.anew:
        stage.cancel(name)
        name += ANEW
        stage.submit(attrs.evolve(run, spec=one.spec, meta=attrs.evolve(run.meta, name=name, uid="")))
    else:
        stage.edit(name, lambda known: attrs.evolve(known, spec=one.spec))
    stage.settle()
    known, at = stage.world.promises.by_run.get(run.key), stage.run(name).status.started_at
    if one.change.endswith(remedies.TAKES_BACK):
        at = stage.now if stage.world.pledge(run.key) is not None else None
    elif known is not None:
        at = known.status.earliest_start
    return [] if at == one.at else [f"{seed} {run.key} {one.change}: told {one.at}, and it is {at}"]


def lies(seed: int, seen: Counter[str]) -> list[str]:
    stage = a_moment(seed)
    found: list[str] = []
    for run in waiting(stage):
        for one in told(stage, run):
            kinds = [kind for kind, words in KINDS.items() if one.change.startswith(words)]
            seen.update(kinds or [one.change])
            seen["takes back"] += one.change.endswith(remedies.TAKES_BACK)
            seen["later"] += one.at > stage.now
            found += done(seed, run, one)
    assert differences(stage.world) == []
    return found


@settings(max_examples=EXAMPLES)
@given(st.integers(0, 2**32))
@example(122120122)  # once paid for it stands before somebody whose places it left
def test_what_is_told_to_start_a_run_starts_it_then(seed: int) -> None:
    assert lies(seed, Counter()) == []


def test_every_kind_of_remedy_is_told_and_comes_true() -> None:
    seen: Counter[str] = Counter()
    assert [lie for seed in range(60) for lie in lies(seed, seen)] == []
    assert min(seen[kind] for kind in (*KINDS, "later", "takes back")) > 0, seen


def test_who_asks_for_remedies_changes_nothing_that_is_decided_later() -> None:
    for seed in range(8):
        asked, silent = a_moment(seed), a_moment(seed)
        assert [told(asked, run) for run in waiting(asked)] != []
        for stage in (asked, silent):
            stage.advance(hours=3)
        assert asked.records == silent.records


def test_who_forgets_the_others_in_line_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instead, "_settles", lambda *_: True)
    assert any(lies(seed, Counter()) for seed in range(60))


def test_who_takes_what_is_kept_for_others_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def anywhere(world: World, run: Run, said: Cover | None, advice: Advice) -> Placement | None:
        found, need = find_flavor(world, world.need(run)), world.need(run)
        with keeping(world.fleet, dict.fromkeys(world.promises.masks, 0)):
            return place_widest(world, found[1], need, said, advice) if found is not None else None

    monkeypatch.setattr(remedies, "tried", anywhere)
    assert any(lies(seed, Counter()) for seed in range(20))

"""What holds of the index whatever happens."""

from __future__ import annotations

import random
from datetime import timedelta

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from runs_plugins.budgets.tests.histories import OWNERS, Stage, least_of, play

from runs_budgets.claims import BORROWED, CLASSES, UNFUNDED
from runs_budgets.clock import HOUR, SECOND, micros
from runs_budgets.funding import Funding
from runs_budgets.offers import Asked, family_offers
from runs_budgets.oracle import evaluate_all
from runs_core import Ask, Class, Key, LeaseGone, Payer, PledgeSeen, Tier, TimePassed
from runs_core.testing.state import state_of

EXAMPLES = 25
dice = st.integers(0, 2**32 - 1).map(random.Random)


def answers(funding: Funding, stage: Stage) -> dict[str, object]:
    """Everything that it says about what stands."""
    said: dict[str, object] = {"now": funding.now, "the next moments": funding.next_moment()}
    said["runs that nobody pays for"] = sorted(funding.unfunded())
    for key in sorted(stage.chronicle.leases):
        lease = stage.chronicle.leases[key]
        said[f"the class of {key}"] = funding.classify(lease)
        said[f"the meter of {key}"] = funding.meter(lease, stage.now)
    for budget, purses in sorted(funding.books.purses.items()):
        for name, purse in sorted(purses.items()):
            spent = purse.tally.until(stage.chronicle.now)
            lent = {who: tally.until(stage.chronicle.now)[BORROWED] for who, tally in purse.lent.items()}
            used = purse.used(stage.chronicle.now) if purse.spec is not None else 0
            said[f"the use of {budget}/{name}"] = (
                spent,
                purse.funded,
                purse.payees,
                used,
                lent,
            )
    for owner in OWNERS:
        for flavor in ("h100", "b200"):
            asked = Asked(
                ask=Ask(owner=owner, flavor=flavor, gpus=64, min_runtime=timedelta(minutes=30)), now=stage.now
            )
            said[f"the offers of {flavor} to {owner}"] = tuple(family_offers(funding, asked))
    return said


def differences(one: dict[str, object], other: dict[str, object]) -> list[str]:
    return [
        f"{what}: {one.get(what)}, then {other.get(what)}"
        for what in sorted({*one, *other})
        if one.get(what) != other.get(what)
    ]


# -- the oracle -------------------------------------------------------------------------------------------------------


def as_the_oracle_says(stage: Stage) -> None:
    """Classes, what is funded of each envelope, and every meter."""
    found = evaluate_all(stage.chronicle.facts())
    for key, lease in stage.chronicle.leases.items():
        assert stage.funding.classify(lease) == CLASSES[found.classes[key]], key
        split = stage.funding.meter(lease, stage.now)
        assert split is not None
        spent = stage.chronicle.lease_seconds.get(key, [0, 0, 0, 0])
        assert [split.owned, split.shared, split.borrowed, split.unfunded] == spent, key
    leases = stage.chronicle.leases
    assert stage.funding.unfunded() == {leases[key].run for key, cls in found.classes.items() if cls == UNFUNDED}
    for (budget, name), funded in found.funded.items():
        purse = stage.funding.books.purses[budget][name]
        assert purse.funded == list(funded), (budget, name)
        assert purse.tally.until(stage.chronicle.now) == stage.chronicle.used.get((budget, name), [0, 0, 0, 0])


@given(dice)
@settings(max_examples=EXAMPLES)
def test_what_is_kept_in_step_is_what_a_full_evaluation_finds(rng: random.Random) -> None:
    play(rng, 150, [as_the_oracle_says])


class Told:
    """Compares what `apply` told with how the classes of the oracle moved."""

    def __init__(self) -> None:
        self.classes: dict[Key, int] = {}

    def __call__(self, stage: Stage) -> None:
        now = evaluate_all(stage.chronicle.facts()).classes
        was, self.classes = self.classes, {**now}
        moved = {stage.chronicle.leases[key].run for key in now if key in was and now[key] != was[key]}
        assert moved <= set(stage.told), moved - set(stage.told)


@given(dice)
@settings(max_examples=EXAMPLES)
def test_a_run_whose_class_changed_is_told(rng: random.Random) -> None:
    play(rng, 150, [Told()])


# -- caps -------------------------------------------------------------------------------------------------------------


def within_every_cap(stage: Stage) -> None:
    """What leases and pledges are funded for, counted one by one, never exceeds what pays for it."""
    funded: dict[tuple[str, str], list[int]] = {}
    for budget, purses in stage.funding.books.purses.items():
        for name, purse in purses.items():
            of = funded[budget, name] = [0, 0, 0, 0]
            for claim in purse.claims.values():
                of[claim.cls] += claim.taken
    for name, (_, quota) in stage.chronicle.budgets.items():
        for envelope in quota.envelopes:
            taken = funded[name, envelope.name]
            assert sum(taken) <= envelope.gpus
            lending = envelope.lending
            assert taken[BORROWED] <= (0 if lending is None else lending.max_gpus or envelope.gpus)
        for cap in quota.aggregate_caps:
            assert sum(sum(funded[name, of]) for of in cap.envelopes) <= cap.gpus


def within_its_hours(stage: Stage) -> None:
    """What is funded in a window does not exceed its hours by more than one microsecond of what it holds."""
    for name, (_, quota) in stage.chronicle.budgets.items():
        for envelope in quota.envelopes:
            purse = stage.funding.books.purses[name][envelope.name]
            if envelope.gpu_hours is not None and not purse.spent:
                assert purse.used(stage.chronicle.now) < envelope.gpu_hours * HOUR


@given(dice)
@settings(max_examples=EXAMPLES)
def test_what_is_funded_exceeds_no_cap(rng: random.Random) -> None:
    play(rng, 150, [within_every_cap, within_its_hours])


# -- the meter --------------------------------------------------------------------------------------------------------


class Meters:
    """Remembers what was metered before, lease by lease and envelope by envelope."""

    def __init__(self) -> None:
        self.before: dict[object, tuple[int, ...]] = {}

    def __call__(self, stage: Stage) -> None:
        for key, lease in stage.chronicle.leases.items():
            split = stage.funding.meter(lease, stage.now)
            assert split is not None
            whole = (micros(stage.now) - micros(lease.spec.start)) // SECOND
            assert split.total == lease.gpus * whole, key
            self._grows(key, (split.owned, split.shared, split.borrowed, split.unfunded))
        for budget, purses in stage.funding.books.purses.items():
            for name, purse in purses.items():
                self._grows(purse, tuple(purse.tally.until(stage.chronicle.now)), f"{budget}/{name}")

    def _grows(self, key: object, spent: tuple[int, ...], what: str = "a lease") -> None:
        before = self.before.get(key, (0, 0, 0, 0))
        assert all(now >= then for now, then in zip(spent, before, strict=True)), what
        self.before[key] = spent


@given(dice)
@settings(max_examples=EXAMPLES)
def test_hours_add_up_to_width_times_whole_seconds_and_never_shrink(rng: random.Random) -> None:
    meters = Meters()
    stage = play(rng, 150, [meters])
    assert meters.before
    assert stage.chronicle.leases


@given(dice)
@settings(max_examples=EXAMPLES)
def test_it_does_not_matter_how_often_one_looks_at_the_clock(rng: random.Random) -> None:
    stage = play(rng, 100)
    later = stage.now + timedelta(hours=rng.randint(1, 30))
    changes = stage.everything()
    often, seldom = (Funding(least_of) for _ in range(2))
    for funding in (often, seldom):
        funding.apply(TimePassed(stage.now))
        for change in changes:
            funding.apply(change)
    at = stage.now
    while at < later:
        at = min(later, at + timedelta(seconds=rng.choice((0.25, 7, 600, 3000))))
        often.apply(TimePassed(at))
    seldom.apply(TimePassed(later))
    stage.note(TimePassed(later))
    assert not differences(answers(often, stage), answers(seldom, stage))


# -- who depends on whom ----------------------------------------------------------------------------------------------


def told_anew(stage: Stage) -> Funding:
    """An index that has learned everything at this moment."""
    funding = Funding(least_of)
    funding.apply(TimePassed(stage.now))
    for change in stage.everything():
        funding.apply(change)
    return funding


@given(dice)
@settings(max_examples=EXAMPLES)
def test_a_verdict_does_not_depend_on_claims_ranked_below_it(rng: random.Random) -> None:
    stage = play(rng, 100)
    funding, facts = told_anew(stage), attrs.evolve(stage.chronicle.facts(), spent=(), lent_out=())
    leases, pledges = {lease.key: lease for lease in facts.leases}, {pledge.run: pledge for pledge in facts.pledges}
    for uid, spot in reversed(evaluate_all(facts).order):
        before = {key: funding.classify(lease) for key, lease in leases.items()}
        for key in [
            key for key, lease in leases.items() if (lease.spec.run_ref.uid, spot_of(lease.spec.payer)) == (uid, spot)
        ]:
            funding.apply(LeaseGone(key))
            del leases[key]
        for run, pledge in [(run, pledge) for run, pledge in pledges.items() if pledge.uid == uid]:
            kept = tuple(share for share in pledge.shares if spot_of(share.payer) != spot)
            pledges[run] = attrs.evolve(pledge, shares=kept)
            funding.apply(PledgeSeen(pledges[run]))
        assert {key: funding.classify(lease) for key, lease in leases.items()} == {key: before[key] for key in leases}


@given(dice)
@settings(max_examples=EXAMPLES)
def test_what_an_owner_can_have_of_its_own_does_not_depend_on_its_family(rng: random.Random) -> None:
    def own() -> dict[object, int]:
        found: dict[object, int] = {}
        for owner in OWNERS:
            for flavor in ("h100", "b200"):
                ask = Ask(owner=owner, flavor=flavor, gpus=10**6, min_runtime=timedelta(minutes=30))
                offers = family_offers(funding, Asked(ask=ask, now=stage.now))
                found |= {(owner, offer.payer): offer.gpus for offer in offers if offer.tier is Tier.OWN}
        return found

    stage = play(rng, 100)
    funding = told_anew(stage)
    while not (before := own()):  # not every history leaves an envelope to draw on
        stage = play(rng, 100)
        funding = told_anew(stage)
    courtesy = [key for key, lease in stage.chronicle.leases.items() if funding.classify(lease) is Class.SHARED]
    for key in courtesy:
        funding.apply(LeaseGone(key))
    after = own()
    assert before == after


def spot_of(payer: Payer | None) -> tuple[str, str] | None:
    return None if payer is None else (payer.budget, payer.envelope)


# -- order ------------------------------------------------------------------------------------------------------------


@given(dice)
@settings(max_examples=EXAMPLES)
def test_nothing_depends_on_the_order_in_which_things_were_seen(rng: random.Random) -> None:
    stage = play(rng, 100)
    said = []
    for _ in range(3):
        changes = stage.everything()
        rng.shuffle(changes)
        funding = Funding(least_of)
        funding.apply(TimePassed(stage.now))
        for change in changes:
            funding.apply(change)
        said.append(answers(funding, stage))
    assert not differences(said[0], said[1])
    assert not differences(said[0], said[2])


# -- taking back ------------------------------------------------------------------------------------------------------


def undone(stage: Stage, count: int, *, time: bool) -> None:
    """So many changes, one upon the other, and then their inverses, the last first."""
    trial = stage.fork()
    inverses = []
    for _ in range(count):
        change = trial.draw()
        if time or not isinstance(change, TimePassed):
            inverses.append(trial.inverse(change))
            trial.tell(change)
    for inverse in reversed(inverses):
        trial.funding.apply(inverse)


@given(dice)
@settings(max_examples=EXAMPLES)
def test_a_change_taken_back_at_once_leaves_no_trace(rng: random.Random) -> None:
    stage = play(rng, 60)
    for _ in range(20):
        before = answers(stage.funding, stage)
        undone(stage, rng.randint(1, 4), time=False)
        assert not differences(before, answers(stage.funding, stage))
        stage.tell(stage.draw())
        as_the_oracle_says(stage)


@given(dice)
@settings(max_examples=EXAMPLES)
def test_a_what_if_leaves_no_trace_though_time_goes_on_in_it(rng: random.Random) -> None:
    stage = play(rng, 60)
    for _ in range(12):
        before, state = answers(stage.funding, stage), state_of(stage.funding)
        stage.funding.supposed(True)
        undone(stage, rng.randint(1, 6), time=True)
        if rng.random() < 0.3:
            stage.funding.supposed(True)
            undone(stage, 2, time=True)
            stage.funding.supposed(False)
        stage.funding.supposed(False)
        assert not differences(before, answers(stage.funding, stage))
        assert state == state_of(stage.funding)
        stage.tell(stage.draw())
        as_the_oracle_says(stage)


@given(dice)
@settings(max_examples=10)
def test_a_what_if_finds_what_would_really_be(rng: random.Random) -> None:
    stage = play(rng, 80)
    twin = told_anew(stage)
    trial = stage.fork()
    trial.funding = twin
    changes = [TimePassed(stage.now + timedelta(minutes=5))]
    real = told_anew(stage)
    twin.supposed(True)
    for funding in (twin, real):
        for change in changes:
            funding.apply(change)
    trial.note(changes[0])
    assert not differences(answers(twin, trial), answers(real, trial))

"""Loans in a cluster, by numbers that can be checked by hand: GPUs of one flavor, nodes of 8."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import attrs
import pytest

from runs_borrowing import plugin as borrowing
from runs_borrowing.sections import Borrowing
from runs_budgets import plugin as budgets
from runs_budgets.sections import AggregateCap, Envelope, Lending, Quota, Window
from runs_budgets.views import item, usage
from runs_core import Budget, Node, Run, Split, Starts, Waits
from runs_core.hooks.ask import PluginAdvice
from runs_core.testing.builders import A_MONDAY, a_budget, a_node, a_run, lasting
from runs_core.testing.harness import Harness

HOUR = timedelta(hours=1)
ANYBODY = Lending(to=("*",))


def envelope(gpus: int, name: str = "main", lending: Lending | None = None, **more: object) -> Envelope:
    return Envelope(name=name, flavor="h100", gpus=gpus, lending=lending, **more)  # type: ignore[arg-type]  # as Envelope takes them


def owner(name: str, *envelopes: Envelope, parents: tuple[str, ...] = (), caps: Sequence[AggregateCap] = ()) -> Budget:
    """Spends for the namespace of its own name."""
    quota = Quota(envelopes=envelopes, parents=parents, aggregate_caps=tuple(caps))
    return a_budget(name, namespaces=(name,), sections=(quota,))


def nodes(count: int) -> tuple[Node, ...]:
    return tuple(a_node(f"n{number}") for number in range(1, count + 1))


def own(name: str, gpus: int, *, of: str = "lab") -> Run:
    """A run that asks nobody but its owner and the family."""
    return lasting(a_run(name, gpus=gpus, namespace=of), 100 * HOUR)


def borrower(name: str, gpus: int, *sponsors: str, of: str = "guest", most: int | None = None, pod: int = 1) -> Run:
    wish = Borrowing(allow_borrow=True, sponsors=sponsors, max_borrow_gpus=most)
    return lasting(a_run(name, gpus=gpus, gpus_per_pod=pod, namespace=of, sections=(wish,)), 100 * HOUR)


def stage(*things: Budget | Node | Run) -> Harness:
    both = {"budgets": budgets, "borrowing": borrowing}
    made = Harness(*things, plugins=both, oracles=True)
    made.settle()
    return made


def then(made: Harness, *things: Budget | Run, minutes: int = 1) -> None:
    """Later, this happens."""
    made.advance(minutes=minutes)
    for thing in things:
        made.add(thing)
    made.settle()


def funding(made: Harness, name: str) -> Split:
    """GPUs of the run's open leases, by class."""
    return made.run(name).status.funding


def payers(made: Harness, name: str) -> dict[str, int]:
    """GPUs that each envelope pays for the run; `nobody` for the rest."""
    found: dict[str, int] = {}
    for lease in made.world.leases_of(made.run(name).key):
        payer = lease.spec.payer
        who = f"{payer.budget}/{payer.envelope}" if payer is not None else "nobody"
        found[who] = found.get(who, 0) + lease.gpus
    return found


def looks(made: Harness, name: str) -> dict[str, tuple[int, int, str]]:
    """What each envelope had, gave and why no more, when it was last decided about this run."""
    outcomes = [record.outcome for record in made.records_of(made.run(name).key)]
    [*_, last] = [one.cover for one in outcomes if isinstance(one, Starts | Waits) and one.cover is not None]
    found = [(f"{look.payer.budget}/{look.payer.envelope}", (look.had, look.gave, look.why)) for look in last.looks]
    assert len(dict(found)) == len(found), f"an envelope was asked twice: {found}"
    return dict(found)


def said(made: Harness, name: str) -> list[str]:
    """What the plugin tells a person who asks about this run."""
    advice = made.loop.advice
    assert isinstance(advice, PluginAdvice)
    return [line for by, line in advice.explained(made.run(name), made.world, made.now) if by == "borrowing"]


def test_a_sponsor_pays_where_it_lends() -> None:
    made = stage(owner("bank", envelope(16, lending=ANYBODY)), owner("guest"), *nodes(2), borrower("job", 8, "bank"))
    assert payers(made, "guest/job") == {"bank/main": 8}
    assert funding(made, "guest/job") == Split(borrowed=8)
    assert looks(made, "guest/job") == {"bank/main": (16, 8, "")}


def test_the_family_is_asked_before_any_sponsor() -> None:
    # 16 wanted: 4 of its own, 4 of its parent, and only the other 8 of the sponsor, which has 16.
    made = stage(
        owner("bank", envelope(16, lending=ANYBODY)),
        owner("org", envelope(4)),
        owner("guest", envelope(4), parents=("org",)),
        *nodes(2),
        borrower("job", 16, "bank"),
    )
    assert payers(made, "guest/job") == {"guest/main": 4, "org/main": 4, "bank/main": 8}
    assert funding(made, "guest/job") == Split(owned=4, shared=4, borrowed=8)


def test_two_sponsors_pay_for_one_gang_in_the_order_in_which_it_names_them() -> None:
    # By name abel comes first; the run names zoe first: 8 of zoe's 8, then 4 of abel's 8.
    lenders = [owner(name, envelope(8, lending=ANYBODY)) for name in ("abel", "zoe")]
    made = stage(*lenders, owner("guest"), *nodes(2), borrower("job", 12, "zoe", "abel"))
    assert payers(made, "guest/job") == {"zoe/main": 8, "abel/main": 4}
    assert funding(made, "guest/job") == Split(borrowed=12)


def test_a_pod_is_lent_to_by_one_sponsor() -> None:
    # zoe has 12, which is one pod of 8; the other pod is abel's, and 4 of zoe's stay.
    zoe, abel = owner("zoe", envelope(12, lending=ANYBODY)), owner("abel", envelope(8, lending=ANYBODY))
    made = stage(zoe, abel, owner("guest"), *nodes(2), borrower("job", 16, "zoe", "abel", pod=8))
    assert payers(made, "guest/job") == {"zoe/main": 8, "abel/main": 8}
    assert looks(made, "guest/job")["zoe/main"] == (12, 8, "a pod of 8 GPUs has one payer")


def test_the_borrow_limit_bounds_all_sponsors_together() -> None:
    # Each lends up to 6. With a limit of 8: 6 of zoe and 2 of abel, which with 2 of its own makes 10 and not 12.
    lenders = [owner(name, envelope(6, lending=ANYBODY)) for name in ("abel", "zoe")]
    fits, wide = (borrower(f"job-{gpus}", gpus, "zoe", "abel", most=8) for gpus in (10, 12))
    made = stage(*lenders, owner("guest", envelope(2)), *nodes(2), fits)
    assert funding(made, "guest/job-10") == Split(owned=2, borrowed=8)
    assert payers(made, "guest/job-10") == {"guest/main": 2, "zoe/main": 6, "abel/main": 2}
    made = stage(*lenders, owner("guest", envelope(2)), *nodes(2), wide)
    assert looks(made, "guest/job-12") == {
        "guest/main": (2, 2, ""),
        "zoe/main": (6, 6, ""),
        "abel/main": (6, 2, "borrow limit"),
    }
    assert funding(made, "guest/job-12") == Split(unfunded=12)  # a fixed run is never half paid for


def test_no_more_is_lent_than_the_lender_said_and_what_comes_back_is_lent_again() -> None:
    # 16 GPUs, of which 8 may be lent: the first loan takes them all.
    bank = owner("bank", envelope(16, lending=Lending(to=("*",), max_gpus=8)))
    made = stage(bank, owner("guest"), *nodes(2), borrower("first", 8, "bank"))
    then(made, borrower("second", 8, "bank"))
    assert funding(made, "guest/second") == Split(unfunded=8)
    assert looks(made, "guest/second") == {"bank/main": (8, 0, "lends at most 8 GPUs")}
    made.cancel("guest/first")
    made.advance(minutes=1)
    assert payers(made, "guest/second") == {"bank/main": 8}
    assert funding(made, "guest/second") == Split(borrowed=8)


def test_an_aggregate_cap_of_the_lender_bounds_what_it_lends() -> None:
    # Two envelopes of 8, together at most 10: 8 of east, 2 of west. A run of 12 finds 2 too few.
    cap = AggregateCap(name="both", flavor="h100", envelopes=("east", "west"), gpus=10)
    envelopes = [envelope(8, name, ANYBODY) for name in ("east", "west")]
    bank = owner("bank", *envelopes, caps=[cap])
    made = stage(bank, owner("guest"), *nodes(2), borrower("job", 10, "bank"))
    assert payers(made, "guest/job") == {"bank/east": 8, "bank/west": 2}
    made = stage(bank, owner("guest"), *nodes(2), borrower("job", 12, "bank"))
    assert looks(made, "guest/job") == {"bank/east": (8, 8, ""), "bank/west": (8, 2, "cap both")}
    assert funding(made, "guest/job") == Split(unfunded=12)


def test_a_loan_ends_being_one_when_the_hours_to_lend_are_used_up_and_the_run_goes_on() -> None:
    # 8 GPUs use 8 GPU-hours in one hour: 28800 GPU-seconds lent, and from then on unfunded.
    bank = owner("bank", envelope(16, lending=Lending(to=("*",), max_gpu_hours=8)))
    made = stage(bank, owner("guest"), *nodes(3), borrower("job", 8, "bank"))
    made.advance(minutes=59)
    assert funding(made, "guest/job") == Split(borrowed=8)
    made.advance(minutes=31)
    assert funding(made, "guest/job") == Split(unfunded=8)
    [lease] = made.world.leases_of(made.run("guest/job").key)
    assert lease.status.gpu_seconds == Split(borrowed=28_800)
    assert lease.status.metered_until == A_MONDAY + HOUR
    then(made, borrower("late", 1, "bank"))
    assert looks(made, "guest/late") == {"bank/main": (16, 0, "hours to lend used up")}


def test_the_usage_of_an_envelope_says_to_whom_it_lends_now() -> None:
    """8 to guest for an hour; from then on there is nothing."""
    bank = owner("bank", envelope(16, lending=Lending(to=("*",))))
    made = stage(bank, owner("guest"), *nodes(3), lasting(borrower("job", 8, "bank"), HOUR))
    made.advance(minutes=59)
    assert lent(made) == {"bank": [{"owner": "guest", "gpus": 8}]}
    made.advance(minutes=5)
    assert lent(made) == {"bank": []}


def lent(made: Harness) -> dict[object, object]:
    """By owner, as the usage of its one envelope tells it."""
    return {said["owner"]: said["lent"] for said in map(item, usage(made.world.budgets()))}


def test_a_loan_is_not_made_that_the_hours_left_would_not_pay_for_long_enough() -> None:
    # 3 GPU-hours over the 30 minutes that every cover must last: 6 GPUs.
    bank = owner("bank", envelope(16, lending=Lending(to=("*",), max_gpu_hours=3)))
    made = stage(bank, owner("guest"), *nodes(2), borrower("job", 8, "bank"))
    assert looks(made, "guest/job") == {"bank/main": (16, 6, "hours left to lend would pay less than its minRuntime")}
    assert funding(made, "guest/job") == Split(unfunded=8)
    made = stage(bank, owner("guest"), *nodes(2), borrower("job", 6, "bank"))
    assert funding(made, "guest/job") == Split(borrowed=6)


@pytest.mark.parametrize(
    ("who", "why"),
    [
        ("guest", ""),
        ("guests", "not lent to guests"),
        ("vision", ""),
        ("vis", ""),
        ("division", "not lent to division"),
    ],
)
def test_a_lender_names_owners_or_the_beginnings_of_their_names(who: str, why: str) -> None:
    bank = owner("bank", envelope(8, lending=Lending(to=("guest", "vis*"))))
    made = stage(bank, owner(who), *nodes(1), borrower("job", 8, "bank", of=who))
    assert looks(made, f"{who}/job") == {"bank/main": (8, 0 if why else 8, why)}
    assert funding(made, f"{who}/job") == (Split(unfunded=8) if why else Split(borrowed=8))


def test_a_later_claim_of_the_lender_does_not_displace_a_loan() -> None:
    # 12 of 16 are lent. The bank's own run of 8 finds 4, starts on idle GPUs, and is paid for when the loan ends.
    bank = owner("bank", envelope(16, lending=ANYBODY))
    made = stage(bank, owner("guest"), *nodes(3), borrower("job", 12, "bank"))
    then(made, own("mine", 8, of="bank"))
    assert funding(made, "guest/job") == Split(borrowed=12)
    assert funding(made, "bank/mine") == Split(unfunded=8)
    assert looks(made, "bank/mine") == {"bank/main": (4, 4, "ranks below 1 claim")}
    made.cancel("guest/job")
    made.advance(minutes=1)
    assert funding(made, "bank/mine") == Split(owned=8)


def test_the_family_yields_to_the_owner_and_a_younger_loan_does_not() -> None:
    # 16: first 8 shared with a child, then 8 lent. The bank's own 8 are taken from the child, which came first.
    bank = owner("bank", envelope(16, lending=ANYBODY))
    child = owner("child", parents=("bank",))
    made = stage(bank, child, owner("guest"), *nodes(3), own("kin", 8, of="child"))
    then(made, borrower("job", 8, "bank"))
    assert (funding(made, "child/kin"), funding(made, "guest/job")) == (Split(shared=8), Split(borrowed=8))
    then(made, own("mine", 8, of="bank"))
    assert funding(made, "bank/mine") == Split(owned=8)
    assert (funding(made, "child/kin"), funding(made, "guest/job")) == (Split(unfunded=8), Split(borrowed=8))


def test_a_loan_displaces_nobody_when_it_is_made() -> None:
    # A child uses all 8 of the bank's. A loan would outrank it, and is not made for that.
    bank, child = owner("bank", envelope(8, lending=ANYBODY)), owner("child", parents=("bank",))
    made = stage(bank, child, owner("guest"), *nodes(2), own("kin", 8, of="child"))
    then(made, borrower("job", 8, "bank"))
    assert looks(made, "guest/job") == {"bank/main": (0, 0, "ranks below 1 claim")}
    assert (funding(made, "child/kin"), funding(made, "guest/job")) == (Split(shared=8), Split(unfunded=8))


def test_a_loan_outlives_the_name_of_its_borrower_in_the_list() -> None:
    bank = owner("bank", envelope(16, lending=Lending(to=("guest",))))
    made = stage(bank, owner("guest"), *nodes(2), borrower("job", 8, "bank"))
    then(made, owner("bank", envelope(16, lending=Lending(to=("other",)))), borrower("late", 8, "bank"))
    assert funding(made, "guest/job") == Split(borrowed=8)
    assert looks(made, "guest/late") == {"bank/main": (8, 0, "not lent to guest")}


def test_a_child_that_leaves_the_family_was_lent_nothing_though_anybody_may_borrow() -> None:
    # All 8 of the bank are its child's. From a minute on the child is a stranger, whom the bank would lend to, too; it
    # was not asked to. job borrows what is free so. A minute later the child is one again, and yields to the loan.
    bank, child = owner("bank", envelope(8, lending=ANYBODY)), owner("child", parents=("bank",))
    made = stage(bank, child, owner("guest"), *nodes(2), own("kin", 8, of="child"))
    then(made, owner("child"), borrower("job", 8, "bank"))
    assert (funding(made, "child/kin"), funding(made, "guest/job")) == (Split(unfunded=8), Split(borrowed=8))
    assert payers(made, "child/kin") == {"bank/main": 8}
    then(made, child)
    assert (funding(made, "child/kin"), funding(made, "guest/job")) == (Split(unfunded=8), Split(borrowed=8))


def test_a_lease_says_whether_it_is_a_loan() -> None:
    # 4 of its own, 4 of its parent, 8 of the sponsor: the loan is the last alone, and still after a restart.
    made = stage(
        owner("bank", envelope(16, lending=ANYBODY)),
        owner("org", envelope(4)),
        owner("guest", envelope(4), parents=("org",)),
        *nodes(2),
        borrower("job", 16, "bank"),
    )
    made.restart()
    said = {
        lease.spec.payer.budget: lease.spec.loan
        for lease in made.world.leases_of(made.run("guest/job").key)
        if lease.spec.payer is not None
    }
    assert said == {"guest": False, "org": False, "bank": True}
    assert funding(made, "guest/job") == Split(owned=4, shared=4, borrowed=8)


def test_a_run_that_started_unfunded_is_lent_to_by_leases_that_say_so() -> None:
    made = stage(owner("bank"), owner("guest"), *nodes(1), borrower("job", 8, "bank"))
    then(made, owner("bank", envelope(8, lending=ANYBODY)))
    assert [(lease.spec.reason, lease.spec.loan) for lease in made.world.leases_of(made.run("guest/job").key)] == [
        ("Repaid", True)
    ]
    assert funding(made, "guest/job") == Split(borrowed=8)


def test_lending_that_is_taken_away_leaves_the_run_unfunded_and_running_until_it_is_back() -> None:
    made = stage(owner("bank", envelope(8, lending=ANYBODY)), owner("guest"), *nodes(1), borrower("job", 8, "bank"))
    then(made, owner("bank", envelope(8)))
    assert funding(made, "guest/job") == Split(unfunded=8)
    assert made.run("guest/job").status.attempt == 1
    assert len(made.pods("guest/job")) == 8
    then(made, owner("bank", envelope(8, lending=ANYBODY)))
    assert funding(made, "guest/job") == Split(borrowed=8)
    assert payers(made, "guest/job") == {"bank/main": 8}


def test_a_smaller_cap_demotes_the_younger_loan() -> None:
    # 16 lent in two loans of 8; with a cap of 8 the first by start keeps, the second is unfunded.
    made = stage(owner("bank", envelope(16, lending=ANYBODY)), owner("guest"), *nodes(2), borrower("z", 8, "bank"))
    then(made, borrower("a", 8, "bank"))
    assert funding(made, "guest/a") == Split(borrowed=8)
    then(made, owner("bank", envelope(16, lending=Lending(to=("*",), max_gpus=8))))
    assert (funding(made, "guest/z"), funding(made, "guest/a")) == (Split(borrowed=8), Split(unfunded=8))


def test_a_loan_holds_its_gpus_against_the_lender_and_gives_them_back_once_it_is_none() -> None:
    # One node, all lent. The bank's own run finds no quota and waits; nobody is cut for it. When the bank lends no
    # more, what ran on loan is unfunded work, past its 30 minutes, and is taken back.
    made = stage(owner("bank", envelope(8, lending=ANYBODY)), owner("guest"), *nodes(1), borrower("job", 8, "bank"))
    then(made, own("mine", 8, of="bank"), minutes=60)
    made.advance(minutes=60)
    assert funding(made, "guest/job") == Split(borrowed=8)
    assert funding(made, "bank/mine") == Split()
    then(made, owner("bank", envelope(8)))
    made.advance(minutes=1)
    assert funding(made, "bank/mine") == Split(owned=8)
    assert (funding(made, "guest/job"), made.run("guest/job").status.preemptions) == (Split(), 1)


def test_unfunded_work_is_taken_back_for_a_run_that_borrows() -> None:
    # One node, used by a run that nobody pays for, past its 30 minutes: a loan is a claim like any other.
    bank = owner("bank", envelope(8, lending=ANYBODY))
    made = stage(bank, owner("guest"), owner("lab"), *nodes(1), own("idle", 8))
    then(made, borrower("job", 8, "bank"), minutes=31)
    made.advance(minutes=1)
    assert funding(made, "guest/job") == Split(borrowed=8)
    assert (funding(made, "lab/idle"), made.run("lab/idle").status.preemptions) == (Split(), 1)


def test_a_sponsor_that_is_family_shares_and_is_asked_once() -> None:
    # org lends to everybody; to its child it shares, which is a courtesy.
    org = owner("org", envelope(8, lending=ANYBODY))
    made = stage(org, owner("guest", parents=("org",)), *nodes(1), borrower("job", 8, "org"))
    assert looks(made, "guest/job") == {"org/main": (8, 8, "")}
    assert funding(made, "guest/job") == Split(shared=8)


def test_nobody_is_asked_to_lend_unless_the_run_allows_it() -> None:
    shy = a_run("job", gpus=8, namespace="guest", sections=(Borrowing(sponsors=("bank",)),))
    made = stage(owner("bank", envelope(8, lending=ANYBODY)), owner("guest", envelope(4)), *nodes(1), shy)
    assert looks(made, "guest/job") == {"guest/main": (4, 4, "")}
    assert funding(made, "guest/job") == Split(unfunded=8)


def test_a_run_without_an_owner_borrows_nothing() -> None:
    made = stage(owner("bank", envelope(8, lending=ANYBODY)), *nodes(1), borrower("job", 8, "bank", of="nowhere"))
    assert funding(made, "nowhere/job") == Split(unfunded=8)
    assert said(made, "nowhere/job") == ["nobody lends to a run without an owner"]


def test_what_comes_to_nothing_of_a_wish_to_borrow_is_explained() -> None:
    bank, org = owner("bank", envelope(8, lending=ANYBODY)), owner("org", envelope(8))
    guest = owner("guest", parents=("org",))
    a100 = owner("other", attrs.evolve(envelope(8, lending=ANYBODY), flavor="a100"))
    shy = a_run("shy", namespace="guest", sections=(Borrowing(sponsors=("bank",)),))
    made = stage(bank, org, guest, a100, *nodes(1), borrower("job", 8, "ghost", "org", "other", "bank"), shy)
    then(made, borrower("open", 8))
    assert said(made, "guest/job") == [
        "sponsor ghost: no Budget is of that owner",
        "sponsor org: is family of guest, so it shares and does not lend",
        "sponsor other: has no envelope of h100",
    ]
    assert said(made, "guest/shy") == ["it names sponsors, and asks none of them: set spec.funding.allowBorrow"]
    assert said(made, "guest/open") == ["it may borrow, and names no sponsor: `runs sponsors add` names one"]


def test_a_run_that_started_unfunded_is_lent_to_once_somebody_lends() -> None:
    # First nobody lends, then the bank does; then another run is given its sponsor while it runs.
    made = stage(owner("bank", envelope(16)), owner("guest"), *nodes(2), borrower("job", 8, "bank"))
    assert looks(made, "guest/job") == {"bank/main": (16, 0, "not lent to guest")}
    then(made, owner("bank", envelope(16, lending=ANYBODY)), borrower("late", 8, "nobody"))
    assert (payers(made, "guest/job"), made.run("guest/job").status.attempt) == ({"bank/main": 8}, 1)
    assert payers(made, "guest/late") == {"nobody": 8}
    wish = Borrowing(allow_borrow=True, sponsors=("nobody", "bank"))
    made.edit("guest/late", lambda run: attrs.evolve(run, spec=attrs.evolve(run.spec, sections={Borrowing: wish})))
    made.settle()
    assert payers(made, "guest/late") == {"bank/main": 8}


def test_a_loan_waits_for_the_lenders_window_and_ends_with_it() -> None:
    window = Window(start=A_MONDAY + HOUR, end=A_MONDAY + 3 * HOUR)
    made = stage(owner("bank", envelope(8, lending=ANYBODY, window=window)), owner("guest"), *nodes(1))
    then(made, borrower("job", 8, "bank"))
    assert looks(made, "guest/job") == {"bank/main": (8, 0, "closed until 2026-01-05T13:00:00Z")}
    made.advance(hours=1)
    assert funding(made, "guest/job") == Split(borrowed=8)
    made.advance(hours=2)
    assert funding(made, "guest/job") == Split(unfunded=8)


def test_loans_are_the_same_after_a_restart() -> None:
    lenders = [owner(name, envelope(8, lending=ANYBODY)) for name in ("abel", "zoe")]
    made = stage(*lenders, owner("guest"), *nodes(2), borrower("job", 12, "zoe", "abel"))
    made.advance(minutes=10)
    made.restart()
    made.advance(minutes=10)
    assert funding(made, "guest/job") == Split(borrowed=12)
    assert payers(made, "guest/job") == {"zoe/main": 8, "abel/main": 4}

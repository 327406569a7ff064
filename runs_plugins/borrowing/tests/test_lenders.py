"""Whom a run could ask to lend, beyond those that it asks."""

from __future__ import annotations

import attrs
import pytest

from runs_borrowing import plugin as borrowing
from runs_borrowing.sections import Borrowing
from runs_budgets import plugin as budgets
from runs_budgets.sections import Envelope, Lending, Quota, Sharing, Terms
from runs_core import Budget, Proposal, section
from runs_core.testing.builders import a_budget, a_node, a_run
from runs_core.testing.harness import Harness

BOTH = {"budgets": budgets, "borrowing": borrowing}


def lends(name: str, gpus: int, lending: Lending | None, flavor: str = "h100") -> Budget:
    """It shares nothing with its family."""
    one = Envelope(name="main", flavor=flavor, gpus=gpus, lending=lending, sharing=Sharing.NONE)
    return a_budget(name, namespaces=(name,), sections=(Quota(envelopes=(one,)),))


def proposed(wish: Borrowing, *banks: Budget, gpus: int = 8, parents: tuple[str, ...] = ()) -> list[Proposal]:
    """To a run of guest, who has nothing, that must not start without a payer; in the order in which they are tried."""
    run = a_run("job", gpus=gpus, namespace="guest", sections=(Terms(allow_unfunded=False), wish))
    guest = a_budget("guest", namespaces=("guest",), sections=(Quota(parents=parents),))
    stage = Harness(a_node("n1", gpus=16), guest, *banks, run, plugins=BOTH)
    stage.settle()
    waits = stage.run("guest/job")
    found = stage.loop.advice.proposals(waits, stage.world.ask(waits), gpus, stage.world)
    return [one for one in found if isinstance(one.section, Borrowing)]


ANYBODY = Lending(to=("*",))


def test_each_who_lends_enough_is_named_by_name() -> None:
    found = proposed(Borrowing(), lends("zoe", 8, ANYBODY), lends("abel", 16, ANYBODY), lends("poor", 4, ANYBODY))
    assert [one.change for one in found] == [
        "borrow 8 from abel (funding.sponsors)",
        "borrow 8 from zoe (funding.sponsors)",
    ]
    assert found[0].section == Borrowing(allow_borrow=True, sponsors=("abel",))
    assert found[0].words == ("sponsors", "add", "job", "abel")


@pytest.mark.parametrize(
    "bank",
    [
        lends("bank", 16, None),
        lends("bank", 16, Lending(to=("other",))),
        lends("bank", 16, Lending(to=("*",), max_gpus=7)),
        lends("bank", 16, ANYBODY, flavor="a100"),
    ],
    ids=["lends nothing", "lends to others", "lends less", "of another flavor"],
)
def test_who_would_not_lend_so_much_is_not_named(bank: Budget) -> None:
    assert proposed(Borrowing(), bank) == []


def test_family_lends_nothing() -> None:
    assert proposed(Borrowing(), lends("bank", 16, ANYBODY), parents=("bank",)) == []


def test_who_is_asked_already_stays_and_another_is_asked_after_it() -> None:
    (found,) = proposed(
        Borrowing(allow_borrow=True, sponsors=("poor",)), lends("poor", 4, ANYBODY), lends("bank", 8, ANYBODY)
    )
    assert section({Borrowing: found.section}, Borrowing) == Borrowing(allow_borrow=True, sponsors=("poor", "bank"))


def test_a_run_that_names_sponsors_and_must_not_borrow_is_told_to() -> None:
    (found,) = proposed(Borrowing(sponsors=("bank",)), lends("bank", 8, ANYBODY))
    assert (found.change, found.section) == (
        "set funding.allowBorrow",
        Borrowing(allow_borrow=True, sponsors=("bank",)),
    )


def test_a_limit_that_is_in_the_way_is_told() -> None:
    wish = Borrowing(allow_borrow=True, sponsors=("bank",), max_borrow_gpus=4)
    (found,) = proposed(wish, lends("bank", 16, ANYBODY))
    assert found.section == attrs.evolve(wish, max_borrow_gpus=12)

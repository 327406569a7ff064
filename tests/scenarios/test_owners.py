"""Who spends."""

from __future__ import annotations

import pytest
from tests.scenarios.play import Play

from runs_core.settings import Settings, Unbudgeted

DENY = pytest.mark.settings(Settings(unbudgeted=Unbudgeted.DENY))


def test_the_one_owner_of_a_namespace_spends_for_its_runs(play: Play) -> None:
    """Only vision's Budget lists `research`; without any Budget at all, nobody spends, and the run starts as well."""
    play.fleet(a1=8)
    play.submit("before", gpus=1)
    play.wait(1)
    play.budget("vision", "research")
    play.budget("audio", "elsewhere")
    play.submit("x", gpus=1)
    play.wait(2)
    assert (play.owners("before"), play.owners("x")) == ([None], ["vision"])


def test_a_namespace_of_two_owners_has_to_be_told_which_one(play: Play) -> None:
    """x says nothing and is held; y says audio. At 10 x says vision, and is admitted then."""
    play.fleet(a1=8)
    play.budget("vision", "research")
    play.budget("audio", "research")
    play.submit("x", gpus=1)
    play.submit("y", gpus=1, owner="audio")
    play.wait(10)
    assert (play.phase("x"), play.codes("x"), play.owners("y")) == ("Held", ["OwnerAmbiguous"], ["audio"])
    assert play.message("x") == "set spec.owner to one of audio, vision"
    play.edit("x", owner="vision")
    play.wait()
    assert (play.at("x", "admittedAt"), play.owners("x")) == (10, ["vision"])


def test_an_owner_that_the_namespace_may_not_spend_for_holds_the_run(play: Play) -> None:
    """Only vision is listed. At 10 audio's Budget lists the namespace too, and x, which named audio, starts."""
    play.fleet(a1=8)
    play.budget("vision", "research")
    play.submit("x", gpus=1, owner="audio")
    play.wait(10)
    assert (play.phase("x"), play.codes("x")) == ("Held", ["OwnerUnknown"])
    play.budget("audio", "research")
    play.wait()
    assert (play.at("x", "startedAt"), play.owners("x")) == (10, ["audio"])


@DENY
def test_where_runs_without_an_owner_are_denied_a_budget_lets_them_in(play: Play) -> None:
    """No Budget lists `research`. From 10 on one does, by the namespace's label."""
    play.fleet(a1=8)
    play.namespace(team="vision")
    play.submit("x", gpus=1)
    play.wait(10)
    assert (play.phase("x"), play.codes("x"), play.ledger("x")) == ("Held", ["Unbudgeted"], [])
    play.budget("vision", team="vision")
    play.wait()
    assert (play.at("x", "admittedAt"), play.at("x", "startedAt"), play.owners("x")) == (10, 10, ["vision"])


@DENY
def test_a_namespace_that_loses_its_budget_keeps_what_runs(play: Play) -> None:
    """x runs when the Budget goes at 10. y, submitted then, is held; z, which waited for GPUs, must leave the line."""
    play.fleet(a1=8)
    play.budget("vision", "research")
    play.submit("x", gpus=8, lasts="58s")
    play.submit("z", gpus=8)
    play.wait(10)
    play.delete_budget("vision")
    play.submit("y", gpus=1)
    play.wait(10)
    assert play.phases() == {"x": "Running", "y": "Held", "z": "Held"}
    play.until(70)
    assert (play.phase("x"), play.codes("z")) == ("Succeeded", ["Unbudgeted"])

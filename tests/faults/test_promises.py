"""A scheduler dies with SIGKILL between two writes of a promise, or of a cut with grace: the records end as without."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from tests.faults.conftest import Table, only_in_full
from tests.faults.promised import Life, hasten, nth_of, play, quotas
from tests.faults.stage import Stage

Kill = tuple[str, str, int, bool]
"""Before which of the writes of that verb to that resource, and whether it lands all the same."""
SOME: Sequence[Kill] = (
    ("patch", "reservations/status", 1, False),
    ("create", "resolutions", 1, False),
)
MOST = {
    ("create", "reservations"): 3,
    ("patch", "reservations/status"): 10,
    ("create", "resolutions"): 1,
    ("patch", "resolutions/status"): 1,
    ("create", "gpuleases"): 9,
    ("patch", "gpuleases"): 9,
    ("create", "pods"): 18,
    ("delete", "pods"): 10,
    ("update", "runs/status"): 25,
}
"""Writes of one life. Left out: those that only meter, tell people, or lead."""


@pytest.fixture
def funded(stage: Stage) -> Iterator[Stage]:
    """Two owners, of whom one may hold all there is, and fast clocks."""
    hasten(stage)
    gone = quotas(stage)
    yield stage
    gone()


@only_in_full
def test_the_records_of_a_life_without_a_kill(funded: Stage) -> None:
    play(funded, 1, None)
    assert funded.verdict().wrong() == []


def test_a_kill_between_any_two_writes_of_a_promise_and_of_a_cut(funded: Stage, table: Table, full: bool) -> None:
    every = [(*what, at + 1, landed) for what, most in MOST.items() for at in range(most) for landed in (False, True)]
    seconds, seen = list[float](), set[str]()
    for number, (verb, plural, write, landed) in enumerate(every if full else SOME, 1):
        took, killed = play(funded, number, nth_of(verb, plural, write), landed=landed)
        if killed:
            seconds.append(took)
            seen.add(killed)
    how = (
        "SIGKILL of the scheduler before its n-th write of each kind, each once lost and once landed; the same records"
    )
    table.add("killed between two writes of a promise or a cut", how, seconds, funded)
    assert len(seen) == (len(MOST) if full else len(SOME))


def test_promises_that_an_heir_does_not_see_are_found_out(funded: Stage) -> None:
    victim = funded.scheduler("sees", variant="promises forgotten")
    funded.reach_leader("sees")
    life = Life(funded, 1)
    life.begin()
    funded.await_(lambda: (life.go_on(), len(life.standing()) == 3)[1], "not all are promised something")  # type: ignore[func-returns-value]  # first this, then that
    victim.kill()
    funded.scheduler("does-not", variant="promises forgotten")
    funded.await_(life.doubled, "no promise is doubled")
    assert [what for what in funded.verdict().promises if "stands beside" in what]

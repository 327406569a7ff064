"""A scheduler with a defect is found out: the same scenarios, the same checks."""

from __future__ import annotations

import signal
import time

import pytest
from tests.faults.conftest import only_in_full
from tests.faults.proxy import Request, Watching
from tests.faults.stage import Stage
from tests.faults.test_kills import a_life
from tests.faults.test_leaders import a_late_resolution, a_late_status, stop_at
from tests.faults.test_watches import canceling, lives


def a_late_start(stage: Stage, variant: str) -> None:
    """The leader stands still before it opens its first lease. Its heir gives all GPUs to another; then it wakes."""
    old = stage.scheduler("old", variant=variant)
    stage.reach_leader("old")
    found, late = stop_at(stage, lambda request: request.plural == "gpuleases", old)
    stage.submit("first", 8, None)
    stage.await_(lambda: bool(found), "no lease is opened")
    stage.edit("first", canceled=True)
    heir = stage.scheduler("heir", variant=variant, proxy=stage.another_proxy())
    stage.settle({"first": "Failed"}, 40)
    stage.submit("other", 16, None)
    stage.settle({"other": "Running"}, 40)
    late.set()
    old.signal(signal.SIGCONT)
    stage.said(old, "stands by", times=2)
    stage.settle({"first": "Failed", "other": "Running"}, 5)
    old.stop()
    heir.stop()


@only_in_full
def test_a_start_that_arrives_when_its_places_are_taken_is_refused(stage: Stage) -> None:
    a_late_start(stage, "")
    assert stage.verdict().wrong() == []


def test_a_journal_that_nobody_reads_is_found_out(stage: Stage) -> None:
    with pytest.raises(AssertionError, match=r"has the open leases|not settled"):
        a_late_start(stage, "journal unread")
    assert stage.verdict().double


def test_a_start_that_does_not_wait_for_its_places_is_found_out(stage: Stage) -> None:
    def slow(request: Request) -> bool:
        if request.plural == "gpuleases" and request.verb == "patch":  # so it closes now
            time.sleep(0.5)
        return True

    stage.proxy.before_write = slow
    stage.scheduler(variant="places unguarded")
    expected = a_life(stage, 1)
    stage.settle(expected, 30, each=lambda: canceling(stage, expected))
    assert stage.verdict().double


def test_a_status_that_is_written_over_whatever_is_there_is_found_out(stage: Stage) -> None:
    with pytest.raises(AssertionError, match=r"not settled|an end was written over"):
        a_late_status(stage, "statuses unguarded")


def test_a_late_resolution_that_is_carried_out_is_found_out(stage: Stage) -> None:
    with pytest.raises(AssertionError, match="somebody was cut"):
        a_late_resolution(stage, "late resolutions followed")


@only_in_full
def test_a_mirror_that_goes_back_in_time_is_found_out(stage: Stage) -> None:
    stage.proxy.watching = Watching(twice=True)
    stage.scheduler(variant="events unsorted")
    expected = lives(stage, 2)

    def again_and_again() -> None:
        for _ in range(3):
            stage.settle(expected, 10, each=lambda: canceling(stage, expected))
            time.sleep(2.5)  # while the last events come a second time

    with pytest.raises(AssertionError, match="not settled"):
        again_and_again()

"""Two processes that both think they lead, for a while, or never."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable

from tests.faults.by_hand import AT_ONCE, answers, asked, taken_back, verified
from tests.faults.conftest import Table, only_in_full
from tests.faults.proxy import Request
from tests.faults.stage import Scheduler, Stage
from tests.faults.test_kills import a_life
from tests.faults.test_watches import canceling

HOUR = 3600.0


@only_in_full
def test_clocks_that_are_two_hours_apart(stage: Stage, table: Table) -> None:
    """The one that is ahead usurps nothing, and takes over from the one behind without harm; then the reverse."""
    early = stage.scheduler("behind", skew=-HOUR)
    stage.reach_leader("behind")
    late = stage.scheduler("ahead", skew=HOUR)
    stage.said(late, "stands by")
    expected = a_life(stage, 1)
    stage.reach("long-1", "Running")
    early.kill()
    first = stage.settle(expected, 30, each=lambda: canceling(stage, expected))
    stage.scheduler("behind-again", skew=-HOUR)
    expected = a_life(stage, 2)
    stage.reach("long-2", "Running")
    late.kill()
    second = stage.settle(expected, 30, each=lambda: canceling(stage, expected))
    how = "the leader's clock is an hour behind, its heir's an hour ahead; SIGKILL of the leader; then the reverse"
    table.add("clocks two hours apart", how, [first, second], stage)


def suspended(stage: Stage, number: int, write: int, variant: str = "") -> tuple[float, str]:
    """The leader stands still before its n-th write, is replaced, and wakes when all is over; that write arrives late.

    (seconds from its awakening until all is well, the write); no write: it had fewer before it was replaced.
    """
    old = stage.scheduler(f"sleeps-{number}", variant=variant)
    stage.reach_leader(f"sleeps-{number}")
    first = stage.proxy.writes
    found, late = stop_at(stage, lambda request: request.number - first >= write, old)
    expected = a_life(stage, number)
    heir = stage.scheduler(f"heir-{number}", variant=variant, proxy=stage.another_proxy())
    stage.settle(expected, 40, each=lambda: canceling(stage, expected))
    stage.submit(f"after-{number}", 12, None)
    expected[f"after-{number}"] = "Running"
    stage.settle(expected, 20)
    stage.proxy.before_write = None
    late.set()
    old.signal(signal.SIGCONT)
    seconds, replaced = 0.0, bool(stage.heard(heir, "leads"))
    if found and replaced:
        stage.said(old, "stands by", times=2)
        seconds = stage.settle(expected, 20)
    stage.edit(f"after-{number}", canceled=True)
    stage.settle({f"after-{number}": "Failed"}, 20)
    old.stop()
    heir.stop()
    return seconds, f"{found[0].verb} {found[0].plural}" if found and replaced else ""


def a_late_status(stage: Stage, variant: str = "") -> float:
    """The leader stands still before it writes that a run starts. Its heir leads the run to its end; then that arrives.

    Seconds from then until all is well, and stays so.
    """
    old = stage.scheduler("old", variant=variant)
    stage.reach_leader("old")
    found, late = stop_at(stage, lambda request: request.plural == "runs/status", old)
    stage.submit("first", 8, 0.3)
    stage.await_(lambda: bool(found), "no status is written")
    heir = stage.scheduler("heir", variant=variant, proxy=stage.another_proxy())
    stage.settle({"first": "Succeeded"}, 40)
    ended = stage.runs()["first"]["status"]
    late.set()
    old.signal(signal.SIGCONT)
    began = time.monotonic()
    stage.said(old, "stands by", times=2)
    seconds = time.monotonic() - began
    time.sleep(2)  # for what should not come
    seconds += stage.settle({"first": "Succeeded"}, 3)
    assert stage.runs()["first"]["status"] == ended, "an end was written over"
    old.stop()
    heir.stop()
    return seconds


def test_a_status_that_arrives_late_is_refused(stage: Stage, table: Table) -> None:
    seconds = a_late_status(stage)
    how = "SIGSTOP of the leader before it writes that a run starts; replaced; the write arrives when the run has ended"
    table.add("status written late", how, [seconds], stage)


def a_late_resolution(stage: Stage, variant: str = "") -> float:
    """The leader stands still before it keeps a resolution. It arrives when whoever asked for it wants it no more.

    Seconds from then until it is over; nobody is cut, and the next one is held against it.
    """
    stage.settings |= AT_ONCE
    old = stage.scheduler("old", variant=variant)
    stage.reach_leader("old")
    stage.submit("first", 8, None)
    stage.reach("first", "Running")
    found, late = stop_at(stage, lambda request: request.plural == "resolutions", old)
    with asked(stage, 16) as uid:
        stage.await_(lambda: bool(found), "no resolution is written")
    stage.scheduler("heir", variant=variant, proxy=stage.another_proxy())
    stage.reach_leader("heir")
    assert answers(stage, uid) == []
    late.set()
    old.signal(signal.SIGCONT)
    stage.said(old, "stands by", times=2)
    seconds = stage.await_(lambda: bool(answers(stage, uid)), "the resolution has not arrived")
    time.sleep(2)  # for what should not come
    seconds += stage.settle({"first": "Running"}, 20)
    assert stage.attempt("first") == 1, "somebody was cut"
    (told,) = answers(stage, uid)
    assert told["status"]["reason"] == "Late"
    name = taken_back(stage, 16)
    (following,) = (one for one in stage.items("Resolution") if one["metadata"]["name"] == name)
    assert following["spec"]["number"] == told["spec"]["number"] + 1
    assert following["spec"]["seed"]["commitment"] == told["spec"]["nextCommitment"]
    code, words = verified(stage, name)
    assert code == 0, words
    stage.settle({"first": "Running"}, 20)
    assert stage.attempt("first") == 2
    return seconds


def test_a_resolution_that_arrives_late_cuts_nobody_and_the_next_one_is_held_against_it(
    stage: Stage, table: Table
) -> None:
    seconds = a_late_resolution(stage)
    how = "SIGSTOP of the leader before it keeps a resolution; replaced, the request withdrawn; then it arrives"
    table.add("resolution written late", how, [seconds], stage)


def stop_at(
    stage: Stage, wanted: Callable[[Request], bool], victim: Scheduler
) -> tuple[list[Request], threading.Event]:
    """SIGSTOP just before the first such write, which goes on, as all that follow it, once the event is set."""
    found, late = list[Request](), threading.Event()

    def stop(request: Request) -> bool:
        if not found and wanted(request):
            found.append(request)
            os.kill(victim.pid, signal.SIGSTOP)
        if found:
            late.wait(120)
        return True

    stage.proxy.before_write = stop
    return found, late


def test_a_leader_is_suspended_in_the_middle_of_a_batch_and_wakes_late(stage: Stage, table: Table, full: bool) -> None:
    seconds = []
    for number, write in enumerate(range(1, 100) if full else (2,), 1):
        took, what = suspended(stage, number, write)
        if not what:
            break
        seconds.append(took)
    how = f"SIGSTOP of the leader before its n-th write, for {len(seconds)} n; replaced; SIGCONT when all is over"
    table.add("leader suspended in the middle of a batch", how, seconds, stage)
    assert seconds

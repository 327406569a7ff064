"""A scheduler dies with SIGKILL before any of its writes, and the next one ends where it would have ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from tests.faults.conftest import Table
from tests.faults.stage import Stage

RUSH = 30
LIFE = {"first": "Succeeded", "waits": "Succeeded", "long": "Failed"}
"""16 GPUs: `first` takes 8 and `long` 4, so that `waits` has no room for its 12 before both are over."""


def a_life(stage: Stage, number: int) -> dict[str, str]:
    """Three runs, one of which waits for room and one of which somebody cancels; how they must end."""
    stage.submit(f"first-{number}", 8, 0.3)
    stage.submit(f"long-{number}", 4, None)
    stage.submit(f"waits-{number}", 12, 0.3)
    return {f"{name}-{number}": phase for name, phase in LIFE.items()}


def killed(stage: Stage, number: int, write: int, *, landed: bool) -> tuple[float, str]:
    """One life with a kill in it. (seconds from the kill until all is over, the write); no write: it had fewer."""
    victim = stage.scheduler(f"victim-{number}")
    found = stage.kill_before(write, victim, landed=landed)
    expected = a_life(stage, number)
    canceled: list[str] = []

    def on_stage() -> None:
        name = f"long-{number}"
        if not canceled and stage.phase(name) == "Running":
            stage.edit(name, canceled=True)
            canceled.append(name)
        if found and stage.schedulers[-1] is victim:
            victim.kill()
            stage.proxy.before_write = None
            stage.scheduler(f"heir-{number}")

    seconds = stage.settle(expected, 30, each=on_stage)
    stage.proxy.before_write = None
    stage.schedulers[-1].stop()
    return seconds, f"{found[0].verb} {found[0].plural}" if found else ""


def lost(stage: Stage, number: int, write: int, *, landed: bool) -> tuple[float, str]:
    """A run whose only node is declared out of service: its end, and its next start, with a kill in them.

    An attempt that was begun and came to nothing is spent: it may move more than once.
    """
    victim = stage.scheduler(f"loses-{number}")
    name = f"moves-{number}"
    stage.submit(name, 4, None)
    stage.settle({name: "Running"}, 30)
    [lease] = stage.held(name)
    node = next(iter(lease["spec"]["slots"]))
    found = stage.kill_before(write, victim, landed=landed)
    stage.taint(node, lost=True)

    def on_stage() -> None:
        if found and stage.schedulers[-1] is victim:
            victim.kill()
            stage.proxy.before_write = None
            stage.scheduler(f"finds-{number}")

    try:
        moved = stage.await_(lambda: (on_stage(), stage.attempt(name) > 1)[1], "the run does not move")  # type: ignore[func-returns-value]  # first this, then that
        seconds = moved + stage.settle({name: "Running"}, 30, each=on_stage)
    finally:
        stage.taint(node, lost=False)
    stage.proxy.before_write = None
    on_stage()  # the write may have come once all was settled, and whoever sends it waits since
    stage.edit(name, canceled=True)
    stage.settle({name: "Failed"}, 30)
    stage.schedulers[-1].stop()
    return seconds, f"{found[0].verb} {found[0].plural}" if found else ""


def rushed(stage: Stage, number: int, write: int, *, landed: bool) -> tuple[float, str]:
    """So many short runs that most are over before it is told that they began, with a kill in them.

    One that has succeeded is never run again: of all its leases, exactly one was closed for a success.
    """
    victim = stage.scheduler(f"rushes-{number}")
    found = stage.kill_before(write, victim, landed=landed)
    names = [f"short-{number}-{one}" for one in range(RUSH)]
    for name in names:
        stage.submit(name, 1, 0.2, resources={"flavor": "H100-80GB", "gpus": 1}, topology=None)

    def on_stage() -> None:
        if found and stage.schedulers[-1] is victim:
            victim.kill()
            stage.proxy.before_write = None
            stage.scheduler(f"calms-{number}")

    seconds = stage.settle(dict.fromkeys(names, "Succeeded"), 60, each=on_stage)
    stage.proxy.before_write = None
    stage.schedulers[-1].stop()
    won = [lease["spec"]["runRef"]["name"] for lease in stage.items("GPULease") if succeeded(lease)]
    assert sorted(name for name in won if name in names) == sorted(names)
    return seconds, f"{found[0].verb} {found[0].plural}" if found else ""


def succeeded(lease: dict[str, Any]) -> bool:
    return (lease.get("status") or {}).get("closureReason") == "Succeeded"


Life = Callable[..., tuple[float, str]]


def every(stage: Stage, life: Life, writes: Iterable[int], *, both: bool) -> tuple[list[float], set[str]]:
    """One life for each write, until one has fewer. both: once with the write lost, and once with it landed."""
    seconds, seen, number = list[float](), set[str](), 0
    for write in writes:
        for landed in (False, True) if both else (write % 2 == 0,):
            number += 1
            took, what = life(stage, number, write, landed=landed)
            if not what:
                return seconds, seen
            seconds.append(took)
            seen.add(what)
    return seconds, seen


def test_a_kill_between_any_two_writes_of_a_start_and_an_end(stage: Stage, table: Table, full: bool) -> None:
    seconds, seen = every(stage, killed, range(1, 200) if full else (5, 14), both=full)
    how = "SIGKILL of the scheduler before its n-th write, for every n, each once lost and once landed; three runs"
    table.add("killed between two writes of a start or an end", how, seconds, stage)
    assert len(seen) > 1


def test_a_kill_in_a_rush_of_short_runs(stage: Stage, table: Table, full: bool) -> None:
    seconds, seen = every(stage, rushed, range(5, 160, 5) if full else (40, 75), both=full)
    how = f"SIGKILL of the scheduler before its n-th write, {RUSH} runs of 0.2 s; one success of each"
    table.add("killed in a rush of short runs", how, seconds, stage)
    assert seen


def test_a_kill_between_any_two_writes_when_a_node_is_lost(stage: Stage, table: Table, full: bool) -> None:
    seconds, seen = every(stage, lost, range(1, 100) if full else (5,), both=full)
    how = "the same, while a run's only node is lost and it starts elsewhere"
    table.add("killed between two writes when a node is lost", how, seconds, stage)
    assert seen

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from time import perf_counter, process_time

import pytest

from runs_core.hooks.watchdog import WATCHDOG, TooSlow

SOON = 0.05
LATE = 5.0


def spins() -> None:
    while True:
        pass


def spins_whatever_is_thrown() -> None:
    for _ in range(2):
        with suppress(BaseException):
            spins()
    spins()


def blocks() -> None:
    time.sleep(10 * LATE)


def waits_for_a_lock() -> None:
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


def broken_after(function: Callable[[], None]) -> float:
    began = perf_counter()
    with pytest.raises(TooSlow):
        WATCHDOG.call("test", function, SOON)
    return perf_counter() - began


def waits_for_the_network() -> None:
    here, there = socket.socketpair()
    with here, there:
        here.recv(1)


@pytest.mark.parametrize("hangs", [spins, spins_whatever_is_thrown, blocks, waits_for_a_lock, waits_for_the_network])
def test_a_call_that_never_returns_is_broken_in_the_main_thread(hangs: Callable[[], None]) -> None:
    assert broken_after(hangs) < LATE


@pytest.mark.parametrize("hangs", [spins, spins_whatever_is_thrown])
def test_a_call_that_never_returns_is_broken_in_another_thread(hangs: Callable[[], None]) -> None:
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(broken_after, hangs).result() < LATE


def test_an_answer_that_comes_late_does_not_count() -> None:
    with pytest.raises(TooSlow, match=r"no answer within 0\.0"):
        WATCHDOG.call("test", lambda: time.sleep(0.01), 0.005)


def test_a_call_in_time_gives_its_answer_and_how_long_it_took() -> None:
    answer, took = WATCHDOG.call("test", lambda: 7, LATE)
    assert answer == 7
    assert 0 < took < LATE


def test_what_a_call_raises_comes_through() -> None:
    with pytest.raises(ZeroDivisionError):
        WATCHDOG.call("test", lambda: 1 // 0, LATE)


def test_a_call_inside_a_call_runs_under_the_outer_ones_time() -> None:
    began = perf_counter()
    with pytest.raises(TooSlow):
        WATCHDOG.call("outer", lambda: WATCHDOG.call("inner", spins, 1000), SOON)
    assert perf_counter() - began < LATE


def test_nothing_is_thrown_at_what_runs_after_a_call_that_ended_just_in_time() -> None:
    until = perf_counter() + LATE
    ended = {True: 0, False: 0}

    def about_as_long_as_allowed() -> None:
        stop = perf_counter() + sum(ended.values()) % 10 * 0.001
        while perf_counter() < stop:
            pass

    while min(ended.values()) < 30 and perf_counter() < until:
        try:
            WATCHDOG.call("test", about_as_long_as_allowed, 0.005)
            ended[True] += 1
        except TooSlow:
            ended[False] += 1
    assert min(ended.values()) >= 30
    assert WATCHDOG.overdue() == ()


def test_a_call_that_cannot_be_broken_is_named_while_it_lasts() -> None:
    stop = threading.Event()

    def deaf() -> None:  # a wait in C, outside of the main thread
        stop.wait(10 * LATE)

    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(WATCHDOG.call, "deaf: runs_hold", deaf, SOON)
        until = perf_counter() + LATE
        while not WATCHDOG.overdue() and perf_counter() < until:
            os.sched_yield()
        names = [late.name for late in WATCHDOG.overdue()]
        stop.set()
        with pytest.raises(TooSlow):
            asked.result(LATE)
    assert names == ["deaf: runs_hold"]
    assert WATCHDOG.overdue() == ()


def test_watching_a_call_costs_less_than_2_microseconds() -> None:
    def answer() -> int:
        return 1

    def spent(calls: int) -> float:
        began = process_time()
        for _ in range(calls):
            WATCHDOG.call("test", answer, LATE)
        return (process_time() - began) / calls

    assert min(spent(2000) for _ in range(20)) < 2e-6


def test_a_child_process_has_a_watchdog_of_its_own() -> None:
    WATCHDOG.call("test", lambda: 1, LATE)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            WATCHDOG.call("test", spins, SOON)
        except TooSlow:
            os.write(writing, b"broken")
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    assert os.read(reading, 6) == b"broken"
    os.close(reading)


def prints_and_hangs() -> None:
    print("aside")  # noqa: T201 - as a plugin might
    spins()


def test_what_a_call_prints_is_kept_out_of_the_answer_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    WATCHDOG.call("test", lambda: print("aside"), LATE)  # noqa: T201
    broken_after(prints_and_hangs)
    print("answer")  # noqa: T201
    assert capsys.readouterr() == ("answer\n", "aside\naside\n")


def test_a_call_in_another_thread_leaves_stdout_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(WATCHDOG.call, "test", lambda: print("answer"), LATE).result()  # noqa: T201
    assert capsys.readouterr() == ("answer\n", "")

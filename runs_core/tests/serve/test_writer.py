from __future__ import annotations

import random
import threading
import time
from functools import partial

import pytest

from runs_core.cluster.kube.api import Refused
from runs_core.cluster.kube.takeover import adopt
from runs_core.cluster.kube.writer import PREMISE, THREADS, Work, Writer
from runs_core.testing.builders import a_lease, a_run
from runs_core.values.lease import Lease
from runs_core.values.meta import Key

RUN, OTHER = Key("research", "train"), Key("research", "other")


def test_what_has_not_begun_when_leadership_is_lost_is_never_sent() -> None:
    leads, reached, go_on = [True], threading.Event(), threading.Event()
    sent: list[str] = []
    failed: list[Refused] = []

    def first() -> None:
        sent.append("first")
        reached.set()
        go_on.wait(10)

    writer = Writer(threads=2)
    writer.allowed = lambda: leads[0]
    stages = [[first], [lambda: sent.append("second")]]
    writer.add(Work(key=RUN, stages=stages, failed=failed.append, done=lambda: None))
    writer.add(Work(key=RUN, stages=[[lambda: sent.append("later")]], failed=failed.append, done=lambda: None))
    assert reached.wait(10)
    leads[0] = False
    go_on.set()
    assert writer.drain(10)
    writer.stop()
    assert sent == ["first"]
    assert [refusal.reason for refusal in failed] == ["Deposed", PREMISE]


def test_a_retry_is_a_new_sending() -> None:
    leads = [True]
    tries: list[int] = []

    def busy() -> None:
        tries.append(1)
        leads[0] = False
        raise Refused(429, "TooManyRequests", "later")

    writer = Writer(threads=1)
    writer.allowed = lambda: leads[0]
    writer.add(Work(key=RUN, stages=[[busy]], failed=lambda _: None, done=lambda: None))
    assert writer.drain(10)
    writer.stop()
    assert tries == [1]


def test_a_server_that_says_when_is_not_asked_sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "uniform", lambda least, _: least)
    asked: list[float] = []

    def busy_once() -> None:
        asked.append(time.monotonic())
        if len(asked) == 1:
            raise Refused(429, "TooManyRequests", "later", retry_after=0.5)

    writer = Writer(threads=1)
    assert writer.attempt(busy_once) is None
    writer.stop()
    assert asked[1] - asked[0] >= 0.5


def test_a_write_that_is_asked_again_and_again_keeps_no_thread_from_others() -> None:
    """Such as the pods of one namespace whose admission webhook is down."""
    asked, done = [threading.Event(), threading.Event()], threading.Event()

    def refused(which: threading.Event) -> None:
        which.set()
        raise Refused(500, "InternalError", "failed calling webhook", retry_after=30.0)

    writer = Writer(threads=2)
    stage = [partial(refused, which) for which in asked]
    writer.add(Work(key=RUN, stages=[stage], failed=lambda _: None, done=lambda: None))
    assert all(which.wait(10) for which in asked)
    writer.add(Work(key=OTHER, stages=[[done.set]], failed=lambda _: None, done=lambda: None))
    try:
        assert done.wait(5)
    finally:
        writer.stop()


def test_a_server_that_has_too_much_to_do_is_not_given_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is told so waits, and sends nothing else meanwhile."""
    monkeypatch.setattr(random, "uniform", lambda least, _: least)
    asked: list[str] = []

    def busy_once() -> None:
        asked.append("busy")
        if len(asked) == 1:
            raise Refused(429, "TooManyRequests", "later", retry_after=0.3)

    writer = Writer(threads=1)
    writer.add(Work(key=RUN, stages=[[busy_once]], failed=lambda _: None, done=lambda: None))
    writer.add(Work(key=OTHER, stages=[[lambda: asked.append("other")]], failed=lambda _: None, done=lambda: None))
    assert writer.drain(10)
    writer.stop()
    assert asked == ["busy", "busy", "other"]


def test_who_takes_over_is_not_kept_for_minutes_by_leases_that_cannot_be_opened_now(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A process that does not come round is taken for dead, and the next would be as well."""
    monkeypatch.setattr("runs_core.cluster.kube.takeover.ADOPT_SECONDS", 0.2)
    leases = [a_lease(a_run(f"run-{number}", gpus=1), {"n1": (0,)}) for number in range(3 * THREADS)]
    asked: list[Lease] = []

    def unavailable(lease: Lease) -> None:
        asked.append(lease)
        raise Refused(500, "InternalError", "failed calling webhook")

    with pytest.raises(Refused, match="failed calling webhook"):
        adopt(leases, Writer(), unavailable)
    assert len({lease.key for lease in asked}) < len(leases)

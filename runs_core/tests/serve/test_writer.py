from __future__ import annotations

import random
import threading
import time

import pytest

from runs_core.cluster.kube.api import Refused
from runs_core.cluster.kube.writer import PREMISE, Work, Writer
from runs_core.values.meta import Key

RUN = Key("research", "train")


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

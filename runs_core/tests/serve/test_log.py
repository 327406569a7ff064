from __future__ import annotations

import io
import json
from collections.abc import Iterator

import attrs
import pytest

from runs_core.serve import log
from runs_core.serve.log import QUIET_SECONDS, Level, LogFormat, Quiet
from runs_core.testing.builders import a_record, a_run
from runs_core.values.decision import Held, Reason


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    before = (log.LOGGER.handlers, log.LOGGER.level, log.LOGGER.propagate)
    yield io.StringIO()
    log.LOGGER.handlers, log.LOGGER.level, log.LOGGER.propagate = before


def test_a_decision_is_one_line_with_cycle_run_outcome_reasons_and_timings(stream: io.StringIO) -> None:
    log.set_up(LogFormat.AUTO, Level.INFO, stream)
    held = Held(reasons=(Reason("core", "Suspended", "no secret"), Reason("budgets", "Closed", "")))
    record = attrs.evolve(a_record(a_run("train"), held), seconds={"hold": 0.00123})
    log.decided(7, record)
    (line,) = stream.getvalue().splitlines()
    told = json.loads(line)
    assert (told["cycle"], told["run"], told["outcome"]) == (7, "research/train", "Held")
    assert told["reasons"] == ["Suspended", "budgets:Closed"]
    assert told["seconds"] == {"hold": 0.00123}
    assert "secret" not in line


def test_for_a_person_a_line_reads_as_a_sentence(stream: io.StringIO) -> None:
    log.set_up(LogFormat.HUMAN, Level.INFO, stream)
    log.warn("it rains", where="a b", since=None, reasons=["A", "B"])
    line = stream.getvalue()
    assert line[2] == ":"
    assert line.endswith(' warning: it rains where="a b" reasons=A,B\n')


def test_below_the_level_nothing_is_told(stream: io.StringIO) -> None:
    log.set_up(LogFormat.JSON, Level.WARNING, stream)
    log.decided(1, a_record(a_run("train")))
    log.info("nothing")
    log.warn("something")
    assert len(stream.getvalue().splitlines()) == 1


def test_the_same_trouble_again_and_again_is_held_back_and_counted(stream: io.StringIO) -> None:
    now = [100.0]
    log.set_up(LogFormat.JSON, Level.INFO, stream)
    log.LOGGER.handlers[0].filters = [Quiet(lambda: now[0])]
    for _ in range(5):
        log.warn("it rains")
        log.info("a decision")
    now[0] += QUIET_SECONDS
    log.warn("it rains")
    told = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [one.get("heldBack") for one in told if one["level"] == "warning"] == [None, 4]
    assert sum(one["level"] == "info" for one in told) == 5

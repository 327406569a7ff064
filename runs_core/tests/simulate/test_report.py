"""The report of a simulation, on histories short enough to work out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import attrs
import pytest

from runs_core.cluster.trace.input import EPOCH, Arrival, TraceInput, simulated_meta
from runs_core.serve.report import Report
from runs_core.serve.standing import size_class
from runs_core.serve.summary import Utilisation
from runs_core.serve.views.plain import plain
from runs_core.values.change import RunSeen
from runs_core.values.decision import Outcome, Reason, Waits
from runs_core.values.effect import CloseLease, Effect, OpenLease, SetRunStatus
from runs_core.values.lease import Lease, LeaseSpec, NodeSlots, Opened, RunRef
from runs_core.values.meta import Meta
from runs_core.values.node import Node
from runs_core.values.record import Record
from runs_core.values.run import Phase, Resources, Run, RunSpec


def at(seconds: float) -> datetime:
    return EPOCH + timedelta(seconds=seconds)


def an_arrival(name: str, seconds: float, gpus: int) -> Arrival:
    duration = timedelta(seconds=100)
    meta = simulated_meta("ns", name, at=at(seconds), duration=duration)
    return Arrival(at=at(seconds), run=Run(meta=meta, spec=RunSpec(resources=Resources(gpus=gpus))), duration=duration)


class History:
    """Two nodes of 4 GPUs; arrivals of the runs given as (name, seconds, gpus)."""

    def __init__(self, *arrivals: tuple[str, float, int]) -> None:
        self.arrivals = {name: an_arrival(name, seconds, gpus) for name, seconds, gpus in arrivals}
        nodes = tuple(Node(name=name, gpus=4) for name in ("n-0", "n-1"))
        self.report = Report(TraceInput(nodes=nodes, arrivals=tuple(self.arrivals.values())))
        self.leases: dict[str, Lease] = {}

    def arrive(self, name: str) -> None:
        arrival = self.arrivals[name]
        self.report.saw(arrival.at, [RunSeen(arrival.run)])

    def start(self, name: str, seconds: float, *slots: NodeSlots, owner: str | None = None) -> None:
        run = self.arrivals[name].run
        spec = LeaseSpec(
            run_ref=RunRef(name=name, uid=run.uid),
            owner=owner,
            group=0,
            slots=slots,
            attempt=1,
            start=at(seconds),
            reason=Opened.START,
        )
        self.leases[name] = Lease(meta=Meta(name=name, namespace="ns"), spec=spec)
        self._write(seconds, [OpenLease(self.leases[name]), self._status(name, Phase.STARTING)])

    def finish(self, name: str, seconds: float, phase: Phase = Phase.SUCCEEDED) -> None:
        self._write(seconds, [CloseLease(self.leases[name]), self._status(name, phase)])

    def phase(self, name: str, seconds: float, phase: Phase) -> None:
        self._write(seconds, [self._status(name, phase)])

    def decide(self, name: str, seconds: float, outcome: Outcome) -> None:
        run = self.arrivals[name].run
        phase = Phase.QUEUED
        record = Record(at=at(seconds), run=run.key, uid=run.uid, outcome=outcome, phase=phase, width=0)
        self.report.saw(at(seconds), [])
        self.report.wrote([], [record])

    def summary(self) -> dict[str, Any]:
        """As JSON."""
        found = plain(self.report.summary())
        assert isinstance(found, dict)
        return found

    def _status(self, name: str, phase: Phase) -> SetRunStatus:
        run = self.arrivals[name].run
        return SetRunStatus(attrs.evolve(run, status=attrs.evolve(run.status, phase=phase, attempt=1)))

    def _write(self, seconds: float, effects: Sequence[Effect]) -> None:
        self.report.saw(at(seconds), [])
        self.report.wrote(effects, [])


def on(node: str, gpus: int) -> NodeSlots:
    return NodeSlots(node=node, ordinals=tuple(range(gpus)))


@pytest.fixture
def history() -> History:
    """a holds 4 GPUs from 0 to 100; b arrives at 50, wants 8, and has them from 100 to 150."""
    told = History(("a", 0, 4), ("b", 50, 8))
    told.arrive("a")
    told.start("a", 0, on("n-0", 4), owner="vision")
    told.arrive("b")
    told.finish("a", 100)
    told.start("b", 100, on("n-0", 4), on("n-1", 4))
    told.finish("b", 150, Phase.FAILED)
    return told


def test_a_wait_lasts_from_arrival_to_the_lease(history: History) -> None:
    waits = history.summary()["waitSeconds"]
    assert (waits["starts"], waits["mean"], waits["p50"], waits["max"]) == (2, 25.0, 0.0, 50.0)


def test_waits_are_told_by_owner_and_by_size(history: History) -> None:
    waits = history.summary()["waitSeconds"]
    assert [(group["owner"], group["max"]) for group in waits["byOwner"]] == [(None, 50.0), ("vision", 0.0)]
    assert [(group["gpus"], group["max"]) for group in waits["bySize"]] == [("2-7", 0.0), ("8", 50.0)]


def test_waits_have_no_class_where_nothing_classifies_claims(history: History) -> None:
    assert history.summary()["waitSeconds"]["byClass"] is None


def test_utilisation_is_weighted_by_time(history: History) -> None:
    assert history.summary()["utilisation"] == {
        "arrivalSpan": 0.5,
        "all": round((4 * 100 + 8 * 50) / (8 * 150), 6),
        "whileWaiting": 0.5,
        "peak": 1.0,
    }


def test_gpu_hours_are_what_leases_held(history: History) -> None:
    assert history.summary()["gpuHours"]["leased"] == pytest.approx(800 / 3600, abs=1e-6)


def test_runs_are_counted_by_where_they_stand(history: History) -> None:
    runs = history.summary()["runs"]
    assert runs == {"started": 2, "finished": 2, "failed": 1, "running": 0, "waiting": 0, "held": 0, "neverFit": 0}


def test_time_after_the_last_end_does_not_count(history: History) -> None:
    before = history.summary()
    history.report.saw(at(1_000_000), [])
    assert history.summary() == before


def test_free_gpus_on_nodes_that_are_partly_leased_are_fragmented() -> None:
    told = History(("a", 0, 1), ("b", 100, 3))
    told.arrive("a")
    told.start("a", 0, on("n-0", 1))
    told.arrive("b")
    told.start("b", 100, on("n-0", 3))
    told.finish("b", 200)
    summary = told.summary()["fragmentation"]
    assert summary["arrivalSpan"] == round(3 / 7, 6)
    assert summary["all"] == pytest.approx(3 / 7 / 2, abs=1e-6)


def test_a_full_fleet_is_not_fragmented() -> None:
    told = History(("a", 0, 8), ("b", 100, 1))
    told.arrive("a")
    told.start("a", 0, on("n-0", 4), on("n-1", 4))
    told.arrive("b")
    assert told.summary()["fragmentation"]["arrivalSpan"] == 0.0


def test_a_run_that_never_fits_is_named_and_not_in_the_queue() -> None:
    told = History(("a", 0, 9), ("b", 100, 1))
    told.arrive("a")
    reason = Reason("core", "NeverFits", "wants 9 GPUs and the fleet has 8")
    told.decide("a", 0, Waits(reasons=(reason,), match=(), never=True))
    told.arrive("b")
    told.start("b", 100, on("n-0", 1))
    summary = told.summary()
    assert summary["neverFit"] == [{"run": "ns/a", "gpus": 9, "why": "wants 9 GPUs and the fleet has 8"}]
    assert (summary["runs"]["neverFit"], summary["runs"]["waiting"], summary["queue"]["max"]) == (1, 0, 0)
    assert summary["decisions"] == 1


def test_a_run_that_may_fit_after_all_is_back_in_the_queue() -> None:
    told = History(("a", 0, 9), ("b", 100, 1))
    told.arrive("a")
    for never in (True, False):
        told.decide("a", 0, Waits(reasons=(), match=(), never=never))
    assert (told.summary()["runs"]["neverFit"], told.summary()["runs"]["waiting"]) == (0, 1)


def test_a_run_that_is_held_waits_only_from_when_it_stands_in_line() -> None:
    told = History(("a", 0, 1), ("b", 10, 1))
    told.arrive("a")
    told.phase("a", 0, Phase.HELD)
    told.arrive("b")
    assert told.summary()["runs"]["held"] == 1
    told.phase("a", 40, Phase.QUEUED)
    told.start("a", 45, on("n-0", 1))
    assert told.summary()["waitSeconds"]["max"] == 5.0


def test_the_longest_queue_is_one_that_lasted() -> None:
    told = History(("a", 0, 1), ("b", 0, 1), ("c", 10, 1))
    told.arrive("a")
    told.arrive("b")
    told.start("a", 0, on("n-0", 1))
    told.arrive("c")
    told.start("b", 20, on("n-0", 1))
    assert told.summary()["queue"]["max"] == 2


def test_the_timeline_shows_what_was_leased_when(history: History) -> None:
    series = history.summary()["series"]
    step = series["stepSeconds"]
    assert series["utilisation"][0] == 0.5
    assert step * len(series["utilisation"]) == pytest.approx(100, abs=step)
    assert (series["waiting"][0], series["waiting"][-1]) == (0.0, 1.0)


def test_a_trace_without_runs_has_a_report() -> None:
    found = Report(TraceInput(nodes=(), arrivals=())).summary().utilisation
    assert found == Utilisation(arrival_span=None, all=None, while_waiting=None, peak=None)


@pytest.mark.parametrize(
    ("gpus", "name"), [(1, "1"), (2, "2-7"), (7, "2-7"), (8, "8"), (9, "9-64"), (64, "9-64"), (65, ">64")]
)
def test_sizes_have_classes(gpus: int, name: str) -> None:
    assert size_class(gpus) == name

"""The trace as it is published, not a sample of it."""

from __future__ import annotations

from pathlib import Path

from runs_core.cluster.trace.openb import read_openb
from runs_core.cluster.trace.scale import load_of


def test_the_published_trace_is_read_whole_but_for_one_row(openb_traces: Path) -> None:
    trace = read_openb(openb_traces / "openb_node_list_gpu_node.csv", openb_traces / "openb_pod_list_default.csv")
    assert (len(trace.nodes), trace.gpus) == (1213, 6212)
    assert (len(trace.arrivals), trace.skipped, trace.rounded) == (7063, 1088, 3077)
    assert [(bad.line, bad.why.split(":")[0]) for bad in trace.bad_rows] == [(7287, "deletion_time")]


def test_as_published_it_asks_for_less_than_a_hundredth_of_the_fleet(openb_traces: Path) -> None:
    trace = read_openb(openb_traces / "openb_node_list_gpu_node.csv", openb_traces / "openb_pod_list_default.csv")
    load = load_of(trace)
    assert load is not None
    assert 0 < load < 0.01

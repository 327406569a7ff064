"""JSON lines: manifests as for Kubernetes, with arrivals and durations."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from runs_core.cluster.trace.input import EPOCH, TraceInput
from runs_core.cluster.trace.jsonl import read_jsonl
from runs_core.errors import InvalidInput

Read = Callable[..., TraceInput]


def a_node(name: str = "n-0", gpus: str = "8", **labels: str) -> dict[str, Any]:
    allocatable = {"cpu": "64", "memory": "256Gi", "pods": "110", "nvidia.com/gpu": gpus}
    status = {"allocatable": allocatable, "conditions": [{"type": "Ready", "status": "True"}]}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}, "status": status}


def a_run(name: str = "a", arrival: str | None = "90s", duration: str | None = "1h", **spec: object) -> dict[str, Any]:
    said = {"runs.dev/simulated-arrival": arrival, "runs.dev/simulated-duration": duration}
    annotations = {key: text for key, text in said.items() if text is not None}
    return {
        "apiVersion": "runs.dev/v1alpha1",
        "kind": "Run",
        "metadata": {"name": name, "namespace": "vision", "annotations": annotations},
        "spec": {"resources": {"gpus": 8, "gpusPerPod": 8}, **spec},
    }


def a_budget() -> dict[str, Any]:
    spec = {"owner": "vision", "namespaces": {"names": ["vision"]}}
    return {"apiVersion": "runs.dev/v1alpha1", "kind": "Budget", "metadata": {"name": "vision"}, "spec": spec}


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Reads these objects, or lines, as the runs' file, beside one node."""

    def _read(*lines: dict[str, Any] | str, max_bad_rows: int = 100) -> TraceInput:
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        (tmp_path / "nodes.jsonl").write_text(json.dumps(a_node()), encoding="utf-8")
        (tmp_path / "runs.jsonl").write_text("\n".join(texts), encoding="utf-8")
        return read_jsonl(tmp_path / "nodes.jsonl", tmp_path / "runs.jsonl", max_bad_rows=max_bad_rows)

    return _read


def test_a_run_arrives_and_takes_what_its_annotations_say(read: Read) -> None:
    (arrival,) = read(a_run()).arrivals
    assert (arrival.at, arrival.duration) == (EPOCH + timedelta(seconds=90), timedelta(hours=1))
    assert (str(arrival.run.key), arrival.run.gpus, arrival.run.meta.created) == ("vision/a", 8, arrival.at)


def test_the_pod_templates_duration_goes_before_the_runs(read: Read) -> None:
    containers = [{"name": "main", "image": "train"}]
    annotations = {"runs.dev/simulated-duration": "2h"}
    template = {"metadata": {"annotations": annotations}, "spec": {"containers": containers}}
    assert read(a_run(template=template)).arrivals[0].duration == timedelta(hours=2)


def test_nodes_budgets_and_namespaces_are_read_from_either_file(read: Read) -> None:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "vision"}}
    trace = read(a_budget(), namespace, a_node("n-1"), a_node("cpu", gpus="0"), a_run())
    assert [node.name for node in trace.nodes] == ["n-0", "n-1"]
    assert [budget.name for budget in trace.budgets] == ["vision"]
    assert [space.name for space in trace.namespaces] == ["vision"]
    assert (trace.skipped_nodes, trace.bad_rows) == (1, ())


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "is no JSON: "),
        ("[" * 100_000, "is no JSON: "),
        ("[1]", "is no object, want a manifest"),
        ({"kind": "Pod"}, "kind: got 'Pod', want one of Node, Run, Budget, Namespace"),
        (a_run(arrival=None), "annotation runs.dev/simulated-arrival: is missing, want a duration"),
        (a_run(duration=None), "annotation runs.dev/simulated-duration: is missing, want a duration"),
        (a_run(duration="0"), "annotation runs.dev/simulated-duration: got 0, want a duration above 0"),
        (a_run(arrival="soon"), "annotation runs.dev/simulated-arrival: got 'soon', want a duration such as"),
        (
            a_run(arrival="2000000h"),
            "annotation runs.dev/simulated-arrival: got '2000000h', want a duration of at most",
        ),
        (a_run(resources={"gpus": 0}), "spec.resources.gpus: "),
        (a_run(colour="red"), "spec.colour: "),
        (a_node(gpus="many"), "status.allocatable"),
        (a_node(gpus="-8"), "status.allocatable[nvidia.com/gpu]: got '-8', want a quantity from 0"),
        ({"kind": "Namespace"}, "Namespace without a name: "),
    ],
)
def test_a_bad_line_is_named_and_left_out(read: Read, line: dict[str, Any] | str, why: str) -> None:
    trace = read(a_run("good"), line)
    (bad,) = trace.bad_rows
    assert (Path(bad.source).name, bad.line) == ("runs.jsonl", 2)
    assert bad.why.startswith(why)
    assert [arrival.run.meta.name for arrival in trace.arrivals] == ["good"]


def test_which_of_two_runs_of_one_name_is_kept_does_not_depend_on_their_order(read: Read) -> None:
    one = read(a_run(arrival="1s"), a_run(arrival="2s"))
    other = read(a_run(arrival="2s"), a_run(arrival="1s"))
    assert one.arrivals == other.arrivals
    assert "Run vision/a is a duplicate" in one.bad_rows[0].why


def test_more_bad_lines_than_allowed_are_refused(read: Read) -> None:
    with pytest.raises(InvalidInput, match="2 bad rows, and at most 1 are left out"):
        read("{", "{", max_bad_rows=1)


def test_a_file_of_nothing_but_bad_lines_is_not_read_to_its_end(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have none. Who wants to leave out more than are counted else can do so."""
    monkeypatch.setattr("runs_core.cluster.trace.input.MOST_COUNTED", 10)
    with pytest.raises(InvalidInput, match=r"more than 10 bad rows .* at most 1 are left out"):
        read(*["{"] * 1000, max_bad_rows=1)
    with pytest.raises(InvalidInput, match=r"more than 99 bad rows .* at most 99 are left out"):
        read(*["{"] * 1000, max_bad_rows=99)


def test_a_node_is_ready_unless_its_conditions_say_otherwise(read: Read) -> None:
    silent, sick = a_node("n-1"), a_node("n-2")
    del silent["status"]["conditions"]
    sick["status"]["conditions"][0]["status"] = "False"
    assert [node.ready for node in read(silent, sick).nodes] == [True, True, False]


def test_one_file_may_hold_everything(tmp_path: Path) -> None:
    file = tmp_path / "all.jsonl"
    file.write_text("\n".join([json.dumps(a_node()), "", json.dumps(a_run())]), encoding="utf-8")
    trace = read_jsonl(file, file)
    assert (len(trace.nodes), len(trace.arrivals), trace.bad_rows) == (1, 1, ())

"""The published Alibaba trace becomes nodes, and runs of one pod."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from runs_core.cluster.trace.input import EPOCH, TraceInput
from runs_core.cluster.trace.openb import read_openb
from runs_core.errors import InvalidInput
from runs_core.values.template import Operator, Requests, Requirement

Read = Callable[..., TraceInput]
GIB = 2**30


def test_a_node_has_one_flavor_and_its_model_as_a_label(read: Read) -> None:
    node = read().nodes[0]
    assert (node.name, node.flavor, node.gpus, node.pods) == ("n-0", "gpu", 8, 110)
    assert (node.cpu_milli, node.memory_bytes, node.ephemeral_bytes) == (64000, 256 * GIB, 0)
    assert ("runs.dev/gpu-model", "A10") in node.labels


def test_a_node_without_gpus_is_left_out_and_counted(read: Read) -> None:
    trace = read(nodes=("n-0,64000,262144,8,A10", "c-0,32000,262144,0,"))
    assert ([node.name for node in trace.nodes], trace.skipped_nodes, trace.bad_rows) == (["n-0"], 1, ())


def test_a_task_is_one_pod_with_all_its_gpus_and_its_requests(read: Read) -> None:
    (arrival,) = read("t-0,32000,65536,4,1000,,LS,Running,100,400,150").arrivals
    resources = arrival.run.spec.resources
    assert (resources.flavor, resources.gpus, resources.gpus_per_pod) == ("gpu", 4, 4)
    assert arrival.run.spec.template is not None
    assert arrival.run.spec.template.requests == Requests(cpu_milli=32000, memory_bytes=64 * GIB)


def test_a_task_arrives_when_created_and_takes_as_long_as_it_was_scheduled(read: Read) -> None:
    (arrival,) = read("t-0,1,1,1,1000,,LS,Running,100,400,150.5").arrivals
    assert (arrival.at, arrival.duration) == (EPOCH + timedelta(seconds=100), timedelta(seconds=249.5))
    assert arrival.run.meta.created == arrival.at
    assert arrival.run.meta.annotation("runs.dev/simulated-duration") == "4m9.5s"


def test_a_task_that_was_never_scheduled_takes_from_creation_to_deletion(read: Read) -> None:
    (arrival,) = read("t-0,1,1,1,1000,,BE,Pending,100,400,").arrivals
    assert arrival.duration == timedelta(seconds=300)


def test_a_part_of_a_gpu_becomes_a_whole_one_and_is_counted(read: Read) -> None:
    trace = read("t-0,1,1,1,460,,LS,Running,0,9,0", "t-1,1,1,1,1000,,LS,Running,0,9,0")
    assert ([arrival.run.gpus for arrival in trace.arrivals], trace.rounded) == ([1, 1], 1)


def test_a_task_without_gpus_is_skipped_and_counted(read: Read) -> None:
    trace = read("t-0,1,1,0,0,,LS,Running,0,9,0", "t-1,1,1,1,1000,,LS,Running,0,9,0")
    assert (len(trace.arrivals), trace.skipped, trace.bad_rows) == (1, 1, ())


def test_models_wanted_are_required_node_affinity(read: Read) -> None:
    (arrival,) = read("t-0,1,1,1,1000,V100M32|V100M16,LS,Running,0,9,0").arrivals
    template = arrival.run.spec.template
    assert template is not None
    wanted = Requirement(key="runs.dev/gpu-model", operator=Operator.IN, values=("V100M16", "V100M32"))
    assert template.terms == ((wanted,),)
    affinity = json.loads(template.text)["spec"]["affinity"]["nodeAffinity"]
    terms = affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    expression = {"key": "runs.dev/gpu-model", "operator": "In", "values": ["V100M16", "V100M32"]}
    assert terms == [{"matchExpressions": [expression]}]


def test_a_task_that_names_no_model_may_use_any(read: Read) -> None:
    (arrival,) = read("t-0,1,1,1,1000,,LS,Running,0,9,0").arrivals
    assert arrival.run.spec.template is not None
    assert arrival.run.spec.template.terms == ()


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("t,1,1,1,1000,,LS,Running,100,100,", "deletion_time: is not after creation_time, so the task takes no time"),
        ("t,1,1,1,1000,,LS,Running,0,50,60", "deletion_time: is not after scheduled_time, so the task takes no time"),
        ("t,1,1,1,1000,,LS,Running,-5,50,", "creation_time: got -5, want at least 0"),
        ("t,1,1,1,1000,,LS,Running,5,,", "deletion_time: is missing, want a number"),
        ("t,1,1,1,1000,,LS,Running,1e9,50,", "creation_time: got '1e9', want a number such as 8 or 1000"),
        ("t,1,1,1,1000,,LS,Running,0,nan,", "deletion_time: got 'nan', want a number such as 8 or 1000"),
        ("t,1,1,1,1000,,LS,Running,0,99999999999,", "deletion_time: got 99999999999, want seconds within a century"),
        ("t,1,1,one,1000,,LS,Running,0,9,0", "num_gpu: got 'one', want a number such as 8 or 1000"),
        ("t,1,1,1.5,1000,,LS,Running,0,9,0", "num_gpu: got 1.5, want a whole number"),
        ("t,1,1,5000,1000,,LS,Running,0,9,0", "num_gpu: got 5000, want at most 1024"),
        ("t,1,1,1,0,,LS,Running,0,9,0", "gpu_milli: got 0, want 1 to 1000 for a task with GPUs"),
        ("t,1,1,0,500,,LS,Running,0,9,0", "gpu_milli: got 500 with num_gpu 0, want 0"),
        (",1,1,1,1000,,LS,Running,0,9,0", "name: got '', want a name of small letters, digits, '-' and '.'"),
        ("a" * 64 + ",1,1,1,1000,,LS,Running,0,9,0", "name: got 64 characters, want at most 63"),
        ("t,1,1,1,1000,A 10,LS,Running,0,9,0", "gpu_spec: got 'A 10', want a GPU model that can be a label's value"),
        ("t,1,1,1,1000,,LS", "has 7 cells, and the header 11"),
    ],
)
def test_a_bad_row_is_named_by_line_and_left_out(read: Read, row: str, why: str) -> None:
    trace = read("good,1,1,1,1000,,LS,Running,0,9,0", row)
    (bad,) = trace.bad_rows
    assert (Path(bad.source).name, bad.line) == ("tasks.csv", 3)
    assert bad.why.startswith(why)
    assert [arrival.run.meta.name for arrival in trace.arrivals] == ["good"]


def test_a_bad_node_is_named_by_line_and_left_out(read: Read) -> None:
    trace = read(nodes=("n-0,64000,262144,8,A10", "n-1,64000,262144,8,"))
    (bad,) = trace.bad_rows
    assert (Path(bad.source).name, bad.line, bad.why.split(":")[0]) == ("nodes.csv", 3, "model")


def test_which_of_two_tasks_of_one_name_is_kept_does_not_depend_on_their_order(read: Read) -> None:
    rows = ["t,1,1,1,1000,,LS,Running,0,9,0", "t,1,1,2,1000,,LS,Running,0,9,0"]
    one, other = read(*rows), read(*reversed(rows))
    assert one.arrivals == other.arrivals
    assert [bad.why for bad in one.bad_rows] == ["t is a duplicate; line 2 is kept"]
    assert [bad.why for bad in other.bad_rows] == ["t is a duplicate; line 3 is kept"]


def test_an_unknown_column_is_named_and_not_read(read: Read) -> None:
    header = "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time"
    trace = read("t,1,1,1,1000,,LS,Running,0,9,0,red", header=f"{header},scheduled_time,colour")
    assert len(trace.arrivals) == 1
    assert [(bad.line, "'colour'" in bad.why) for bad in trace.bad_rows] == [(1, True)]


def test_a_header_that_lacks_a_column_is_refused(read: Read) -> None:
    with pytest.raises(InvalidInput, match=r"tasks.csv:1: the header lacks num_gpu, .*; want the columns name,"):
        read("t,1,1", header="name,cpu_milli,memory_mib")


def test_more_bad_rows_than_allowed_are_refused_with_the_first_few_named(read: Read) -> None:
    with pytest.raises(InvalidInput) as refused:
        read(*[f"t-{n},1,1,1,1000,,LS,Running,9,9," for n in range(8)], max_bad_rows=7)
    said = str(refused.value)
    assert "tasks.csv:2: deletion_time" in said
    assert "8 bad rows, and at most 7 are left out; mend them or raise --max-bad-rows" in said
    assert "tasks.csv:9" not in said


def test_a_file_of_nothing_but_bad_rows_is_not_read_to_its_end(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have none."""
    monkeypatch.setattr("runs_core.cluster.trace.input.MOST_COUNTED", 10)
    with pytest.raises(InvalidInput) as refused:
        read(*["bad"] * 1000, max_bad_rows=7)
    assert "more than 10 bad rows" in str(refused.value)
    assert "at most 7 are left out" in str(refused.value)


def test_a_file_that_is_not_there_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"absent\.csv: cannot be read: No such file"):
        read_openb(tmp_path / "absent.csv", tmp_path / "absent.csv")


def test_bytes_that_are_no_text_spoil_only_their_row(tmp_path: Path, read: Read) -> None:
    read("a,1,1,1,1000,,LS,Running,0,9,0")
    with (tmp_path / "tasks.csv").open("ab") as file:
        file.write(b"\n\xff\xfe\x00,1,1,1,1000,,LS,Running,0,9,0\nb,1,1,1,1000,,LS,Running,0,9,0\n")
    trace = read_openb(tmp_path / "nodes.csv", tmp_path / "tasks.csv")
    assert [arrival.run.meta.name for arrival in trace.arrivals] == ["a", "b"]
    assert [bad.line for bad in trace.bad_rows] == [3]


def test_the_order_of_rows_does_not_matter(read: Read) -> None:
    tasks = [f"t-{n},1000,1024,{1 + n % 2},1000,,LS,Running,{n // 3},{n + 50}," for n in range(40)]
    nodes = [f"n-{n},64000,262144,8,A10" for n in range(10)]
    straight = read(*tasks, nodes=nodes)
    random.Random(7).shuffle(tasks)
    shuffled = read(*tasks, nodes=nodes[::-1])
    assert len(straight.arrivals) == 40
    assert shuffled == straight


def test_a_line_without_an_end_is_refused_with_its_number(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runs_core.cluster.trace.lines.MOST_CHARACTERS", 200)
    with pytest.raises(InvalidInput, match=r"tasks\.csv:2: has a line of more than 200 characters, want one row"):
        read("t" * 201)

"""`runs simulate` twice: the same work on another fleet, under other quotas, with other plugins."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from runs_cli.main import root

SMALL = "sn,cpu_milli,memory_mib,gpu,model\nn-0,64000,262144,8,A10\n"
LARGE = f"{SMALL}n-1,64000,262144,8,A10\n"
HEADER = "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time"
TASKS = f"{HEADER}\na,1,1,8,1000,,LS,Running,0,3600,0\nb,1,1,8,1000,,LS,Running,600,4200,600\n"
FILES = {"small.csv": SMALL, "large.csv": LARGE, "tasks.csv": TASKS}
Object = dict[str, Any]
Simulate = Callable[..., int]


def budget(gpus: int) -> str:
    envelope = {"name": "main", "flavor": "gpu", "gpus": gpus}
    spec = {"owner": "org:lab", "namespaces": {"names": ["openb", "lab"]}, "envelopes": [envelope]}
    body = {"apiVersion": "runs.dev/v1alpha1", "kind": "Budget", "metadata": {"name": "lab"}, "spec": spec}
    return yaml.safe_dump(body)


@pytest.fixture
def simulate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Simulate:
    """The exit code of the command in a folder with these files, and more. Only the budgets plugin is on."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUNS_PLUGINS", "budgets")

    def _simulate(*options: str, files: Mapping[str, str] | None = None) -> int:
        for name, text in {**FILES, **(files or {})}.items():
            Path(name).write_text(text, encoding="utf-8")
        with pytest.raises(SystemExit) as ended:
            root.main(["simulate", *options])
        return int(ended.value.code or 0)

    return _simulate


SMALL_FLEET = ("--nodes", "small.csv", "--runs", "tasks.csv")


def both(simulate: Simulate, capsys: pytest.CaptureFixture[str], *options: str, **more: Any) -> tuple[Object, Object]:  # noqa: ANN401
    """The reports of the first and of the second."""
    assert simulate(*options, "-o", "json", **more) == 0, capsys.readouterr().err
    found = json.loads(capsys.readouterr().out)
    return found, found["compared"]


def lines(capsys: pytest.CaptureFixture[str]) -> list[list[str]]:
    return [re.split(r"  +", line) for line in capsys.readouterr().out.splitlines()]


def test_what_a_larger_fleet_would_do_is_shown_beside(simulate: Simulate, capsys: pytest.CaptureFixture[str]) -> None:
    """b waits 50 minutes for the one node, and not at all for the second."""
    assert simulate(*SMALL_FLEET, "--compare-nodes", "large.csv") == 0
    told = lines(capsys)
    assert ["GPUs of the fleet", "8", "16", "+8"] in told
    assert ["longest wait", "50m", "0s", "-50m"] in told


def test_the_work_arrives_as_it_did(simulate: Simulate, capsys: pytest.CaptureFixture[str]) -> None:
    """--load is of the first fleet: the second one has half of it, and not arrivals of its own."""
    first, second = both(simulate, capsys, *SMALL_FLEET, "--compare-nodes", "large.csv", "--load", "2")
    assert first["input"]["load"] == 2 * second["input"]["load"] == 2
    assert first["input"]["arrivalSpanSeconds"] == second["input"]["arrivalSpanSeconds"]


def test_copies_are_of_the_other_fleet_too(simulate: Simulate, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = both(simulate, capsys, *SMALL_FLEET, "--compare-nodes", "large.csv", "--copies", "3")
    assert (first["input"]["gpus"], second["input"]["gpus"]) == (24, 48)
    assert first["input"]["runs"] == second["input"]["runs"] == 6


def test_what_other_quotas_would_do_is_shown_beside(simulate: Simulate, capsys: pytest.CaptureFixture[str]) -> None:
    """The lab has 8 GPUs for two runs of 8 for an hour: b, ten minutes later, is paid for once a is over."""
    files = {"now.yaml": budget(8), "asked.yaml": budget(16)}
    quotas = ("--budgets", "now.yaml", "--compare-budgets", "asked.yaml")
    assert simulate("--nodes", "large.csv", "--runs", "tasks.csv", *quotas, files=files) == 0
    told = lines(capsys)
    assert ["of them paid for by their owner", "9.3", "16.0", "+6.7"] in told
    assert ["of them paid for by nobody", "6.7", "0.0", "-6.7"] in told
    assert [line[0] for line in told if line[0].endswith("org:lab")] == ["P90 wait of org:lab"]


def test_budgets_alone_are_those_of_the_one_simulation(simulate: Simulate, capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate(*SMALL_FLEET, "--budgets", "now.yaml", files={"now.yaml": budget(8)}) == 0
    assert "its owner 16.0, the family 0.0, a sponsor 0.0, nobody 0.0 GPU-hours" in capsys.readouterr().out


def test_waits_are_told_by_who_pays_at_the_start(simulate: Simulate, capsys: pytest.CaptureFixture[str]) -> None:
    """On one node b waits 50 minutes, until a is over and quota free; on two it starts at once, and nobody pays."""
    quotas = ("--budgets", "now.yaml", "--compare-nodes", "large.csv")
    first, second = both(simulate, capsys, *SMALL_FLEET, *quotas, files={"now.yaml": budget(8)})
    found = [
        [(one["class"], one["starts"], one["max"]) for one in report["waitSeconds"]["byClass"]]
        for report in (first, second)
    ]
    assert found == [[("owned", 2, 3000.0)], [("owned", 1, 0.0), ("unfunded", 1, 0.0)]]
    assert simulate(*SMALL_FLEET, *quotas) == 0
    told = lines(capsys)
    assert ["P90 wait of owned work", "50m", "0s", "-50m"] in told
    assert ["P90 wait of unfunded work", "-", "0s", "-"] in told
    assert simulate(*SMALL_FLEET, "--budgets", "now.yaml") == 0
    assert ["class owned", "2", "25m", "0s", "50m", "50m", "50m"] in lines(capsys)


JUNE = {"window": {"start": "2026-06-01T00:00:00Z", "end": "2026-07-01T00:00:00Z"}}
SACCT = {
    "nodes.txt": "NODELIST|GRES\nn1|gpu:8\n",
    "jobs.txt": (
        "JobID|Account|Submit|Start|End|NNodes|AllocTRES\n"
        "1|openb|2026-06-03T09:00:00|2026-06-03T09:00:05|2026-06-03T11:00:05|1|gres/gpu=8\n"
    ),
}
"""A job of two hours in June, and a node."""


@pytest.mark.parametrize(
    ("start", "first", "owned"),
    [
        ((), "2026-06-03T09:00:00Z", 16.0),
        (("--start", "2026-06-30T23:00:00Z"), "2026-06-30T23:00:00Z", 8.0),
        (("--start", "2026-01-01T00:00:00Z"), "2026-01-01T00:00:00Z", 0.0),
    ],
)
def test_windows_of_budgets_open_by_the_dates_of_a_log_or_as_told(
    simulate: Simulate, capsys: pytest.CaptureFixture[str], start: tuple[str, ...], first: str, owned: float
) -> None:
    quota = yaml.safe_load(budget(8))
    quota["spec"]["envelopes"][0] |= JUNE
    log = ("--format", "sacct", "--nodes", "nodes.txt", "--runs", "jobs.txt", "--budgets", "june.yaml")
    assert simulate(*log, *start, "-o", "json", files={**SACCT, "june.yaml": yaml.safe_dump(quota)}) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["input"]["firstArrival"], found["gpuHours"]["byClass"]["owned"]) == (first, owned)


@pytest.mark.parametrize(
    ("spend", "told"),
    [({}, 0), ({"namespaces": ["vision"]}, 1), ({"flavor": "A100"}, 1), ({"window": JUNE["window"]}, 1)],
)
def test_budgets_that_pay_for_nothing_are_told_of_with_what_to_look_at(
    simulate: Simulate, capsys: pytest.CaptureFixture[str], spend: Object, told: int
) -> None:
    quota = yaml.safe_load(budget(8))
    quota["spec"]["namespaces"]["names"] = spend.pop("namespaces", ["openb"])
    quota["spec"]["envelopes"][0] |= spend
    files = {"quota.yaml": yaml.safe_dump(quota)}
    assert simulate(*SMALL_FLEET, "--budgets", "quota.yaml", files=files) == 0
    sentence = (
        "No Budget paid for anything: see that they list namespaces of the work (openb) and flavors of the fleet (gpu)"
    )
    assert (
        capsys.readouterr().err.count(f"{sentence}, and that their windows are open from 2000-01-01T00:00:00Z") == told
    )


def manifests(gpus: int) -> list[Object]:
    """A node, its Budget, and a run that says what only the budgets plugin knows."""
    capacity = {"cpu": "64", "memory": "1Ti", "pods": "110", "nvidia.com/gpu": "8"}
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}, "status": {"allocatable": capacity}}
    said = {"runs.dev/simulated-arrival": "0s", "runs.dev/simulated-duration": "1h"}
    metadata = {"name": "train", "namespace": "lab", "annotations": said}
    spec = {"resources": {"gpus": 8}, "funding": {"allowUnfunded": False}}
    run = {"apiVersion": "runs.dev/v1alpha1", "kind": "Run", "metadata": metadata, "spec": spec}
    quota = yaml.safe_load(budget(gpus).replace("flavor: gpu", "flavor: default"))
    return [node, quota, run]


def test_what_goes_on_without_a_plugin_is_shown_beside(
    simulate: Simulate, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own fields make no line bad: the work is the same. Without it nobody lacks quota, and nothing has a class."""
    monkeypatch.delenv("RUNS_PLUGINS")
    files = {
        "all.jsonl": "\n".join(map(json.dumps, manifests(4))),
        "with.yaml": "plugins: {borrowing: {enabled: false}}",
        "without.yaml": "plugins: {borrowing: {enabled: false}, budgets: {enabled: false}}",
    }
    trace = ("--format", "jsonl", "--nodes", "all.jsonl", "--runs", "all.jsonl")
    for first, second, started in (("with", "without", (0, 1)), ("without", "with", (1, 0))):
        config = ("--config", f"{first}.yaml", "--compare", f"{second}.yaml")
        found = both(simulate, capsys, *config, *trace, files=files)
        assert tuple(one["runs"]["started"] for one in found) == started
        assert [one["input"]["badRows"] for one in found] == [0, 0]


def test_another_fleet_of_json_lines_is_that_file_alone(simulate: Simulate, capsys: pytest.CaptureFixture[str]) -> None:
    node, *rest = manifests(8)
    other = [{**node, "metadata": {"name": f"m{number}"}} for number in range(3)]
    files = {"all.jsonl": "\n".join(map(json.dumps, (node, *rest))), "more.jsonl": "\n".join(map(json.dumps, other))}
    trace = ("--format", "jsonl", "--nodes", "all.jsonl", "--runs", "all.jsonl", "--compare-nodes", "more.jsonl")
    first, second = both(simulate, capsys, *trace, files=files)
    assert (first["input"]["nodes"], second["input"]["nodes"]) == (1, 3)
    assert second["gpuHours"]["byClass"]["owned"] == pytest.approx(8, abs=0.1)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("kind: Pod\n", "bad.yaml:1"),
        (budget(0), "spec.envelopes[0].gpus"),
        ("{", "bad.yaml:2"),
        (f"{budget(8)}---\n{budget(9)}", "Budget lab stands there twice"),
    ],
)
def test_budgets_that_cannot_be_are_refused_by_file_and_line(
    simulate: Simulate, capsys: pytest.CaptureFixture[str], text: str, why: str
) -> None:
    for option in ("--budgets", "--compare-budgets"):
        assert simulate(*SMALL_FLEET, option, "bad.yaml", files={"bad.yaml": text}) == 2
        assert why in capsys.readouterr().err


def test_bad_rows_of_the_other_fleet_are_named(simulate: Simulate, capsys: pytest.CaptureFixture[str]) -> None:
    files = {"odd.csv": f"{LARGE}n-2,64000,262144,many,A10\n"}
    assert simulate(*SMALL_FLEET, "--compare-nodes", "odd.csv", files=files) == 0
    assert "Left out: odd.csv:4: gpu" in capsys.readouterr().err


def test_a_fleet_of_json_lines_with_a_bad_node_is_compared_without_it(
    simulate: Simulate, capsys: pytest.CaptureFixture[str]
) -> None:
    node, *rest = manifests(8)
    files = {
        "all.jsonl": "\n".join(map(json.dumps, (node, *rest))),
        "odd.jsonl": "\n".join(map(json.dumps, (node, {**node, "metadata": {}}))),
    }
    trace = ("--format", "jsonl", "--nodes", "all.jsonl", "--runs", "all.jsonl", "--compare-nodes", "odd.jsonl")
    first, second = both(simulate, capsys, *trace, files=files)
    assert (first["input"]["badRows"], second["input"]["badRows"]) == (0, 1)
    assert first["runs"] == second["runs"]


def test_rows_of_the_work_that_are_left_out_are_left_out_of_both_and_named_once(
    simulate: Simulate, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {"odd.csv": f"{SMALL}n-2,64000,262144,many,A10\n", "tasks.csv": f"{TASKS}c,1\n"}
    for fleets, found in ((("small.csv", "odd.csv"), [1, 2]), (("odd.csv", "large.csv"), [2, 1])):
        options = ("--nodes", fleets[0], "--runs", "tasks.csv", "--compare-nodes", fleets[1], "-o", "json")
        assert simulate(*options, files=files) == 0
        said = capsys.readouterr()
        report = json.loads(said.out)
        assert [one["input"]["badRows"] for one in (report, report["compared"])] == found
        assert said.err.count("Left out: ") == 2


def manifest(kind: str, name: str, **body: Any) -> str:  # noqa: ANN401
    version = "v1" if kind == "Node" else "runs.dev/v1alpha1"
    notes = body.pop("notes", {})
    metadata = {"name": name, "annotations": {f"runs.dev/simulated-{key}": text for key, text in notes.items()}}
    metadata |= {"namespace": "lab"} if kind == "Run" else {}
    return json.dumps({"apiVersion": version, "kind": kind, "metadata": metadata, **body})


def an_hour(name: str, *, arrives: str, takes: str) -> str:
    spec = {"resources": {"gpus": 8}, "runtime": {"expectedDuration": "1h"}}
    return manifest("Run", name, notes={"arrival": arrives, "duration": takes}, spec=spec)


def test_how_far_promises_were_off_is_shown_by_what_they_rested_on(
    simulate: Simulate, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """b is promised 60 minutes, then 66, since a runs on; it starts at 62. Nobody is promised anything in the other."""
    monkeypatch.setenv("RUNS_PLUGINS", "")
    node = manifest("Node", "n-0", status={"allocatable": {"nvidia.com/gpu": "8", "pods": "110"}})
    rows = [node, an_hour("a", arrives="0s", takes="62m"), an_hour("b", arrives="10m", takes="1h")]
    files = {"all.jsonl": "\n".join(rows), "none.yaml": "reservations: {max: 0}\n"}
    trace = ("--format", "jsonl", "--nodes", "all.jsonl", "--runs", "all.jsonl")
    assert simulate(*trace, files=files) == 0
    told = "2, 1 of them late; off by 2m2s in the median, P90 3m58s, 3m58s at most"
    assert f"Promises by Ends: {told}" in capsys.readouterr().out
    assert simulate(*trace, "--compare", "none.yaml", files=files) == 0
    assert ["P90 error of promises by Ends", "3m58s", "-", "-"] in lines(capsys)

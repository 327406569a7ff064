"""`runs simulate` reads a trace, simulates it, and says what came of it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from runs_cli.main import root
from runs_core.world.fleet import Fleet

NODES = "sn,cpu_milli,memory_mib,gpu,model\nn-0,64000,262144,8,A10\n"
HEADER = "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time"
ROWS = ("a,1,1,8,1000,,LS,Running,0,100,0", "b,1,1,8,1000,,LS,Running,40,50,", "c,1,1,9,1000,,LS,Running,45,50,")
BAD = "d,1,1,8,1000,,LS,Running,9,9,"
Simulate = Callable[..., int]
MAIN = "from runs_cli.main import root; root.main()"
PICTURES = ("utilisation", "fragmentation", "queue", "waits")


@pytest.fixture
def simulate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Simulate:
    """The exit code of the command on two runs that fit one after the other, one that never does, and more rows."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUNS_PLUGINS", "")

    def _simulate(*options: str, rows: tuple[str, ...] = ROWS) -> int:
        Path("nodes.csv").write_text(NODES, encoding="utf-8")
        Path("tasks.csv").write_text("\n".join([HEADER, *rows]), encoding="utf-8")
        with pytest.raises(SystemExit) as ended:
            root.main(["simulate", "--nodes", "nodes.csv", "--runs", "tasks.csv", *options])
        return int(ended.value.code or 0)

    return _simulate


def test_a_table_shows_waits_utilisation_and_what_never_fits(
    simulate: Simulate, capsys: pytest.CaptureFixture[str]
) -> None:
    assert simulate() == 0
    said = capsys.readouterr().out
    assert "8 GPUs on 1 node" in said
    assert "2 started, 2 finished, 1 never fit" in said
    assert [line.split()[:2] for line in said.splitlines() if line.startswith("openb/")] == [["openb/c", "9"]]
    assert next(line.split()[-1] for line in said.splitlines() if line.startswith("all ")) == "1m"


def test_runs_that_arrive_at_once_have_a_utilisation_too(
    simulate: Simulate, capsys: pytest.CaptureFixture[str]
) -> None:
    assert simulate(rows=("a,1,1,8,1000,,LS,Running,0,100,0", "b,1,1,4,1000,,LS,Running,0,100,0")) == 0
    assert "75.00% to the last end, 100.00% while runs wait" in capsys.readouterr().out


def test_json_has_the_keys_of_the_interface(simulate: Simulate, capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate("-o", "json") == 0
    found = json.loads(capsys.readouterr().out)
    assert {"input", "runs", "waitSeconds", "utilisation", "fragmentation", "gpuHours", "decisions"} < set(found)
    assert {"nodes", "gpus", "runs", "skipped", "rounded", "badRows"} < set(found["input"])
    assert {"started", "finished", "neverFit", "waiting"} < set(found["runs"])
    assert {"mean", "p50", "p90", "p99", "max", "byOwner", "bySize", "byClass"} < set(found["waitSeconds"])
    assert (found["preemptions"]["cuts"], found["forecastErrorSeconds"]) == (0, [])
    assert (found["waitSeconds"]["max"], found["cpuSeconds"] > 0) == (60.0, True)


def test_invariants_are_checked_where_that_is_asked_for(simulate: Simulate, capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate("--check", "1") == 0
    found = re.search(r"Invariants: +checked (\d+) times, none broken", capsys.readouterr().out)
    assert found is not None
    assert int(found[1]) >= 4
    assert simulate() == 0
    assert "Invariants" not in capsys.readouterr().out


def test_an_invariant_that_is_broken_ends_the_simulation_in_a_sentence(
    simulate: Simulate, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Fleet, "hold", lambda *_, **__: None)  # what is leased is still free, to the placement
    assert simulate("--check", "1") == 1
    said = capsys.readouterr().err
    assert "invariant 1 is broken at" in said
    assert "place 0 of node n-0 has the open leases" in said


def test_names_are_those_of_runs_that_never_fit(simulate: Simulate, capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate("-o", "name") == 0
    assert capsys.readouterr().out == "openb/c\n"


def test_a_report_and_charts_are_the_same_bytes_each_time(simulate: Simulate) -> None:
    pytest.importorskip("matplotlib")
    assert simulate("--out", "one") == simulate("--out", "two", rows=ROWS[::-1]) == 0
    names = ["report.json", *(f"{name}.png" for name in PICTURES)]
    assert sorted(path.name for path in Path("one").iterdir()) == sorted(names)
    assert [name for name in names if Path("one", name).read_bytes() != Path("two", name).read_bytes()] == []
    assert Path("one", "waits.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads(Path("one", "report.json").read_text(encoding="utf-8"))["cpuSeconds"] is None


def test_no_charts_writes_the_report_alone(simulate: Simulate) -> None:
    assert simulate("--out", "report", "--no-charts") == 0
    assert [path.name for path in Path("report").iterdir()] == ["report.json"]


def test_charts_without_matplotlib_are_refused_before_anything_is_simulated(
    simulate: Simulate, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(__import__("sys").modules, "runs_cli.charts", raising=False)
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    assert simulate("--out", "report") == 2
    assert "pip install 'runs-cli[charts]'" in capsys.readouterr().err


def test_bad_rows_are_named_on_stderr_and_kept_with_the_report(
    simulate: Simulate, capsys: pytest.CaptureFixture[str]
) -> None:
    assert simulate("--out", "report", "--no-charts", rows=(*ROWS, BAD)) == 0
    named = "tasks.csv:5: deletion_time: is not after creation_time, so the task takes no time\n"
    assert capsys.readouterr().err == f"Left out: {named}"
    assert Path("report", "bad-rows.txt").read_text(encoding="utf-8") == named


def test_bad_rows_of_an_earlier_simulation_do_not_stay_with_the_report_of_this(simulate: Simulate) -> None:
    for rows in ((*ROWS, BAD), ROWS):
        assert simulate("--out", "report", "--no-charts", rows=rows) == 0
    assert [path.name for path in Path("report").iterdir()] == ["report.json"]


def test_too_many_bad_rows_are_refused(simulate: Simulate, capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate("--max-bad-rows", "0", rows=(*ROWS, BAD)) == 2
    assert "1 bad rows, and at most 0 are left out" in capsys.readouterr().err


def test_a_trace_of_another_format_is_refused_where_no_row_of_it_is_a_run(
    simulate: Simulate, capsys: pytest.CaptureFixture[str]
) -> None:
    assert simulate("--format", "jsonl") == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("Error: --runs: no row of tasks.csv is a run as --format jsonl has it (nodes.csv:1: ")


@pytest.mark.parametrize(
    ("options", "rows", "why"),
    [
        ((), (), "--runs: tasks.csv has no run to simulate: of its tasks 0 ask for no GPU, 0 never ran or had not"),
        ((), ("z,1,1,0,0,,LS,Running,0,9,0",), "of its tasks 1 ask for no GPU"),
        (("--nodes", "none.csv"), ROWS, "--nodes: none.csv has no node with GPUs"),
        (("--nodes", "odd.csv"), ROWS, "--nodes: odd.csv has no node with GPUs (odd.csv:2: gpu: got 'many', want a "),
        (("--compare-nodes", "none.csv"), ROWS, "--compare-nodes: none.csv has no node with GPUs"),
    ],
)
def test_a_report_about_nothing_is_refused(
    simulate: Simulate, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], rows: tuple[str, ...], why: str
) -> None:
    header = NODES.splitlines()[0]
    Path("none.csv").write_text(f"{header}\nn-0,64000,262144,0,\n", encoding="utf-8")
    Path("odd.csv").write_text(f"{header}\nn-0,64000,262144,many,A10\n", encoding="utf-8")
    assert simulate(*options, rows=rows) == 2
    assert why in capsys.readouterr().err


@pytest.mark.parametrize("nodes", ["-", "nodes.csv"])
def test_a_file_may_come_through_a_pipe_also_where_two_are_compared(
    simulate: Simulate, capsys: pytest.CaptureFixture[str], nodes: str
) -> None:
    """A pipe can be read once."""
    Path("strict.yaml").write_text(STRICT, encoding="utf-8")
    simulate()  # writes the files
    source = "nodes.csv" if nodes == "-" else "tasks.csv"
    command = [sys.executable, "-c", MAIN, "simulate", "--compare", "strict.yaml", "-o", "json"]
    files = ["--nodes", nodes, "--runs", "tasks.csv" if nodes == "-" else "-"]
    found = subprocess.run([*command, *files], input=Path(source).read_bytes(), capture_output=True, check=True)
    both = json.loads(found.stdout)
    assert (both["input"]["runs"], both["compared"]["input"]["gpus"]) == (3, 8)


def test_load_and_copies_change_what_is_simulated(simulate: Simulate, capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate("--load", "0.5", "--copies", "2", "-o", "json") == 0
    found = json.loads(capsys.readouterr().out)["input"]
    assert (found["gpus"], found["runs"], found["load"]) == (16, 6, 0.5)


def test_demand_and_a_load_inside_change_what_is_simulated(
    simulate: Simulate, capsys: pytest.CaptureFixture[str]
) -> None:
    assert simulate("--load-inside", "0.1", "--demand", "2", "-o", "json") == 0
    found = json.loads(capsys.readouterr().out)["input"]
    assert (found["gpus"], found["runs"], found["loadInsideSpan"]) == (8, 6, 0.1)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--load", "much"), "got 'much', want a number such as 0.95"),
        (("--load", "1e99999999"), "got '1e99999999', want a number such as 0.95"),
        (("--copies", "99999999999"), "--copies: asks for 1 node 99999999999 times over, want at most 1000000 times"),
        (("--load", "0"), "--load: got 0, want a number above 0"),
        (("--start", "monday"), "got 'monday', want a time such as 2026-01-31T08:00:00Z"),
        (("--start", "1970-01-01T00:00:00Z"), "got '1970-01-01T00:00:00Z', want a time from 2000 to 2199"),
        (("--copies", "0"), "--copies: got 0, want at least 1"),
        (("--demand", "0"), "--demand: got 0, want at least 1"),
        (("--load-inside", "1000"), "--load-inside: of the fleet no more than"),
        (("--load-inside", "0.1", "--load", "0.1"), "--load-inside: cannot stand beside --load"),
        (("--format", "swf"), "'swf' is not one of 'openb', 'philly', 'helios', 'acme', 'sacct', 'jsonl'"),
        (("--format", "philly"), "the header lacks machineId"),
        (("--compare", "nodes.csv"), "nodes.csv"),
        (("--out", "tasks.csv/report"), "--out tasks.csv/report: cannot be written"),
    ],
)
def test_an_option_that_cannot_be_is_refused(
    simulate: Simulate, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], why: str
) -> None:
    assert simulate(*options) == 2
    assert why in capsys.readouterr().err


def json_lines(**more: str) -> tuple[str, ...]:
    """Options for a trace of one node and one run, with more said of how its pods go."""
    node = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "n"},
        "status": {"allocatable": {"cpu": "64", "memory": "1Ti", "pods": "110", "nvidia.com/gpu": "8"}},
    }
    said = {"runs.dev/simulated-arrival": "0s", "runs.dev/simulated-duration": "1h"}
    said |= {f"runs.dev/simulated-{name.replace('_', '-')}": text for name, text in more.items()}
    metadata = {"name": "train", "namespace": "vision", "annotations": said}
    run = {"apiVersion": "runs.dev/v1alpha1", "kind": "Run", "metadata": metadata, "spec": {"resources": {"gpus": 8}}}
    Path("all.jsonl").write_text(f"{json.dumps(node)}\n{json.dumps(run)}\n", encoding="utf-8")
    return ("--format", "jsonl", "--nodes", "all.jsonl", "--runs", "all.jsonl")


def test_json_lines_are_read_too(simulate: Simulate, capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate(*json_lines(), "-o", "json") == 0
    assert json.loads(capsys.readouterr().out)["runs"]["finished"] == 1


def test_runs_that_fail_are_told_apart(simulate: Simulate, capsys: pytest.CaptureFixture[str]) -> None:
    for more, told in (({}, "1 started, 1 finished\n"), ({"exit_code": "7"}, "1 started, 1 finished (1 failed)\n")):
        assert simulate(*json_lines(**more)) == 0
        assert told in capsys.readouterr().out


# -- two settings side by side ----------------------------------------------------------------------------------------

STRICT = "unbudgeted: Deny\n"


def test_two_settings_are_shown_side_by_side(simulate: Simulate, capsys: pytest.CaptureFixture[str]) -> None:
    """No run has an owner: where that is not allowed, none starts."""
    Path("strict.yaml").write_text(STRICT, encoding="utf-8")
    assert simulate("--compare", "strict.yaml") == 0
    lines = [re.split(r"  +", line) for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["MEASURE", "AS IS", "COMPARED", "DIFFERENCE"]
    assert ["runs started", "2", "0", "-2"] in lines
    assert ["longest wait", "1m", "-", "-"] in lines
    assert ["GPU-hours leased", "0.2", "0.0", "-0.2"] in lines


def test_json_has_both(simulate: Simulate, capsys: pytest.CaptureFixture[str]) -> None:
    Path("strict.yaml").write_text(STRICT, encoding="utf-8")
    assert simulate("--compare", "strict.yaml", "-o", "json") == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) - {"compared"} == set(found["compared"])


def test_both_reports_are_kept(simulate: Simulate) -> None:
    Path("strict.yaml").write_text(STRICT, encoding="utf-8")
    assert simulate("--compare", "strict.yaml", "--out", "report", "--no-charts") == 0
    assert sorted(str(path) for path in Path("report").rglob("*.json")) == [
        "report/compared/report.json",
        "report/report.json",
    ]


def test_nothing_of_an_earlier_simulation_stays_where_this_one_writes(simulate: Simulate) -> None:
    pytest.importorskip("matplotlib")
    Path("strict.yaml").write_text(STRICT, encoding="utf-8")
    assert simulate("--compare", "strict.yaml", "--out", "report", rows=(*ROWS, BAD)) == 0
    assert len([path for path in Path("report").rglob("*") if path.is_file()]) == 2 * (2 + len(PICTURES))
    assert simulate("--out", "report", "--no-charts") == 0
    assert [path.name for path in Path("report").rglob("*")] == ["report.json"]


def test_what_somebody_else_keeps_in_the_folder_stays(simulate: Simulate) -> None:
    Path("strict.yaml").write_text(STRICT, encoding="utf-8")
    assert simulate("--compare", "strict.yaml", "--out", "report", "--no-charts") == 0
    Path("report", "compared", "notes.txt").write_text("mine", encoding="utf-8")
    assert simulate("--out", "report", "--no-charts") == 0
    kept = sorted(str(path) for path in Path("report").rglob("*") if path.is_file())
    assert kept == ["report/compared/notes.txt", "report/report.json"]

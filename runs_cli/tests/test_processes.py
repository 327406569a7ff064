"""What only a process of its own shows: pipes, signals, and a scheduler beside other commands."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Program = Callable[..., "subprocess.CompletedProcess[str]"]
PROGRAM = [sys.executable, "-m", "runs_cli.main"]


@pytest.fixture
def serving(fleet: str) -> Iterator["subprocess.Popen[str]"]:
    """`runs serve` on the fleet, ready."""
    words = [*PROGRAM, "--local", fleet, "serve", "--http-address", "127.0.0.1:0"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            told = map(json.loads, iter(server.stderr.readline, ""))
            assert next(line for line in told if line["message"] == "serving")["since"] == "2026-01-05T08:00:00Z"
            yield server
        finally:
            server.kill()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["version"], 0),
        (["--local", "FLEET", "get", "nobody"], 1),
        (["--local", "FLEET", "submit", "a"], 2),
        (["get"], 3),
        (["--local", "FLEET", "submit", "a", "--gpus", "1", "--wait"], 4),
    ],
)
def test_exit_codes(program: Program, fleet: str, words: list[str], code: int) -> None:
    done = program(*[word.replace("FLEET", fleet) for word in words])
    assert done.returncode == code
    assert (done.stderr == "") is (code == 0)
    assert "Traceback" not in done.stderr


def test_waiting_where_nothing_moves_the_clock_says_so_at_once(program: Program, fleet: str) -> None:
    done = program("--local", fleet, "submit", "a", "--gpus", "1", "--wait")
    assert (
        f"default/a is Starting, not running, and the cluster's clock stands still: `runs --local {fleet}"
        in done.stderr
    )


def test_a_reader_that_leaves_is_no_error(fleet: str) -> None:
    for _ in range(3):
        command = subprocess.Popen(
            [*PROGRAM, "manifests", "crds"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert command.stdout is not None
        assert command.stderr is not None
        assert command.stdout.readline() == "apiVersion: apiextensions.k8s.io/v1\n"
        command.stdout.close()
        assert (command.wait(30), command.stderr.read()) == (0, "")
        command.stderr.close()


def _interruptible() -> None:
    """Where the tests run in the background of a script, an interrupt is ignored, and a child would inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_an_interrupt_ends_with_130(fleet: str) -> None:
    words = [*PROGRAM, "--local", fleet, "watch"]
    with subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_interruptible,  # noqa: PLW1509  # one system call, and no thread of the tests holds a lock of ours
    ) as watch:
        try:
            submit = [*PROGRAM, "--local", fleet, "submit", "a", "--gpus", "1"]
            assert b"Starting" in subprocess.run(submit, check=True, capture_output=True).stdout
            assert watch.stdout is not None
            assert "default/a Starting Started" in watch.stdout.readline()
            watch.send_signal(signal.SIGINT)
            assert watch.communicate(timeout=30)[1].strip() == ""
        finally:
            watch.kill()
    assert watch.returncode == 130


def test_beside_serve_a_run_starts_ends_and_is_waited_for(
    program: Program, fleet: str, serving: "subprocess.Popen[str]"
) -> None:
    done = program(
        "--local",
        fleet,
        "submit",
        "a",
        "--gpus",
        "8",
        "--simulated-duration",
        "1s",
        "--wait=finished",
        "--timeout",
        "40s",
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "Succeeded" in done.stdout
    serving.send_signal(signal.SIGTERM)
    last = json.loads(serving.communicate(timeout=30)[1].splitlines()[-1])
    assert (last["message"], last["leases"]) == ("stopped", 0)
    assert serving.returncode == 0


def test_serve_killed_at_any_time_loses_nothing(program: Program, fleet: str, serving: "subprocess.Popen[str]") -> None:
    assert program("--local", fleet, "submit", "a", "--gpus", "8", "--wait").returncode == 0
    serving.kill()
    serving.wait(30)
    run = json.loads(program("--local", fleet, "get", "a", "-o", "json").stdout)
    assert (run["status"]["phase"], run["status"]["attempt"]) == ("Running", 1)


def test_watch_of_a_run_in_a_pipe_ends_with_the_run(program: Program, fleet: str) -> None:
    program("--local", fleet, "submit", "a", "--gpus", "8")
    watch = subprocess.Popen([*PROGRAM, "--local", fleet, "watch", "a"], stdout=subprocess.PIPE, text=True)
    assert watch.stdout is not None
    first = watch.stdout.readline()
    program("--local", fleet, "cancel", "a")
    program("--local", fleet, "cluster", "advance", "1m")
    rest, _ = watch.communicate(timeout=30)
    assert watch.returncode == 0
    assert re.fullmatch(r"2026-01-05T08:00:00Z default/a Starting Started .*\n", first)
    assert "default/a Failed Canceled" in rest.splitlines()[-1]
    assert "\x1b[" not in first + rest


def test_watch_stops_with_4_when_its_time_is_over(program: Program, fleet: str) -> None:
    done = program("--local", fleet, "watch", "--timeout", "500ms")
    assert done.returncode == 4
    assert "--timeout" in done.stderr


def test_many_commands_at_once_lose_nothing(fleet: str, program: Program) -> None:
    commands = [
        subprocess.Popen(
            [*PROGRAM, "--local", fleet, "submit", f"run-{number}", "--gpus", "4"], stdout=subprocess.DEVNULL
        )
        for number in range(6)
    ]
    assert [command.wait(60) for command in commands] == [0] * 6
    phases = [
        run["status"]["phase"] for run in json.loads(program("--local", fleet, "get", "-o", "json").stdout)["items"]
    ]
    assert sorted(phases) == ["Queued", "Queued", "Starting", "Starting", "Starting", "Starting"]
    assert json.loads(program("--local", fleet, "top", "-o", "json").stdout)["flavors"][0]["free"] == 0


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["get", ""], {"train"}),
        (["explain", "tr"], {"train"}),
        (["explain", "default/"], {"default/train"}),
        (["get", "-n", ""], {"default"}),
        (["cluster", "cordon", ""], {"node-000", "node-001"}),
        (["que"], {"queue"}),
        (["get", "-o", "j"], {"json"}),
    ],
)
def test_kubectl_completes_names_from_the_cluster(
    program: Program, fleet: str, words: list[str], found: set[str]
) -> None:
    program("--local", fleet, "submit", "train", "--gpus", "1")
    code = "from runs_cli.completion import kubectl_complete; kubectl_complete()"
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "RUNS_LOCAL": fleet},
    )
    *lines, directive = done.stdout.splitlines()
    assert directive == ":4"
    assert {line.split("\t")[0] for line in lines} == found


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_the_shells_own(program: Program, shell: str) -> None:
    assert "_RUNS_COMPLETE" in program("completion", shell).stdout


def test_kubectl_runs_calls_itself_so(tmp_path: Path) -> None:
    plugin = tmp_path / "kubectl-runs"
    plugin.write_text("from runs_cli.main import main\nmain()\n", encoding="utf-8")
    done = subprocess.run([sys.executable, plugin, "get", "--help"], check=True, capture_output=True, text=True)
    assert "  kubectl runs get\n" in done.stdout
    assert "Usage: kubectl runs get" in done.stdout

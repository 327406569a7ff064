"""`runs serve` before it serves: what it refuses, and how."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

Program = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--http-address", "8080"], 2, "--http-address: got '8080', want HOST:PORT such as 127.0.0.1:8080, or none"),
        (["--http-address", "none", "--webhook-address", "9443"], 2, "--webhook-address: got '9443'"),
        (["--http-address", "none"], 3, "there is no kubeconfig: name one with --kubeconfig or KUBECONFIG"),
        (["--local", "fleet.db", "--webhook-address", ":9443"], 2, "--webhook-address is for a live cluster"),
        (["--local", "fleet.db", "--identity", "me"], 2, "--identity is for a live cluster"),
        (["--webhook-cert-dir", "nowhere"], 2, "nowhere"),
        (["--log-level", "loud"], 2, "'loud' is not one of"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(
    program: Program, tmp_path: Path, words: list[str], code: int, said: str
) -> None:
    done = program("serve", *words)
    assert (done.returncode, len(done.stderr.splitlines())) == (code, 1)
    assert said in done.stderr


def test_an_address_in_use_is_refused_with_a_remedy(program: Program) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        done = program("serve", "--http-address", where)
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert f"{where} cannot be listened on" in done.stderr
    assert "name another --http-address, or none" in done.stderr


def test_a_login_command_that_fails_is_said_at_once(program: Program, tmp_path: Path) -> None:
    login = {"apiVersion": "client.authentication.k8s.io/v1", "command": "false", "interactiveMode": "Never"}
    whole = {
        "current-context": "here",
        "clusters": [{"name": "one", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "me", "user": {"exec": login}}],
        "contexts": [{"name": "here", "context": {"cluster": "one", "user": "me"}}],
    }
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(whole))
    done = program("serve", "--http-address", "none", "--kubeconfig", str(file))
    assert done.returncode == 3
    assert done.stderr == "Error: the login command of context here failed: exec: process returned 1\n"


def test_an_archive_that_cannot_be_written_is_refused_before_anything_is_due(
    program: Program, fleet: str, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_text("no folder")
    env = {**os.environ, "RUNS_RETENTION_ARCHIVE": str(file / "old")}
    for words in ([], ["--local", fleet]):
        done = program(*words, "serve", "--http-address", "none", env=env)
        said = f"{file / 'old'} cannot be written: Not a directory; name another folder, or mend it"
        assert (done.returncode, done.stderr) == (2, f"Error: retention.archive: {said}\n")


def test_what_cannot_be_archived_as_the_clock_moves_is_told_and_stays(
    program: Program, fleet: str, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_text("no folder")
    program("--local", fleet, "submit", "a", "--gpus", "1", "--simulated-duration", "1m")
    program("--local", fleet, "cluster", "advance", "900h")
    env = {**os.environ, "RUNS_RETENTION_ARCHIVE": str(file)}
    done = program("--local", fleet, "submit", "b", "--gpus", "1", env=env)
    assert (done.returncode, len(done.stderr.splitlines())) == (3, 1)
    assert f"retention.archive: {file} cannot be written: File exists" in done.stderr
    env["RUNS_RETENTION_ARCHIVE"] = str(tmp_path / "old")
    assert program("--local", fleet, "submit", "b", "--gpus", "1", env=env).returncode == 0
    (line,) = (tmp_path / "old" / "leases.jsonl").read_text().splitlines()
    assert json.loads(line)["status"]["closureReason"] == "Succeeded"

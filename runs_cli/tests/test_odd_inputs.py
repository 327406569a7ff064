"""What a person may type that nothing can come of is answered in a sentence, and nothing is done."""

from __future__ import annotations

import os
import resource
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

Runs = Callable[..., Result]
Program = Callable[..., "subprocess.CompletedProcess[str]"]
RUN = "apiVersion: runs.dev/v1alpha1\nkind: Run\nmetadata: {name: twice}\nspec: {resources: {gpus: 1}}\n"
NAMING = "want NAME or NAMESPACE/NAME"


@pytest.mark.parametrize("name", ["", "a/b/c", "/a", "a/", "../a", "A b/a"])
@pytest.mark.parametrize("words", [["get"], ["explain"], ["pods"], ["watch"], ["cancel"], ["leases"], ["plan"]])
def test_what_cannot_name_a_run_is_refused(runs: Runs, fleet: str, words: list[str], name: str) -> None:
    done = runs("--local", fleet, *words, name)
    assert (done.exit_code, done.stderr) == (2, f"Error: RUN: got {name!r}, {NAMING}\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["leases", "--since", "1h", "--until", "5h"], "--until: got '5h', want it later than --since, which is 2026-"),
        (["leases", "--since", ""], "--since: got '', want a time such as 2026-01-31T08:00:00Z"),
        (["leases", "--until", ""], "--until: got '', want a time such as 2026-01-31T08:00:00Z"),
        (["watch", "--timeout", ""], "--timeout: got '', want a duration such as 90s"),
        (["submit", "a", "--gpus", "1", "--image", ""], "--image: got '', want one such as ghcr.io/me/train:1"),
        (["submit", "a", "--gpus", "1", "--image", "a b"], "--image: got 'a b', want one such as ghcr.io/me/train:1"),
    ],
)
def test_an_option_that_says_nothing_is_refused(runs: Runs, fleet: str, words: list[str], said: str) -> None:
    done = runs("--local", fleet, *words)
    assert (done.exit_code, len(done.stderr.splitlines())) == (2, 1)
    assert said in done.stderr


@pytest.mark.parametrize("words", [["submit", "-f", "-"], ["plan", "-f", "-"]])
def test_a_run_that_stands_twice_in_one_file_is_refused_and_none_is_sent(
    runs: Runs, fleet: str, words: list[str]
) -> None:
    done = runs("--local", fleet, *words, input=f"{RUN}---\n{RUN}")
    said = "stdin:6 metadata.name: got default/twice a second time, after stdin:1; leave one of them out"
    assert (done.exit_code, done.stderr) == (2, f"Error: {said}\n")
    assert runs("--local", fleet, "get", "-o", "name").stdout == ""


def test_a_file_of_somebody_elses_is_not_written_to(runs: Runs, tmp_path: Path) -> None:
    empty, other = tmp_path / "empty", tmp_path / "other.db"
    empty.touch()
    with sqlite3.connect(other) as database:
        database.execute("CREATE TABLE theirs (a)")
    database.close()
    before = other.read_bytes()
    for path in (empty, other):
        assert "is not a cluster file of runs: no such table: meta; " in runs("--local", str(path), "get").stderr
    assert (empty.read_bytes(), other.read_bytes()) == (b"", before)


def test_a_plugin_that_is_not_installed_is_told_with_a_remedy(runs: Runs) -> None:
    done = runs("plugins", "show", "budgts")
    said = "no plugin 'budgts' is installed (did you mean budgets?); `runs plugins list` names those that are"
    assert (done.exit_code, done.stderr) == (1, f"Error: {said}\n")


def test_a_kubeconfig_that_is_a_folder_is_told_with_a_remedy(program: Program, tmp_path: Path) -> None:
    done = program("get", env={**os.environ, "KUBECONFIG": str(tmp_path)})
    said = f"{tmp_path} cannot be read: Is a directory; name another with --kubeconfig"
    assert (done.returncode, done.stderr) == (3, f"Error: {said}\n")


ENDLESS = "/dev/zero"
WRITTEN = "got more than 67108864 characters; split the file, or name another"
NO_TEXT = "is no text in UTF-8: unpack or convert it first; a pipe will do"
MEMORY = 2 * 1024**3


def _within_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["submit", "-f", ENDLESS], f"{ENDLESS}: {WRITTEN}"),
        (["plan", "-f", "-"], f"stdin: {WRITTEN}"),
        (["cluster", "apply", "-f", ENDLESS], f"{ENDLESS}: {WRITTEN}"),
        (["--config", ENDLESS, "queue"], f"{ENDLESS}: {WRITTEN}"),
        (
            ["manifests", "webhooks", "--webhook-url", "https://a:1", "--ca-file", ENDLESS],
            f"--ca-file {ENDLESS}: {WRITTEN}",
        ),
        *(
            (["simulate", "--format", form, "--nodes", ENDLESS, "--runs", ENDLESS], f"{ENDLESS}:1: {NO_TEXT}")
            for form in ("openb", "philly", "jsonl")
        ),
    ],
)
def test_what_has_no_end_is_not_read_until_the_memory_has(
    program: Program, fleet: str, words: list[str], said: str
) -> None:
    with Path(ENDLESS).open("rb") as endless:
        done = program("--local", fleet, *words, stdin=endless, preexec_fn=_within_memory)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert done.stderr.startswith(f"Error: {said}")

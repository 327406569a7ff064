"""Global options count before and after the command."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import Result

from runs_cli.command import LazyGroup, command
from runs_cli.options import Asked, asked, with_globals

Program = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def seen() -> list[Asked]:
    return []


@pytest.fixture
def group(seen: list[Asked]) -> LazyGroup:
    @command("look", examples=())
    def look() -> None:
        seen.append(asked())

    return LazyGroup(name="runs", commands={"look": look})


@pytest.mark.parametrize(
    "words",
    [
        ["--local", "a.db", "-n", "team", "-o", "json", "look"],
        ["look", "--local", "a.db", "-n", "team", "-o", "json"],
        ["-n", "team", "look", "-o", "json", "--local", "a.db"],
        ["-n", "other", "-o", "yaml", "look", "-n", "team", "-o", "json", "--local", "a.db"],
    ],
)
def test_they_count_wherever_they_stand_and_the_last_one_wins(
    words: list[str], group: LazyGroup, seen: list[Asked]
) -> None:
    group.main(words, standalone_mode=False)
    assert seen == [Asked(local="a.db", namespace="team", output="json")]  # type: ignore[arg-type]  # a StrEnum's word


def test_a_flag_beats_the_environment(group: LazyGroup, seen: list[Asked], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNS_LOCAL", "env.db")
    group.main(["look"], standalone_mode=False)
    group.main(["--local", "flag.db", "look"], standalone_mode=False)
    group.main(["look", "--local", "flag.db"], standalone_mode=False)
    assert [said.local for said in seen] == ["env.db", "flag.db", "flag.db"]


@pytest.mark.parametrize(
    "words",
    [
        ["--context", "live", "look"],
        ["look", "--context", "live"],
        ["look", "--kubeconfig", "file"],
    ],
)
def test_a_live_cluster_on_the_line_counts_before_a_local_one_of_the_environment(
    words: list[str], group: LazyGroup, seen: list[Asked], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNS_LOCAL", "env.db")
    group.main(words, standalone_mode=False)
    assert [said.local for said in seen] == [None]
    assert seen[0].context or seen[0].kubeconfig


@pytest.mark.parametrize(
    "words", [["--local", "a.db", "look", "--context", "c"], ["look", "--kubeconfig", "k", "--local", "a"]]
)
def test_two_clusters_on_one_line_are_refused(words: list[str], group: LazyGroup) -> None:
    with pytest.raises(click.UsageError, match="name two clusters"):
        group.main(words, standalone_mode=False)


def test_the_namespace_of_the_context_counts_where_nobody_names_one() -> None:
    assert (Asked().home, Asked(standing="team").home) == ("default", "team")
    assert Asked(standing="team", namespace="other").scope == "other"
    assert Asked(standing="team", all_namespaces=True).scope is None


def test_a_foreign_command_keeps_its_own_meaning_of_a_letter() -> None:
    own = click.Command("x", params=[click.Option(["-n", "--count"])])
    names = [name for option in with_globals(own).params for name in option.opts]
    assert names.count("-n") == 1
    assert "--local" in names


def test_a_command_on_a_local_cluster_never_imports_the_client_of_a_live_one(tmp_path: Path, program: Program) -> None:
    code = (
        "import sys; from runs_cli.main import root\n"
        "try: root.main(sys.argv[1:])\n"
        "except SystemExit as end: print(end.code, 'kubernetes' in sys.modules, file=sys.stderr)"
    )
    path = str(tmp_path / "fleet.db")
    assert program("--local", path, "cluster", "init", "--nodes", "1").returncode == 0
    for words in (["get"], ["top"], ["submit", "a", "--gpus", "1"], ["explain", "a"], ["cancel", "a"]):
        command = [sys.executable, "-c", code, "--local", path, *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.stderr == "0 False\n"


@pytest.mark.parametrize("name", ["", "BAD_NS", "a b", "a/b", "a" * 64])
@pytest.mark.parametrize("words", [["serve"], ["get"], ["submit", "a", "--gpus", "1"]])
def test_a_name_that_no_namespace_can_have_is_refused_before_any_cluster_is_asked(
    runs: Callable[..., Result], words: list[str], name: str
) -> None:
    done = runs(*words, "-n", name)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "invalid value for '-n' / '--namespace': got " in done.stderr
    assert "want at most 63 lower-case letters, digits and - between them" in done.stderr

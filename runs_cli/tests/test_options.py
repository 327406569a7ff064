"""Global options count before and after the command."""

import click
import pytest

from runs_cli.command import LazyGroup, command
from runs_cli.options import Asked, asked, with_globals


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


def test_a_foreign_command_keeps_its_own_meaning_of_a_letter() -> None:
    own = click.Command("x", params=[click.Option(["-n", "--count"])])
    names = [name for option in with_globals(own).params for name in option.opts]
    assert names.count("-n") == 1
    assert "--local" in names

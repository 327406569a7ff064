"""Help is quick, begins with examples, and does not load what it does not need."""

import resource
import subprocess
import sys
from collections.abc import Callable

import click
import pytest
from click.testing import Result

from runs_cli.command import Command, LazyGroup
from runs_cli.main import PLACES, root

Runs = Callable[..., Result]
CONTEXT = click.Context(root, info_name="runs")
HELP_SECONDS = 0.150
TRIES = 10


def paths(group: LazyGroup = root, before: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    for name in sorted(group.places):
        command = group.get_command(CONTEXT, name)
        found.append((*before, name))
        if isinstance(command, LazyGroup):
            found += paths(command, (*before, name))
    return found


ALL = paths()


def at(words: tuple[str, ...]) -> click.Command:
    """The command of that path."""
    command: click.Command = root
    for word in words:
        assert isinstance(command, LazyGroup)
        found = command.get_command(CONTEXT, word)
        assert found is not None, words
        command = found
    return command


@pytest.mark.parametrize("words", [(), *ALL], ids=" ".join)
def test_help_begins_with_examples_and_names_the_global_options(words: tuple[str, ...], runs: Runs) -> None:
    answer = runs(*words, "--help")
    assert answer.exit_code == 0
    assert answer.output.startswith("Examples:\n  # ")
    assert "--local FILE" in answer.output


GROUPS = [(), *(words for words in ALL if isinstance(at(words), LazyGroup))]


@pytest.mark.parametrize("words", GROUPS, ids=" ".join)
def test_a_group_without_a_command_shows_its_help_and_says_no(words: tuple[str, ...], runs: Runs) -> None:
    answer = runs(*words)
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert answer.stderr == runs(*words, "--help").stdout


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_the_line_in_the_list_is_not_longer_than_the_screen(words: tuple[str, ...]) -> None:
    group = at(words[:-1])
    assert isinstance(group, LazyGroup)
    assert 10 < len(group.places[words[-1]].does) < 80


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_examples_are_command_lines_that_exist(words: tuple[str, ...]) -> None:
    command = at(words)
    assert isinstance(command, Command | LazyGroup)
    for _, line in command.examples:
        said = line.split("runs ", 1)[1].split()
        said = said[2:] if said[0] == "--local" else said
        assert root.get_command(CONTEXT, said[0]) is not None, line


def cost_of(*words: str) -> float:
    """CPU seconds of the first of ten below the limit, else of the cheapest: what the machine does only ever adds."""

    def once() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "runs_cli.main", *words], check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    costs = [once()]
    while costs[-1] >= HELP_SECONDS and len(costs) < TRIES:
        costs.append(once())
    return min(costs)


@pytest.mark.parametrize("words", [(), ("submit",), ("explain",), ("cluster",), ("cluster", "init"), ("demo",)])
def test_help_costs_less_than_150_ms(words: tuple[str, ...]) -> None:
    assert cost_of(*words, "--help") < HELP_SECONDS


def test_help_that_is_slow_would_be_found() -> None:
    slow = "import time, runs_cli.main as m; [0 for _ in range(10**7)]; m.root.main(['--help'])"
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    subprocess.run([sys.executable, "-c", slow], check=True, stdout=subprocess.DEVNULL)
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before > HELP_SECONDS


@pytest.mark.parametrize("words", [(), *((name,) for name in sorted(PLACES))], ids=" ".join)
def test_help_imports_neither_kubernetes_nor_live_displays(words: tuple[str, ...]) -> None:
    code = (
        "import sys, runs_cli.main as m\n"
        f"try: m.root.main({[*words, '--help']!r})\n"
        "except SystemExit: pass\n"
        "print(sorted({'kubernetes', 'rich.live', 'matplotlib'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stderr.strip() == "[]"

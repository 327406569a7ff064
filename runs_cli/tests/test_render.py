"""Tables are plain in a pipe, coloured on a terminal, and say every state by a word."""

import io
import sys
from collections.abc import Sequence

import pytest

from runs_cli import render
from runs_cli.answer import Block, Column, Fields, Notes, Table

LONG = "x" * 150
TABLE = Table(
    columns=[Column("NAME"), Column("PHASE", state=True), Column("GPUS", right=True), Column("WHY", wide=True)],
    rows=[["a", "Running", "8", LONG], ["bcd", "Held", "16", "-"]],
    title="Runs",
)


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


Blocks = Sequence[Block]


def on_a_screen(monkeypatch: pytest.MonkeyPatch, blocks: Blocks, columns: int = 100) -> str:
    screen = Screen()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("COLUMNS", str(columns))
    render.show(blocks)
    return screen.getvalue()


def test_a_piped_table_has_whole_values_and_no_colour(capsys: pytest.CaptureFixture[str]) -> None:
    render.show([TABLE], wide=True)
    out = capsys.readouterr().out
    assert out.splitlines() == [
        "Runs",
        f"NAME   PHASE     GPUS   {'WHY'}",
        f"a      Running      8   {LONG}",
        "bcd    Held        16   -",
    ]


def test_wide_columns_wait_for_wide(capsys: pytest.CaptureFixture[str]) -> None:
    render.show([TABLE])
    assert LONG not in capsys.readouterr().out


def test_force_colour_paints_a_pipe(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    render.show([TABLE])
    assert "\x1b[32mRunning" in capsys.readouterr().out


@pytest.mark.parametrize("block", [TABLE, Fields(pairs=[("Phase", "Held")]), Notes(title="Why", lines=["so"])])
def test_a_terminal_gets_colour(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b[" in on_a_screen(monkeypatch, [block])


@pytest.mark.parametrize("columns", [12, 20, 27])
def test_no_value_is_cut_on_a_terminal_that_is_too_narrow_for_the_table(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    rows = [["resolution-1", "1000", "OutOfQuota"], ["resolution-2", "100", "NeverFits"]]
    table = Table(columns=[Column("NAME"), Column("GPUS", right=True), Column("REASON")], rows=rows)
    shown = on_a_screen(monkeypatch, [table], columns).splitlines()
    assert [line.split() for line in shown] == [["NAME", "GPUS", "REASON"], *rows]


def test_a_last_column_of_sentences_is_folded_where_there_is_room_for_its_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    table = Table(columns=[Column("NAME"), Column("WHY")], rows=[["train", "waits for GPUs of others"]])
    shown = on_a_screen(monkeypatch, [table], 20)
    assert [line.split() for line in shown.splitlines()] == [
        ["NAME", "WHY"],
        ["train", "waits", "for"],
        ["GPUs", "of"],
        ["others"],
    ]


def test_a_command_stays_one_line_so_that_it_can_be_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    line = "ask for 8   $ runs -n default cancel train && runs -n default submit train-2 --gpus 8"
    assert on_a_screen(monkeypatch, [Notes(title="Try", lines=[line])], 40) == f"Try\n  {line}\n"


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_no_colour_means_none_on_a_terminal_too(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    blocks: list[Block] = [TABLE, Fields(pairs=[("Phase", "Held")]), Notes(title="Why", lines=["so"])]
    shown = on_a_screen(monkeypatch, blocks)
    assert "\x1b[" not in shown
    assert "Running" in shown


def test_an_empty_table_says_so_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    render.show([Table(columns=TABLE.columns, rows=[], empty="Nobody waits.")])
    assert capsys.readouterr().out == "Nobody waits.\n"


def test_progress_is_silent_off_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with render.progress("working", 3) as shown:
        shown(3, "done")
    assert capsys.readouterr() == ("", "")

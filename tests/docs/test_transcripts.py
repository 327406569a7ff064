"""What the documentation shows is what the commands print."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

SPEC = importlib.util.spec_from_file_location("transcripts", Path(__file__).with_name("transcripts.py"))
assert SPEC is not None
assert SPEC.loader is not None
transcripts = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(transcripts)
PAGES = sorted(str(page.relative_to(transcripts.ROOT)) for page in transcripts.pages())


def test_the_readme_has_a_transcript() -> None:
    assert "README.md" in PAGES


@pytest.mark.parametrize("page", PAGES)
def test_every_transcript_is_what_the_commands_print(page: str) -> None:
    assert transcripts.differences(transcripts.ROOT / page) == []


def test_a_transcript_that_no_command_printed_is_found() -> None:
    _, commands = transcripts.played("```console\n$ echo 1\n2\n```\n")
    assert [(shown, printed) for _, shown, printed in commands] == [("2\n", "1\n")]

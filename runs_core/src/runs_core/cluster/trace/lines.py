"""Files of a trace as they are read: line by line, however long the file, but no line without an end."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TextIO

from runs_core.errors import InvalidInput, Problem

MOST_CHARACTERS = 16 * 1024 * 1024
"""In one line. A device such as /dev/zero has one that never ends."""
_NO_TEXT = (
    "is no text in UTF-8: unpack or convert it first; a pipe will do, such as `zcat FILE | runs simulate --runs -`"
)


def lines(file: TextIO, path: Path) -> Iterator[tuple[int, str]]:
    """Each with its number, from 1. InvalidInput: one is longer than any row can be."""
    for line, text in enumerate(iter(partial(file.readline, MOST_CHARACTERS + 1), ""), start=1):
        if len(text) > MOST_CHARACTERS:
            long = f"has a line of more than {MOST_CHARACTERS} characters, want one row in each line; name another file"
            raise InvalidInput([Problem(f"{path}:{line}", no_text(text[:1000]) or long)])
        yield line, text


def no_text(begin: str) -> str:
    """What is wrong with a file that begins so, if it is no text at all; else nothing."""
    return _NO_TEXT if {"\ufffd", "\0"} & set(begin) else ""

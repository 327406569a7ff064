"""The standard streams as a caller may leave them: closed, on a full device, or with nobody at the other end."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_ALL = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))


class Unwritable(OSError):
    """Stdout takes nothing, and somebody who should know of it reads the rest."""


def opened() -> None:
    """Make them usable, once at the start of a process.

    What is closed is opened on the null device: the next file, as a state file, would get its number. What the
    encoding of stdout lacks is written as its number.
    """
    for number, (name, mode) in enumerate(_ALL):
        if getattr(sys, name) is None:
            _to_null(number)
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8"))
    if sys.stdout is sys.__stdout__ and isinstance(sys.stdout, io.TextIOWrapper):
        out = io.BufferedWriter(_Out(sys.stdout.fileno(), "w", closefd=False))
        sys.stdout = io.TextIOWrapper(out, sys.stdout.encoding, "backslashreplace", line_buffering=out.isatty())


def mute(stream: TextIO) -> None:
    """Nothing more can be said on it, not even at exit."""
    _to_null(stream.fileno())


class _Out(io.FileIO):
    """Tells what fails here from what fails in any other file."""

    def write(self, text: ReadableBuffer, /) -> int:
        try:
            return super().write(text)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise Unwritable(error.errno, error.strerror) from error


def _to_null(number: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    if null != number:
        os.dup2(null, number)
        os.close(null)
    os.set_inheritable(number, True)  # noqa: FBT003 - takes no keyword

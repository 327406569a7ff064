"""How a command says no: one sentence, and an exit code that a script can tell apart."""

from __future__ import annotations

from enum import IntEnum

import click


class Code(IntEnum):
    """What the exit code of every command means."""

    DONE = 0
    NO = 1
    USAGE = 2
    UNREACHABLE = 3
    TIMED_OUT = 4
    INTERRUPTED = 130


class Stop(click.ClickException):
    """Ends the command with this code and, on stderr, this sentence: what, where, what to do next."""

    def __init__(self, message: str, code: Code = Code.NO) -> None:
        super().__init__(message)
        self.code = code


def code_of(error: Exception) -> Code:
    """The exit code that an error of the core stands for. Looked up by name: most commands never need the class."""
    by_name = {
        "InvalidInput": Code.USAGE,
        "PluginError": Code.USAGE,
        "Unavailable": Code.UNREACHABLE,
    }
    return by_name.get(type(error).__name__, Code.NO)


def nearest(name: str, known: list[str]) -> str:
    """` (did you mean x?)`, or nothing where no known name is near."""
    from difflib import get_close_matches  # noqa: PLC0415 - only a mistake pays for the import

    longer = [one for one in sorted(known) if name and one.startswith(name)]
    found = longer or get_close_matches(name, known, n=1)
    return f" (did you mean {found[0]}?)" if found else ""

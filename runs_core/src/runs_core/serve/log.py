"""Structured logs: a sentence and fields, as JSON for machines and as a line for people."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import TextIO

from runs_core.values.decision import (
    Ends,
    Held,
    Moves,
    Outcome,
    Reason,
    Reclaims,
    Released,
    Removed,
    Reserves,
    Starts,
    Waits,
)
from runs_core.values.record import Record

LOGGER = logging.getLogger("runs")
QUIET_SECONDS = 30.0
"""The same trouble is told again only after so long, with how often it came in between."""
MOST_TROUBLES = 1_000
_FIELDS = "runs_fields"


class LogFormat(StrEnum):
    """auto: human on a terminal, json elsewhere."""

    AUTO = "auto"
    JSON = "json"
    HUMAN = "human"


class Level(StrEnum):
    """What is worth a line at least."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def say(level: int, message: str, **fields: object) -> None:
    """One line. Fields that are None are left out."""
    LOGGER.log(level, message, extra={_FIELDS: {name: value for name, value in fields.items() if value is not None}})


def info(message: str, **fields: object) -> None:
    say(logging.INFO, message, **fields)


def warn(message: str, **fields: object) -> None:
    say(logging.WARNING, message, **fields)


def decided(cycle: int, record: Record) -> None:
    """The line of a decision. reasons: why not, or what for. seconds: by stage."""
    if LOGGER.isEnabledFor(logging.INFO):
        info(
            "decided",
            cycle=cycle,
            run=str(record.run),
            outcome=type(record.outcome).__name__,
            phase=record.phase.value,
            gpus=record.width,
            reasons=reasons(record.outcome),
            seconds={stage: round(seconds, 6) for stage, seconds in sorted(record.seconds.items())},
        )


def reasons(outcome: Outcome) -> list[str]:
    """In one word each; a plugin's with its name before it."""
    match outcome:
        case Held(reasons=found) | Waits(reasons=found):
            return _words(found)
        case Starts():
            return ["Started"]
        case Reclaims(resolution=name):
            return [name]
        case Reserves():
            return ["Reserved"]
        case Moves(reason=word) | Removed(reason=word):
            return [word]
        case Ends(closure=closure) | Released(closure=closure):
            return [closure.value]


def _words(found: Sequence[Reason]) -> list[str]:
    return [reason.code if reason.by == "core" else f"{reason.by}:{reason.code}" for reason in found]


class Quiet(logging.Filter):
    """Holds back what was told a moment ago: warnings and errors of one text. Decisions are never held back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._told: dict[str, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING:
            return True
        now, text = self._clock(), record.getMessage()
        last, held = self._told.pop(text, (float("-inf"), 0))
        if now - last < QUIET_SECONDS:
            self._told[text] = (last, held + 1)
            return False
        if len(self._told) >= MOST_TROUBLES:
            self._told.pop(next(iter(self._told)))
        self._told[text] = (now, 0)
        if held:
            setattr(record, _FIELDS, {**getattr(record, _FIELDS, {}), "heldBack": held})
        return True


class JsonFormatter(logging.Formatter):
    """One object a line: at, level, message, then the fields."""

    def format(self, record: logging.LogRecord) -> str:
        told = {"at": _at(record), "level": record.levelname.lower(), "message": record.getMessage()}
        if record.exc_info:
            told["trace"] = self.formatException(record.exc_info)
        return json.dumps({**told, **getattr(record, _FIELDS, {})}, default=str)


class HumanFormatter(logging.Formatter):
    """Time, level where it matters, sentence, `name=value`."""

    def format(self, record: logging.LogRecord) -> str:
        fields = getattr(record, _FIELDS, {})
        level = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        told = " ".join(
            [f"{_at(record)[11:23]} {level}{record.getMessage()}", *(_pair(*pair) for pair in fields.items())]
        )
        return f"{told}\n{self.formatException(record.exc_info)}" if record.exc_info else told


def _at(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _pair(name: str, value: object) -> str:
    match value:
        case dict():
            return f"{name}={','.join(f'{key}:{one}' for key, one in value.items())}"
        case list() | tuple():
            return f"{name}={','.join(map(str, value))}"
        case str() if " " in value or not value:
            return f"{name}={json.dumps(value)}"
        case _:
            return f"{name}={value}"


def set_up(form: LogFormat, level: Level, stream: TextIO = sys.stderr) -> None:
    """Our own lines go to the stream; what libraries log is none of ours, and may hold secrets."""
    human = form is LogFormat.HUMAN or (form is LogFormat.AUTO and stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(HumanFormatter() if human else JsonFormatter())
    handler.addFilter(Quiet())
    LOGGER.handlers = [handler]
    LOGGER.propagate = False
    LOGGER.setLevel(level.upper())

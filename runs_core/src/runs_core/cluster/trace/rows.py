"""CSV as published: each row checked against the header, each fault named by its line."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Protocol, TypeVar

from runs_core.cluster.trace.input import MICROSECOND, BadRow
from runs_core.errors import InvalidInput, Problem

T = TypeVar("T")
_NUMBER = re.compile(r"-?\d{1,18}(\.\d{1,18})?")
_MOST_SECONDS = 100 * 366 * 86_400
"""A century: no trace is longer, and every moment of it can be written down."""


class _Reader(Protocol):
    """What `csv.reader` makes; its own type has a name only for type checkers."""

    @property
    def line_num(self) -> int: ...
    def __next__(self) -> list[str]: ...


class BadCell(ValueError):
    """Says which column holds what, and what it should hold."""


class Row(Mapping[str, str]):
    """The cells of one row by column; every column wanted is there."""

    def __init__(self, line: int, cells: dict[str, str]) -> None:
        self.line = line
        self._cells = cells

    def __getitem__(self, column: str) -> str:
        return self._cells[column]

    def __iter__(self) -> Iterator[str]:
        return iter(self._cells)

    def __len__(self) -> int:
        return len(self._cells)

    def number(self, column: str) -> Decimal:
        """A number ≥ 0, or BadCell."""
        text = self[column].strip()
        if not text:
            raise BadCell(f"{column}: is missing, want a number")
        if _NUMBER.fullmatch(text) is None:
            raise BadCell(f"{column}: got {text[:40]!r}, want a number such as 8 or 1000")
        amount = Decimal(text)
        if amount < 0:
            raise BadCell(f"{column}: got {text}, want at least 0")
        return amount

    def whole(self, column: str, most: int = 2**50) -> int:
        """A whole number from 0 to `most`, or BadCell."""
        amount = self.number(column)
        if amount != int(amount):
            raise BadCell(f"{column}: got {amount}, want a whole number")
        if amount > most:
            raise BadCell(f"{column}: got {amount}, want at most {most}")
        return int(amount)

    def seconds(self, column: str) -> timedelta:
        """Seconds ≥ 0 from the start of the trace, to the microsecond, or BadCell."""
        amount = self.number(column)
        if amount > _MOST_SECONDS:
            raise BadCell(f"{column}: got {amount}, want seconds within a century of the trace's start")
        return int(amount * 1_000_000) * MICROSECOND


def read_rows(path: Path, columns: Sequence[str], read: Callable[[Row], T], bad: list[BadRow]) -> Iterator[T]:
    """What `read` makes of each row; faults go to `bad`. InvalidInput: no such file, or the header lacks a column."""
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            reader = csv.reader(file)
            header = _header(path, reader, columns, bad)
            for line, cells in _lines(reader, path, bad):
                try:
                    yield read(_row(line, header, cells))
                except ValueError as error:
                    bad.append(BadRow(source=str(path), line=line, why=str(error)))
    except OSError as error:
        raise InvalidInput([Problem(str(path), f"cannot be read: {error.strerror or error}")]) from error


def _lines(reader: _Reader, path: Path, bad: list[BadRow]) -> Iterator[tuple[int, list[str]]]:
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            bad.append(BadRow(source=str(path), line=line, why=f"is no CSV: {error}"))
            continue
        if cells:
            yield line, cells


def _header(path: Path, reader: _Reader, columns: Sequence[str], bad: list[BadRow]) -> list[str]:
    header = next((cells for _, cells in _lines(reader, path, bad)), [])
    names = [name.strip() for name in header]
    absent = [column for column in columns if column not in names]
    if absent:
        what = f"the header lacks {', '.join(absent)}; want the columns {','.join(columns)}"
        raise InvalidInput([Problem(f"{path}:1", what)])
    odd = [name for name in names if name not in columns] + sorted({n for n in names if names.count(n) > 1})
    if odd:
        why = f"columns that are not known or named twice are not read: {', '.join(repr(name) for name in odd)}"
        bad.append(BadRow(source=str(path), line=1, why=why))
    return names


def _row(line: int, header: list[str], cells: list[str]) -> Row:
    if len(cells) != len(header):
        raise BadCell(f"has {len(cells)} cells, and the header {len(header)}")
    return Row(line, dict(zip(header, cells, strict=True)))

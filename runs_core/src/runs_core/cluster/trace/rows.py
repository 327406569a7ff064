"""CSV as published: each row checked against the header, each fault named by its line."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Generic, NamedTuple, TextIO, TypeVar

import attrs

from runs_core.cluster.trace.input import MICROSECOND, BadRow
from runs_core.cluster.trace.lines import lines, no_text
from runs_core.errors import InvalidInput, Problem

T = TypeVar("T")
_NUMBER = re.compile(r"-?\d{1,18}(\.\d{1,18})?")
_MOST_SECONDS = 100 * 366 * 86_400
"""A century: no trace is longer, and every moment of it can be written down."""
YEARS = range(2000, 2200)
"""A moment outside is no time of a job, but what a log puts for none, or a slip: one alone would stretch the trace."""
_NEVER = frozenset({"", "none", "unknown", "nan", "nat", "null"})
"""How logs write a moment that did not come."""


class Named(NamedTuple, Generic[T]):
    """content: all cells, so that two rows of one name have an order that is not that of the file."""

    name: str
    content: str
    line: int
    value: T


@attrs.frozen(kw_only=True)
class Form:
    """How a file is written. optional: columns that may be there too; others: whether any further ones may.

    delimiter: a comma, and cells may be quoted, or something else, and they are not.
    """

    columns: tuple[str, ...]
    optional: tuple[str, ...] = ()
    others: bool = False
    delimiter: str = ","


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

    @property
    def content(self) -> str:
        """All cells as one text: a long log is held in memory, with a fraction of what its cells would take."""
        return "\x1f".join(self._cells.values())

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

    def moment(self, column: str) -> datetime | None:
        """A date and time, in UTC where it names no zone; None: it did not come. Or BadCell."""
        return moment_of(self[column], column)


def moment_of(text: str, column: str) -> datetime | None:
    """As `Row.moment`."""
    if text.strip().lower() in _NEVER:
        return None
    what = f"{column}: got {text[:40]!r}, want a date and time such as 2020-06-09 18:41:01"
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise BadCell(what) from error
    if found.year not in YEARS:
        raise BadCell(f"{what}, from {YEARS[0]} to {YEARS[-1]}")
    return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).astimezone(UTC)


def unique(source: Path, read: Iterable[Named[T]], bad: list[BadRow]) -> list[Named[T]]:
    """By name, the first of each name in order of content; the others are bad rows."""
    kept: list[Named[T]] = []
    for row in sorted(read, key=lambda row: row[:3]):
        if kept and kept[-1].name == row.name:
            why = f"{row.name} is a duplicate; line {kept[-1].line} is kept"
            bad.append(BadRow(source=str(source), line=row.line, why=why))
        else:
            kept.append(row)
    return kept


def read_rows(path: Path, form: Form, read: Callable[[Row], T], bad: list[BadRow]) -> Iterator[T]:
    """What `read` makes of each row; faults go to `bad`. InvalidInput: no such file, or the header lacks a column."""
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            rows = _lines(file, path, form.delimiter, bad)
            header = _header(path, next(rows, (1, []))[1], form, bad)
            for line, cells in rows:
                try:
                    yield read(_row(line, header, cells))
                except ValueError as error:
                    bad.append(BadRow(source=str(path), line=line, why=str(error)))
    except OSError as error:
        raise InvalidInput([Problem(str(path), f"cannot be read: {error.strerror or error}")]) from error


def _lines(file: TextIO, path: Path, delimiter: str, bad: list[BadRow]) -> Iterator[tuple[int, list[str]]]:
    """Each line is a row: a quote that is left open spoils its own, and not all that follow."""
    for line, text in lines(file, path):
        if not text.strip():
            continue
        if delimiter != "," or '"' not in text:
            yield line, text.rstrip("\n").split(delimiter)
            continue
        try:
            yield line, next(csv.reader([text], strict=True))
        except csv.Error as error:
            bad.append(BadRow(source=str(path), line=line, why=f"is no CSV: {error}"))


def _header(path: Path, header: list[str], form: Form, bad: list[BadRow]) -> list[str]:
    names = [name.strip() for name in header]
    absent = [column for column in form.columns if column not in names]
    if absent:
        what = f"the header lacks {', '.join(absent)}; want the columns {form.delimiter.join(form.columns)}"
        raise InvalidInput([Problem(f"{path}:1", no_text("".join(names)) or what)])
    known = {*form.columns, *form.optional, *(names if form.others else ())}
    odd = [name for name in names if name not in known] + sorted({n for n in names if names.count(n) > 1})
    if odd:
        why = f"columns that are not known or named twice are not read: {', '.join(repr(name) for name in odd)}"
        bad.append(BadRow(source=str(path), line=1, why=why))
    return names


def _row(line: int, header: list[str], cells: list[str]) -> Row:
    if len(cells) != len(header):
        raise BadCell(f"has {len(cells)} cells, and the header {len(header)}")
    return Row(line, dict(zip(header, cells, strict=True)))

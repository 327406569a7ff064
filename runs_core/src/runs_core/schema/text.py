"""YAML and JSON text to JSON values that know their lines.

Plain words mean what they mean in JSON: `yes`, `on`, `0o7`, `012`, `1:30` and `2026-01-31` are texts, never a truth
value, a number or a date (YAML 1.1 would guess).
"""

from __future__ import annotations

import json
import re
from math import isfinite
from typing import Any, TextIO

import attrs
import yaml

from runs_core.schema.say import Path, got
from runs_core.schema.tree import MOST_DEPTH, TOO_DEEP, List, Map, Node, Scalar, refuse, trees

MOST_CHARACTERS = 64 * 1024 * 1024
MOST_COPIES = 100_000
"""Entries that aliases may stand for in one file: a bomb is millions."""
_LONG = 64
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,18})")
_FLOAT = re.compile(r"-?(0|[1-9][0-9]{0,18})(\.[0-9]{1,20})?([eE][-+]?[0-9]{1,3})?")
_WORDS = {"": None, "~": None} | {
    spelled: value
    for word, value in (("null", None), ("true", True), ("false", False))
    for spelled in (word, word.capitalize(), word.upper())
}
_UNPRINTABLE = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_START = re.compile(r"[ \t\r\n]*\{")


@attrs.frozen
class Parsed:
    """One document: its value, where each part of it stands, and which of its keys stand there twice."""

    value: Any
    root: Node
    twice: tuple[tuple[Path, int], ...] = ()

    def line(self, path: Path) -> int:
        """Of the field at this path, or of the nearest part around it that is there."""
        node, line = self.root, self.root.line
        for step in path:
            match node:
                case Map(pairs) if found := [pair for pair in pairs if pair[0].text == step]:
                    line, node = found[0][0].line, found[0][1]
                case List(items) if isinstance(step, int) and step < len(items):
                    node = items[step]
                    line = node.line
                case _:
                    return line
        return line


def bounded(file: TextIO, source: str) -> str:
    """All that it says. InvalidInput: it says more than anybody writes, as a device or a pipe without an end does."""
    text = file.read(MOST_CHARACTERS + 1)
    _refuse_long(text, source)
    return text


def _refuse_long(text: str, source: str) -> None:
    if len(text) > MOST_CHARACTERS:
        refuse(source, f"got more than {MOST_CHARACTERS} characters; split the file, or name another")


def parse(text: str, source: str) -> tuple[Parsed, ...]:
    """All documents that hold anything. InvalidInput: it is neither YAML nor JSON, or hides what it says."""
    _refuse_long(text, source)
    if odd := _UNPRINTABLE.search(text):
        line = text.count("\n", 0, odd.start()) + 1
        refuse(f"{source}:{line}", f"got the character U+{ord(odd.group()):04X}, want text in UTF-8")
    try:
        roots = [root for part in _parts(text) for root in trees(_for_yaml(part), source)]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line if mark else 0
        refuse(f"{source}:{line + 1}", _unread(text, line, error))
    except yaml.YAMLError as error:
        refuse(source, f"got text that is neither YAML nor JSON ({' '.join(str(error).split())})")
    return tuple(_parsed(root, source) for root in roots)


def _parsed(root: Node, source: str) -> Parsed:
    reader = _Reader(source)
    return Parsed(reader.value(root), root, tuple(reader.twice))


def _unread(text: str, line: int, error: yaml.MarkedYAMLError) -> str:
    lines = text.split("\n")
    if line < len(lines) and "\t" in lines[line][: len(lines[line]) - len(lines[line].lstrip())]:
        return "got a tab at the start of the line, want spaces"
    if "nesting depth" in (error.problem or ""):
        return TOO_DEEP
    return f"got text that is neither YAML nor JSON ({error.problem or error.context})"


def _parts(text: str) -> list[str]:
    """JSON objects may follow each other without anything between; each keeps its lines by the empty ones before it."""
    if not text.lstrip().startswith("{"):
        return [text]
    parts, at = [], 0
    try:
        while start := _START.match(text, at):
            at = json.JSONDecoder().raw_decode(text, start.end() - 1)[1]
            parts.append("\n" * text.count("\n", 0, start.end() - 1) + text[start.end() - 1 : at])
    except (ValueError, RecursionError):
        return [text]
    return parts if not text[at:].strip() else [text]


def _for_yaml(text: str) -> str:
    """JSON that YAML trips over: tabs between tokens, and characters escaped as two surrogates. Lines stay."""
    if not text.lstrip().startswith(("{", "[")):
        return text
    joined = re.sub(r"(?<!\\)((?:\\\\)*)\\u([dD][89abAB]..)\\u([dD][c-fC-F]..)", _joined, text)
    return joined.replace("\t", " ")


def _joined(pair: re.Match[str]) -> str:
    high, low = int(pair[2], 16), int(pair[3], 16)
    return f"{pair[1]}\\U{0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00):08x}"


@attrs.define
class _Reader:
    """From nodes to JSON values. visited: nodes met, to know a copy by an alias from what the text says once."""

    source: str
    copies: int = 0
    visited: set[int] = attrs.field(factory=set)
    twice: list[tuple[Path, int]] = attrs.field(factory=list)

    def value(self, node: Node, path: Path = ()) -> Any:
        """The path's length is the depth: aliases may nest what the text does not."""
        if isinstance(node, Scalar):
            return self._scalar(node)
        if len(path) > MOST_DEPTH:
            refuse(f"{self.source}:{node.line}", TOO_DEEP)
        self._count(node, 1 + len(node.items if isinstance(node, List) else node.pairs))
        if isinstance(node, List):
            return [self.value(item, (*path, index)) for index, item in enumerate(node.items)]
        found: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key, value in node.pairs:
            here = (*path, key.text)
            if key.plain and key.text == "<<":
                merged = self._merged(self.value(value, here), value.line) | merged
            elif key.text in found:
                self.twice.append((here, key.line))
            else:
                found[key.text] = self.value(value, here)
        return merged | found

    def _count(self, node: Node, size: int) -> None:
        if id(node) not in self.visited:
            self.visited.add(id(node))
            return
        self.copies += size
        if self.copies > MOST_COPIES:
            what = f"got aliases that stand for more than {MOST_COPIES} entries, want them written out"
            refuse(f"{self.source}:{node.line}", what)

    def _merged(self, value: Any, line: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for one in reversed(value if isinstance(value, list) else [value]):
            if not isinstance(one, dict):
                refuse(f"{self.source}:{line}", f"got {got(one)} to merge, want a map")
            found |= one
        return found

    def _scalar(self, node: Scalar) -> Any:
        text = node.text
        if len(text) > _LONG:
            self._count(node, len(text) // _LONG)
        if not node.plain or len(text) > _LONG:
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _INTEGER.fullmatch(text):
            return int(text)
        return float(text) if _FLOAT.fullmatch(text) and isfinite(float(text)) else text

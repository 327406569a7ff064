"""The tree of a YAML text, with lines. Nothing here recurses, so that no depth of nesting can hurt."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn

import attrs
import yaml

from runs_core.errors import InvalidInput, Problem

MOST_DEPTH = 64
TOO_DEEP = f"got more than {MOST_DEPTH} levels of nesting, want fewer"
_TEXT_TAG = "tag:yaml.org,2002:str"
_LOADER: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


@attrs.frozen(eq=False)
class Scalar:
    """plain: without quotes or a tag, so that it may be a number, a truth value or null."""

    text: str
    plain: bool
    line: int


@attrs.frozen(eq=False)
class List:
    """line: counted from 1, here and below."""

    items: list[Node]
    line: int


@attrs.frozen(eq=False)
class Map:
    """pairs: in the order of the text, keys as they are written."""

    pairs: list[tuple[Scalar, Node]]
    line: int


Node = Scalar | List | Map


def refuse(where: str, what: str) -> NoReturn:
    """As an InvalidInput of one problem."""
    raise InvalidInput([Problem(where, what)])


def trees(text: str, source: str) -> Iterator[Node]:
    """Of each document that holds anything. InvalidInput, yaml.YAMLError: the text is none."""
    events: Iterator[Any] = yaml.parse(text, Loader=_LOADER)
    builder = _Builder(source)
    for event in events:
        root = builder.take(event)
        if root is not None and not (isinstance(root, Scalar) and root.plain and not root.text):
            yield root


@attrs.define
class _Builder:
    """A stack of what is open, with the key that each map waits to have a value for."""

    source: str
    stack: list[List | Map] = attrs.field(factory=list)
    keys: list[Scalar | None] = attrs.field(factory=list)
    anchors: dict[str, Node] = attrs.field(factory=dict)

    def take(self, event: Any) -> Node | None:
        """The root, when it is complete."""
        line = event.start_mark.line + 1
        match event:
            case yaml.DocumentStartEvent():
                self.anchors = {}
            case yaml.AliasEvent():
                return self._put(self._anchored(str(event.anchor), line), line)
            case yaml.ScalarEvent():
                scalar = Scalar(event.value, bool(event.implicit[0]) and event.tag is None, line)
                return self._put(self._noted(event, scalar), line)
            case yaml.SequenceStartEvent():
                self._open(event, List([], line))
            case yaml.MappingStartEvent():
                self._open(event, Map([], line))
            case yaml.CollectionEndEvent():
                self.keys.pop()
                done = self.stack.pop()
                return None if self.stack else done
            case _:
                pass
        return None

    def _noted(self, event: Any, node: Node) -> Node:
        if event.tag not in (None, "!", _TEXT_TAG):
            refuse(f"{self.source}:{node.line}", f"got the tag {event.tag}, want plain YAML without tags")
        if event.anchor:
            self.anchors[event.anchor] = node
        return node

    def _anchored(self, name: str, line: int) -> Node:
        if name not in self.anchors:
            refuse(f"{self.source}:{line}", f"got the alias *{name}, want an anchor &{name} before it")
        return self.anchors[name]

    def _open(self, event: Any, node: List | Map) -> None:
        self._put(self._noted(event, node), node.line)
        self.stack.append(node)
        self.keys.append(None)
        if len(self.stack) > MOST_DEPTH:
            refuse(f"{self.source}:{node.line}", TOO_DEEP)

    def _put(self, node: Node, line: int) -> Node | None:
        """Into what is open; the node itself where nothing is."""
        if not self.stack:
            return node
        into, key = self.stack[-1], self.keys[-1]
        if isinstance(into, List):
            into.items.append(node)
        elif key is not None:
            into.pairs.append((key, node))
            self.keys[-1] = None
        elif isinstance(node, Scalar):
            self.keys[-1] = node
        else:
            refuse(f"{self.source}:{line}", "got a key that is a list or a map, want text")
        return None

"""A plugin's part of a kind's spec, or of its status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import attrs

from runs_core.values.fields import Rule

T = TypeVar("T")


@attrs.frozen(kw_only=True)
class Section:
    """Fields of `spec.<name>` (name empty: of `spec` itself) of one kind (`Run` or `Budget`), as the attrs class `cls`.

    part: `status` means fields of the status, which the scheduler writes as the plugin accounts for them. Several
    plugins may add fields to one section; the same field twice is a start-up error.

    rules: relations of these fields to others of the part, which rules of `cls` cannot see: in their CEL `self` is the
    spec (or status), and `check` gets its value, with `section(value.sections, cls)` in it. field: from there.
    """

    plugin: str
    kind: str
    name: str
    cls: type
    part: str = "spec"
    rules: tuple[Rule, ...] = ()

    def within(self, kind: str, part: str) -> bool:
        """Whether it adds to this part of this kind."""
        return (self.kind, self.part) == (kind, part)


def section(sections: Mapping[type, Any], cls: type[T]) -> T | None:
    """That plugin's part of a spec; None where the manifest has none of it."""
    found: T | None = sections.get(cls)
    return found

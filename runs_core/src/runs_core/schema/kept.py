"""Parts of an object that the scheduler alone writes, and often: the API server keeps them as they come.

Where a schema names fields it looks through all that there may be for each that is there, several times with each
write. Of such a part it knows what a rule of changes looks at, and no more: what is so stays so. All else is judged by
whoever reads it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from runs_core.schema.asked import asked
from runs_core.schema.convert import Object
from runs_core.schema.names import Kind
from runs_core.schema.shape import Items, Record, Shape, Table
from runs_core.values.fields import Rule, rules_of

OPEN = "x-kubernetes-preserve-unknown-fields"


def as_it_comes(kind: Kind, part: str, shape: Record, found: Object) -> Object:
    """A part's schema. found: with all of its fields, which are described in words now."""
    held = [rule for rule in shape.rules if rule.change is not None]
    seen = looked_at(held) | looked_at(rules_beside(kind), f"{part}.")
    known = {name: field for name, field in found["properties"].items() if name in seen}
    told = "\n".join(("Written by the scheduler only, and kept as it comes. Its fields:", *_fields(shape)))
    return {
        "type": "object",
        "description": told,
        OPEN: True,
        **({"properties": known} if known else {}),
        **asked(held),
    }


def rules_beside(kind: Kind) -> list[Rule]:
    """Those about the whole object, without what is left to readers: of what is kept as it comes all but changes."""
    parts = kind.as_it_comes
    return [one for one in rules_of(kind.value) if one.change is not None or one.field.partition(".")[0] not in parts]


def looked_at(rules: Sequence[Rule], inside: str = "") -> set[str]:
    """The fields below `inside` that these rules name."""
    named = re.compile(rf"\b(?:self|oldSelf)\.{re.escape(inside)}(\w+)")
    return {name for rule in rules for text in (rule.cel, rule.unless) for name in named.findall(text)}


def _fields(shape: Shape, path: str = "") -> Iterator[str]:
    """What each is, for `kubectl explain`."""
    match shape:
        case Record():
            for member in shape.members:
                name = f"{path}.{member.name}".lstrip(".")
                yield f"- {name}: {member.doc}"
                yield from _fields(member.shape, name)
        case Items() | Table():
            yield from _fields(shape.of, f"{path}[]")
        case _:
            return

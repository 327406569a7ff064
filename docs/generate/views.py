"""docs/reference/views.md: the JSON of computed views, from their classes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import attrs
from docs.generate.keys import MEANS
from docs.generate.text import code, head, section, table

from runs_core.schema.names import camel
from runs_core.serve import summary
from runs_core.serve.doctor.finding import Diagnosis
from runs_core.serve.summary import Summary
from runs_core.serve.views.by_hand import ByHand
from runs_core.serve.views.explain import Explanation
from runs_core.serve.views.plan import Plan
from runs_core.serve.views.queue import Line
from runs_core.serve.views.status import Status
from runs_core.serve.views.top import Top
from runs_core.serve.views.verified import Verification
from runs_core.values.meta import Key
from runs_core.values.node import Domain

WORDS = """
`-o json` and `-o yaml` of a command that computes something give one object with these keys. More may be added, none is
renamed. Times are RFC 3339 in UTC, durations are seconds, GPUs are integers, a run is `namespace/name`, and what is not
there is null. Commands that show objects (`get`, `submit`, `leases`, `pods`, `cancel`, …) give Kubernetes objects:
one as itself, several as a `List`.
"""
VIEWS: Mapping[str, tuple[type, str]] = {
    "plan": (Plan, '`runs plan RUN`. For a file with several runs: `{"items": […]}`.'),
    "explain": (
        Explanation,
        (
            "`runs explain RUN`. With `--history` also `history`, the decisions on record, oldest first (of a live "
            "cluster: the Events), and `events`: on an embedded cluster the Events of the run, by first sight. "
            "All keys of [plan](#plan), and these:"
        ),
    ),
    "queue": (Line, "`runs queue`, in line order."),
    "top": (Top, "`runs top`."),
    "cluster status": (
        Status,
        "`runs cluster status`, and `cluster` `init`, `delete`, `advance`, `lose`, `restore`, `cordon`, `uncordon`.",
    ),
    "resolve run": (
        ByHand,
        (
            "`runs resolve run`, before or, with `--apply`, after it. Exit code 1 where there would not be enough, or "
            "nothing came of it."
        ),
    ),
    "resolve verify": (
        Verification,
        "`runs resolve verify NAME`; [what is worked out](../explanation/draw.md). Exit code 1 where any differs.",
    ),
    "doctor": (Diagnosis, "`runs doctor`, what must be mended first coming first. Exit code 1 where `items` has any."),
    "simulate": (
        Summary,
        (
            "`runs simulate`; [how to read it](../howto/simulate.md). With `--compare…` also `compared`, with the same "
            "keys, as it is with what was changed."
        ),
    ),
}


def page() -> str:
    """The whole page. LookupError: a key has no line, or a line has no key."""
    told = "".join(_view(name, cls, says) for name, (cls, says) in VIEWS.items())
    known = {owner for cls, _ in VIEWS.values() for owner, *_ in _keys(cls, "")}
    if known != set(MEANS):
        raise LookupError(f"docs/generate/keys.py: keys and lines differ in {sorted(known ^ set(MEANS))}")
    return head("Views as JSON", "runs_core/serve/views and docs/generate/keys.py", WORDS) + told


def _view(name: str, cls: type, says: str) -> str:
    rows = [
        [code(path), type_, MEANS.get(owner, "")]
        for owner, path, type_ in _keys(cls, "", of_plan=cls is not Explanation)
    ]
    return section(name, says, table(["key", "type", "says"], rows))


def _keys(cls: type, path: str, *, of_plan: bool = True) -> Iterator[tuple[str, str, str]]:
    """(class and field, path of the key, type in words) of everything below. of_plan: with what comes from Plan."""
    hints = get_type_hints(cls)
    for name in _fields(cls):
        if not of_plan and name in _fields(Plan):
            continue
        hint, null = _optional(hints[name])
        many = get_origin(hint) in (tuple, Sequence) and bool(get_args(hint))
        inner = get_args(hint)[0] if many else hint
        here = f"{path}{camel(name.rstrip('_'))}"
        yield f"{_owner(cls, name)}.{name}", here, _words(inner, many=many) + (" or null" if null else "")
        if _fields(inner):
            yield from _keys(inner, f"{here}[]." if many else f"{here}.")


def _fields(cls: object) -> Sequence[str]:
    """Of what is written as an object; none of anything else."""
    if cls in (Key, Domain) or not isinstance(cls, type):
        return ()
    if attrs.has(cls):
        return [field.name for field in attrs.fields(cls)]
    return getattr(cls, "_fields", ())


def _owner(cls: type, name: str) -> str:
    """The class that declares the field. Two classes are called Counts."""
    found = next(base for base in reversed(cls.__mro__) if name in _fields(base))
    return f"Run{found.__name__}" if found is summary.Counts else found.__name__


def _optional(hint: object) -> tuple[Any, bool]:
    if get_origin(hint) in (Union, UnionType) and NoneType in get_args(hint):
        return next(one for one in get_args(hint) if one is not NoneType), True
    return hint, False


def _words(hint: object, *, many: bool) -> str:
    if get_origin(hint) is tuple and not get_args(hint):
        return "list"
    if get_origin(hint) is Mapping:
        return f"map to {_words(get_args(hint)[1], many=False)}"
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        word = ", ".join(code(option.value) for option in hint)
    else:
        word = _PLAIN.get(hint, "object")
    if not many:
        return word
    return f"list of {word}" if word.endswith(("s", "t`")) or word == "text" else f"list of {word}s"


_PLAIN: Mapping[Any, str] = {
    NoneType: "null",
    bool: "true or false",
    int: "integer",
    float: "number",
    str: "text",
    datetime: "time",
    timedelta: "seconds",
    Key: "run",
    Domain: "text",
}

"""How a refusal names what it got."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from runs_core.values.meta import DNS_LABEL, DNS_NAME, EXTENDED_RESOURCE, LABEL_KEY, LABEL_VALUE

Path = tuple[str | int, ...]
_MOST = 40
_SPELLINGS = {
    DNS_LABEL: "lower-case letters, digits and - between them",
    DNS_NAME: "lower-case letters, digits, and - or . between them",
    EXTENDED_RESOURCE: "a resource with its domain such as nvidia.com/gpu",
    LABEL_KEY: "a label key such as team or example.com/team",
    LABEL_VALUE: "letters, digits, and -, _ or . between them",
    ".+": "one line of text",
}
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def got(value: object) -> str:
    """A JSON value in a few words: `'eight'`, `12`, `a list of 3`."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case str():
            return repr(value if len(value) <= _MOST else value[: _MOST - 1] + "…")
        case list():
            return f"a list of {len(value)}"
        case dict():
            return "a map"
        case int() if abs(value) >= 10**_MOST:
            return "a number of more than 40 digits"
        case _:
            return str(value)


def spell(path: Path) -> str:
    """`spec.after[0]`, `metadata.labels[a.b/c]`."""
    text = ""
    for step in path:
        if isinstance(step, int) or _PLAIN.fullmatch(step) is None:
            text += f"[{step if isinstance(step, int) else step[:_MOST]}]"
        else:
            text += f".{step}" if text else step
    return text


def guess(name: str, known: Iterable[str], *, cutoff: float = 0.6) -> str:
    """` (did you mean x?)`, or nothing where no known name is as near as cutoff, from 0 to 1."""
    by_small = {one.lower(): one for one in known}
    near = get_close_matches(name.lower(), list(by_small), n=1, cutoff=cutoff)
    return f" (did you mean {by_small[near[0]]}?)" if near else ""


def one_of(names: Sequence[str]) -> str:
    """`a`, `a or b`, `one of a, b, c`."""
    return " or ".join(names) if len(names) <= 2 else f"one of {', '.join(names)}"  # noqa: PLR2004 - two read better so


def spelling(pattern: str) -> str:
    """What a pattern asks for, in words where it is a common one."""
    return _SPELLINGS.get(pattern, f"text that matches {pattern}")

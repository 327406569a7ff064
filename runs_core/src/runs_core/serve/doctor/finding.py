"""What a check says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs

MOST_NAMES = 5


@attrs.frozen(kw_only=True)
class Finding:
    """check: one word. about: the object meant. what: what is wrong, and what follows from it. remedy: a command."""

    check: str
    about: str
    what: str
    remedy: str


@attrs.frozen(kw_only=True)
class Diagnosis:
    """unread: what could not be looked at, with the reason; what hangs on it is not judged. checks: how many."""

    items: tuple[Finding, ...]
    unread: Mapping[str, str]
    checks: int


def some(names: Iterable[str]) -> str:
    """The first few, and how many more."""
    found = sorted(names)
    more = len(found) - MOST_NAMES
    return ", ".join(found[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")

"""Which runs wait for which others to succeed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet

from runs_core.values.meta import Key
from runs_core.values.run import Run


class Dependents:
    """by_run: the unfinished runs that name it in `after`."""

    def __init__(self) -> None:
        self.by_run: dict[Key, set[Key]] = {}

    def of(self, key: Key) -> Sequence[Key]:
        """Sorted."""
        return sorted(self.by_run.get(key, ()))

    def replace(self, key: Key, old: Run | None, run: Run | None, runs: Mapping[Key, Run]) -> AbstractSet[Key]:
        """It was that and is this now. Returns whom that gives something to do. runs: all, this one included."""
        before, after = _waits_for(old), _waits_for(run)
        if before == after:
            return frozenset()
        told: set[Key] = set()
        for name in before:
            upstream = Key(key.namespace, name)
            waiting = self.by_run[upstream]
            waiting.discard(key)
            if not waiting:
                del self.by_run[upstream]
                told.add(upstream)  # its retention, if it has finished, no longer waits for anybody
        for name in after:
            self.by_run.setdefault(Key(key.namespace, name), set()).add(key)
        return told | _circle(key, {*before, *after}, runs)


def _waits_for(run: Run | None) -> tuple[str, ...]:
    return run.spec.after if run is not None and not run.status.phase.terminal else ()


def _circle(key: Key, names: Iterable[str], runs: Mapping[Key, Run]) -> set[Key]:
    """The unfinished runs that lead from these back to it, and what else these wait for; empty: none.

    All that wait in a circle say so, also those that neither changed nor wait for this run directly.
    """
    seen: set[Key] = set()
    stack = [Key(key.namespace, name) for name in names]
    while stack:
        at = stack.pop()
        if at not in seen:
            seen.add(at)
            stack += (Key(at.namespace, name) for name in _waits_for(runs.get(at)))
    return seen if key in seen else set()

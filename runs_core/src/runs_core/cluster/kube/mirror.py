"""What is known of each object: as last seen, and as the writes under way will make it.

An event that is older than what was seen is passed over, so that nothing goes back in time. As long as a write of
ours is under way, its outcome counts; once it is acknowledged the server's own answer does; if it is refused, what was
last seen.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence

from runs_core.cluster.kube import paths
from runs_core.cluster.kube.outcomes import outcome, overlaid
from runs_core.cluster.seen import Name, Value, as_change
from runs_core.values import change as c
from runs_core.values.effect import Effect
from runs_core.values.meta import Key
from runs_core.values.node import Node
from runs_core.values.pod import Pod
from runs_core.values.run import Run

GONE_KEPT = 20_000
"""Deleted objects whose last version is remembered, so that a late answer does not bring them back."""


class Mirror:
    """Used by one thread; any may ask for what was seen last."""

    def __init__(self) -> None:
        self._seen: dict[str, dict[Key, Value]] = {kind: {} for kind in paths.LISTS}
        self._versions: dict[str, dict[Key, int]] = {kind: {} for kind in paths.LISTS}
        self._flavors: Counter[str] = Counter()
        self._gone: deque[Name] = deque()
        self._removed: dict[Name, str] = {}
        self._assumed: dict[Name, tuple[Value | None, int]] = {}
        self._lacked: dict[Name, int] = {}
        self._going: dict[Name, str] = {}

    def names(self, kind: str) -> list[Key]:
        """Keys of a kind that were seen, sorted."""
        return sorted(self._seen[kind])

    def last(self, name: Name) -> Value | None:
        """The object as it was seen last."""
        kind, key = name
        return self._seen[kind].get(key)

    def get(self, name: Name) -> Value | None:
        """The object as it counts; None: it is not there, or is about to go."""
        seen = self.last(name)
        if name not in self._assumed:
            return seen
        return overlaid(seen, self._assumed[name][0])

    def run(self, key: Key) -> Run | None:
        """As it was seen last."""
        found = self._seen["Run"].get(key)
        return found if isinstance(found, Run) else None

    def node(self, name: str) -> Node | None:
        """As it was seen last."""
        found = self._seen["Node"].get(Key("", name))
        return found if isinstance(found, Node) else None

    def run_of_pod(self, key: Key) -> Key | None:
        """The run whose rank a pod is."""
        found = self.get(("Pod", key))
        return found.rank.run if isinstance(found, Pod) and found.rank is not None else None

    def known(self) -> Iterator[c.Change]:
        """What builds a world from nothing."""
        for kind in paths.LISTS:
            for key in self.names(kind):
                change = as_change((kind, key), self.get((kind, key)))
                if change is not None:
                    yield change

    def flavors(self) -> tuple[str, ...]:
        """Of the nodes with GPUs, sorted."""
        return tuple(sorted(flavor for flavor, nodes in self._flavors.items() if nodes))

    def assumes(self, name: Name) -> bool:
        """Whether a write of it is under way."""
        return name in self._assumed

    def version(self, name: Name) -> int:
        """Of the object, as last seen; 0: never."""
        kind, key = name
        return self._versions[kind].get(key, 0)

    def passed(self, name: Name, version: int) -> bool:
        """Whether that version, or a later one, was seen: it says nothing new."""
        kind, key = name
        return version <= self._versions[kind].get(key, -1)

    def saw(self, name: Name, version: int, value: Value | None) -> Iterator[c.Change]:
        """An object at that version; value None: deleted at that version."""
        if self.passed(name, version):
            return
        kind, key = name
        self._versions[kind][key] = version
        if isinstance(value, Run | Pod) and self._removed.get(name) == value.uid:
            return  # told late of what was taken away since
        self._removed.pop(name, None)
        if value is None:
            self._forget(name)
        else:
            self._put(name, value)
        yield from self._told(name)

    def _put(self, name: Name, value: Value | None) -> None:
        kind, key = name
        if kind == "Node":
            for node, change in ((self._seen[kind].get(key), -1), (value, 1)):
                if isinstance(node, Node) and node.gpus:
                    self._flavors[node.flavor] += change
        if value is None:
            self._seen[kind].pop(key, None)
        else:
            self._seen[kind][key] = value

    def _forget(self, name: Name) -> None:
        self._put(name, None)
        self._gone.append(name)
        if len(self._gone) > GONE_KEPT:
            old = self._gone.popleft()
            kind, key = old
            if key not in self._seen[kind]:
                self._versions[kind].pop(key, None)
                self._removed.pop(old, None)

    def vanished(self, name: Name, version: int) -> Iterator[c.Change]:
        """A list of that version does not have it. One that is just being made is only not there yet.

        Whether it was, or has gone while something of it was being written, is known once that is over: no watch that
        begins with the list tells of it.
        """
        if name in self._assumed:
            self._lacked[name] = version
        else:
            yield from self.saw(name, version, None)

    def assume(self, effects: Sequence[Effect]) -> None:
        """These writes begin; the world has taken them up already."""
        for effect in effects:
            made = outcome(effect)
            if made is not None:
                name, value = made
                if value is None and isinstance(known := self.last(name), Run | Pod):
                    self._going[name] = known.uid
                self._assumed[name] = (value, self._assumed.get(name, (None, 0))[1] + 1)

    def done(self, effect: Effect) -> None:
        """It is written, and nobody said how the object now is: it counts as it was meant until the watch tells."""
        made = outcome(effect)
        known = self.last(made[0]) if made is not None else None
        if made is None or made[1] is None or known is None:
            return
        meant = overlaid(known, made[1])
        if meant is not None:
            self._put(made[0], meant)

    def settled(self, effect: Effect, *, written: bool) -> Iterator[c.Change]:
        """That write is over: what was seen counts again, unless another is under way.

        What it took away does not come back until another of its name is made, however late the watch tells of it. One
        that is there already is not what it took away.
        """
        made = outcome(effect)
        if made is None or made[0] not in self._assumed:
            return
        name = made[0]
        if written and made[1] is None:
            self._take_away(name)
        value, writes = self._assumed[name]
        if writes > 1:
            self._assumed[name] = (value, writes - 1)
            return
        del self._assumed[name]
        self._going.pop(name, None)
        if (lacked := self._lacked.pop(name, None)) is not None and not self.passed(name, lacked):
            yield from self.saw(name, lacked, None)
        else:
            yield from self._told(name)

    def _take_away(self, name: Name) -> None:
        known, uid = self.last(name), self._going.pop(name, "")
        if isinstance(known, Run | Pod) and known.uid == uid:
            self._removed[name] = uid
            self._forget(name)

    def _told(self, name: Name) -> Iterator[c.Change]:
        change = as_change(name, self.get(name))
        if change is not None:
            yield change

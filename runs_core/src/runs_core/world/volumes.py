"""Claims, volumes and classes, and where the pods that use a claim can therefore run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from runs_core.values.meta import Key
from runs_core.values.storage import KIND_OF, Storage, StorageClass, Volume, VolumeClaim
from runs_core.values.template import Operator, Requirement, Terms

Name = tuple[str, Key]
"""A kind of Kubernetes, and who it is."""


def name_of(thing: Storage) -> Name:
    """Who it is."""
    return KIND_OF[type(thing)], thing.key


class Volumes:
    """things: all that were seen. users: the runs whose template uses a claim."""

    def __init__(self) -> None:
        self.things: dict[Name, Storage] = {}
        self.users: dict[Key, set[Key]] = {}

    def claim(self, key: Key) -> VolumeClaim | None:
        found = self.things.get(("PersistentVolumeClaim", key))
        return found if isinstance(found, VolumeClaim) else None

    def volume(self, name: str) -> Volume | None:
        found = self.things.get(("PersistentVolume", Key("", name)))
        return found if isinstance(found, Volume) else None

    def storage_class(self, name: str) -> StorageClass | None:
        found = self.things.get(("StorageClass", Key("", name)))
        return found if isinstance(found, StorageClass) else None

    def waits(self, claim: VolumeClaim) -> bool:
        """Whether its volume is made once it is known for which node, and was not yet."""
        known = self.storage_class(claim.storage_class)
        return claim.volume is None and not claim.lost and known is not None and known.waits

    def terms(self, namespace: str, claims: Iterable[str], *, pods: int) -> tuple[Terms, ...]:
        """What the nodes of so many pods that use these must meet: all of them, of each any one term.

        A volume that is just being made for a node binds a single pod to it; of several, most are elsewhere anyway.
        """
        found = [terms for name in claims for terms in self._terms(Key(namespace, name), alone=pods == 1)]
        return tuple(dict.fromkeys(found))

    def _terms(self, key: Key, *, alone: bool) -> Iterator[Terms]:
        claim = self.claim(key)
        if claim is None:
            return
        if claim.volume is not None:
            volume = self.volume(claim.volume)
            if volume is not None and volume.terms:
                yield volume.terms
        elif self.waits(claim):
            if claim.node is not None and alone:
                yield ((Requirement(key="metadata.name", operator=Operator.IN, values=(claim.node,), on_name=True),),)
            known = self.storage_class(claim.storage_class)
            if known is not None and known.terms:
                yield known.terms

    def use(self, run: Key, before: Sequence[str], now: Sequence[str]) -> None:
        """The run's template used the first, and uses the second."""
        for name in before:
            key = Key(run.namespace, name)
            users = self.users.get(key, set())
            users.discard(run)
            if not users:
                self.users.pop(key, None)
        for name in now:
            self.users.setdefault(Key(run.namespace, name), set()).add(run)

    def replace(self, name: Name, thing: Storage | None) -> Sequence[Key]:
        """It is now so; None: gone. Returns the claims whose pods may be able to run elsewhere now. O(claims used)."""
        kind, key = name
        self.things.pop(name, None)
        if thing is not None:
            self.things[name] = thing
        if kind == "PersistentVolumeClaim":
            return (key,)
        return [used for used in sorted(self.users) if self._about(self.claim(used), kind, key.name)]

    def _about(self, claim: VolumeClaim | None, kind: str, name: str) -> bool:
        if claim is None:
            return False
        return name == (claim.volume if kind == "PersistentVolume" else claim.storage_class)

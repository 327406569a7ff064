"""Stored objects, read where they arrive: page by page, so that what a cluster of any size says is held once."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from runs_core.cluster.kube.api import Object
from runs_core.cluster.kube.mirror import Mirror
from runs_core.cluster.kube.podmake import FINALIZER
from runs_core.cluster.kube.snapshot import key_of
from runs_core.cluster.seen import Value, read
from runs_core.errors import InvalidInput
from runs_core.settings import FleetSettings
from runs_core.values.lease import Lease
from runs_core.values.meta import Key
from runs_core.values.pod import Pod
from runs_core.values.run import Run
from runs_core.values.section import Section


@attrs.frozen(kw_only=True)
class Seen:
    """An object of that version. held: it has our finalizer.

    value: as runs reads it. unread: the object itself, where runs cannot read it, and why. Neither: it is no news.
    """

    key: Key
    version: int
    held: bool = False
    value: Value | None = None
    unread: Object | None = None
    why: str = ""


class Reader:
    """Of any thread: what it looks up of the mirror is only what need not be read anew."""

    def __init__(self, mirror: Mirror, fleet: FleetSettings, sections: Sequence[Section]) -> None:
        self._mirror = mirror
        self._fleet = fleet
        self._sections = sections

    def knows(self, kind: str, key: Key, version: int) -> bool:
        """Whether that version of it, or a later one, was seen."""
        return self._mirror.passed((kind, key), version)

    def seen(self, kind: str, item: Object) -> Seen:
        """Never refuses."""
        key, metadata = key_of(item), item["metadata"]
        name, version = (kind, key), int(metadata["resourceVersion"])
        if self.knows(kind, key, version):
            return Seen(key=key, version=version)
        held = FINALIZER in (metadata.get("finalizers") or [])
        try:
            value = read(kind, item, self._fleet, self._sections, self._mirror.last(name))
        except InvalidInput as error:
            return Seen(key=key, version=version, held=held, unread=item, why=str(error))
        own = value.key if isinstance(value, Run | Lease | Pod) else key  # one and the same, held once
        return Seen(key=own, version=version, held=held, value=value)

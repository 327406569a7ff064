"""What pods keep their data on, as far as it says where they can run: claims, volumes, and classes of volumes."""

from __future__ import annotations

import attrs

from runs_core.values.changed import made_of
from runs_core.values.meta import Key, key_of
from runs_core.values.template import Terms

SELECTED_NODE = "volume.kubernetes.io/selected-node"
"""The annotation of a claim that says for which node its volume is to be made."""


@attrs.frozen(kw_only=True)
class VolumeClaim:
    """A PersistentVolumeClaim. volume: that it is bound to; None: to none yet. lost: it was, and that is gone.

    node: for which its volume is to be made; None: nobody has said. deleting: it is asked to go.
    """

    namespace: str
    name: str
    uid: str = ""
    storage_class: str = ""
    volume: str | None = None
    node: str | None = None
    lost: bool = False
    deleting: bool = False
    key: Key = made_of("namespace", "name", by=key_of)


@attrs.frozen(kw_only=True)
class Volume:
    """A PersistentVolume. terms: of the nodes that reach it, any of them; none: every node does."""

    name: str
    terms: Terms = ()

    @property
    def key(self) -> Key:
        return Key("", self.name)


@attrs.frozen(kw_only=True)
class StorageClass:
    """waits: a volume is made once it is known for which node. terms: where volumes can be made; none: anywhere."""

    name: str
    waits: bool = False
    terms: Terms = ()

    @property
    def key(self) -> Key:
        return Key("", self.name)


Storage = VolumeClaim | Volume | StorageClass
KIND_OF = {VolumeClaim: "PersistentVolumeClaim", Volume: "PersistentVolume", StorageClass: "StorageClass"}
"""Their names in Kubernetes."""

"""What somebody may do in the cluster."""

from __future__ import annotations

import attrs


@attrs.frozen(kw_only=True)
class Permission:
    """As a rule of a Kubernetes role says it. api_group: empty for the core group. resource: plural, as in URLs.

    names: only these objects; none: all of the resource. ValueError: it holds a wildcard, or allows nothing.
    """

    api_group: str
    resource: str
    verbs: tuple[str, ...]
    names: tuple[str, ...] = ()

    def __attrs_post_init__(self) -> None:
        if not self.resource or not self.verbs:
            raise ValueError(f"a permission allows nothing: resource {self.resource!r}, verbs {self.verbs!r}")
        for word in (self.api_group, self.resource, *self.verbs, *self.names):
            if "*" in word:
                raise ValueError(f"got {word!r}, want each one by name: a wildcard is never granted")

    def __str__(self) -> str:
        name = f"{self.resource}.{self.api_group}" if self.api_group else self.resource
        return " ".join([", ".join(self.verbs), name, *self.names])

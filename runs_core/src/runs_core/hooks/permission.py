"""What a plugin must be allowed to do in the cluster."""

from __future__ import annotations

import attrs


@attrs.frozen(kw_only=True)
class Permission:
    """As a rule of a Kubernetes role says it. api_group: empty for the core group. resource: plural, as in URLs."""

    api_group: str
    resource: str
    verbs: tuple[str, ...]

    def __str__(self) -> str:
        name = f"{self.resource}.{self.api_group}" if self.api_group else self.resource
        return f"{', '.join(self.verbs)} {name}"

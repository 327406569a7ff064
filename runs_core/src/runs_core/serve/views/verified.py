"""Whether a resolution follows from itself, and from what was bound before it."""

from __future__ import annotations

import attrs

from runs_core.decide.verify import verify
from runs_core.values.resolution import Resolution

INSTALLATION = "installation"


@attrs.frozen(kw_only=True)
class Verification:
    """bound_by: whose commitment the nonce was held against, besides the resolution's own; None: it is not there."""

    resolution: str
    verified: bool
    differences: tuple[str, ...]
    bound_by: str | None


def verification(resolution: Resolution, text: str, previous: Resolution | None, first: str | None) -> Verification:
    """text: of its evidence. previous: the one before. first: what the installation's record binds its first with."""
    bound_by, standing = None, None
    if resolution.spec.number == 1 and first:
        bound_by, standing = INSTALLATION, first
    elif previous is not None:
        bound_by, standing = previous.name, previous.spec.next_commitment
    found = verify(resolution, text, standing)
    return Verification(resolution=resolution.name, verified=not found, differences=tuple(found), bound_by=bound_by)

"""What a run that leaves something out gets: the same from the command line and from the admission webhook."""

from __future__ import annotations

from collections.abc import Sequence

from runs_core.errors import InvalidInput, Problem


def flavor_of(known: str | None, flavors: Sequence[str]) -> str | None:
    """The flavor of a run that names none: what the stored run has, else the only one of the fleet.

    None: no node offers any yet. InvalidInput: there are several.
    """
    if known:
        return known
    if len(flavors) > 1:
        what = f"got nothing, and the fleet has {', '.join(flavors)}: name one"
        raise InvalidInput([Problem("spec.resources.flavor", what)])
    return flavors[0] if flavors else None

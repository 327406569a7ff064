"""Which flavor a need means."""

from __future__ import annotations

from runs_core.values.need import Need
from runs_core.world.flavors import FlavorFleet
from runs_core.world.world import World


def flavor_of(world: World, need: Need) -> str:
    return need.flavor or world.sole_flavor() or ""


def find_flavor(world: World, need: Need) -> tuple[str, FlavorFleet] | None:
    """The flavor meant: the named one, or the only one there is."""
    name = need.flavor or world.sole_flavor()
    flavor = world.fleet.flavors.get(name) if name else None
    return (name, flavor) if name and flavor is not None and flavor.nodes else None

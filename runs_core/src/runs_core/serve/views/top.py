"""The fleet by flavor and domain."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from runs_core.values.node import Domain
from runs_core.world.fleet import DomainFleet, NodeState
from runs_core.world.world import World


@attrs.frozen(kw_only=True)
class Counts:
    """GPUs. gpus = active + spare + unfunded + unavailable + free.

    active: held by ranks. unfunded: held by ranks and paid for by nobody, where a plugin keeps quotas; none does here.
    unavailable: not held, and on a node that takes nothing new, or taken by pods that are not ours.
    """

    gpus: int = 0
    active: int = 0
    spare: int = 0
    unfunded: int = 0
    unavailable: int = 0
    free: int = 0

    def plus(self, other: Counts) -> Counts:
        """Field by field."""
        return Counts(**{name: count + getattr(other, name) for name, count in attrs.asdict(self).items()})


@attrs.frozen(kw_only=True)
class DomainTop(Counts):
    """One fabric domain."""

    domain: Domain


@attrs.frozen(kw_only=True)
class FlavorTop(Counts):
    """One flavor. largest_gang: GPUs of the widest run of one-GPU pods that one domain could start now."""

    flavor: str
    largest_gang: int
    domains: tuple[DomainTop, ...]


@attrs.frozen(kw_only=True)
class Top:
    """Flavors and their domains, each by name; those without nodes are left out."""

    flavors: tuple[FlavorTop, ...]


def top(world: World) -> Top:
    """O(nodes)."""
    return Top(flavors=tuple(found for name in world.flavors() if (found := _flavor(world, name)) is not None))


def _flavor(world: World, name: str) -> FlavorTop | None:
    fleet = world.fleet.flavors[name]
    domains = tuple(_domain(domain) for _, domain in sorted(fleet.domains.items()) if _present(domain))
    if not domains:
        return None
    total = _sum(domains)
    return FlavorTop(
        **attrs.asdict(total), flavor=name, largest_gang=max(domain.free for domain in domains), domains=domains
    )


def _present(domain: DomainFleet) -> list[NodeState]:
    return [state for state in domain.states if state.node is not None]


def _domain(domain: DomainFleet) -> DomainTop:
    return DomainTop(**attrs.asdict(_sum(_node(state) for state in _present(domain))), domain=domain.key)


def _node(state: NodeState) -> Counts:
    gpus = state.node.gpus if state.node is not None else 0
    places = (1 << gpus) - 1
    active = (state.active & places).bit_count()
    spare = (state.spare & ~state.active & places).bit_count()
    free = state.free() if state.usable else 0
    return Counts(gpus=gpus, active=active, spare=spare, free=free, unavailable=max(0, gpus - active - spare - free))


def _sum(parts: Iterable[Counts]) -> Counts:
    total = Counts()
    for part in parts:
        total = total.plus(part)
    return total

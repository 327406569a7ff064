"""The fleet by flavor and domain."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs

from runs_core.decide.advice import Advice
from runs_core.values.classes import Class
from runs_core.values.lease import Role
from runs_core.values.node import Domain
from runs_core.world.domains import DomainFleet
from runs_core.world.nodes import NodeState
from runs_core.world.world import World


@attrs.frozen(kw_only=True)
class Counts:
    """GPUs. gpus = active + spare + unfunded + unavailable + free.

    active: held by ranks. unfunded: held by ranks and paid for by nobody, where a plugin keeps quotas.
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


def top(world: World, advice: Advice) -> Top:
    """O(nodes + open leases)."""
    unpaid = _unpaid(world, advice)
    found = (_flavor(world, name, unpaid) for name in world.flavors())
    return Top(flavors=tuple(one for one in found if one is not None))


def _unpaid(world: World, advice: Advice) -> Mapping[str, int]:
    """By node, the mask of its places that are held and that nobody pays for."""
    masks: dict[str, int] = {}
    for lease in world.ledger.open.values() if advice.funding else ():
        if lease.spec.role is Role.ACTIVE and advice.classify(lease, world, world.now) is Class.UNFUNDED:
            for slots in lease.spec.slots:
                masks[slots.node] = masks.get(slots.node, 0) | slots.mask
    return masks


def _flavor(world: World, name: str, unpaid: Mapping[str, int]) -> FlavorTop | None:
    fleet = world.fleet.flavors[name]
    domains = tuple(_domain(domain, unpaid) for _, domain in sorted(fleet.domains.items()) if _present(domain))
    if not domains:
        return None
    total = _sum(domains)
    return FlavorTop(
        **attrs.asdict(total), flavor=name, largest_gang=max(domain.free for domain in domains), domains=domains
    )


def _present(domain: DomainFleet) -> list[NodeState]:
    return [state for state in domain.states if state.node is not None]


def _domain(domain: DomainFleet, unpaid: Mapping[str, int]) -> DomainTop:
    counts = (_node(state, unpaid.get(state.name, 0)) for state in _present(domain))
    return DomainTop(**attrs.asdict(_sum(counts)), domain=domain.key)


def _node(state: NodeState, unpaid: int) -> Counts:
    gpus = state.node.gpus if state.node is not None else 0
    places = (1 << gpus) - 1
    active = (state.active & ~unpaid & places).bit_count()
    unfunded = (state.active & unpaid & places).bit_count()
    spare = (state.spare & ~state.active & places).bit_count()
    free = state.free() if state.usable else 0
    left = max(0, gpus - active - unfunded - spare - free)
    return Counts(gpus=gpus, active=active, unfunded=unfunded, spare=spare, free=free, unavailable=left)


def _sum(parts: Iterable[Counts]) -> Counts:
    total = Counts()
    for part in parts:
        total = total.plus(part)
    return total

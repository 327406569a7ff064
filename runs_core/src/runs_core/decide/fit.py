"""Whether a gang fits into a scope once some units are gone: counted from the evidence alone, without a world.

It says of whole gangs what the planner says (`tests/decide/test_fit.py` compares them), but not where they go.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from runs_core.values.resolution import Candidate, Left, ScopeNode, Wanted


def free_gpus(nodes: Iterable[ScopeNode]) -> int:
    """What the scope has before anybody is cut."""
    return sum(node.gpus_free for node in nodes)


def short_by(need: Wanted, nodes: Iterable[ScopeNode]) -> int:
    """GPUs that have to come free at least."""
    return max(0, need.gpus - free_gpus(nodes))


class Fit:
    """One need in one scope. Cost of an answer: the nodes of the scope and the places of the cuts."""

    def __init__(self, need: Wanted, nodes: Sequence[ScopeNode]) -> None:
        self._need = need
        self._nodes = {node.name: node for node in nodes}
        *each, pods = amounts_of(need.each)
        self._each = (*each, max(1, pods))
        self._group = None if need.group_gpus is None else need.group_gpus // need.gpus_per_pod

    def suffices(self, cuts: Sequence[Candidate]) -> bool:
        """Whether the whole gang fits once these are gone."""
        pods: dict[str, int] = {}
        gpus, left = self._freed(cuts)
        for name, node in self._nodes.items():
            free = max(0, len(node.free) + gpus.get(name, 0) - node.foreign)
            room = self._room(left.get(name) or amounts_of(node.left))
            pods[node.domain] = pods.get(node.domain, 0) + min(free // self._need.gpus_per_pod, room)
        return self._holds(list(pods.values()))

    def _freed(self, cuts: Sequence[Candidate]) -> tuple[dict[str, int], dict[str, list[int]]]:
        """GPUs that come free, and what else is then left, by node."""
        gpus: dict[str, int] = {}
        left: dict[str, list[int]] = {}
        for unit in cuts:
            for slots in unit.slots:
                gpus[slots.node] = gpus.get(slots.node, 0) + len(slots.ordinals)
            for use in unit.uses:
                if use.node in self._nodes:
                    has = left.setdefault(use.node, amounts_of(self._nodes[use.node].left))
                    for at, amount in enumerate(amounts_of(use.used)):
                        has[at] += amount
        return gpus, left

    def _room(self, left: Sequence[int]) -> int:
        """Pods that fit by all but GPUs."""
        return max(0, min(has // wants for has, wants in zip(left, self._each, strict=True) if wants))

    def _holds(self, domains: Sequence[int]) -> bool:
        """domains: pods that each can take."""
        pods = self._need.gpus // self._need.gpus_per_pod
        if self._need.single_domain:
            return max(domains, default=0) >= pods
        if self._group is None:
            return sum(domains) >= pods
        whole, short = divmod(pods, self._group)
        seats = sum(domain // self._group for domain in domains)
        if not short or seats != whole:
            return seats >= whole + bool(short)
        return any(domain % self._group >= short for domain in domains)


def amounts_of(amounts: Left) -> list[int]:
    """CPU, memory, storage, pods."""
    return [amounts.cpu_milli, amounts.memory_bytes, amounts.ephemeral_bytes, amounts.pods]

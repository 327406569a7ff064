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
    """One need in one scope. Cost of an answer: what differs from the cuts of the one before."""

    def __init__(self, need: Wanted, nodes: Sequence[ScopeNode]) -> None:
        self._need = need
        *each, pods = amounts_of(need.each)
        self._each = (*each, max(1, pods))
        self._group = None if need.group_gpus is None else need.group_gpus // need.gpus_per_pod
        self._domain = {node.name: node.domain for node in nodes}
        self._free = {node.name: len(node.free) - node.foreign for node in nodes}
        self._left = {node.name: amounts_of(node.left) for node in nodes}
        self._seats = {node.name: self._count(node.name) for node in nodes}
        self._pods: dict[str, int] = {}
        for name, domain in self._domain.items():
            self._pods[domain] = self._pods.get(domain, 0) + self._seats[name]
        self._gone: dict[int, Candidate] = {}

    def suffices(self, cuts: Sequence[Candidate]) -> bool:
        """Whether the whole gang fits once these are gone."""
        gone = {id(unit): unit for unit in cuts}
        touched: set[str] = set()
        for one in gone.keys() - self._gone.keys():
            touched |= self._take(gone[one], 1)
        for one in self._gone.keys() - gone.keys():
            touched |= self._take(self._gone[one], -1)
        self._gone = gone
        for name in touched:
            seats = self._count(name)
            self._pods[self._domain[name]] += seats - self._seats[name]
            self._seats[name] = seats
        return self._holds(list(self._pods.values()))

    def _take(self, unit: Candidate, sign: int) -> set[str]:
        """Count it out, or with -1 in again; the nodes where that changes something."""
        touched = set()
        for slots in unit.slots:
            if slots.node in self._free:
                self._free[slots.node] += sign * len(slots.ordinals)
                touched.add(slots.node)
        for use in unit.uses:
            if use.node in self._left:
                left = self._left[use.node]
                for at, amount in enumerate(amounts_of(use.used)):
                    left[at] += sign * amount
                touched.add(use.node)
        return touched

    def _count(self, name: str) -> int:
        """Pods that fit on a node now."""
        return min(max(0, self._free[name]) // self._need.gpus_per_pod, self._room(self._left[name]))

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

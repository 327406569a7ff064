"""How many nodes and free GPUs are left after each step of the match, kept up to date domain by domain.

A census is taken once in full; asked again, it counts only the domains that changed since.
"""

from __future__ import annotations

from typing import NamedTuple

from runs_core.values.need import Need, NodeFilter
from runs_core.values.template import Requests
from runs_core.world.domains import DomainFleet
from runs_core.world.flavors import FlavorFleet

MOST_CENSUSES = 256
"""Remembered for each flavor; past it the memory starts anew."""


class Question(NamedTuple):
    """What needs share for which the same nodes and domains count."""

    filter: NodeFilter
    requests: Requests
    gpus_per_pod: int


class Row(NamedTuple):
    """One domain. open_nodes: the allowed nodes with a free GPU. pods: how many of the pods fit in it."""

    located_nodes: int
    located_gpus: int
    allowed_nodes: int
    allowed_gpus: int
    roomy_nodes: int
    roomy_gpus: int
    pods: int
    open_nodes: int
    free: int


NOTHING = Row(0, 0, 0, 0, 0, 0, 0, 0, 0)


class Census:
    """located, allowed, roomy: nodes and their free GPUs, over all domains. open_nodes: as in a row.

    as_of: the flavor's `moved` when it was last counted.
    """

    __slots__ = ("_by_pods", "_location", "_question", "_rows", "allowed", "as_of", "located", "open_nodes", "roomy")

    def __init__(self, question: Question) -> None:
        wanted = question.filter
        self._question = question
        self._location = NodeFilter(selector=wanted.selector, by_default=wanted.by_default, location_only=True)
        self._rows: dict[DomainFleet, Row] = {}
        self._by_pods: dict[int, list[int]] = {}
        self.located, self.allowed, self.roomy = [0, 0], [0, 0], [0, 0]
        self.open_nodes = 0
        self.as_of = -1

    def domains(self, pods: int) -> tuple[int, int]:
        """Domains in which at least that many pods fit, and their free GPUs."""
        fits = [count for most, count in self._by_pods.items() if most >= pods]
        return sum(count for count, _ in fits), sum(free for _, free in fits)

    def refresh(self, flavor: FlavorFleet) -> None:
        """Count again what changed, the last change first. O(domains that changed since the last time)."""
        for domain in reversed(flavor.recent):
            if domain.moved <= self.as_of:
                break
            self._replace(domain, self._count(domain))
        self.as_of = flavor.moved

    def _replace(self, domain: DomainFleet, new: Row) -> None:
        old = self._rows.get(domain, NOTHING)
        if old == new:
            return
        self._rows[domain] = new
        for row, sign in ((old, -1), (new, 1)):
            self.located[0] += sign * row.located_nodes
            self.located[1] += sign * row.located_gpus
            self.allowed[0] += sign * row.allowed_nodes
            self.allowed[1] += sign * row.allowed_gpus
            self.roomy[0] += sign * row.roomy_nodes
            self.roomy[1] += sign * row.roomy_gpus
            self.open_nodes += sign * row.open_nodes
            if row.pods:
                fits = self._by_pods.setdefault(row.pods, [0, 0])
                fits[0] += sign
                fits[1] += sign * row.free
                if not fits[0]:
                    del self._by_pods[row.pods]

    def _count(self, domain: DomainFleet) -> Row:
        located, allowed = domain.eligible(self._location), domain.eligible(self._question.filter)
        gpus, requests = self._question.gpus_per_pod, self._question.requests
        sums = [0] * 8
        for level, mask in enumerate(domain.levels):
            if not mask:
                continue
            for at, nodes in ((0, (mask & located).bit_count()), (2, (mask & allowed).bit_count())):
                sums[at] += nodes
                sums[at + 1] += nodes * level
            if level:
                sums[7] += (mask & allowed).bit_count()
            if level >= gpus:
                for state in domain.nodes(mask & allowed):
                    fits = min(level // gpus, state.room(requests))
                    if fits:
                        sums[4] += 1
                        sums[5] += level
                        sums[6] += fits
        return Row._make((*sums, domain.free))


def census(flavor: FlavorFleet, need: Need) -> Census:
    """The counts for this need, as of now."""
    question = Question(need.filter, need.requests, need.gpus_per_pod)
    found = flavor.censuses.get(question)
    if found is None:
        if len(flavor.censuses) >= MOST_CENSUSES:
            flavor.censuses.clear()
        found = flavor.censuses[question] = Census(question)
    found.refresh(flavor)
    return found

"""The part of the fleet that a taking-back is about, as evidence has it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from runs_core.values.classes import Class
from runs_core.values.lease import Lease, NodeSlots
from runs_core.values.need import Need
from runs_core.values.pod import Pod
from runs_core.values.resolution import Candidate, Left, OnNode, ScopeNode, Wanted
from runs_core.world.domains import DomainFleet
from runs_core.world.nodes import NodeState


def wanted_of(need: Need) -> Wanted:
    """A need as the object has it; its filter shows in which nodes are in the scope."""
    requests = need.requests
    return Wanted(
        flavor=need.flavor,
        gpus=need.gpus,
        gpus_per_pod=need.gpus_per_pod,
        group_gpus=None if need.group_pods is None else need.group_pods * need.gpus_per_pod,
        single_domain=need.single_domain,
        each=Left(
            cpu_milli=requests.cpu_milli,
            memory_bytes=requests.memory_bytes,
            ephemeral_bytes=requests.ephemeral_bytes,
            pods=1,
        ),
    )


def scope_of(domains: Iterable[DomainFleet], need: Need) -> tuple[ScopeNode, ...]:
    """The usable nodes of these domains that the need allows, by name."""
    states = [
        state
        for domain in domains
        for state in domain.states
        if state.usable and domain.eligible(need.filter) >> state.bit & 1
    ]
    return tuple(scope_node(state) for state in sorted(states, key=lambda state: state.name))


def scope_node(state: NodeState) -> ScopeNode:
    """One present node as it is now."""
    node = state.node
    assert node is not None
    taken = state.taken
    return ScopeNode(
        name=node.name,
        domain=str(node.domain),
        free=tuple(at for at in range(node.gpus) if not taken >> at & 1),
        held=tuple(at for at in range(node.gpus) if taken >> at & 1),
        foreign=state.foreign_gpus,
        left=Left(
            cpu_milli=node.cpu_milli - state.cpu,
            memory_bytes=node.memory_bytes - state.memory,
            ephemeral_bytes=node.ephemeral_bytes - state.ephemeral,
            pods=node.pods - state.pods,
        ),
    )


def candidate_of(
    leases: Sequence[Lease],
    pods: Iterable[Pod],
    nodes: Collection[str],
    *,
    owner: str | None,
    group: int | None = None,
    cls: Class | None = None,
) -> Candidate | None:
    """What of one run stops together: these open leases of it, and of its pods those of that group, or all.

    nodes: of the scope; None: it holds nothing there. Each place counts once, whoever else of the run has it.
    """
    places: dict[str, set[int]] = {}
    for lease in leases:
        for slots in lease.spec.slots:
            places.setdefault(slots.node, set()).update(slots.ordinals)
    gpus = sum(len(held) for node, held in places.items() if node in nodes)
    if not gpus:
        return None
    uses: dict[str, Left] = {}
    for pod in pods:
        of_it = pod.rank is not None and (group is None or pod.rank.group == group)
        if of_it and pod.node is not None and pod.node in nodes and not pod.phase.ended:
            uses[pod.node] = _and(uses.get(pod.node, Left()), pod)
    first = leases[0]
    return Candidate(
        namespace=first.meta.namespace,
        name=first.spec.run_ref.name,
        uid=first.spec.run_ref.uid,
        group=group,
        owner=owner,
        cls=cls,
        gpus=gpus,
        slots=tuple(NodeSlots(node=node, ordinals=tuple(sorted(places[node]))) for node in sorted(places)),
        uses=tuple(OnNode(node=node, used=uses[node]) for node in sorted(uses)),
    )


def _and(left: Left, pod: Pod) -> Left:
    requests = pod.requests
    return Left(
        cpu_milli=left.cpu_milli + requests.cpu_milli,
        memory_bytes=left.memory_bytes + requests.memory_bytes,
        ephemeral_bytes=left.ephemeral_bytes + requests.ephemeral_bytes,
        pods=left.pods + 1,
    )

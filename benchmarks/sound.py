"""Evidence comes from a busy and sound fleet, or it is none."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from benchmarks.workload import FLAVOR, Player
from runs_core.hooks.ask import PluginAdvice
from runs_core.values.node import Domain
from runs_core.world.invariants import breaches
from runs_core.world.world import World


class Unusable(Exception):  # says it: the measurement is not evidence
    """What was measured is no evidence, and why."""


def used_now(player: Player) -> float:
    """Held GPUs over all, at this moment."""
    return 1 - player.loop.world.free_gpus(FLAVOR) / player.gpus


def demand_busy(player: Player, used: float) -> None:
    """Some runs waited, and more than 80 % of the GPUs were in use."""
    if not player.most_waiting:
        raise Unusable("no run waited: an idle fleet proves nothing")
    if used <= 0.8:
        raise Unusable(f"{used:.0%} of the GPUs were in use: want more than 80 %")


def demand_sound(player: Player) -> None:
    """No invariant is broken, and what the fleet says is free is what the open leases leave free."""
    world = player.loop.world
    wrong = [breach.what for breach in breaches(world, frozenset())] + list(miscounted(world))
    if wrong:
        raise Unusable(f"{len(wrong)} things are wrong at the end, the first: {wrong[0]}")


def demand_answers(advice: PluginAdvice) -> None:
    """No plugin failed: one whose index is broken is not even asked any more."""
    if failed := [tally for tally in advice.tallies if tally.failed]:
        raise Unusable(
            f"{failed[0].plugin} failed {failed[0].failed} times in {failed[0].hook}: {failed[0].last_failure}"
        )


def miscounted(world: World) -> Iterator[str]:
    """The free GPUs of nodes, domains and the flavor, counted anew from leases, pledges and promises alone.

    O(nodes + leases). `runs_core.world.oracle` says more, at a cost that only small worlds can pay.
    """
    held: defaultdict[str, int] = defaultdict(int)
    for lease in world.ledger.open.values():
        for slots in lease.spec.slots:
            held[slots.node] |= slots.mask
    bound: defaultdict[str, int] = defaultdict(int)
    for pledge in world.pledges():
        for pod in (pod for group in pledge.placement.groups for pod in group.pods):
            bound[pod.node] |= sum(1 << ordinal for ordinal in pod.ordinals)
    flavor = world.fleet.flavors[FLAVOR]
    domains: Counter[Domain] = Counter()
    for node in (node for node in world.nodes() if node.flavor == FLAVOR):
        free = node.gpus - (held[node.name] | bound[node.name] | world.promises.mask(node.name)).bit_count()
        domains[node.domain] += free
        state = world.fleet.states[node.name]
        if (state.active, state.level) != (held[node.name], free):
            yield f"node {node.name}: the index has {state.level} GPUs free, the leases leave {free}"
        if not flavor.domains[node.domain].levels[free] >> state.bit & 1:
            yield f"node {node.name}: is not among its domain's nodes with {free} GPUs free"
    kept = {key: domain.free for key, domain in flavor.domains.items()}
    if kept != dict(domains) or flavor.free != domains.total():
        yield f"the index has {flavor.free} GPUs free in {len(kept)} domains, the leases leave {domains.total()}"
    if flavor.order != sorted((free, key) for key, free in domains.items()):
        yield "the domains are not in the order of their free GPUs"

"""The census that makes explanations cheap says what a plain count of all nodes says."""

from benchmarks.workload import FLAVOR, MANY, NODE_GPUS, Demand, Player, Shape

from runs_core.decide.match import match_steps
from runs_core.values.need import Need, NodeFilter
from runs_core.values.template import Requests
from runs_core.world.world import World


def a_need(shape: Shape) -> Need:
    group = shape.group_gpus
    return Need(
        flavor=FLAVOR,
        pods=shape.gpus // shape.gpus_per_pod,
        gpus_per_pod=shape.gpus_per_pod,
        group_pods=None if group is None else group // shape.gpus_per_pod,
        filter=NodeFilter(selector=shape.selector),
        requests=Requests(cpu_milli=shape.cpu_milli),
    )


def roomy(world: World, shape: Shape) -> dict[str, int]:
    """Pods that fit on each node, by the plain facts."""
    found = {}
    for node in world.nodes():
        state = world.fleet.states[node.name]
        cpu = (node.cpu_milli - state.cpu) // shape.cpu_milli if shape.cpu_milli else node.pods
        if all(pair in node.labels for pair in shape.selector):
            fits = min((NODE_GPUS - state.held) // shape.gpus_per_pod, node.pods - state.pods, cpu)
            if fits > 0:
                found[node.name] = fits
    return found


def test_the_census_counts_what_a_plain_count_finds_while_the_fleet_changes() -> None:
    player = Player(100, Demand(gpus=800, shapes=MANY, burst=1.1, load=1.0))
    player.settle()
    world, seen = player.loop.world, 0
    for shape in MANY * 2:
        player.play(2)
        need, fits = a_need(shape), roomy(world, shape)
        steps = match_steps(world.fleet.flavors[FLAVOR], need)
        assert steps[4].nodes == len(fits)
        assert steps[4].gpus == sum(NODE_GPUS - world.fleet.states[name].held for name in fits)
        domains = {world.fleet.states[name].domain for name in fits}
        pods = {d: sum(fits[name] for name in fits if world.fleet.states[name].domain is d) for d in domains}
        assert steps[5].nodes == sum(most >= min(need.group_pods or 1, need.pods) for most in pods.values())
        seen += len(fits)
    assert seen > 100

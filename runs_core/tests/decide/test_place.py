from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import attrs
import pytest

from runs_core.decide.advice import Silent
from runs_core.decide.place import fits_when_empty, place
from runs_core.testing.builders import a_lease, a_need, a_node, a_run, a_world
from runs_core.values.change import PodSeen
from runs_core.values.lease import Lease
from runs_core.values.node import Domain, MalformedNode, Node, Taint
from runs_core.values.placement import Placement
from runs_core.values.pod import Pod, PodPhase
from runs_core.values.run import Run, Spread
from runs_core.values.template import Operator, PodTemplate, Requests, Requirement, Toleration
from runs_core.world.world import World


def placed(world: World, run: Run) -> Placement | None:
    need = a_need(run)
    return place(world.fleet, world.fleet.flavors[need.flavor], need, advice=Silent(), view=world)


def where(world: World, run: Run) -> list[dict[str, int]]:
    """Pods by node, for each group; empty: nowhere."""
    found = placed(world, run)
    groups = found.groups if found else ()
    return [dict(sorted(Counter(pod.node for pod in group.pods).items())) for group in groups]


def taken(node: str, *places: int) -> Lease:
    return a_lease(a_run(f"old-{node}", gpus=len(places)), {node: places})


def with_template(run: Run, **parts: object) -> Run:
    template = attrs.evolve(PodTemplate(), **parts)  # type: ignore[arg-type]  # fields of PodTemplate, by name
    return attrs.evolve(run, spec=attrs.evolve(run.spec, template=template))


def labelled(run: Run, selector: Mapping[str, str]) -> Run:
    topology = attrs.evolve(run.spec.topology, selector=tuple(sorted(selector.items())))
    return attrs.evolve(run, spec=attrs.evolve(run.spec, topology=topology))


# -- best fit ---------------------------------------------------------------------------------------------------------


def test_a_pod_goes_to_the_node_with_the_least_free_gpus_that_still_fits_it() -> None:
    world = a_world(a_node("n1", gpus=8), a_node("n2", gpus=2), a_node("n3", gpus=4))
    assert where(world, a_run("one", gpus=3, gpus_per_pod=3)) == [{"n3": 1}]


def test_of_equal_nodes_the_first_name_is_taken() -> None:
    world = a_world(a_node("n3"), a_node("n1"), a_node("n2"))
    assert where(world, a_run("one", gpus=1)) == [{"n1": 1}]


def test_a_gang_goes_to_the_domain_with_the_least_free_gpus_that_still_fits_it() -> None:
    world = a_world(
        a_node("n1", domain="a", gpus=8), a_node("n2", domain="b", gpus=2), a_node("n3", domain="c", gpus=4)
    )
    assert where(world, a_run("four", gpus=4)) == [{"n3": 4}]


def test_of_equal_domains_the_first_key_is_taken_region_before_cluster_before_name() -> None:
    east, west = Domain(region="east", cluster="z", name="z"), Domain(region="west", cluster="a", name="a")
    assert where(a_world(a_node("n1", domain=west), a_node("n2", domain=east)), a_run("one")) == [{"n2": 8}]


def test_places_are_the_lowest_free_ones_of_the_node() -> None:
    found = placed(a_world(a_node("n1"), taken("n1", 0, 2)), a_run("three", gpus=3))
    assert found is not None
    assert [pod.ordinals for pod in found.groups[0].pods] == [(1,), (3,), (4,)]


def test_a_pod_never_spans_nodes() -> None:
    world = a_world(a_node("n1", gpus=3), a_node("n2", gpus=3))
    assert where(world, a_run("pair", gpus=4, gpus_per_pod=4)) == []
    assert where(world, a_run("pairs", gpus=4, gpus_per_pod=2)) == [{"n1": 1, "n2": 1}]


def test_it_is_all_or_nothing() -> None:
    assert where(a_world(a_node("n1", gpus=8)), a_run("nine", gpus=9)) == []


# -- groups and domains -----------------------------------------------------------------------------------------------


def test_without_groups_the_fewest_domains_are_used_and_the_ranks_in_one_form_a_group() -> None:
    nodes = [a_node(f"n{at}", domain=f"d{at}", gpus=gpus) for at, gpus in enumerate((2, 4, 3, 4))]
    assert where(a_world(*nodes), a_run("seven", gpus=7)) == [{"n1": 4}, {"n2": 3}]


def test_what_is_left_after_the_largest_domains_goes_where_it_fits_best() -> None:
    nodes = [a_node(f"n{at}", domain=f"d{at}", gpus=gpus) for at, gpus in enumerate((8, 4, 2, 1))]
    assert where(a_world(*nodes), a_run("ten", gpus=10)) == [{"n0": 8}, {"n2": 2}]


def test_a_group_never_leaves_one_domain() -> None:
    world = a_world(a_node("n1", domain="a", gpus=3), a_node("n2", domain="b", gpus=3))
    assert where(world, a_run("four", gpus=4, group_gpus=4)) == []
    assert where(world, a_run("pairs", gpus=4, group_gpus=2)) == [{"n1": 2}, {"n2": 2}]


def test_only_the_last_group_is_short() -> None:
    world = a_world(a_node("n1", gpus=8))
    assert where(world, a_run("five", gpus=5, group_gpus=2)) == [{"n1": 2}, {"n1": 2}, {"n1": 1}]


def test_the_next_group_goes_to_a_domain_that_the_run_uses_already() -> None:
    world = a_world(a_node("n1", domain="a", gpus=4), a_node("n2", domain="b", gpus=2))
    # best fit puts the first group into b, which has no room for a second; the third joins the second
    assert where(world, a_run("six", gpus=6, group_gpus=2)) == [{"n2": 2}, {"n1": 2}, {"n1": 2}]


def test_single_domain_takes_the_whole_run_with_its_groups_into_one() -> None:
    world = a_world(
        a_node("n1", domain="a", gpus=4), a_node("n2", domain="b", gpus=4), a_node("n3", domain="b", gpus=4)
    )
    run = a_run("eight", gpus=8, group_gpus=4, spread=Spread.SINGLE_DOMAIN)
    assert where(world, run) == [{"n2": 4}, {"n3": 4}]
    assert where(world, a_run("twelve", gpus=12, spread=Spread.SINGLE_DOMAIN)) == []


def test_ranks_ascend_by_group_and_in_a_group_by_node() -> None:
    found = placed(a_world(a_node("n2", gpus=2), a_node("n1", gpus=4)), a_run("six", gpus=6, group_gpus=3))
    assert found is not None
    assert [[(pod.rank, pod.node) for pod in group.pods] for group in found.groups] == [
        [(0, "n1"), (1, "n2"), (2, "n2")],
        [(3, "n1"), (4, "n1"), (5, "n1")],
    ]


# -- what the node must be --------------------------------------------------------------------------------------------


def test_topology_selector_keeps_to_nodes_with_those_labels() -> None:
    world = a_world(a_node("n1", labels={"zone": "a"}), a_node("n2", labels={"zone": "b"}))
    assert where(world, labelled(a_run("one"), {"zone": "b"})) == [{"n2": 8}]


def test_the_templates_node_selector_holds() -> None:
    world = a_world(a_node("n1"), a_node("n2", labels={"disk": "fast"}))
    assert where(world, with_template(a_run("one"), node_selector=(("disk", "fast"),))) == [{"n2": 8}]


@pytest.mark.parametrize(
    ("operator", "values", "fits"),
    [
        (Operator.IN, ("5", "7"), {"five"}),
        (Operator.NOT_IN, ("5",), {"nine", "bare"}),
        (Operator.EXISTS, (), {"five", "nine"}),
        (Operator.DOES_NOT_EXIST, (), {"bare"}),
        (Operator.GT, ("5",), {"nine"}),
        (Operator.LT, ("9",), {"five"}),
    ],
)
def test_required_affinity_reads_each_operator_as_kubernetes_does(
    operator: Operator, values: tuple[str, ...], fits: set[str]
) -> None:
    nodes = [a_node("five", labels={"gen": "5"}), a_node("nine", labels={"gen": "9"}), a_node("bare")]
    run = with_template(a_run("one"), terms=((Requirement(key="gen", operator=operator, values=values),),))
    assert {node.name for node in nodes if where(a_world(node), run)} == fits


@pytest.mark.parametrize("label", ["1_000", "99999999999999999999"])
def test_affinity_compares_only_what_kubernetes_would_read_as_a_whole_number(label: str) -> None:
    run = with_template(a_run("one"), terms=((Requirement(key="gen", operator=Operator.GT, values=("5",)),),))
    assert where(a_world(a_node("n1", labels={"gen": "1000"})), run) == [{"n1": 8}]
    assert where(a_world(a_node("n1", labels={"gen": label})), run) == []


def test_affinity_wants_one_of_its_terms_and_all_of_that_terms_requirements() -> None:
    def is_(key: str, value: str) -> Requirement:
        return Requirement(key=key, operator=Operator.IN, values=(value,))

    run = with_template(a_run("one"), terms=((is_("a", "1"), is_("b", "1")), (is_("c", "1"),)))
    assert where(a_world(a_node("n1", labels={"a": "1"})), run) == []
    assert where(a_world(a_node("n1", labels={"a": "1", "b": "1"})), run) == [{"n1": 8}]
    assert where(a_world(a_node("n1", labels={"c": "1"})), run) == [{"n1": 8}]


def test_affinity_may_name_the_node() -> None:
    by_name = Requirement(key="metadata.name", operator=Operator.IN, values=("n2",), on_name=True)
    assert where(a_world(a_node("n1"), a_node("n2")), with_template(a_run("one"), terms=((by_name,),))) == [{"n2": 8}]


@pytest.mark.parametrize(
    ("taint", "toleration", "stays"),
    [
        (Taint(key="team", value="a"), None, False),
        (Taint(key="team", value="a"), Toleration(key="team", value="a"), True),
        (Taint(key="team", value="a"), Toleration(key="team", value="b"), False),
        (Taint(key="team", value="a"), Toleration(key="team"), True),
        (Taint(key="team", value="a"), Toleration(), True),
        (Taint(key="team", effect="NoExecute"), Toleration(key="team", effect="NoSchedule"), False),
        (Taint(key="team", effect="PreferNoSchedule"), None, True),
        (Taint(key="nvidia.com/gpu"), None, True),
    ],
    ids=str,
)
def test_a_taint_keeps_away_whom_it_is_not_tolerated_by(
    taint: Taint, toleration: Toleration | None, stays: bool
) -> None:
    run = with_template(a_run("one"), tolerations=(toleration,) if toleration else ())
    assert bool(where(a_world(a_node("n1", taints=(taint,))), run)) is stays


@pytest.mark.parametrize(
    "node",
    [
        a_node("n1", cordoned=True),
        a_node("n1", ready=False),
        a_node("n1", taints=(Taint(key="node.kubernetes.io/out-of-service", effect="PreferNoSchedule"),)),
        a_node("n1", gpus=1),
    ],
    ids=["cordoned", "not ready", "out of service", "shrunk below its leases"],
)
def test_such_a_node_takes_nothing_new(node: Node) -> None:
    world = a_world(node, a_node("n2", gpus=2), *((taken("n1", 0, 5),) if node.gpus == 1 else ()))
    assert where(world, a_run("one", gpus=1)) == [{"n2": 1}]


def test_a_malformed_node_is_set_aside_and_spoils_nothing_else() -> None:
    world = a_world(MalformedNode(name="n1", why="got 'eight' GPUs, want a number"), a_node("n2"))
    assert where(world, a_run("one")) == [{"n2": 8}]
    assert world.node("n1") == MalformedNode(name="n1", why="got 'eight' GPUs, want a number")
    assert [node.name for node in world.nodes()] == ["n2"]


# -- room --------------------------------------------------------------------------------------------------------------


def small(name: str, **amounts: int) -> Node:
    return attrs.evolve(a_node(name), **amounts)  # type: ignore[arg-type]  # amounts of a node, by name


@pytest.mark.parametrize(
    ("amounts", "requests"),
    [
        ({"cpu_milli": 3_999}, Requests(cpu_milli=1_000)),
        ({"memory_bytes": 3_999}, Requests(memory_bytes=1_000)),
        ({"ephemeral_bytes": 3_999}, Requests(ephemeral_bytes=1_000)),
        ({"pods": 3}, Requests()),
    ],
    ids=["cpu", "memory", "storage", "pods"],
)
def test_a_node_takes_only_pods_that_it_has_room_for(amounts: dict[str, int], requests: Requests) -> None:
    world = a_world(small("n1", **amounts))
    assert where(world, with_template(a_run("three", gpus=3), requests=requests)) == [{"n1": 3}]
    assert where(world, with_template(a_run("four", gpus=4), requests=requests)) == []


def stranger(node: str, **parts: object) -> PodSeen:
    pod = Pod(namespace="other", name="s1", node=node, phase=PodPhase.RUNNING)
    return PodSeen(attrs.evolve(pod, **parts))  # type: ignore[arg-type]  # fields of Pod, by name


def test_pods_of_others_take_room_and_gpus_until_they_end() -> None:
    world = a_world(small("n1", cpu_milli=4_000))
    run = with_template(a_run("four", gpus=4), requests=Requests(cpu_milli=1_000))
    world.apply(stranger("n1", requests=Requests(cpu_milli=1)))
    assert where(world, run) == []
    world.apply(stranger("n1", gpus=5))
    assert where(world, run) == []
    world.apply(stranger("n1", gpus=4))
    assert where(world, run) == [{"n1": 4}]
    world.apply(stranger("n1", gpus=5, phase=PodPhase.SUCCEEDED))
    assert where(world, run) == [{"n1": 4}]


def test_a_node_that_was_too_full_once_is_looked_at_again_when_something_ends_on_it() -> None:
    world = a_world(small("n1", cpu_milli=4_000))
    run = with_template(a_run("four", gpus=4), requests=Requests(cpu_milli=1_000))
    world.apply(stranger("n1", requests=Requests(cpu_milli=3_500)))
    assert where(world, run) == []
    world.apply(stranger("n1", requests=Requests(cpu_milli=0)))
    assert where(world, run) == [{"n1": 4}]


def test_whether_a_run_could_ever_fit_looks_at_the_fleet_as_if_empty() -> None:
    world = a_world(a_node("n1", cordoned=True), a_node("n2", ready=False), taken("n1", *range(8)))
    flavor = world.fleet.flavors["h100"]
    assert fits_when_empty(world.fleet, flavor, a_need(a_run("sixteen", gpus=16)))
    assert not fits_when_empty(world.fleet, flavor, a_need(a_run("seventeen", gpus=17)))

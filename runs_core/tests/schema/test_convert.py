from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

import attrs
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from runs_core.errors import InvalidInput
from runs_core.schema.convert import from_object, lease_from_object, run_from_object, to_object
from runs_core.schema.names import camel
from runs_core.values.budget import Budget, BudgetSpec, Namespace, Namespaces
from runs_core.values.fields import Fact, field
from runs_core.values.lease import Closed, Lease, LeaseSpec, LeaseStatus, NodeSlots, Opened, Payer, RunRef
from runs_core.values.meta import Meta, pairs
from runs_core.values.run import AfterFailure, Phase, Resources, Run, RunSpec, RunStatus, Runtime, Spread, Topology
from runs_core.values.section import Section
from runs_core.values.template import Operator, PodTemplate, Requests, Requirement, Toleration

START = datetime(2026, 1, 31, 8, tzinfo=UTC)
names = st.from_regex(r"[a-z]([a-z0-9]{0,8}[a-z0-9])?", fullmatch=True)
moments = st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
spans = st.timedeltas(min_value=timedelta(), max_value=timedelta(days=1000))
labels = st.dictionaries(names, names, max_size=3).map(pairs)
metas = st.builds(
    Meta,
    name=names,
    namespace=names,
    uid=names,
    created=st.none() | moments,
    generation=st.integers(1, 9),
    resource_version=names,
    labels=labels,
    annotations=labels,
    deleting=st.none() | moments,
)
templates = st.sampled_from([None, {"spec": {"containers": [{"name": "a", "resources": {"limits": {"cpu": "2"}}}]}}])


@st.composite
def runs(draw: st.DrawFn) -> Run:
    per_pod = draw(st.integers(1, 8))
    spec = RunSpec(
        owner=draw(st.none() | names),
        resources=Resources(
            flavor=draw(st.none() | names), gpus=per_pod * draw(st.integers(1, 9)), gpus_per_pod=per_pod
        ),
        topology=Topology(
            group_gpus=draw(st.none() | st.just(per_pod)), spread=draw(st.sampled_from(Spread)), selector=draw(labels)
        ),
        runtime=Runtime(expected_duration=draw(st.none() | spans), checkpoint_grace=draw(spans)),
        after=tuple(draw(st.lists(names, max_size=3, unique=True))),
        after_failure=AfterFailure(grace=draw(spans)),
        canceled=draw(st.booleans()),
    )
    status = draw(
        st.builds(RunStatus, phase=st.sampled_from(Phase), admitted_at=st.none() | moments, width=st.integers(0, 9))
    )
    return Run(meta=draw(metas), spec=spec, status=status)


@st.composite
def leases(draw: st.DrawFn) -> Lease:
    nodes = sorted(draw(st.sets(names, min_size=1, max_size=3)))
    ordinals = st.sets(st.integers(0, 7), min_size=1).map(lambda found: tuple(sorted(found)))
    spec = LeaseSpec(
        run_ref=RunRef(name=draw(names), uid=draw(names)),
        group=draw(st.integers(0, 9)),
        slots=tuple(NodeSlots(node=node, ordinals=draw(ordinals)) for node in nodes),
        attempt=1,
        payer=draw(st.none() | st.builds(Payer, budget=names, envelope=names)),
        start=draw(moments),
        reason=draw(st.sampled_from(Opened)),
    )
    shut = LeaseStatus(
        closed=True, end=spec.start, closure_reason=draw(st.sampled_from(Closed)), closure_detail=draw(names)
    )
    return Lease(meta=draw(metas), spec=spec, status=draw(st.sampled_from([LeaseStatus(), shut])))


budgets = st.builds(
    Budget,
    meta=metas,
    spec=st.builds(
        BudgetSpec, owner=names, namespaces=st.builds(Namespaces, names=st.just(("a", "b")), match_labels=labels)
    ),
)
namespaces = st.builds(Namespace, name=names, labels=labels)


@given(st.one_of(runs(), leases(), budgets, namespaces))
@settings(max_examples=200)
def test_every_value_reads_back_as_written(value: Run | Lease | Budget | Namespace) -> None:
    assert from_object(to_object(value)) == value


def a_run(**spec: Any) -> Run:  # noqa: ANN401 - any field of the spec
    return Run(meta=Meta(name="train", namespace="team"), spec=RunSpec(resources=Resources(gpus=8), **spec))


def test_what_is_at_its_default_is_not_written() -> None:
    assert to_object(a_run()) == {
        "apiVersion": "runs.dev/v1alpha1",
        "kind": "Run",
        "metadata": {"name": "train", "namespace": "team"},
        "spec": {"resources": {"gpus": 8}},
        "status": {"phase": "Queued", "reason": "Submitted", "width": 0},
    }


def test_names_are_written_as_kubernetes_spells_them() -> None:
    spelled = [camel(name) for name in ("group_gpus", "gpus_per_pod", "run_ref", "pending_gpus", "gpu_hours", "gpus")]
    assert spelled == ["groupGPUs", "gpusPerPod", "runRef", "pendingGPUs", "gpuHours", "gpus"]


def test_choices_are_written_as_plain_text_that_yaml_takes() -> None:
    resources = Resources(gpus=8)
    run = Run(meta=Meta(name="a"), spec=RunSpec(resources=resources, topology=Topology(spread=Spread.SINGLE_DOMAIN)))
    assert yaml.safe_load(yaml.safe_dump(to_object(run)))["spec"]["topology"] == {"spread": "SingleDomain"}


def test_slots_are_written_as_a_map_of_nodes() -> None:
    spec = {
        "runRef": {"name": "train", "uid": "1"},
        "group": 0,
        "slots": {"b": [1, 0], "a": [3]},
        "attempt": 1,
        "start": "2026-01-31T08:00:00Z",
        "reason": "Start",
    }
    lease = lease_from_object({"kind": "GPULease", "metadata": {"name": "x"}, "spec": spec})
    assert lease.spec.slots == (NodeSlots(node="a", ordinals=(3,)), NodeSlots(node="b", ordinals=(0, 1)))
    assert to_object(lease)["spec"]["slots"] == {"a": [3], "b": [0, 1]}


@pytest.mark.parametrize(
    ("spec", "status", "told"),
    [
        ({"slots": {"a": ["0"]}}, {}, "spec.slots: want whole numbers, each once"),
        ({"slots": {"a": [True]}}, {}, "spec.slots: want whole numbers, each once"),
        ({"slots": {"a": [0, 0]}}, {}, "spec.slots: want whole numbers, each once"),
        ({"slots": {"a": []}}, {}, "spec.slots: want whole numbers, each once"),
        ({"slots": {"a": [-1, 0]}}, {}, "spec.slots: want numbers from 0 to 1023"),
        ({"slots": {"a": [1024]}}, {}, "spec.slots: want numbers from 0 to 1023"),
        ({"ranks": [1, 1]}, {}, "spec.ranks: want each rank once, from 0"),
        ({"ranks": [-1]}, {}, "spec.ranks: want each rank once, from 0"),
        ({}, {"closed": True, "closureReason": "Succeeded"}, "status.end: want it set where closed is true"),
        (
            {},
            {"closed": True, "closureReason": "Succeeded", "end": "2026-01-31T07:59:59Z"},
            "status.end: want no earlier than spec.start",
        ),
    ],
)
def test_a_lease_is_judged_as_it_is_read_since_the_api_server_does_not(
    spec: dict[str, Any], status: dict[str, Any], told: str
) -> None:
    good = {
        "runRef": {"name": "train", "uid": "1"},
        "group": 0,
        "slots": {"a": [0]},
        "attempt": 1,
        "start": "2026-01-31T08:00:00Z",
        "reason": "Start",
    }
    lease = {"kind": "GPULease", "metadata": {"name": "x"}, "spec": {**good, **spec}, "status": status}
    with pytest.raises(InvalidInput, match=rf"^GPULease x: cannot be read \({re.escape(told)}"):
        lease_from_object(lease)


def test_a_template_is_kept_whole_and_read_in_part() -> None:
    expression = {"key": "disk", "operator": "In", "values": ["ssd"]}
    terms = [
        {"matchExpressions": [expression], "matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n"]}]}
    ]
    written = {
        "metadata": {"annotations": {"a": "b"}, "labels": {"kept": "too"}},
        "spec": {
            "containers": [{"name": "main", "image": "x", "resources": {"requests": {"cpu": "500m", "memory": 2**30}}}],
            "initContainers": [{"name": "first", "resources": {"limits": {"example.com/gpu": "2", "cpu": "1m"}}}],
            "nodeSelector": {"zone": "z"},
            "affinity": {
                "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
            },
            "tolerations": [{"key": "k", "value": "v", "effect": "NoExecute"}, {"operator": "Exists"}, {"key": "e"}],
            "terminationGracePeriodSeconds": 90,
            "volumes": [{"name": "kept", "emptyDir": None}],
        },
    }
    body = {"kind": "Run", "metadata": {"name": "x"}, "spec": {"resources": {"gpus": 1}, "template": written}}
    template = run_from_object(body).spec.template
    assert template is not None
    assert to_object(run_from_object(body))["spec"]["template"] == written
    assert attrs.evolve(template, text="{}") == PodTemplate(
        requests=Requests(cpu_milli=500, memory_bytes=2**30),
        extended=(("example.com/gpu", 2),),
        node_selector=(("zone", "z"),),
        terms=(
            (
                Requirement(key="disk", operator=Operator.IN, values=("ssd",)),
                Requirement(key="metadata.name", operator=Operator.IN, values=("n",), on_name=True),
            ),
        ),
        tolerations=(
            Toleration(key="k", value="v", effect="NoExecute"),
            Toleration(),
            Toleration(key="e", value=""),
        ),
        grace=timedelta(seconds=90),
        annotations=(("a", "b"),),
    )


def test_the_grace_is_taken_off_the_time_of_deletion() -> None:
    metadata = {"name": "x", "deletionTimestamp": "2026-01-31T08:00:30Z", "deletionGracePeriodSeconds": 30}
    run = run_from_object({"kind": "Run", "metadata": metadata, "spec": {"resources": {"gpus": 1}}})
    assert run.meta.deleting == START


def test_a_null_is_what_is_not_there() -> None:
    spec = {"resources": {"gpus": 1, "gpusPerPod": None}, "after": None, "topology": None}
    assert run_from_object({"kind": "Run", "metadata": {"name": "x"}, "spec": spec}).spec == RunSpec(
        resources=Resources(gpus=1)
    )


GOOD = {"kind": "Run", "metadata": {"name": "odd", "namespace": "team"}, "spec": {"resources": {"gpus": 1}}}


@pytest.mark.parametrize(
    "wrong",
    [
        {"spec": None},
        {"spec": []},
        {"spec": {}},
        {"spec": {"resources": {"gpus": "8"}}},
        {"spec": {"resources": {"gpus": True}}},
        {"spec": {"resources": {"gpus": 0}}},
        {"spec": {"resources": {"gpus": 1}, "startTimeout": 15}},
        {"spec": {"resources": {"gpus": 1}, "startTimeout": "soon"}},
        {"spec": {"resources": {"gpus": 1}, "onNodeLoss": "Panic"}},
        {"spec": {"resources": {"gpus": 1}, "after": [1]}},
        {
            "spec": {
                "resources": {"gpus": 1},
                "template": {"spec": {"containers": [{"name": "a", "resources": {"limits": {"cpu": []}}}]}},
            }
        },
        {"status": {"phase": "Sleeping"}},
        {"status": {"admittedAt": "yesterday"}},
        {"metadata": {"name": "odd", "namespace": "team", "labels": {"a": 1}}},
        {"metadata": {"name": "odd", "namespace": "team", "labels": []}, "spec": 5},
        {
            "metadata": {
                "name": "odd",
                "namespace": "team",
                "deletionTimestamp": "2026-01-31T08:00:30Z",
                "deletionGracePeriodSeconds": "30",
            }
        },
    ],
)
def test_a_stored_object_that_cannot_be_read_is_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=r"^Run team/odd: cannot be read .*; mend or delete the object$"):
        run_from_object({**GOOD, **wrong})


def test_a_stored_object_without_a_name_is_refused_too() -> None:
    with pytest.raises(InvalidInput, match="Run without a name: cannot be read"):
        run_from_object({"kind": "Run"})


@attrs.frozen(kw_only=True)
class Queueing:
    lane: str = field(Fact(doc="Which lane."), default="slow")


@attrs.frozen(kw_only=True)
class Colors:
    favorite_color: str = field(Fact(doc="Which color."))


SECTIONS = (
    Section(plugin="lanes", kind="Run", name="queueing", cls=Queueing),
    Section(plugin="colors", kind="Run", name="", cls=Colors),
)


def test_a_plugins_fields_are_read_and_written_in_their_place() -> None:
    run = a_run(sections=MappingProxyType({Queueing: Queueing(lane="fast"), Colors: Colors(favorite_color="blue")}))
    written = to_object(run, SECTIONS)
    assert written["spec"] == {"resources": {"gpus": 8}, "queueing": {"lane": "fast"}, "favoriteColor": "blue"}
    assert run_from_object(written, SECTIONS) == run


def test_a_section_of_defaults_is_still_there() -> None:
    run = a_run(sections=MappingProxyType({Queueing: Queueing()}))
    assert to_object(run, SECTIONS)["spec"]["queueing"] == {}
    assert run_from_object(to_object(run, SECTIONS), SECTIONS) == run


def test_fields_of_a_plugin_that_is_off_are_passed_over() -> None:
    written = to_object(a_run(sections=MappingProxyType({Queueing: Queueing(lane="fast")})), SECTIONS)
    assert run_from_object(written).spec.sections == {}

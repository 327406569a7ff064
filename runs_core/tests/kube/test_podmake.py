"""What a rank's pod is made of beside its template."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import attrs
import pytest

from runs_core.cluster.kube.podmake import pod_object, service
from runs_core.schema.pods import pod_from_object
from runs_core.settings import FleetSettings
from runs_core.testing.builders import a_node, a_pod, a_run
from runs_core.values.meta import pairs

Object = dict[str, Any]
GPU = "nvidia.com/gpu"
RUN = a_run("train", gpus=1)
TEMPLATE = '{"spec":{"containers":[{"name":"main","image":"work"}],"terminationGracePeriodSeconds":20}}'


def test_a_pod_has_the_grace_of_its_run_whoever_ends_it() -> None:
    """Rounded up: Kubernetes knows whole seconds."""
    pod = attrs.evolve(a_pod(RUN, node="n1"), own_grace=timedelta(seconds=59, milliseconds=500))
    made = pod_object(RUN, pod, a_node("n1"), TEMPLATE, RUN.pods)
    assert made["spec"]["terminationGracePeriodSeconds"] == 60
    assert pod_from_object(made, FleetSettings()).own_grace == timedelta(seconds=60)


def test_no_template_makes_a_pod_that_a_kubelet_takes_for_the_shadow_of_a_static_one() -> None:
    """Of which it knows nothing: it would delete each as soon as it is made, for ever, and the run never run."""
    template = json.loads(TEMPLATE)
    template["metadata"] = {"annotations": {"kubernetes.io/config.mirror": "1", "team.example/kept": "1"}}
    told = pairs(template["metadata"]["annotations"])
    pod = attrs.evolve(a_pod(RUN, node="n1"), annotations=told)
    made = pod_object(RUN, pod, a_node("n1"), json.dumps(template), RUN.pods)
    assert made["metadata"]["annotations"] == {"team.example/kept": "1"}


@pytest.mark.parametrize("name", ["train", "7b-train", "7.5b-instructions", "7" * 63])
def test_a_service_has_a_name_that_any_api_server_takes(name: str) -> None:
    made = service(a_run(name))["metadata"]["name"]
    assert re.fullmatch("[a-z]([-a-z0-9]*[a-z0-9])?", made)
    assert len(made) <= 63


def limited(name: str, gpus: str | None, **more: str) -> Object:
    return {"name": name, **more, **({"resources": {"limits": {GPU: gpus}}} if gpus is not None else {})}


@pytest.mark.parametrize(
    ("containers", "before", "given"),
    [
        ([limited("a", None)], [], 8),
        ([limited("a", "0")], [], 8),
        ([limited("a", "6"), limited("b", "2")], [], 8),
        ([limited("a", None)], [limited("i", "8")], 8),
        ([limited("a", None)], [limited("s", "8", restartPolicy="Always")], 8),
    ],
    ids=["nothing said", "none said", "two share them", "used before as well", "a sidecar has them"],
)
def test_a_pod_has_the_gpus_that_its_run_holds_for_it(
    containers: list[Object], before: list[Object], given: int
) -> None:
    template = json.dumps({"spec": {"containers": containers, "initContainers": before}})
    run = a_run("train", gpus=8, gpus_per_pod=8)
    made = pod_object(run, a_pod(run, node="n1"), a_node("n1"), template, run.pods)
    assert pod_from_object(made, FleetSettings()).gpus == given

"""What a rank's pod is made of beside its template."""

from __future__ import annotations

import re
from datetime import timedelta

import attrs
import pytest

from runs_core.cluster.kube.podmake import pod_object, service
from runs_core.schema.pods import pod_from_object
from runs_core.settings import FleetSettings
from runs_core.testing.builders import a_node, a_pod, a_run

RUN = a_run("train", gpus=1)
TEMPLATE = '{"spec":{"containers":[{"name":"main","image":"work"}],"terminationGracePeriodSeconds":20}}'


def test_a_pod_has_the_grace_of_its_run_whoever_ends_it() -> None:
    """Rounded up: Kubernetes knows whole seconds."""
    pod = attrs.evolve(a_pod(RUN, node="n1"), own_grace=timedelta(seconds=59, milliseconds=500))
    made = pod_object(RUN, pod, a_node("n1"), TEMPLATE, RUN.pods)
    assert made["spec"]["terminationGracePeriodSeconds"] == 60
    assert pod_from_object(made, FleetSettings()).own_grace == timedelta(seconds=60)


@pytest.mark.parametrize("name", ["train", "7b-train", "7.5b-instructions", "7" * 63])
def test_a_service_has_a_name_that_any_api_server_takes(name: str) -> None:
    made = service(a_run(name))["metadata"]["name"]
    assert re.fullmatch("[a-z]([-a-z0-9]*[a-z0-9])?", made)
    assert len(made) <= 63

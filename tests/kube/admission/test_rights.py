"""The scheduler's role is what its table declares: all of it can be done, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.kube.admission.conftest import HOME as HOME_NAMESPACE
from tests.kube.admission.conftest import TEAM, a_lease, a_pod, a_run, ours, pods

from runs_core.cluster.kube import paths
from runs_core.cluster.kube.api import APPLY, JSON, Api, Refused
from runs_core.cluster.kube.rights import CERTIFICATES, CLUSTER, HOME, JOURNAL, LEADER, WEBHOOKS
from runs_core.schema.names import API_VERSION, GROUP, VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.kube.admission.conftest import Guarded, Object

    from runs_core.values.permission import Permission

Grant = tuple[str, str, str, str]
REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
EVERYBODY = {"authorization.k8s.io", "authentication.k8s.io", "certificates.k8s.io"}
"""Groups of what Kubernetes lets every service account do: ask about itself, and read who is to be trusted."""
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
CORE = f"/api/v1/namespaces/{HOME_NAMESPACE}"
LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{HOME_NAMESPACE}/leases"
EVENTS = f"/apis/events.k8s.io/v1/namespaces/{TEAM}/events"


def granted(guarded: Guarded, namespace: str) -> set[Grant]:
    """What the API server says that the scheduler may do there: (group, resource, verb, name)."""
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    }
    answer = guarded.scheduler.call("POST", REVIEW, body)[1]["status"]
    assert not answer["incomplete"]
    return {
        (group, resource, verb, name)
        for rule in answer["resourceRules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        for name in rule.get("resourceNames") or [""]
        if group not in EVERYBODY
    }


def declared(permissions: Iterable[Permission]) -> set[Grant]:
    return {
        (one.api_group, one.resource, verb, name)
        for one in permissions
        for verb in one.verbs
        for name in one.names or ("",)
    }


def test_in_its_own_namespace_it_may_do_what_is_declared_and_nothing_else(guarded: Guarded) -> None:
    assert granted(guarded, HOME_NAMESPACE) == declared([*CLUSTER, *HOME])


def test_elsewhere_it_may_do_what_is_declared_for_the_cluster_and_nothing_else(guarded: Guarded) -> None:
    assert granted(guarded, TEAM) == declared(CLUSTER)


@pytest.mark.parametrize("kind", paths.LISTS)
def test_it_can_list_and_watch_what_it_looks_at(guarded: Guarded, kind: str) -> None:
    listed = guarded.scheduler.call("GET", paths.LISTS[kind], query={"limit": "1"})[1]
    since = {"watch": "1", "resourceVersion": listed["metadata"]["resourceVersion"], "timeoutSeconds": "1"}
    assert [line for line in guarded.scheduler.text(paths.LISTS[kind], since) if b'"ERROR"' in line] == []


def test_it_can_write_what_it_decides(guarded: Guarded) -> None:
    api = guarded.scheduler
    guarded.alice.call("POST", ours("runs"), a_run("worked"))
    lease = {"apiVersion": API_VERSION, "kind": "GPULease", "metadata": {"name": "worked"}, "spec": a_lease()}
    assert api.apply(ours("gpuleases", "worked"), lease)[0] == 201
    shut = {"closed": True, "end": "2026-01-31T09:00:00Z", "closureReason": "NodeLost"}
    assert api.apply(ours("gpuleases", "worked"), {**lease, "status": shut})[1]["status"] == shut
    for path, body in made():
        assert api.call("POST", path, body)[0] == 201, path
    target = {"target": {"apiVersion": "v1", "kind": "Node", "name": "node-1"}}
    bind = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "unbound"}, **target}
    assert api.call("POST", f"{pods('unbound')}/binding", bind)[0] == 201
    labels = {"metadata": {"labels": {"runs.dev/run-uid": "3f1c"}}}
    assert api.call("PATCH", pods("unbound"), labels, content="application/merge-patch+json")[0] == 200
    gone = (pods("unbound"), f"/api/v1/namespaces/{TEAM}/services/gang", ours("runs", "worked"))
    for path in (*gone, ours("gpuleases", "worked")):
        assert api.call("DELETE", path)[0] == 200


def made() -> list[tuple[str, Object]]:
    service = {"clusterIP": "None", "selector": {"runs.dev/run-uid": "3f1c"}, "ports": [{"port": 29500}]}
    event = {
        "eventTime": "2026-01-31T08:00:00.000000Z",
        "reportingController": "runs.dev/runs",
        "reportingInstance": "runs",
        "action": "Started",
        "reason": "Started",
        "type": "Normal",
        "regarding": {"kind": "Run", "name": "worked", "namespace": TEAM, "apiVersion": API_VERSION},
    }
    lease = {"holderIdentity": "a"}
    return [
        (pods(), a_pod("unbound", gpus=8, schedulerName="runs")),
        (f"/api/v1/namespaces/{TEAM}/services", an("v1", "Service", "gang", spec=service)),
        (EVENTS, an("events.k8s.io/v1", "Event", "worked.1", **event)),
        (LEASES, an("coordination.k8s.io/v1", "Lease", LEADER, spec=lease)),
        (f"{CORE}/configmaps", an("v1", "ConfigMap", JOURNAL, data={"term": "1"})),
    ]


def an(version: str, kind: str, name: str, **parts: object) -> Object:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, **parts}


REFUSED = [
    ("PUT", ours("runs", "some"), "to change what a person asked for"),
    ("POST", ours("runs"), "to submit"),
    ("POST", ours("budgets", namespace=None), "to give itself quota"),
    ("DELETE", ours("gpuleases"), "to forget all"),
    ("GET", "/api/v1/secrets", "to read everybody's secrets"),
    ("GET", f"{CORE}/secrets", "to read its namespace's secrets"),
    ("GET", f"{CORE}/secrets/other", "to read another secret"),
    ("GET", f"{CORE}/configmaps/other", "to read another map"),
    ("DELETE", f"{CORE}/configmaps/{JOURNAL}", "to remove its journal"),
    ("POST", f"/api/v1/namespaces/{TEAM}/configmaps", "to write elsewhere"),
    ("PATCH", "/api/v1/nodes/node-1", "to change a node"),
    ("GET", f"{ADMISSION}/validatingwebhookconfigurations/others", "to read others' webhooks"),
    ("GET", f"{ADMISSION}/validatingwebhookconfigurations", "to list webhooks"),
    ("POST", f"{pods('some')}/exec", "to run commands"),
    ("GET", f"{pods('some')}/log", "to read logs"),
    ("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", "to give rights"),
    ("GET", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", "to read definitions"),
]


@pytest.mark.parametrize(("method", "path", "claim"), REFUSED, ids=[row[2] for row in REFUSED])
def test_it_may_not(guarded: Guarded, method: str, path: str, claim: str) -> None:
    content = APPLY if method == "PATCH" else JSON
    query = {"fieldManager": "runs"} if method == "PATCH" else None
    body = None if method == "GET" else {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-1"}}
    with pytest.raises(Refused) as refused:
        guarded.scheduler.call(method, path, body, content=content, query=query)
    assert (refused.value.status, refused.value.reason) == (403, "Forbidden")


def test_nobody_else_has_them(guarded: Guarded) -> None:
    for api, path in (
        (guarded.alice, f"{CORE}/secrets/{CERTIFICATES}"),
        (guarded.alice, f"{CORE}/configmaps/{JOURNAL}"),
    ):
        with pytest.raises(Refused, match="cannot get resource"):
            api.call("GET", path)


def test_a_researcher_sees_the_fleet_and_keeps_runs(guarded: Guarded) -> None:
    api: Api = guarded.alice
    for kind in paths.LISTS:
        assert api.call("GET", paths.LISTS[kind], query={"limit": "1"})[0] == 200
    assert api.call("POST", ours("runs"), a_run("kept"))[0] == 201
    assert api.call("DELETE", ours("runs", "kept"))[0] == 200
    with pytest.raises(Refused, match="cannot create resource"):
        api.call("POST", f"/apis/{GROUP}/{VERSION}/budgets", an(API_VERSION, "Budget", "a", spec={"owner": "a"}))


def test_its_own_webhooks_are_the_only_ones_that_it_may_change(guarded: Guarded) -> None:
    for plural in ("mutatingwebhookconfigurations", "validatingwebhookconfigurations"):
        assert guarded.scheduler.call("GET", f"{ADMISSION}/{plural}/{WEBHOOKS}")[0] == 200

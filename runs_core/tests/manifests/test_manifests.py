"""The objects of an installation: what they grant, whom they name, and that they are the same each time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from runs_core.cluster.kube import rights
from runs_core.cluster.kube.podmake import FINALIZER
from runs_core.errors import InvalidInput
from runs_core.hooks.permission import Permission
from runs_core.hooks.specs import hookimpl
from runs_core.serve.manifests.installation import Installation
from runs_core.serve.manifests.policies import PolicyMode, policies
from runs_core.serve.manifests.rbac import rbac, rules
from runs_core.serve.manifests.webhooks import ByService, ByUrl, FailurePolicy, webhooks
from runs_core.settings import FleetSettings

Object = dict[str, Any]
HERE = Installation()
ELSEWHERE = Installation(namespace="gangs", account="conductor")
FLEET = FleetSettings()
BINDING = "ValidatingAdmissionPolicyBinding"
JOBS = Permission(api_group="batch", resource="jobs", verbs=("list", "get"))


def named(objects: list[Object], kind: str, name: str) -> Object:
    (found,) = [one for one in objects if (one["kind"], one["metadata"]["name"]) == (kind, name)]
    return found


def everything() -> list[Object]:
    reach = ByUrl(base="https://10.0.0.5:9443")
    return [*rbac(HERE, [JOBS]), *policies(HERE, FLEET, PolicyMode.DENY), *webhooks(HERE, reach)]


def granted() -> Iterator[Object]:
    for one in rbac(HERE, [JOBS]):
        yield from one.get("rules", [])


def test_no_rule_has_a_wildcard() -> None:
    assert len(list(granted())) > 20
    assert [rule for rule in granted() if "*" in json.dumps(rule)] == []


@pytest.mark.parametrize(
    "wide", [{"verbs": ("*",)}, {"resource": "*"}, {"resource": "pods/*"}, {"api_group": "*"}, {"names": ("*",)}]
)
def test_a_wildcard_cannot_even_be_declared(wide: Object) -> None:
    with pytest.raises(ValueError, match="a wildcard is never granted"):
        Permission(**{"api_group": "", "resource": "pods", "verbs": ("get",), **wide})


@pytest.mark.parametrize("empty", [{"verbs": ()}, {"resource": ""}])
def test_a_permission_allows_something(empty: Object) -> None:
    with pytest.raises(ValueError, match="allows nothing"):
        Permission(**{"api_group": "", "resource": "pods", "verbs": ("get",), **empty})


def test_a_plugin_gets_what_it_declares_and_only_while_it_is_on() -> None:
    wanted = {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["get", "list"]}
    with_it, without = (named(rbac(HERE, extra), "ClusterRole", "runs-scheduler") for extra in ([JOBS], []))
    assert [rule for rule in with_it["rules"] if rule not in without["rules"]] == [wanted]
    assert [rule for rule in without["rules"] if rule not in with_it["rules"]] == []


def test_what_is_declared_twice_is_granted_once() -> None:
    watch = Permission(api_group="batch", resource="jobs", verbs=("watch", "get"))
    assert rules([JOBS, watch, JOBS]) == [
        {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["get", "list", "watch"]}
    ]


def test_rights_in_its_own_namespace_are_no_rights_elsewhere() -> None:
    cluster = named(rbac(HERE), "ClusterRole", "runs-scheduler")["rules"]
    assert {"secrets", "configmaps", "leases"}.isdisjoint(
        resource for rule in cluster for resource in rule["resources"]
    )
    role = named(rbac(HERE), "Role", "runs-home")
    assert role["metadata"]["namespace"] == "runs-system"
    assert {"get", "list", "watch"}.isdisjoint(
        verb for rule in role["rules"] for verb in rule["verbs"] if "resourceNames" not in rule
    )


def test_people_get_no_right_to_what_is_the_schedulers() -> None:
    for name in ("runs-view", "runs-user", "runs-admin"):
        for rule in named(rbac(HERE), "ClusterRole", name)["rules"]:
            (resource,) = rule["resources"]
            assert not resource.endswith("/status")
            assert resource not in ("gpuleases", "pods", "nodes") or set(rule["verbs"]) == {"get", "list", "watch"}


@pytest.mark.parametrize(("role", "joins"), [("view", "view"), ("user", "edit"), ("admin", "admin")])
def test_the_roles_of_people_join_those_of_kubernetes(role: str, joins: str) -> None:
    labels = named(rbac(HERE), "ClusterRole", f"runs-{role}")["metadata"]["labels"]
    assert labels[f"rbac.authorization.k8s.io/aggregate-to-{joins}"] == "true"


def test_each_role_of_people_holds_the_one_below() -> None:
    held = [
        {(rule["apiGroups"][0], rule["resources"][0], verb) for rule in role["rules"] for verb in rule["verbs"]}
        for role in (named(rbac(HERE), "ClusterRole", f"runs-{name}") for name in ("view", "user", "admin"))
    ]
    assert held[0] < held[1] < held[2]


def test_names_are_carried_through() -> None:
    text = json.dumps([*rbac(ELSEWHERE), *policies(ELSEWHERE, FLEET, PolicyMode.WARN)])
    assert "runs-system" not in text
    assert "system:serviceaccount:gangs:conductor" in text
    subjects = [one["subjects"] for one in rbac(ELSEWHERE) if "subjects" in one]
    assert subjects == [[{"kind": "ServiceAccount", "name": "conductor", "namespace": "gangs"}]] * 2


@pytest.mark.parametrize("bad", [{"namespace": "Gangs"}, {"namespace": "a" * 64}, {"account": "it's"}, {"account": ""}])
def test_a_name_that_kubernetes_does_not_take_is_refused(bad: Object) -> None:
    with pytest.raises(InvalidInput, match="want lower-case letters"):
        Installation(**bad)


def test_every_object_can_be_found_by_a_label() -> None:
    assert {one["metadata"]["labels"]["app.kubernetes.io/part-of"] for one in everything()} == {"runs"}


def test_they_are_the_same_each_time() -> None:
    assert json.dumps(everything()) == json.dumps(everything())


# -- policies ---------------------------------------------------------------------------------------------------------


def actions(mode: PolicyMode) -> dict[str, list[str]]:
    found = policies(HERE, FLEET, mode)
    return {one["spec"]["policyName"]: one["spec"]["validationActions"] for one in found if one["kind"] == BINDING}


@pytest.mark.parametrize(
    ("mode", "said"), [(PolicyMode.OFF, None), (PolicyMode.WARN, ["Warn", "Audit"]), (PolicyMode.DENY, ["Deny"])]
)
def test_the_mode_is_that_of_gpu_pods_alone(mode: PolicyMode, said: list[str] | None) -> None:
    found = actions(mode)
    assert found.pop("runs-gpu-pods", None) == said
    others = ("runs-facts", "runs-kept-out", "runs-ledger", "runs-namespace-labels", "runs-pod-labels", "runs-shape")
    assert found == {name: ["Deny"] for name in others}


@pytest.mark.parametrize("mode", list(PolicyMode))
def test_a_run_gets_its_finalizer_from_a_policy_that_never_refuses_it(mode: PolicyMode) -> None:
    found = policies(HERE, FLEET, mode)
    policy = named(found, "MutatingAdmissionPolicy", "runs-new-runs")
    assert policy["spec"]["failurePolicy"] == "Ignore"
    assert FINALIZER in policy["spec"]["mutations"][0]["jsonPatch"]["expression"]
    assert named(found, "MutatingAdmissionPolicyBinding", "runs-new-runs")["spec"]["policyName"] == "runs-new-runs"


def test_only_the_schedulers_own_pods_lose_the_notes_of_who_wrote_what() -> None:
    policy = named(policies(HERE, FLEET, PolicyMode.DENY), "MutatingAdmissionPolicy", "runs-pod-notes")
    assert policy["spec"]["failurePolicy"] == "Ignore"
    assert any(HERE.user in condition["expression"] for condition in policy["spec"]["matchConditions"])


def test_every_resource_of_the_settings_counts_as_a_gpu() -> None:
    fleet = FleetSettings(resources=(("MI300", "amd.com/gpu"), ("L4", "nvidia.com/gpu")))
    policy = named(policies(HERE, fleet, PolicyMode.DENY), "ValidatingAdmissionPolicy", "runs-gpu-pods")
    (expression,) = [one["expression"] for one in policy["spec"]["matchConditions"] if one["name"] == "asks-for-gpus"]
    assert set(re.findall(r'"(\w+\.com/gpu)"', expression)) == {"amd.com/gpu", "nvidia.com/gpu"}
    assert "amd.com/gpu or nvidia.com/gpu" in policy["spec"]["validations"][0]["message"]


# -- webhooks ---------------------------------------------------------------------------------------------------------


def hooks(*made: Object) -> list[Object]:
    return [hook for one in made for hook in one["webhooks"]]


def test_webhooks_are_reached_by_url_or_by_service() -> None:
    by_url = hooks(*webhooks(HERE, ByUrl(base="https://10.0.0.5:9443/")))
    assert [hook["clientConfig"]["url"] for hook in by_url] == [
        "https://10.0.0.5:9443/default",
        "https://10.0.0.5:9443/validate",
    ]
    by_service = hooks(*webhooks(HERE, ByService(namespace="runs-system", name="runs-webhook")))
    assert [hook["clientConfig"]["service"]["path"] for hook in by_service] == ["/default", "/validate"]


def test_without_an_authority_the_field_is_left_to_who_makes_one() -> None:
    reach = ByUrl(base="https://x")
    assert all("caBundle" not in hook["clientConfig"] for hook in hooks(*webhooks(HERE, reach)))
    given = hooks(*webhooks(HERE, reach, authority="PEM"))
    assert {hook["clientConfig"]["caBundle"] for hook in given} == {"UEVN"}


@pytest.mark.parametrize("failure", FailurePolicy)
def test_webhooks_never_hold_up_the_system_nor_what_is_on_its_way_out(failure: FailurePolicy) -> None:
    for hook in hooks(*webhooks(HERE, ByUrl(base="https://x"), failure=failure)):
        assert hook["failurePolicy"] == failure
        assert hook["namespaceSelector"]["matchExpressions"][0]["values"] == ["kube-system"]
        assert hook["matchConditions"][0]["expression"] == "!has(object.metadata.deletionTimestamp)"
        assert hook["timeoutSeconds"] <= 5


def test_the_scheduler_may_write_into_its_own_webhooks() -> None:
    (name,) = {one["metadata"]["name"] for one in webhooks(HERE, ByUrl(base="https://x"))}
    allowed = [one for one in rights.CLUSTER if one.api_group == "admissionregistration.k8s.io"]
    assert [one.names for one in allowed] == [(name,), (name,)]


def test_a_plugin_that_asks_for_everything_is_refused_by_name() -> None:
    from runs_core.hooks.registry import Found, registry  # noqa: PLC0415 - for this test only

    class Greedy:
        RUNS_HOOK_API = (1, 1)

        @hookimpl
        def runs_permissions(self) -> list[Permission]:
            return [Permission(api_group="", resource="secrets", verbs=("*",))]

    class All:
        def allows(self, name: str) -> bool:
            return True

    (problem,) = registry(All(), [Found(name="greedy", load=Greedy)]).problems
    assert "plugin greedy" in problem
    assert "a wildcard is never granted" in problem

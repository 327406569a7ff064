"""What the API server lets in, with our webhooks and policies in force, for people who are no administrators."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.kube.admission.conftest import HOME, TEAM, a_lease, a_pod, a_run, dry, ours, pods, printed, refusal, until

from runs_core.cluster.kube.api import APPLY, Api, Refused
from runs_core.cluster.kube.podmake import FINALIZER
from runs_core.schema.names import API_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.kube.admission.conftest import Guarded, Object


# -- runs -------------------------------------------------------------------------------------------------------------


def test_a_run_gets_the_only_flavor(guarded: Guarded) -> None:
    assert dry(guarded.alice, ours("runs"), a_run("a"))["spec"]["resources"]["flavor"] == "H100"


def test_a_run_is_stored_with_our_finalizer_however_it_is_applied(guarded: Guarded) -> None:
    """Applying it again, without the finalizer, does not take it away; on its way out it can be taken away."""
    path = ours("runs", "kept")
    body = {**a_run("kept"), "metadata": {"name": "kept", "namespace": TEAM}}
    for _ in range(2):
        stored = guarded.alice.call("PATCH", path, body, content=APPLY, query={"fieldManager": "alice"})[1]
        assert stored["metadata"]["finalizers"] == [FINALIZER]
    assert guarded.alice.call("DELETE", path)[1]["metadata"]["finalizers"] == [FINALIZER]
    merge(guarded.alice, path, {"metadata": {"finalizers": None}})
    with pytest.raises(Refused, match="not found"):
        guarded.alice.call("GET", path)


def test_a_run_is_stored_with_our_finalizer_while_no_webhook_answers(guarded: Guarded) -> None:
    """A policy adds it, beside those of others none: the scheduler does then, before it starts anything."""
    assert guarded.server is not None
    port = guarded.server.port
    guarded.down()
    try:
        assert dry(guarded.alice, ours("runs"), a_run("a", flavor="H100"))["metadata"]["finalizers"] == [FINALIZER]
        others = a_run("a", flavor="H100")
        others["metadata"] |= {"finalizers": ["example.com/mine"]}
        assert dry(guarded.alice, ours("runs"), others)["metadata"]["finalizers"] == ["example.com/mine"]
    finally:
        guarded.serve(port)


def test_a_run_that_names_its_flavor_keeps_it(guarded: Guarded) -> None:
    assert dry(guarded.alice, ours("runs"), a_run("a", flavor="A100"))["spec"]["resources"]["flavor"] == "A100"


def test_a_run_without_a_name_yet_is_judged_all_the_same(guarded: Guarded) -> None:
    body = a_run("a")
    body["metadata"] = {"generateName": "train-"}
    assert dry(guarded.alice, ours("runs"), body)["metadata"]["name"].startswith("train-")


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (a_run("a", gpus=0), "spec.resources.gpus: got 0, want a whole number from 1"),
        (a_run("a", gpusPerPod=3), "gpusPerPod"),
        (a_run("a", gpus=True), "spec.resources.gpus: got true"),
    ],
)
def test_a_bad_run_is_refused_with_the_sentence_of_the_command_line(
    guarded: Guarded, body: Object, sentence: str
) -> None:
    message = refusal(guarded.alice, ours("runs"), body) or ""
    assert message.startswith('admission webhook "default.runs.dev" denied the request: spec.')
    assert sentence in message


def test_a_run_must_name_one_of_several_flavors(guarded: Guarded) -> None:
    guarded.flavors.append("A100")
    try:
        message = refusal(guarded.alice, ours("runs"), a_run("a")) or ""
    finally:
        guarded.flavors.remove("A100")
    assert message.endswith("spec.resources.flavor: got nothing, and the fleet has H100, A100: name one")


def test_an_edit_that_must_not_be_is_refused_and_another_is_not(guarded: Guarded) -> None:
    run = guarded.alice.call("POST", ours("runs"), a_run("admitted"))[1]
    status = {"admittedAt": "2026-01-31T08:00:00Z"}
    guarded.scheduler.swap(ours("runs", "admitted", "status"), {**run, "status": status})
    wider = {**identity(run), "spec": {"resources": {"gpus": 16}}}
    with pytest.raises(Refused, match=r"admission webhook .* spec.resources: got a change"):
        merge(guarded.alice, ours("runs", "admitted"), wider)
    hint = merge(guarded.alice, ours("runs", "admitted"), {"spec": {"runtime": {"expectedDuration": "2h"}}})
    assert hint["spec"]["runtime"]["expectedDuration"] == "2h"


def test_one_field_of_an_admitted_template_makes_no_room_for_another_while_no_webhook_answers(guarded: Guarded) -> None:
    body = a_run("shaped", flavor="H100")
    body["spec"]["template"] = {
        "spec": {"priorityClassName": "low", "containers": [{"name": "main", "image": "trainer:1"}]}
    }
    run = guarded.alice.call("POST", ours("runs"), body)[1]
    swapped = {"spec": {"template": {"spec": {"priorityClassName": None, "hostNetwork": True}}}}
    assert guarded.server is not None
    port = guarded.server.port
    guarded.down()
    try:
        before = merge(guarded.alice, ours("runs", "shaped"), swapped)
        assert before["spec"]["template"]["spec"]["hostNetwork"]
        status = {"admittedAt": "2026-01-31T08:00:00Z"}
        guarded.scheduler.swap(ours("runs", "shaped", "status"), {**before, "status": status})
        back = {"spec": {"template": {"spec": {"priorityClassName": "low", "hostNetwork": None}}}}
        with pytest.raises(Refused, match=r"spec\.template: want no change once the run is admitted"):
            merge(guarded.alice, ours("runs", "shaped"), back)
        merge(guarded.alice, ours("runs", "shaped"), {"spec": {"canceled": True}})
    finally:
        guarded.serve(port)
    assert guarded.alice.call("GET", ours("runs", "shaped"))[1]["metadata"]["uid"] == run["metadata"]["uid"]


def test_a_budget_is_judged_too(guarded: Guarded) -> None:
    body = {"apiVersion": API_VERSION, "kind": "Budget", "metadata": {"name": "a"}, "spec": {"owner": ""}}
    message = refusal(guarded.meddler, ours("budgets", namespace=None), body) or ""
    assert message.startswith('admission webhook "default.runs.dev" denied the request: spec.owner')


# -- what is the scheduler's ------------------------------------------------------------------------------------------


def test_a_researcher_may_not_write_a_status_or_a_lease(guarded: Guarded) -> None:
    guarded.alice.call("POST", ours("runs"), a_run("mine"))
    body = {**identity(a_run("mine")), "status": {"phase": "Running"}}
    lease = {"apiVersion": API_VERSION, "kind": "GPULease", "metadata": {"name": "l"}, "spec": a_lease()}
    for path, said in ((ours("runs", "mine", "status"), body), (ours("gpuleases", "l"), lease)):
        with pytest.raises(Refused, match="cannot patch resource"):
            patch(guarded.alice, path, said)


def test_whoever_has_the_rights_still_may_not_write_a_status(guarded: Guarded) -> None:
    run = guarded.alice.call("POST", ours("runs"), a_run("theirs"))[1]
    body = {**identity(a_run("theirs")), "status": {"phase": "Running"}}
    with pytest.raises(Refused, match="written by the scheduler only"):
        patch(guarded.meddler, ours("runs", "theirs", "status"), body)
    _, stored = guarded.scheduler.swap(ours("runs", "theirs", "status"), {**run, "status": body["status"]})
    assert stored["status"]["phase"] == "Running"


def test_whoever_has_the_rights_still_may_not_open_close_or_mark_a_lease(guarded: Guarded) -> None:
    lease = {
        "apiVersion": API_VERSION,
        "kind": "GPULease",
        "metadata": {"name": "open", "finalizers": ["runs.dev/ledger"]},
        "spec": a_lease(),
    }
    assert "written by the scheduler only" in (refusal(guarded.meddler, ours("gpuleases"), lease) or "")
    stored = patch(guarded.scheduler, ours("gpuleases", "open"), lease)
    shut = {"closed": True, "end": "2026-01-31T09:00:00Z", "closureReason": "NodeLost"}
    changes: tuple[dict[str, object], ...] = (
        {"status": shut},
        {"metadata": {"finalizers": []}},
        {"metadata": {"labels": {"runs.dev/run": "other"}}},
    )
    for change in changes:
        with pytest.raises(Refused, match="written by the scheduler only"):
            merge(guarded.meddler, ours("gpuleases", "open"), change)
    note = merge(guarded.meddler, ours("gpuleases", "open"), {"metadata": {"annotations": {"note": "seen"}}})
    assert note["spec"] == stored["spec"]


def test_what_a_lease_says_stays_so_for_the_scheduler_as_well(guarded: Guarded) -> None:
    path = ours("gpuleases", "fact")
    spec = {**a_lease(), "payer": {"budget": "vision", "envelope": "h100"}}
    body = {"apiVersion": API_VERSION, "kind": "GPULease", "metadata": {"name": "fact"}, "spec": spec}
    opened = guarded.scheduler.call("POST", ours("gpuleases"), body)[1]
    assert opened["status"] == {"closed": False}

    def refused(*changes: Mapping[str, object]) -> None:
        for change in changes:
            with pytest.raises(Refused, match="want no"):
                merge(guarded.scheduler, path, dict(change))

    edits: tuple[dict[str, object], ...] = (
        {"slots": {"node-1": [0]}},
        {"slots": {"node-2": [0]}},
        {"payer": {"envelope": "other"}},
        {"payer": None},
        {"ranks": [0]},
        {"owner": "vision"},
        {"start": "2026-01-31T08:00:01Z"},
        {"another": "field"},
        {"payer": None, "owner": "vision"},
        {"start": None, "another": "field"},
    )
    refused(*({"spec": edit} for edit in edits))
    merge(guarded.scheduler, path, {"status": {"meteredUntil": "2026-01-31T09:00:00Z", "meteredAs": "owned"}})
    refused({"status": {"meteredUntil": "2026-01-31T08:59:59Z"}})
    shut = {"closed": True, "end": "2026-01-31T10:00:00Z", "closureReason": "NodeLost", "gpuSeconds": {"owned": 2}}
    closed = merge(guarded.scheduler, path, {"status": shut})
    statuses: tuple[dict[str, object] | None, ...] = (
        {"closed": False},
        {"end": "2026-01-31T11:00:00Z"},
        {"closureReason": "Succeeded"},
        {"gpuSeconds": {"owned": 3}},
        {"closureDetail": "by hand"},
        {"closed": None, "end": None},
        {"gpuSeconds": None, "closureDetail": "by hand"},
        {"end": None, "another": "field"},
        None,
    )
    refused(*({"status": status} for status in statuses), {"spec": {"slots": {"node-1": [0]}}})
    now = guarded.scheduler.call("GET", path)[1]
    assert (now["spec"], now["status"]) == (opened["spec"], closed["status"])


@pytest.mark.parametrize("label", ["run-uid", "attempt", "retry", "rank", "group"])
def test_a_pod_cannot_pass_for_a_rank(guarded: Guarded, label: str) -> None:
    message = refusal(guarded.meddler, pods(), a_pod(labels={f"runs.dev/{label}": "1"})) or ""
    assert f"runs.dev/{label}" in message
    assert "written by the scheduler only" in message


def test_the_labels_of_a_rank_stay_as_they_are(guarded: Guarded) -> None:
    ranked = {"runs.dev/run": "train", "runs.dev/run-uid": "3f1c", "runs.dev/rank": "0", "team": "a"}
    guarded.scheduler.call("POST", pods(), a_pod("rank", labels=ranked, schedulerName="runs", nodeName="node-1"))
    for key, value in (("runs.dev/run-uid", None), ("runs.dev/rank", "1"), ("runs.dev/run", "other")):
        with pytest.raises(Refused, match=key):
            merge(guarded.meddler, pods("rank"), {"metadata": {"labels": {key: value}}})
    assert merge(guarded.meddler, pods("rank"), {"metadata": {"labels": {"team": "b"}}})["metadata"]["labels"] == {
        **ranked,
        "team": "b",
    }


def test_labels_that_come_with_a_status_or_a_binding_make_no_rank_either(guarded: Guarded) -> None:
    guarded.meddler.call("POST", pods(), a_pod("patient", schedulerName="runs"))
    forged = {"metadata": {"name": "patient", "labels": {"runs.dev/run-uid": "3f1c"}}}
    target = {"target": {"apiVersion": "v1", "kind": "Node", "name": "node-1"}}
    with pytest.raises(Refused, match="written by the scheduler only"):
        merge(guarded.meddler, pods("patient", "status"), forged)
    binding = {"apiVersion": "v1", "kind": "Binding", **forged, **target}
    with pytest.raises(Refused, match="written by the scheduler only"):
        guarded.meddler.call("POST", pods("patient", "binding"), binding)
    told = merge(guarded.meddler, pods("patient", "status"), {"status": {"phase": "Running"}})
    assert (told["status"]["phase"], told["metadata"].get("labels")) == ("Running", None)
    plain = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "patient"}, **target}
    assert guarded.meddler.call("POST", pods("patient", "binding"), plain)[0] == 201


def test_nobody_notes_who_wrote_what_of_a_pod_of_the_schedulers_own(guarded: Guarded) -> None:
    """Nor of what a kubelet says of it; of others' pods the notes stay."""
    begun = {"status": {"phase": "Running"}}
    for api, name, noted in ((guarded.scheduler, "unnoted", False), (guarded.meddler, "noted", True)):
        stored = api.call("POST", pods(), a_pod(name, schedulerName="runs"))[1]
        assert ("managedFields" in stored["metadata"]) is noted
        done = guarded.plane.kubectl(
            "patch", "pod", name, "-n", TEAM, "--subresource=status", "-p", json.dumps(begun), "-o", "json",
            "--show-managed-fields",
        )  # fmt: skip
        told = json.loads(done.stdout)
        assert told["status"]["phase"] == "Running"
        assert ("managedFields" in told["metadata"]) is noted


def test_of_a_run_nobody_notes_who_wrote_what_until_somebody_applies_it(guarded: Guarded) -> None:
    """Then what was there before is somebody else's, and what is applied is found to be in conflict with it."""
    path = ours("runs", "created")
    stored = guarded.alice.call("POST", ours("runs"), a_run("created"))[1]
    assert "managedFields" not in stored["metadata"]
    assert stored["metadata"]["finalizers"] == [FINALIZER]
    told = guarded.scheduler.swap(f"{path}/status", {**stored, "status": {"phase": "Queued"}})[1]
    assert told["status"]["phase"] == "Queued"
    assert "managedFields" not in told["metadata"]
    wider, labeled = a_run("created"), identity(a_run("created"))
    wider["spec"]["resources"]["gpus"] *= 2
    labeled["metadata"]["labels"] = {"team": "a"}
    with pytest.raises(Refused, match="conflict"):
        guarded.alice.apply(path, wider, query={"fieldManager": "git", "force": "false"})
    kept = patch(guarded.alice, path, labeled)
    assert {one["operation"] for one in kept["metadata"]["managedFields"]} == {"Apply", "Update"}


def test_of_a_run_that_is_applied_the_notes_stay_and_it_has_its_finalizer(guarded: Guarded) -> None:
    stored = patch(guarded.alice, ours("runs", "applied"), a_run("applied"))
    assert "Apply" in {one["operation"] for one in stored["metadata"]["managedFields"]}
    assert stored["metadata"]["finalizers"] == [FINALIZER]


def test_a_pod_may_ask_to_be_of_a_run(guarded: Guarded) -> None:
    asks = a_pod(gpus=8, labels={"runs.dev/run": "train"}, schedulerName="runs")
    assert refusal(guarded.meddler, pods(), asks) is None


# -- GPU pods ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["limits", "requests"])
def test_a_gpu_pod_of_another_scheduler_is_refused_with_the_remedy(guarded: Guarded, part: str) -> None:
    body = a_pod(gpus=1)
    if part == "requests":
        body["spec"]["containers"][0]["resources"]["requests"] = {"nvidia.com/gpu": "1"}
    message = refusal(guarded.meddler, pods(), body) or ""
    assert (
        "a pod that asks for nvidia.com/gpu is scheduled by runs: submit a Run, or set schedulerName: runs" in message
    )


def test_an_init_container_asks_for_gpus_as_well(guarded: Guarded) -> None:
    body = a_pod(initContainers=a_pod(gpus=2)["spec"]["containers"])
    body["spec"]["initContainers"][0]["name"] = "first"
    assert "is scheduled by runs" in (refusal(guarded.meddler, pods(), body) or "")


def test_a_gpu_pod_says_which_run_it_is_of(guarded: Guarded) -> None:
    """Or it would wait for ever, and nobody say why."""
    message = refusal(guarded.meddler, pods(), a_pod(gpus=1, schedulerName="runs")) or ""
    assert "names its run by the label runs.dev/run" in message
    assert refusal(guarded.meddler, pods(), a_pod(gpus=1, labels={"runs.dev/run": "a"}, schedulerName="runs")) is None


def test_a_gpu_pod_does_not_choose_its_node(guarded: Guarded) -> None:
    body = a_pod(gpus=1, labels={"runs.dev/run": "a"}, schedulerName="runs", nodeName="node-1")
    assert "leaves its node to runs" in (refusal(guarded.meddler, pods(), body) or "")
    assert refusal(guarded.scheduler, pods(), body) is None


def test_a_kubelet_tells_of_a_static_pod_with_gpus_so_that_they_count_as_taken(guarded: Guarded) -> None:
    """It runs whatever the API server says: refused, its GPUs would be given away a second time."""
    guarded.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-s"}})
    node = json.loads(guarded.plane.kubectl("get", "node", "node-s", "-o", "json").stdout)
    owner = {"apiVersion": "v1", "kind": "Node", "name": "node-s", "uid": node["metadata"]["uid"], "controller": True}
    body = a_pod(gpus=1, nodeName="node-s")
    body["metadata"] |= {"annotations": {"kubernetes.io/config.mirror": "1"}, "ownerReferences": [owner]}
    words = ["create", "--dry-run=server", "-n", TEAM, "-f", "-"]
    kubelet = [*words, "--as", "system:node:node-s", "--as-group", "system:nodes"]
    told = guarded.plane.kubectl(*kubelet, stdin=json.dumps(body))
    assert told.returncode == 0, told.stderr
    assert "is scheduled by runs" in (refusal(guarded.meddler, pods(), body) or "")
    del body["metadata"]["annotations"]
    assert "is scheduled by runs" in guarded.plane.kubectl(*kubelet, stdin=json.dumps(body)).stderr
    guarded.plane.kubectl("delete", "node", "node-s")


@pytest.mark.parametrize("gpus", [None, 0])
def test_a_pod_without_gpus_is_nobody_elses_business(guarded: Guarded, gpus: int | None) -> None:
    assert refusal(guarded.meddler, pods(), a_pod(gpus=gpus)) is None


def test_a_namespace_can_keep_its_gpu_pods_to_itself(guarded: Guarded) -> None:
    assert refusal(guarded.meddler, pods(namespace="operator"), a_pod(gpus=1)) is None


# -- namespaces -------------------------------------------------------------------------------------------------------

KIM = ("--as", "kim", "--as-group", "keepers")
"""Keeps namespaces, as platforms let tenants do, and no Budgets."""


def labeled(guarded: Guarded, *labels: str, who: tuple[str, ...] = KIM) -> str:
    """Why the team's namespace does not get these labels; empty: it would."""
    done = guarded.plane.kubectl("label", "namespace", TEAM, *labels, "--overwrite", "--dry-run=server", *who)
    return done.stderr if done.returncode else ""


@pytest.fixture
def keeper(guarded: Guarded) -> Iterator[None]:
    for words in (
        ("create", "clusterrole", "keeper", "--verb", "get,create,update,patch", "--resource", "namespaces"),
        ("create", "clusterrolebinding", "keepers", "--clusterrole", "keeper", "--group", "keepers"),
    ):
        assert guarded.plane.kubectl(*words).returncode == 0
    until(lambda: labeled(guarded, "team=a") == "")
    yield
    for kind, name in (("clusterrolebinding", "keepers"), ("clusterrole", "keeper")):
        assert guarded.plane.kubectl("delete", kind, name).returncode == 0


def test_only_who_may_write_budgets_sets_the_labels_of_a_namespace_that_say_who_pays(
    guarded: Guarded, keeper: None
) -> None:
    for label in ("runs.dev/gpu-pods=unmanaged", "runs.dev/owner=vision"):
        assert "are set by who may update Budgets" in labeled(guarded, label)
        assert labeled(guarded, label, who=()) == ""
    made = guarded.plane.kubectl("create", "--dry-run=server", *KIM, "-f", "-", stdin=json.dumps(OWNED))
    assert "are set by who may update Budgets" in made.stderr
    assert guarded.plane.kubectl("label", "namespace", TEAM, "runs.dev/owner=vision").returncode == 0
    assert "are set by who may update Budgets" in labeled(guarded, "runs.dev/owner-")
    assert labeled(guarded, "team=b", "runs.dev/owner=vision") == ""
    assert guarded.plane.kubectl("label", "namespace", TEAM, "runs.dev/owner-").returncode == 0


OWNED = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "owned", "labels": {"runs.dev/owner": "a"}}}


@pytest.mark.parametrize("namespace", ["kube-system", HOME])
def test_no_run_is_made_where_its_pods_could_act_as_the_scheduler(guarded: Guarded, namespace: str) -> None:
    """A template names any service account of its namespace."""
    body = a_run("a", flavor="H100")
    body["spec"]["template"] = {"spec": {"serviceAccountName": "runs", "containers": [{"name": "a", "image": "x"}]}}
    message = refusal(guarded.alice, ours("runs", namespace=namespace), body) or ""
    assert "no run is made in kube-system or runs-system" in message
    assert refusal(guarded.alice, ours("runs"), body) is None


@pytest.fixture
def warning(guarded: Guarded) -> Iterator[None]:
    """The policies as `--policy-mode warn` prints them."""
    mode = [one for one in printed("policies", "--policy-mode", "warn") if one["kind"].endswith("Binding")]
    guarded.apply(*mode)
    yield
    guarded.apply(*(one for one in printed("policies", "--policy-mode", "deny") if one["kind"].endswith("Binding")))
    until(lambda: refusal(guarded.meddler, pods(), a_pod(gpus=1)) is not None)


def test_in_mode_warn_a_gpu_pod_passes_with_a_warning(guarded: Guarded, warning: None) -> None:
    until(lambda: refusal(guarded.meddler, pods(), a_pod(gpus=1)) is None)
    done = guarded.plane.kubectl(
        "create",
        "--dry-run=server",
        "-n",
        TEAM,
        "--as",
        "meddler",
        "--as-group",
        "meddlers",
        "-f",
        "-",
        stdin=json.dumps(a_pod(gpus=1)),
    )
    assert (done.returncode, "is scheduled by runs: submit a Run" in done.stderr) == (0, True), done.stderr


# -- while nobody answers ---------------------------------------------------------------------------------------------


@pytest.fixture
def silent(guarded: Guarded) -> Iterator[None]:
    """The webhook server is down."""
    assert guarded.server is not None
    port = guarded.server.port
    guarded.down()
    yield
    guarded.serve(port)
    until(lambda: "flavor" in dry(guarded.alice, ours("runs"), a_run("a"))["spec"]["resources"])


def test_without_an_answer_the_rules_of_the_crds_hold_alone(guarded: Guarded, silent: None) -> None:
    assert "flavor" not in dry(guarded.alice, ours("runs"), a_run("a"))["spec"]["resources"]
    message = refusal(guarded.alice, ours("runs"), a_run("a", gpus=0)) or ""
    assert message.startswith("Run.runs.dev")


def test_with_failure_policy_fail_nobody_submits_without_an_answer(guarded: Guarded, silent: None) -> None:
    assert guarded.server is None
    url = guarded.plane.kubectl(
        "get", "validatingwebhookconfiguration", "runs", "-o", "jsonpath={.webhooks[0].clientConfig.url}"
    ).stdout.removesuffix("/validate")
    guarded.apply(*printed("webhooks", "--webhook-url", url, "--failure-policy", "Fail"))
    try:
        until(lambda: "failed calling webhook" in (refusal(guarded.alice, ours("runs"), a_run("a")) or ""))
    finally:
        guarded.apply(*printed("webhooks", "--webhook-url", url))
    until(lambda: refusal(guarded.alice, ours("runs"), a_run("a")) is None)


def identity(body: Object) -> Object:
    return {"apiVersion": body["apiVersion"], "kind": body["kind"], "metadata": {"name": body["metadata"]["name"]}}


def patch(api: Api, path: str, body: Object) -> Object:
    """Server-side apply."""
    return api.apply(path, body)[1]


def merge(api: Api, path: str, body: Object) -> Object:
    return api.call("PATCH", path, body, content="application/merge-patch+json")[1]

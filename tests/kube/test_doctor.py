"""Doctor on a real API server: each mistake is made there, found, and gone once what doctor says has been done."""

from __future__ import annotations

import copy
import json
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import attrs
import pytest
from click.testing import CliRunner
from tests.kube.conftest import Plane, start
from tests.kube.people import (
    GPU,
    Object,
    Person,
    applied,
    gone,
    installed,
    join,
    named,
    person,
    space,
    until,
)

from runs_cli.main import root
from runs_core.cluster.kube.api import Api
from runs_core.schema.crd import crds
from runs_core.schema.names import API_VERSION
from runs_core.serve.doctor.admission import RENEW
from runs_core.serve.doctor.diagnose import CHECKS, diagnose
from runs_core.serve.doctor.evidence import Evidence, gather
from runs_core.serve.doctor.finding import Finding
from runs_core.serve.manifests.installation import NAMESPACE, Installation
from runs_core.serve.manifests.policies import PolicyMode, policies
from runs_core.serve.manifests.rbac import rbac
from runs_core.serve.manifests.webhooks import ByService, ByUrl, webhooks
from runs_core.serve.webhook import issue
from runs_core.settings import FleetSettings, Settings, Unbudgeted

HERE = Installation()
LABELS = {"runs.dev/gpu-flavor": "H100", "runs.dev/fabric-domain": "a"}
READER = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRole",
    "metadata": {"name": "diagnoser"},
    "rules": [
        {"apiGroups": [group], "resources": resources, "verbs": verbs}
        for group, resources, verbs in (
            ("", ["nodes", "namespaces", "pods", "services", "serviceaccounts"], ["get", "list"]),
            ("", ["configmaps"], ["get"]),
            ("runs.dev", ["runs", "budgets", "gpuleases"], ["get", "list"]),
            ("coordination.k8s.io", ["leases"], ["get"]),
            ("discovery.k8s.io", ["endpointslices"], ["list"]),
            ("apiextensions.k8s.io", ["customresourcedefinitions"], ["get"]),
            ("admissionregistration.k8s.io", ["mutatingwebhookconfigurations"], ["get"]),
            ("admissionregistration.k8s.io", ["validatingwebhookconfigurations"], ["get"]),
            ("admissionregistration.k8s.io", ["validatingadmissionpolicies"], ["list"]),
            ("admissionregistration.k8s.io", ["validatingadmissionpolicybindings"], ["list"]),
            ("authorization.k8s.io", ["subjectaccessreviews"], ["create"]),
        )
    ],
}
"""All that doctor asks for: nothing of it changes anything."""


@attrs.frozen(kw_only=True)
class Clinic:
    """An API server of its own: what is done to it would be in the way of others. dora may read, and write nothing."""

    plane: Plane
    dora: Person
    eve: Person
    api: Api

    def found(self, settings: Settings | None = None) -> dict[str, Finding]:
        """Findings by check, of what dora sees."""
        diagnosis = diagnose(gather(self.api, HERE, settings or Settings()))
        assert diagnosis.unread == {}
        return {finding.check: finding for finding in diagnosis.items}

    def finds(self, check: str, settings: Settings | None = None) -> Finding:
        """That finding, with everything that a finding has."""
        finding = self.found(settings)[check]
        assert finding.about
        assert finding.what
        assert finding.remedy
        return finding

    def mend(self, *words: str) -> None:
        """What `runs manifests` prints, applied."""
        applied(self.plane, manifests(*words))

    @contextmanager
    def having(self, *objects: Object) -> Iterator[None]:
        """With these objects, for a while."""
        applied(self.plane, objects)
        try:
            yield
        finally:
            gone(self.plane, *objects)


def manifests(*words: str) -> list[Object]:
    answer = CliRunner().invoke(root, ["manifests", *words, "-o", "json"])
    assert answer.exit_code == 0, answer.output
    items: list[Object] = json.loads(answer.stdout)["items"]
    return items


@pytest.fixture(autouse=True)
def without_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever else is installed where the tests run."""
    monkeypatch.setenv("RUNS_PLUGINS", "")


@pytest.fixture(scope="module")
def bare(component: Callable[[str, Sequence[str]], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    """Kubernetes, and nothing of ours."""
    script = component("RUNS_TEST_KUBE", ("kubeplane", "kubenode")) / "kubeplane"
    folder = tmp_path_factory.mktemp("clinic")
    try:
        plane = start(script, folder)
        applied(plane, [READER])
        dora, eve = person(plane, "dora", "diagnoser"), person(plane, "eve")
        yield Clinic(plane=plane, dora=dora, eve=eve, api=Api.connect(str(dora.kubeconfig)))
    finally:
        subprocess.run([script, "rm", folder], check=True, capture_output=True, timeout=60)


@pytest.fixture
def wrong(bare: Clinic) -> Iterator[Clinic]:
    """With one of our kinds, of a version that is not ours."""
    other = next(copy.deepcopy(crd) for crd in crds() if crd["metadata"]["name"] == "runs.runs.dev")
    other["spec"]["versions"][0]["name"] = "v1beta9"
    applied(bare.plane, [other])
    until(lambda: "v1beta9" in bare.plane.kubectl("api-versions").stdout)
    yield bare
    assert bare.plane.kubectl("delete", "crd", "runs.runs.dev", "--wait=true").returncode == 0


@pytest.fixture(scope="module")
def clinic(bare: Clinic) -> Clinic:
    """Everything of ours, with two nodes that nothing is wrong with."""
    installed(bare.plane)
    for name in ("n0", "n1"):
        join(bare.plane, name, LABELS)
    applied(bare.plane, space("team"))
    applied(bare.plane, [lease("me", datetime.now(UTC) + timedelta(seconds=3), seconds=3600)])
    return bare


def lease(holder: str, renewed: datetime, *, seconds: int = 15, acquired: datetime | None = None) -> Object:
    """The scheduler's claim to lead."""
    stamp = renewed.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    began = acquired.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if acquired else stamp
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "runs-scheduler", "namespace": NAMESPACE},
        "spec": {
            "holderIdentity": holder,
            "leaseDurationSeconds": seconds,
            "renewTime": stamp,
            "acquireTime": began,
        },
    }


def a_run(name: str, namespace: str = "team", **spec: object) -> Object:
    meta = {"name": name, "namespace": namespace}
    return {"apiVersion": API_VERSION, "kind": "Run", "metadata": meta, "spec": {"resources": {"gpus": 8}, **spec}}


def a_budget(owner: str, *names: str) -> Object:
    spec = {"owner": owner, "namespaces": {"names": list(names)}}
    return {"apiVersion": API_VERSION, "kind": "Budget", "metadata": {"name": owner}, "spec": spec}


# -- before anything of ours is there: these come first, and leave it so -----------------------------------------------


def test_absent_kinds_are_found_and_every_other_command_names_the_remedy(bare: Clinic) -> None:
    assert "CustomResourceDefinitions" in bare.finds("KindsMissing").about
    for words in (["get"], ["top"], ["submit", "a", "--gpus", "1", "--flavor", "x"], ["cancel", "a"]):
        answer = bare.dora.runs(*words)
        assert (answer.exit_code, answer.stdout, answer.stderr.count("\n")) == (3, "", 1)
        assert "does not know the kinds of runs.dev: `runs manifests crds | kubectl apply" in answer.stderr


def test_kinds_of_another_version_are_found_and_named(wrong: Clinic) -> None:
    assert "(it serves v1beta9)" in wrong.finds("KindsMissing").what
    answer = wrong.dora.runs("get")
    assert answer.exit_code == 3
    assert "serves runs.dev as v1beta9, and this release speaks v1alpha1" in answer.stderr


# -- kinds and clocks --------------------------------------------------------------------------------------------------


def test_a_schema_of_another_release_is_found_until_ours_is_applied(clinic: Clinic) -> None:
    other = next(copy.deepcopy(crd) for crd in crds() if crd["metadata"]["name"] == "budgets.runs.dev")
    schema = other["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["properties"]["spec"]["properties"]["owner"]["maxLength"] = 7
    applied(clinic.plane, [other])
    finding = clinic.finds("KindDiffers")
    assert (finding.about, "spec.owner.maxLength" in finding.what) == ("budgets.runs.dev", True)
    clinic.mend("crds")
    assert "KindDiffers" not in clinic.found()


@pytest.fixture(scope="module")
def evidence(clinic: Clinic) -> Evidence:
    """What was really gathered; for what no API server of today can be brought to say."""
    return gather(clinic.api, HERE, Settings())


def test_a_server_that_is_too_old_is_found(evidence: Evidence) -> None:
    assert "ServerTooOld" not in {one.check for one in diagnose(evidence).items}
    old = {one.check: one for one in diagnose(attrs.evolve(evidence, server=(1, 29))).items}
    assert old["ServerTooOld"].what.startswith("it is Kubernetes 1.29, and runs needs 1.30")


def test_a_clock_that_differs_is_found(evidence: Evidence) -> None:
    assert evidence.skew == timedelta()
    behind = attrs.evolve(evidence, skew=timedelta(seconds=-90))
    assert "is 90 s behind" in {one.check: one for one in diagnose(behind).items}["ClockDiffers"].what


# -- who leads ---------------------------------------------------------------------------------------------------------


def test_a_scheduler_that_never_was_stopped_or_fell_silent_is_found(clinic: Clinic) -> None:
    now = datetime.now(UTC)
    gone(clinic.plane, lease("", now))
    assert "no scheduler has ever led" in clinic.finds("NoScheduler").what
    applied(clinic.plane, [lease("", now)])
    assert "the last scheduler stopped" in clinic.finds("NoScheduler").what
    applied(clinic.plane, [lease("pod-1", now - timedelta(minutes=5))])
    assert "pod-1 has not renewed it for 30" in clinic.finds("SchedulerSilent").what
    applied(clinic.plane, [lease("pod-1", datetime.now(UTC), seconds=3600)])
    assert not {"NoScheduler", "SchedulerSilent"} & clinic.found().keys()


def test_a_leader_whose_clock_is_ahead_is_found(clinic: Clinic) -> None:
    with clinic.having(lease("fast", datetime.now(UTC) + timedelta(minutes=10), seconds=3600)):
        assert clinic.finds("SchedulerClock").about == "scheduler fast"
    applied(clinic.plane, [lease("me", datetime.now(UTC), seconds=3600)])
    assert "SchedulerClock" not in clinic.found()


def test_two_that_both_think_they_lead_are_found(clinic: Clinic) -> None:
    now = datetime.now(UTC)
    meta = {"name": "runs-journal", "namespace": NAMESPACE}
    journal = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"holder": "other"}}
    applied(clinic.plane, [lease("me", now, seconds=3600, acquired=now - timedelta(hours=1))])
    with clinic.having(journal):
        finding = clinic.finds("TwoSchedulers")
        assert "taken over by other, and me holds the Lease" in finding.what
        done = clinic.plane.kubectl(*finding.remedy.split()[1:])
        assert done.returncode == 0, done.stderr
    assert "TwoSchedulers" not in clinic.found()


def test_a_journal_that_could_not_be_read_is_told_of_until_it_is_deleted(clinic: Clinic) -> None:
    assert "JournalUnread" not in clinic.found()
    meta = {"name": "runs-journal-unread", "namespace": NAMESPACE}
    applied(clinic.plane, [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"term": "x"}}])
    finding = clinic.finds("JournalUnread")
    assert "it is kept for 720h" in finding.what
    assert clinic.plane.kubectl(*finding.remedy.split()[1:]).returncode == 0
    assert "JournalUnread" not in clinic.found()


def test_a_right_that_the_account_lacks_is_found_by_name_until_roles_are_applied(clinic: Clinic) -> None:
    role = next(copy.deepcopy(one) for one in rbac(HERE) if one["metadata"]["name"] == "runs-scheduler")
    role["rules"] = [rule for rule in role["rules"] if "pods/binding" not in rule["resources"]]
    assert "RightsMissing" not in clinic.found()
    clinic.plane.kubectl("replace", "-f", "-", stdin=json.dumps(role))
    until(lambda: "RightsMissing" in clinic.found())
    assert "may not create pods/binding" in clinic.finds("RightsMissing").what
    clinic.mend("rbac")
    until(lambda: "RightsMissing" not in clinic.found())


# -- admission ---------------------------------------------------------------------------------------------------------


def certificate(folder: Path, days: str = "30") -> str:
    """PEM of one that nobody else signed, for 127.0.0.1; its key lies beside it."""
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=webhook", "-days", days]
    files = ["-keyout", str(folder / "tls.key"), "-out", str(folder / "tls.crt")]
    subprocess.run([*words, *files, "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    return (folder / "tls.crt").read_text()


@pytest.fixture
def answering(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Starts a webhook with the certificate that lies in tmp_path; answers its URL."""
    made: list[tuple[ThreadingHTTPServer, threading.Thread]] = []

    def begin() -> str:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
        server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        made.append((server, thread))
        return f"https://127.0.0.1:{server.server_address[1]}"

    yield begin
    for server, thread in made:
        server.shutdown()
        thread.join()
        server.server_close()


def test_absent_webhooks_are_found_and_those_that_answer_are_not(
    clinic: Clinic, tmp_path: Path, answering: Callable[[], str]
) -> None:
    assert "no MutatingWebhookConfiguration, Validating" in clinic.finds("WebhookAbsent").what
    trusted = certificate(tmp_path)
    with clinic.having(*webhooks(HERE, ByUrl(base=answering()), authority=trusted)):
        assert not [check for check in clinic.found() if check.startswith(("Webhook", "Certificate"))]


def test_a_webhook_that_nothing_answers_is_found(clinic: Clinic, tmp_path: Path) -> None:
    with clinic.having(*webhooks(HERE, ByUrl(base="https://127.0.0.1:1"), authority=certificate(tmp_path))):
        assert "https://127.0.0.1:1/" in clinic.finds("WebhookUnreachable").what
    with clinic.having(*webhooks(HERE, ByService(namespace=NAMESPACE, name="nobody"), authority=certificate(tmp_path))):
        assert f"Service {NAMESPACE}/nobody: there is no such Service" in clinic.finds("WebhookNoService").what
        meta = {"name": "nobody", "namespace": NAMESPACE}
        service = {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"ports": [{"port": 443}]}}
        with clinic.having(service):
            assert "no ready pod stands behind it" in clinic.finds("WebhookNoEndpoints").what


def test_a_certificate_that_nobody_vouches_for_is_found(
    clinic: Clinic, tmp_path: Path, answering: Callable[[], str]
) -> None:
    certificate(tmp_path)
    url = answering()
    with clinic.having(*webhooks(HERE, ByUrl(base=url))):
        finding = clinic.finds("WebhookNoAuthority")
        assert "it has no caBundle" in finding.what
        assert "a scheduler that makes its own writes it within a minute" in finding.what
        assert "--ca-file FILE" in finding.remedy
    (tmp_path / "other").mkdir()
    other = certificate(tmp_path / "other")
    with clinic.having(*webhooks(HERE, ByUrl(base=url), authority=other)):
        assert "its caBundle is not of whoever signed" in clinic.finds("WebhookUntrusted").what


def test_a_certificate_that_ends_soon_or_has_ended_is_found(
    clinic: Clinic, tmp_path: Path, answering: Callable[[], str]
) -> None:
    soon = certificate(tmp_path, days="3")
    with clinic.having(*webhooks(HERE, ByUrl(base=answering()), authority=soon)):
        ends = clinic.finds("CertificateEnds")
        assert "ends in 71 hours" in ends.what
        assert ends.remedy == RENEW, "nobody signed it whom the scheduler made"
    signing = ["openssl", "x509", "-in", "tls.crt", "-signkey", "tls.key", "-days", "-1", "-out", "old.crt"]
    subprocess.run(signing, cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / "old.crt").replace(tmp_path / "tls.crt")
    with clinic.having(*webhooks(HERE, ByUrl(base=answering()), authority=(tmp_path / "tls.crt").read_text())):
        finding = clinic.finds("WebhookExpired")
        assert (finding.remedy, "has expired" in finding.what) == (RENEW, True)


def test_a_certificate_of_the_schedulers_own_that_ends_is_made_anew_without_its_secret(
    clinic: Clinic, tmp_path: Path, answering: Callable[[], str]
) -> None:
    now = datetime.now(UTC)
    signer = issue.authority(now, timedelta(days=9))
    shown = issue.serving(signer, ["127.0.0.1"], now, timedelta(days=3))
    (tmp_path / "tls.crt").write_text(shown.certificate)
    (tmp_path / "tls.key").write_text(shown.key)
    with clinic.having(*webhooks(HERE, ByUrl(base=answering()), authority=signer.certificate)):
        ends = clinic.finds("CertificateEnds")
    assert ends.remedy == f"kubectl -n {HERE.namespace} delete secret runs-webhook-certificates"


def test_policies_that_are_absent_or_only_warn_are_found(clinic: Clinic) -> None:
    everything = "runs-facts, runs-gpu-pods, runs-kept-out, runs-ledger, runs-namespace-labels and 2 more"
    assert clinic.finds("PolicyAbsent").what.startswith(f"{everything} is not there or not bound")
    with clinic.having(*policies(HERE, FleetSettings(), PolicyMode.WARN)):
        found = clinic.found()
        assert "PolicyAbsent" not in found
        assert "only says Audit, Warn" in found["PolicyNotEnforced"].what
        applied(clinic.plane, policies(HERE, FleetSettings(), PolicyMode.DENY))
        assert not {"PolicyAbsent", "PolicyNotEnforced"} & clinic.found().keys()


# -- nodes -------------------------------------------------------------------------------------------------------------


def test_a_fleet_without_gpus_is_found(clinic: Clinic) -> None:
    other = Settings(fleet=FleetSettings(resource="example.com/gpu"))
    assert clinic.finds("NoGPUs", other).what.startswith("none of 2 offers example.com/gpu")
    assert "NoGPUs" not in clinic.found()


@pytest.mark.parametrize(
    ("check", "labels", "gpus", "says"),
    [
        ("FlavorMissing", {"runs.dev/fabric-domain": "a"}, 8, "odd have GPUs and no label runs.dev/gpu-flavor"),
        ("DomainMissing", {"runs.dev/gpu-flavor": "H100"}, 8, "odd have no label runs.dev/fabric-domain"),
        ("NodeSetAside", LABELS, 2000, "status.allocatable[nvidia.com/gpu]: got '2k', want at most 1024 GPUs"),
        ("NoDevicePlugin", LABELS, 0, "it is labelled H100 and offers no nvidia.com/gpu"),
    ],
)
def test_a_node_that_is_not_as_the_others_is_found(
    clinic: Clinic, check: str, labels: dict[str, str], gpus: int, says: str
) -> None:
    assert check not in clinic.found()
    join(clinic.plane, "odd", labels, gpus=gpus)
    try:
        assert says in clinic.finds(check).what
    finally:
        gone(clinic.plane, named("Node", "odd"))


def test_gpu_pods_that_pass_runs_by_are_found_unless_their_namespace_may(clinic: Clinic) -> None:
    container = {"name": "main", "image": "busybox", "resources": {"limits": {GPU: "2"}}}
    meta = {"name": "stray", "namespace": "team"}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"nodeName": "n0", "containers": [container]}}
    with clinic.having(pod):
        finding = clinic.finds("ForeignGPUPods")
        assert (finding.about, finding.what[:20]) == ("namespace team", "1 pods hold 2 GPUs p")
        done = clinic.plane.kubectl(*finding.remedy.split()[1:])
        assert done.returncode == 0, done.stderr
        assert "ForeignGPUPods" not in clinic.found()
    clinic.plane.kubectl("label", "namespace", "team", "runs.dev/gpu-pods-")


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        ({"runs.dev/run": "tpyo"}, "pod stray waits for runs to place it, and there is no run tpyo"),
        ({}, "pod stray waits for runs to place it, and it has no label runs.dev/run"),
    ],
)
def test_a_pod_that_waits_for_a_run_that_is_not_there_is_found(
    clinic: Clinic, labels: dict[str, str], says: str
) -> None:
    meta = {"name": "stray", "namespace": "team", "labels": labels}
    spec = {"schedulerName": "runs", "containers": [{"name": "main", "image": "busybox"}]}
    assert "PodOfNoRun" not in clinic.found()
    with clinic.having({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}):
        finding = clinic.finds("PodOfNoRun")
        assert (finding.about, finding.what) == ("namespace team", says)
        done = clinic.plane.kubectl(*finding.remedy.split()[1:])
        assert done.returncode == 0, done.stderr
        assert "PodOfNoRun" not in clinic.found()


# -- runs and who pays -------------------------------------------------------------------------------------------------


def test_runs_that_no_budget_may_pay_are_found_where_that_holds_them(clinic: Clinic) -> None:
    strict = Settings(unbudgeted=Unbudgeted.DENY)
    with clinic.having(a_run("poor")):
        assert "NoBudget" not in clinic.found()
        assert clinic.finds("NoBudget", strict).about == "namespace team"
        with clinic.having(a_budget("vision", "team")):
            assert "NoBudget" not in clinic.found(strict)


def test_two_owners_of_one_namespace_are_found_where_a_run_names_none(clinic: Clinic) -> None:
    with clinic.having(a_budget("vision", "team"), a_budget("language", "team"), a_run("whose")):
        finding = clinic.finds("OwnerAmbiguous")
        assert finding.what.startswith("language, vision claim it by Budgets, and whose names no spec.owner")
        *words, change = finding.remedy.removeprefix("kubectl ").rsplit(" -p ", 1)
        done = clinic.plane.kubectl(*words[0].split(), "-p", change.strip("'"))
        assert done.returncode == 0, done.stderr
        assert "OwnerAmbiguous" not in clinic.found()


def test_a_budget_that_its_status_finds_wrong_is_found_with_the_reason(clinic: Clinic) -> None:
    with clinic.having(a_budget("circular", "elsewhere")):
        for reason, found in (("PluginMissing", False), ("ParentCycle", True)):
            ready = {"type": "Ready", "status": "False", "reason": reason, "message": "its own ancestor"}
            status = {"conditions": [{**ready, "lastTransitionTime": "2026-01-31T08:00:00Z"}]}
            words = ("patch", "budget", "circular", "--subresource=status", "--type=merge")
            assert clinic.plane.kubectl(*words, "-p", json.dumps({"status": status})).returncode == 0
            assert ("BudgetNotReady" in clinic.found()) is found
        finding = clinic.finds("BudgetNotReady")
        assert (finding.about, finding.what) == ("Budget circular", "ParentCycle: its own ancestor")


def test_a_budget_that_cannot_be_read_is_found(clinic: Clinic) -> None:
    """Stored by a release whose kind had not the rule that it breaks."""
    kind = next(crd for crd in crds() if crd["metadata"]["name"] == "budgets.runs.dev")
    old, odd = copy.deepcopy(kind), a_budget("odd", "No_Namespace")
    spec = old["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    del spec["properties"]["namespaces"]["properties"]["names"]["items"]["pattern"]
    applied(clinic.plane, [old])
    try:
        until(lambda: clinic.plane.kubectl("create", "-f", "-", stdin=json.dumps(odd)).returncode == 0)
        finding = clinic.finds("BudgetUnread")
        assert finding.about == "Budget odd"
        assert finding.what.startswith("Budget odd: cannot be read (names: got 'No_Namespace', want")
    finally:
        gone(clinic.plane, odd)
        applied(clinic.plane, [kind])
    assert "BudgetUnread" not in clinic.found()


def test_a_namespace_without_its_service_account_is_found(clinic: Clinic) -> None:
    template = {"spec": {"containers": [{"name": "main", "image": "busybox"}]}}
    with clinic.having(space("unfurnished")[0], a_run("podless", "unfurnished", template=template)):
        finding = clinic.finds("NoServiceAccount")
        assert finding.about == "namespace unfurnished"
        assert clinic.plane.kubectl(*finding.remedy.split()[1:]).returncode == 0
        assert "NoServiceAccount" not in clinic.found()


def test_a_run_whose_start_the_cluster_refuses_is_found_with_the_reason(clinic: Clinic) -> None:
    with clinic.having(a_run("refused")):
        message = "the cluster refused the last start: exceeded quota; tried again later"
        status = {"phase": "Held", "reason": "StartRefused", "message": message, "observedGeneration": 1}
        words = ("-n", "team", "patch", "run", "refused", "--subresource=status", "--type=merge")
        done = clinic.plane.kubectl(*words, "-p", json.dumps({"status": status}))
        assert done.returncode == 0, done.stderr
        finding = clinic.finds("StartRefused")
        assert (finding.about, finding.what) == ("run team/refused", message)
        assert "StartRefused: the cluster refused the last start: exceeded quota" in clinic.dora.told(
            "explain", "refused", "-n", "team"
        )


# -- the answer --------------------------------------------------------------------------------------------------------


def test_what_may_not_be_looked_at_is_said_and_not_taken_for_absent(clinic: Clinic) -> None:
    answer = clinic.eve.runs("doctor", "-o", "json")
    told = json.loads(answer.stdout)
    assert (answer.exit_code, told["items"]) == (0, [])
    assert told["unread"]["nodes"] == "eve may not list nodes in the whole cluster"
    assert clinic.eve.runs("doctor").stdout.startswith("Nothing is wrong in what you may look at, by ")


def test_a_cluster_with_nothing_wrong_is_said_to_have_none(
    clinic: Clinic, tmp_path: Path, answering: Callable[[], str]
) -> None:
    hooks = webhooks(
        HERE, ByUrl(base=answering_with(tmp_path, answering)), authority=(tmp_path / "tls.crt").read_text()
    )
    with clinic.having(*hooks, *policies(HERE, FleetSettings(), PolicyMode.DENY)):
        applied(clinic.plane, [lease("me", datetime.now(UTC), seconds=3600)])
        answer = clinic.dora.runs("doctor")
    assert (answer.exit_code, answer.stdout) == (0, f"Nothing is wrong, by {len(CHECKS)} checks.\n")


def answering_with(folder: Path, begin: Callable[[], str]) -> str:
    certificate(folder)
    return begin()

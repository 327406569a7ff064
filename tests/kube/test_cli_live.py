"""The command line on a real API server, as somebody who sees the fleet and keeps the runs of one namespace."""

from __future__ import annotations

import http.server
import json
import os
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import pytest
from tests.kube.people import (
    Person,
    applied,
    changed,
    gone,
    installed,
    join,
    named,
    person,
    reports,
    scheduler_kubeconfig,
    space,
    until,
)

from runs_core.cluster.kube.api import Api
from runs_core.cluster.kube.writes import Writes
from runs_core.serve.manifests.installation import NAMESPACE
from runs_core.testing.resolutions import resolutions
from runs_core.values.effect import PutResolution

if TYPE_CHECKING:
    from tests.kube.conftest import Plane

TEAM = "cli-team"
FLAVOR = "CLI-80GB"
TEMPLATE = """
  template:
    spec:
      containers: [{name: main, image: busybox, command: [train]}]
"""
WIDER_THAN_THE_FLEET = "640"
RUN = f"""apiVersion: runs.dev/v1alpha1
kind: Run
metadata: {{name: NAME}}
spec:
  resources: {{gpus: 4, gpusPerPod: 2, flavor: {FLAVOR}}}{TEMPLATE}"""


@attrs.frozen(kw_only=True)
class Stage:
    """A scheduler at work; alice sees all and has runs-user in the team's namespace, bob has only that, eve nothing."""

    plane: Plane
    alice: Person
    bob: Person
    eve: Person

    def pods(self, run: str) -> list[str]:
        found = self.plane.kubectl("-n", TEAM, "get", "pods", "-l", f"runs.dev/run={run}", "-o", "name").stdout
        return [line.removeprefix("pod/") for line in found.splitlines()]

    def phase(self, run: str) -> str:
        return self.plane.kubectl("-n", TEAM, "get", "run", run, "-o", "jsonpath={.status.phase}").stdout

    def started(self, run: str) -> None:
        """Submitted and placed; a kubelet reports its pods as running."""
        self.alice.told("submit", "-f", "-", input=RUN.replace("NAME", run))
        until(lambda: len(self.pods(run)) == 2)
        reports(self.plane, TEAM, self.pods(run), "Running")
        until(lambda: self.phase(run) == "Running")


class Kubelet(http.server.BaseHTTPRequestHandler):
    """Answers logs, as a node's own does."""

    def do_GET(self) -> None:
        pod = self.path.split("/")[3]
        text = f"hello from {pod}\nthe last line".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the server's own name
        """Nobody wants to hear of it."""


@pytest.fixture(scope="module")
def kubelet(kubeplane: Plane) -> Iterator[int]:
    """The port of one, on this machine."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(kubeplane.dir / "pki" / "apiserver.crt", kubeplane.dir / "pki" / "apiserver.key")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Kubelet)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def stage(kubeplane: Plane, kubelet: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    installed(kubeplane)
    applied(kubeplane, space(TEAM))
    join(kubeplane, "cli-0", {"runs.dev/gpu-flavor": FLAVOR}, gpus=64, port=kubelet)
    person(kubeplane, "alice", "runs-view")
    people = [person(kubeplane, name, "runs-user", TEAM) for name in ("alice", "bob")]
    people = [
        attrs.evolve(one, kubeconfig=changed(one.kubeconfig, one.kubeconfig, context={"namespace": TEAM}))
        for one in (*people, person(kubeplane, "eve"))
    ]
    log = (tmp_path_factory.mktemp("serve") / "log").open("w")
    words = ["--kubeconfig", str(scheduler_kubeconfig(kubeplane)), "serve", "--http-address", "none"]
    scheduler = subprocess.Popen([sys.executable, "-m", "runs_cli.main", *words], stdout=log, stderr=log)
    try:
        yield Stage(plane=kubeplane, alice=people[0], bob=people[1], eve=people[2])
    finally:
        scheduler.terminate()
        scheduler.wait(30)
        log.close()
        kubeplane.kubectl("delete", "clusterrolebinding", "alice-runs-view")
        kubeplane.kubectl("-n", TEAM, "delete", "runs,pods", "--all", "--force", "--wait=false")
        gone(kubeplane, named("Node", "cli-0"))


@pytest.fixture
def elsewhere(stage: Stage, tmp_path: Path) -> Callable[..., Person]:
    """Alice with another server, user or context in her kubeconfig."""

    def other(**parts: dict[str, object]) -> Person:
        return Person(kubeconfig=changed(stage.alice.kubeconfig, tmp_path / "other.kubeconfig", **parts))

    return other


def test_a_run_goes_its_way_and_every_reading_command_tells_of_it(stage: Stage) -> None:
    stage.started("told")
    assert stage.alice.read("get", "told")["status"]["phase"] == "Running"
    assert {pod["metadata"]["name"] for pod in stage.alice.read("pods", "told")["items"]} == set(stage.pods("told"))
    lease = stage.alice.read("leases", "told")["items"][0]
    assert (lease["kind"], lease["spec"]["slots"]) == ("GPULease", {"cli-0": [0, 1, 2, 3]})
    explained = stage.alice.read("explain", "told", "--history")
    assert (explained["phase"], explained["verdict"]) == ("Running", "Start")
    assert [told["reason"] for told in explained["history"]] == ["Started", "PodsReady"]
    fleet = {one["flavor"]: one for one in stage.alice.read("top")["flavors"]}
    held = fleet[FLAVOR]["active"] + fleet[FLAVOR]["unfunded"]  # by who pays, where the budgets plugin is installed
    assert (fleet[FLAVOR]["gpus"], held) == (64, 4)
    assert "told" in [run["metadata"]["name"] for run in stage.alice.read("get", "-A")["items"]]


def test_resolutions_are_listed_shown_and_verified(stage: Stage) -> None:
    scheduler = Writes(
        Api.connect(str(scheduler_kubeconfig(stage.plane))), lambda _: None, lambda _: None, (), NAMESPACE
    )
    for one in resolutions(2, chained=True):
        scheduler.write(PutResolution(one))
    items = stage.alice.read("resolve", "list")["items"]
    names = [item["metadata"]["name"] for item in items]  # other tests leave some of other names on the same cluster
    assert [name for name in names if name.startswith("resolution-")] == ["resolution-1", "resolution-2"]
    assert stage.alice.read("resolve", "show", "2")["spec"]["evidence"]["data"]
    told = stage.alice.read("resolve", "verify", "2")
    assert (told["verified"], told["boundBy"], told["differences"]) == (True, "resolution-1", [])
    first = stage.alice.read("resolve", "verify", "1")
    assert (first["verified"], first["boundBy"]) == (True, None)


def test_queue_and_plan_judge_as_the_scheduler_does(stage: Stage) -> None:
    stage.alice.told("submit", "wide", "--gpus", WIDER_THAN_THE_FLEET, "--flavor", FLAVOR, "--image", "busybox")
    until(lambda: stage.phase("wide") == "Queued")
    line = {item["run"]: item for item in stage.alice.read("queue")["items"]}
    assert line[f"{TEAM}/wide"]["reason"] == "NeverFits"
    planned = stage.alice.runs("plan", "wide", "-o", "json")
    assert planned.exit_code == 1
    assert json.loads(planned.stdout)["reasons"][0]["code"] == "NeverFits"
    small = stage.alice.runs("plan", "-f", "-", "-o", "json", input=RUN.replace("NAME", "never-sent"))
    assert json.loads(small.stdout)["run"] == f"{TEAM}/never-sent"
    assert stage.alice.runs("get", "never-sent").exit_code == 1
    stage.alice.told("cancel", "wide")
    until(lambda: stage.phase("wide") == "Failed")


def test_cancel_suspend_and_resume_touch_nobody_elses_fields(stage: Stage) -> None:
    applied_by_kubectl = RUN.replace("NAME", "paused").replace("gpus: 4", f"gpus: {WIDER_THAN_THE_FLEET}")
    assert (
        stage.plane.kubectl("-n", TEAM, "apply", "--server-side", "-f", "-", stdin=applied_by_kubectl).returncode == 0
    )
    stage.alice.told("suspend", "paused")
    until(lambda: stage.phase("paused") == "Held")
    stage.alice.told("resume", "paused")
    until(lambda: stage.phase("paused") == "Queued")
    assert stage.alice.told("cancel", "paused").startswith(f"{TEAM}/paused: canceled")
    body = json.loads(
        stage.plane.kubectl("-n", TEAM, "get", "run", "paused", "-o", "json", "--show-managed-fields").stdout
    )
    owned = {one["manager"]: one["fieldsV1"].get("f:spec", {}) for one in body["metadata"]["managedFields"]}
    assert set(owned["runs-cli"]) <= {"f:canceled", "f:suspend"}
    assert "f:resources" in owned["kubectl"]
    again = stage.plane.kubectl("-n", TEAM, "apply", "--server-side", "-f", "-", stdin=applied_by_kubectl)
    assert (again.returncode, again.stderr) == (0, "")


def test_what_another_manager_wrote_is_not_taken_from_it(stage: Stage) -> None:
    body = RUN.replace("NAME", "shared").replace("spec:\n  res", "spec:\n  startTimeout: 20m\n  suspend: true\n  res")
    assert stage.plane.kubectl("-n", TEAM, "apply", "--server-side", "-f", "-", stdin=body).returncode == 0
    answer = stage.alice.runs("submit", "-f", "-", input=body.replace("20m", "30m"))
    assert (answer.exit_code, answer.stdout) == (1, "")
    assert f"run {TEAM}/shared: .spec.startTimeout belongs to kubectl" in answer.stderr


def test_submit_says_whether_it_created_configured_or_changed_nothing(stage: Stage) -> None:
    body = RUN.replace("NAME", "thrice").replace("spec:\n", "spec:\n  suspend: true\n", 1)
    words = [
        stage.alice.told("submit", "-f", "-", input=text).split(": ")[1]
        for text in (body, body, body.replace("suspend: true", "startTimeout: 20m\n  suspend: true"))
    ]
    assert words == ["created", "unchanged", "configured"]


def test_a_server_dry_run_keeps_nothing_and_a_wrong_manifest_is_ours_to_refuse(stage: Stage) -> None:
    body = RUN.replace("NAME", "dry")
    assert stage.alice.told("submit", "-f", "-", "--dry-run=server", input=body) == (
        f"{TEAM}/dry: would be created, and is not\n"
    )
    assert stage.alice.runs("get", "dry").exit_code == 1
    wrong = stage.alice.runs("submit", "-f", "-", "--dry-run=server", input=body.replace("gpus: 4", "gpus: 3"))
    assert wrong.exit_code == 2
    assert wrong.stderr == "Error: stdin:5 spec.resources.gpus: got 3, want a multiple of gpusPerPod\n"
    nowhere = stage.alice.runs(
        "submit", "-f", "-", input=body.replace("{name: dry}", "{name: dry, namespace: cli-taem}")
    )
    assert "want a namespace of the cluster (did you mean cli-team?)" in nowhere.stderr


def test_wait_waits_until_it_runs_and_not_longer_than_it_may(stage: Stage) -> None:
    began = time.monotonic()
    shape = ("--gpus", WIDER_THAN_THE_FLEET, "--flavor", FLAVOR, "--image", "busybox")
    late = stage.alice.runs("submit", "never", *shape, "--wait", "--timeout", "1s")
    assert (late.exit_code, time.monotonic() - began < 10) == (4, True)
    assert late.stderr == f"Error: {TEAM}/never is Queued, not running, after 1s of waiting\n"

    def come_up() -> None:
        until(lambda: len(stage.pods("awaited")) == 2)
        reports(stage.plane, TEAM, stage.pods("awaited"), "Succeeded")

    kubelet = threading.Thread(target=come_up)
    kubelet.start()
    done = stage.alice.told(
        "submit", "-f", "-", "--wait=finished", "--timeout", "20s", input=RUN.replace("NAME", "awaited")
    )
    kubelet.join()
    assert done.startswith(f"{TEAM}/awaited: created: Succeeded")
    stage.alice.told("cancel", "never")


def test_watch_tells_of_a_change_as_it_comes(stage: Stage) -> None:
    stage.alice.told("submit", "seen", "--gpus", WIDER_THAN_THE_FLEET, "--flavor", FLAVOR, "--image", "busybox")
    canceling = threading.Timer(0.5, lambda: stage.alice.told("cancel", "seen"))
    canceling.start()
    told = stage.alice.told("watch", "seen", "--timeout", "20s")
    canceling.join()
    assert told.splitlines()[-1].split(" ", 1)[1] == f"{TEAM}/seen Failed Canceled the run was canceled"


def test_logs_come_from_the_node_and_each_rank_has_its_own(stage: Stage) -> None:
    stage.started("spoken")
    first, second = sorted(stage.pods("spoken"))
    assert stage.alice.told("logs", "spoken") == f"hello from {first}\nthe last line\n"
    assert stage.alice.told("logs", "spoken", "--rank", "1", "-f") == f"hello from {second}\nthe last line\n"
    no_rank = stage.alice.runs("logs", "spoken", "--rank", "2")
    assert (no_rank.exit_code, "has no pod of rank 2; there are 0-1" in no_rank.stderr) == (1, True)
    before = stage.alice.runs("logs", "spoken", "--previous")
    assert (before.exit_code, "had no other pod" in before.stderr) == (1, True)
    stage.alice.told("cancel", "spoken")


def test_a_name_that_is_not_there_is_said_with_what_is_near(stage: Stage) -> None:
    stage.alice.told("submit", "train", "--gpus", WIDER_THAN_THE_FLEET, "--flavor", FLAVOR, "--image", "busybox")
    for command in ("get", "cancel", "explain", "pods", "logs"):
        answer = stage.alice.runs(command, "trian")
        assert answer.exit_code == 1
        assert "there is no run trian in namespace cli-team (did you mean train?)" in answer.stderr
    stage.alice.told("cancel", "train")


# -- whose rights ------------------------------------------------------------------------------------------------------


def test_who_may_see_one_namespace_only_is_told_what_is_left_out(stage: Stage) -> None:
    assert stage.bob.runs("get").exit_code == 0
    stage.bob.told("submit", "bobs", "--gpus", WIDER_THAN_THE_FLEET, "--flavor", FLAVOR, "--image", "busybox")
    assert stage.bob.runs("cancel", "bobs").exit_code == 0
    line = stage.bob.runs("queue")
    assert line.exit_code == 3
    assert line.stderr.count("\n") == 1
    advice = "ask an administrator to bind the ClusterRole runs-view to you in the whole cluster\n"
    assert line.stderr == f"Error: forbidden: bob may not list nodes in the whole cluster; {advice}"
    everywhere = stage.bob.runs("get", "-A")
    assert (everywhere.exit_code, everywhere.stdout != "") == (0, True)
    assert (
        "Note: bob may not list runs.runs.dev in the whole cluster, so that only those of cli-team" in everywhere.stderr
    )


def test_forbidden_is_one_sentence_and_exit_code_3(stage: Stage) -> None:
    for words in (["get"], ["submit", "x", "--gpus", "1", "--flavor", FLAVOR], ["cancel", "x"], ["top"], ["logs", "x"]):
        answer = stage.eve.runs(*words)
        assert (answer.exit_code, answer.stdout, answer.stderr.count("\n")) == (3, "", 1)
        assert answer.stderr.startswith("Error: forbidden: eve may not ")
        whole = words == ["top"]
        role = "runs-view to you in the whole cluster" if whole else f"runs-user to you in namespace {TEAM}"
        assert answer.stderr.endswith(f"bind the ClusterRole {role}\n")


def test_who_sees_the_fleet_keeps_no_runs_of_others_and_reads_no_log_of_theirs(stage: Stage) -> None:
    answer = stage.alice.runs("-n", "default", "submit", "x", "--gpus", "1", "--flavor", FLAVOR)
    assert "alice may not patch runs.runs.dev in namespace default" in answer.stderr
    asked = stage.plane.kubectl(
        "auth", "can-i", "get", "pods", "--subresource", "log", "-n", "default", "--as", "alice"
    )
    assert asked.stdout.strip() == "no"


def test_credentials_that_count_no_more_are_one_sentence(
    stage: Stage, elsewhere: Callable[..., Person], tmp_path: Path
) -> None:
    key, signed = tmp_path / "key", tmp_path / "crt"
    pki = stage.plane.dir / "pki"
    asking = ["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-subj", "/CN=alice"]
    request = subprocess.run(asking, capture_output=True, check=True).stdout
    authority = ["-CA", str(pki / "ca.crt"), "-CAkey", str(pki / "ca.key"), "-set_serial", "77"]
    signing = ["openssl", "x509", "-req", *authority, "-days", "-1", "-out", str(signed)]
    subprocess.run(signing, input=request, capture_output=True, check=True)
    expired = {"client-certificate": str(signed), "client-key": str(key)}
    for user in (expired, {"token": "nobody-has-it"}, {}):
        answer = elsewhere(user=user).runs("get")
        assert (answer.exit_code, answer.stderr.count("\n")) == (3, 1)
        assert "does not accept the credentials of context" in answer.stderr


# -- what is no cluster of ours ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ({"cluster": {"server": "https://127.0.0.1:1"}}, "https://127.0.0.1:1 does not answer: "),
        ({"cluster": {"server": "https://no-such-host.invalid"}}, "does not answer: "),
        ({"cluster": {"certificate-authority-data": ""}}, "certificate verify failed"),
        (
            {"user": {"exec": {"command": "false", "apiVersion": "client.authentication.k8s.io/v1"}}},
            "the login command of",
        ),
    ],
)
def test_a_server_that_cannot_be_had_is_one_sentence(
    elsewhere: Callable[..., Person], parts: dict[str, dict[str, object]], says: str
) -> None:
    answer = elsewhere(**parts).runs("get")
    assert (answer.exit_code, answer.stdout, answer.stderr.count("\n")) == (3, "", 1)
    assert says in answer.stderr


class Stranger(Kubelet):
    """A web server that has nothing to do with Kubernetes."""

    def do_GET(self) -> None:
        self.send_error(501, "I know no such thing")


def test_a_server_that_is_no_kubernetes_is_said_to_be_none(elsewhere: Callable[..., Person]) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stranger) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        answer = elsewhere(cluster={"server": url}).runs("get")
        server.shutdown()
        thread.join()
    assert (answer.exit_code, answer.stdout) == (3, "")
    assert answer.stderr == f"Error: {url} is no Kubernetes API server; name another --context\n"


def test_a_context_that_is_not_there_is_said_with_those_that_are(stage: Stage) -> None:
    answer = stage.alice.runs("get", "--context", "nope")
    assert answer.exit_code == 3
    assert answer.stderr.startswith("Error: the kubeconfig has no context nope; it has ")


def test_kubectl_runs_is_a_plugin_with_completion_and_the_context_s_namespace(stage: Stage) -> None:
    stage.alice.told("submit", "plugged", "--gpus", WIDER_THAN_THE_FLEET, "--flavor", FLAVOR, "--image", "busybox")
    kubectl, path = stage.plane.programs / "kubectl", f"{Path(sys.executable).parent}:{os.environ['PATH']}"

    def run(*words: str) -> str:
        env = {**os.environ, "PATH": path, "KUBECONFIG": str(stage.alice.kubeconfig)}
        done = subprocess.run([kubectl, *words], env=env, capture_output=True, text=True, timeout=60, check=True)
        return done.stdout

    assert f"{TEAM}/plugged" in run("runs", "get", "-o", "name").splitlines()
    assert run("__complete", "runs", "cancel", "plug").splitlines() == ["plugged", ":4"]
    assert TEAM in run("__complete", "runs", "get", "-n", "cli-").splitlines()
    stage.alice.told("cancel", "plugged")

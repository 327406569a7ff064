"""The commands on an embedded cluster of two nodes with eight GPUs each, as a person uses them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import Result

Runs = Callable[..., Result]

RUN = """
apiVersion: runs.dev/v1alpha1
kind: Run
metadata: {name: train}
spec:
  resources: {gpus: 8, gpusPerPod: 8}
"""


@pytest.fixture
def on(runs: Runs, fleet: str) -> Runs:
    """A command on the fleet."""
    return lambda *words, **more: runs("--local", fleet, *words, **more)


def told(answer: Result) -> str:
    """Its output, where it did what it was asked."""
    assert answer.exit_code == 0, answer.stderr
    return answer.stdout


def test_a_run_is_made_starts_ends_and_leaves_its_leases(on: Runs) -> None:
    assert "created: Starting" in told(
        on("submit", "train", "--gpus", "16", "--gpus-per-pod", "8", "--simulated-duration", "1h")
    )
    told(on("cluster", "advance", "1m"))
    assert json.loads(told(on("get", "train", "-o", "json")))["status"]["phase"] == "Running"
    told(on("cluster", "advance", "1h"))
    assert json.loads(told(on("get", "train", "-o", "json")))["status"]["phase"] == "Succeeded"
    leases = json.loads(told(on("leases", "train", "-o", "json")))["items"]
    assert {lease["status"]["closureReason"] for lease in leases} == {"Succeeded"}
    assert sum(len(slots) for lease in leases for slots in lease["spec"]["slots"].values()) == 16


def test_submit_fills_in_the_only_flavor_and_the_namespace(on: Runs) -> None:
    made = yaml.safe_load(told(on("submit", "-f", "-", "--dry-run", "client", "-o", "yaml", input=RUN)))
    assert (made["spec"]["resources"]["flavor"], made["metadata"]["namespace"]) == ("H100", "default")


def test_a_dry_run_sends_nothing(on: Runs) -> None:
    assert "valid, and not sent" in told(on("submit", "-f", "-", "--dry-run", "client", input=RUN))
    assert told(on("get")).startswith("No runs in namespace default")


def test_submit_twice_changes_nothing_and_a_new_hint_is_taken(on: Runs) -> None:
    told(on("submit", "-f", "-", input=RUN))
    assert "unchanged" in told(on("submit", "-f", "-", input=RUN))
    assert "configured" in told(on("submit", "-f", "-", input=RUN + "  runtime: {expectedDuration: 2h}\n"))


def test_the_shape_of_an_admitted_run_is_fixed(on: Runs) -> None:
    told(on("submit", "-f", "-", input=RUN))
    answer = on("submit", "-f", "-", input=RUN.replace("gpus: 8", "gpus: 16"))
    assert answer.exit_code == 2
    assert "stdin:2 spec.resources: got a change, want no change once the run is admitted" in answer.stderr


def test_either_all_documents_of_a_file_are_sent_or_none(on: Runs) -> None:
    bad = RUN.replace("train", "other").replace("gpus: 8", "gpus: 0")
    answer = on("submit", "-f", "-", input=f"{RUN}---{bad}")
    assert answer.exit_code == 2
    assert "stdin:12 spec.resources.gpus: got 0" in answer.stderr
    assert told(on("get", "-o", "name")) == ""


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["submit"], "name the run and its --gpus, or a file with -f"),
        (["submit", "a", "--gpus", "1", "-f", "x"], "-f takes everything from the file"),
        (["submit", "a", "--gpus", "1", "--", "python"], "a command needs a container"),
        (["submit", "-f", "nosuch.yaml"], "nosuch.yaml: cannot be read: No such file"),
        (["submit", "Train", "--gpus", "1"], "metadata.name: got 'Train'"),
        (["submit", "a", "--gpus", "1", "-n", "defualt"], "did you mean default?"),
        (["submit", "a", "--gpus", "1", "--timeout", "soon", "--wait"], "--timeout: got 'soon'"),
        (["submit", "a", "--gpus", "1", "--simulated-duration", "1d"], "--simulated-duration: got '1d'"),
        (["submit", "-f", "a.yaml", "-f", "b.yaml"], "-f takes one file, and got a.yaml, b.yaml"),
        (["submit", "-f", ""], "-f takes one file, and got none"),
        (["plan"], "name one run, or a file with -f"),
        (["plan", "-f", "a.yaml", "-f", "b.yaml"], "-f takes one file, and got a.yaml, b.yaml"),
        (["cluster", "apply", "-f", "a.yaml", "-f", "b.yaml"], "-f takes one file, and got a.yaml, b.yaml"),
        (["cluster", "delete"], "choose from node, namespace, budget, run; see `runs cluster delete --help`"),
        (["completion"], "choose from bash, zsh, fish; see `runs completion --help`"),
        (["--local", "", "get"], "--local names no file"),
        (["cluster", "advance", "1 hour"], "DURATION: got '1 hour'"),
        (["leases", "--since", "never"], "--since: got 'never'"),
        (["get", "--no-such"], "no such option '--no-such'"),
        (["watch", "-o", "json"], "watch shows tables and lines"),
        (["cluster", "init", "--nodes", "2", "--domains", "3"], "--domains 3 is more than --nodes 2"),
    ],
)
def test_bad_usage_is_one_sentence_and_exit_2(on: Runs, words: list[str], says: str) -> None:
    answer = on(*words)
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert says in answer.stderr
    assert len(answer.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["get", "trian"], "did you mean train?"),
        (["explain", "trian"], "did you mean train?"),
        (["cancel", "other/train"], "there is default/train"),
        (["cluster", "cordon", "node-01"], "did you mean"),
        (["leases", "--node", "nodes-000"], "did you mean node-000?"),
        (["cluster", "delete", "node", "node-0000"], "did you mean node-000?"),
        (["plugins", "show", "spares"], "no plugin 'spares' is installed"),
        (["cluster", "init"], "exists already"),
    ],
)
def test_what_is_not_there_is_said_with_what_is_near(on: Runs, words: list[str], says: str) -> None:
    told(on("submit", "-f", "-", input=RUN))
    answer = on(*words)
    assert (answer.exit_code, answer.stdout) == (1, "")
    assert says in answer.stderr


def test_with_no_cluster_named_anywhere_a_command_says_how_to_name_one(runs: Runs) -> None:
    for words in (["get"], ["submit", "a", "--gpus", "1"], ["queue"], ["logs", "a"], ["cancel", "a"]):
        answer = runs(*words)
        assert answer.exit_code == 3
        assert answer.stderr == (
            "Error: there is no kubeconfig: name one with --kubeconfig or KUBECONFIG, or an embedded cluster with "
            "--local FILE\n"
        )


def test_what_is_for_the_embedded_cluster_only_asks_for_its_file(runs: Runs) -> None:
    answer = runs("cluster", "status")
    assert answer.exit_code == 3
    assert answer.stderr.startswith("Error: this is for the embedded cluster only: name its state file with --local")


def test_a_file_that_is_no_cluster_is_unreachable(runs: Runs, tmp_path: Path) -> None:
    other = tmp_path / "other.txt"
    other.write_text("hello " * 1000, encoding="utf-8")
    assert runs("--local", str(other), "get").exit_code == 3
    assert runs("--local", str(tmp_path / "none.db"), "get").exit_code == 3
    assert not (tmp_path / "none.db").exists()


def test_plan_says_yes_no_and_refused_by_its_exit_code(on: Runs) -> None:
    assert on("plan", "-f", "-", input=RUN).exit_code == 0
    wide = RUN.replace("gpus: 8", "gpus: 24")
    answer = on("plan", "-f", "-", "-o", "json", input=wide)
    assert answer.exit_code == 1
    found = json.loads(answer.stdout)
    assert (found["verdict"], found["remedies"][0]["change"]) == ("Wait", "ask for 16 GPUs instead of 24")
    assert on("plan", "-f", "-", input=RUN.replace("gpus: 8", "gpus: 0")).exit_code == 2
    told(on("submit", "-f", "-", input=RUN))
    refused = on("plan", "-f", "-", "-o", "json", input=wide)
    assert (refused.exit_code, json.loads(refused.stdout)["verdict"]) == (2, "Refused")


def test_the_command_of_a_remedy_does_what_it_says(on: Runs, runs: Runs) -> None:
    told(on("submit", "wide", "--gpus", "24", "--gpus-per-pod", "8"))
    (remedy,) = json.loads(on("plan", "wide", "-o", "json").stdout)["remedies"]
    *before, last = (command.split() for command in remedy["command"].split(" && "))
    for words in before:
        told(runs(*words[1:]))
    assert "Starting" in told(runs(*last[1:]))


def test_plan_writes_nothing(on: Runs) -> None:
    before = told(on("cluster", "status", "-o", "json"))
    on("plan", "-f", "-", input=RUN)
    assert told(on("cluster", "status", "-o", "json")) == before
    assert told(on("get", "-o", "name")) == ""


def test_queue_shows_the_line_and_explain_why(on: Runs) -> None:
    told(on("submit", "a-wide", "--gpus", "24"))
    told(on("submit", "runs", "--gpus", "8"))
    told(on("submit", "first", "--gpus", "12"))
    told(on("submit", "second", "--gpus", "16"))
    items = json.loads(told(on("queue", "-o", "json")))["items"]
    assert [(item["position"], item["run"], item["ahead"]) for item in items] == [
        (1, "default/a-wide", 0),
        (2, "default/first", 0),
        (3, "default/second", 12),
    ]
    found = json.loads(told(on("explain", "a-wide", "--history", "-o", "json")))
    assert found["phase"] == "Queued"
    assert {reason["code"] for reason in found["reasons"]} >= {"NeverFits", "NotEnoughGPUs"}
    assert found["history"][0]["outcome"]["is"] == "Waits"
    assert [event["reason"] for event in found["events"]] == ["NeverFits"]
    assert "NeverFits" in told(on("explain", "a-wide"))


def test_json_is_byte_stable(on: Runs) -> None:
    told(on("submit", "wide", "--gpus", "24"))
    for words in (["get"], ["queue"], ["top"], ["explain", "wide"], ["leases"], ["cluster", "status"]):
        first = told(on(*words, "-o", "json"))
        assert first == told(on(*words, "-o", "json"))
        assert first == json.dumps(json.loads(first), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("form", ["table", "wide", "json", "yaml", "name"])
@pytest.mark.parametrize(
    "words",
    [["get"], ["queue"], ["top"], ["explain", "a"], ["leases"], ["pods", "a"], ["cluster", "status"], ["version"]],
)
def test_every_form_of_every_answer_says_something(on: Runs, words: list[str], form: str) -> None:
    told(on("submit", "a", "--gpus", "8"))
    told(on("submit", "b", "--gpus", "16"))
    assert told(on(*words, "-o", form)).strip()


def test_cancel_suspend_and_resume(on: Runs) -> None:
    told(on("submit", "a", "--gpus", "8"))
    told(on("submit", "b", "--gpus", "16"))
    assert "Held" in told(on("suspend", "b"))
    assert "Queued" in told(on("resume", "b"))
    told(on("cancel", "a"))
    told(on("cluster", "advance", "1m"))
    assert json.loads(told(on("get", "a", "-o", "json")))["status"]["reason"] == "Canceled"
    assert json.loads(told(on("get", "b", "-o", "json")))["status"]["phase"] == "Running"
    again = on("cancel", "a")
    assert again.exit_code == 1
    assert "not canceled: it is over (Failed, Canceled)" in again.stdout


def test_a_lost_node_sends_its_run_back_into_line(on: Runs) -> None:
    told(on("submit", "a", "--gpus", "16"))
    told(on("cluster", "advance", "1m"))
    assert "1 lost" in told(on("cluster", "lose", "node-001"))
    told(on("cluster", "advance", "1m"))
    run = json.loads(told(on("get", "a", "-o", "json")))
    assert (run["status"]["phase"], run["status"]["attempt"]) == ("Queued", 1)
    assert "2 ready" in told(on("cluster", "restore", "node-001"))
    assert json.loads(told(on("get", "a", "-o", "json")))["status"]["attempt"] == 2


def test_a_cordoned_node_takes_nothing_new(on: Runs) -> None:
    told(on("cluster", "cordon", "node-000"))
    told(on("submit", "a", "--gpus", "8"))
    assert {pod["spec"]["nodeName"] for pod in json.loads(told(on("pods", "a", "-o", "json")))["items"]} == {"node-001"}
    assert "2 ready" in told(on("cluster", "uncordon", "node-000"))


def test_a_gang_that_never_comes_up_is_undone_in_time(on: Runs) -> None:
    stuck = RUN.replace(
        "metadata: {name: train}", "metadata: {name: train, annotations: {runs.dev/simulated-start: Never}}"
    )
    told(on("submit", "-f", "-", input=f"{stuck}  startTimeout: 10m\n"))
    told(on("cluster", "advance", "10m10s"))
    assert "start 1 did not come up in 10m; tried again later" in told(on("explain", "train"))
    told(on("cluster", "advance", "3h"))
    status = json.loads(told(on("get", "train", "-o", "json")))["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "StartTimeout")
    assert status["message"] == "not all pods ran within 10m of the start (start 4)"
    history = json.loads(told(on("explain", "train", "--history", "-o", "json")))["history"]
    assert [record["at"] for record in history if record["outcome"]["is"] == "Ends"][:2] == [
        "2026-01-05T08:10:00Z",
        "2026-01-05T08:21:00Z",
    ]


def test_leases_are_found_by_node_and_time(on: Runs) -> None:
    told(on("submit", "a", "--gpus", "8", "--simulated-duration", "1h"))
    told(on("cluster", "advance", "5h"))
    told(on("submit", "b", "--gpus", "8"))

    def runs_of(*words: str) -> list[str]:
        return [
            lease["spec"]["runRef"]["name"] for lease in json.loads(told(on("leases", "-o", "json", *words)))["items"]
        ]

    assert runs_of() == ["a", "b"]
    assert runs_of("--open") == ["b"]
    assert runs_of("--node", "node-000", "--until", "4h") == ["a"]
    assert runs_of("--since", "2026-01-05T10:00:00Z") == ["b"]
    assert len(told(on("leases", "export")).splitlines()) == 2


def test_the_table_of_a_nodes_leases_has_no_rows_of_other_nodes(on: Runs) -> None:
    told(on("submit", "wide", "--gpus", "16"))
    assert [line.split()[3] for line in told(on("leases")).splitlines()[1:]] == ["node-000", "node-001"]
    assert [line.split()[3] for line in told(on("leases", "--node", "node-001")).splitlines()[1:]] == ["node-001"]


def test_cluster_apply_takes_nodes_namespaces_and_budgets(on: Runs) -> None:
    manifests = """
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Namespace, metadata: {name: team}}
- apiVersion: runs.dev/v1alpha1
  kind: Budget
  metadata: {name: team}
  spec: {owner: "org:team", namespaces: {names: [team]}}
- apiVersion: v1
  kind: Node
  metadata: {name: extra, labels: {runs.dev/gpu-flavor: A100}}
  status: {allocatable: {nvidia.com/gpu: "4", cpu: "32", memory: 64Gi, pods: "20"}}
"""
    assert "node/extra:     created" in told(on("cluster", "apply", "-f", "-", input=manifests))
    assert "node/extra:     unchanged" in told(on("cluster", "apply", "-f", "-", input=manifests))
    made = told(on("submit", "a", "-n", "team", "--gpus", "4", "--flavor", "A100"))
    assert "Starting" in made
    assert "org:team" in told(on("leases", "-n", "team"))
    answer = on("cluster", "apply", "-f", "-", input=RUN)
    assert (answer.exit_code, "kind: got 'Run'" in answer.stderr) == (2, True)


VOLUME = """
apiVersion: v1
kind: PersistentVolume
metadata: {name: disk}
spec:
  nodeAffinity:
    required:
      nodeSelectorTerms:
      - matchExpressions: [{key: disk, operator: In, values: [here]}]
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {volumeName: disk}
status: {phase: Bound}
---
apiVersion: v1
kind: Node
metadata: {name: with-disk, labels: {disk: here, runs.dev/gpu-flavor: A100}}
status: {allocatable: {nvidia.com/gpu: "8"}}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: local}
volumeBindingMode: WaitForFirstConsumer
"""
MOUNTS = """
apiVersion: runs.dev/v1alpha1
kind: Run
metadata: {name: mounts}
spec:
  resources: {gpus: 8, flavor: A100}
  template:
    spec:
      containers: [{name: main}]
      volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]
"""


def test_a_run_waits_for_its_claim_and_goes_where_its_volume_is(on: Runs) -> None:
    told(on("submit", "-f", "-", input=MOUNTS))
    assert "waits for PersistentVolumeClaim data, which does not exist" in told(on("explain", "mounts"))
    declared = told(on("cluster", "apply", "-f", "-", input=VOLUME))
    assert "persistentvolumeclaim/data: created" in " ".join(declared.split())
    assert "with-disk" in told(on("pods", "mounts"))
    second = on("submit", "-f", "-", input=MOUNTS.replace("mounts", "second"))
    assert "where its volumes are" in told(on("explain", "second")), told(second)
    again = told(on("cluster", "apply", "-f", "-", input=VOLUME.replace("WaitForFirstConsumer", "Immediate")))
    assert "storageclass/local: configured" in " ".join(again.split())


def test_a_node_that_does_not_say_how_many_pods_it_takes_has_room_for_110(on: Runs) -> None:
    node = """
apiVersion: v1
kind: Node
metadata: {name: extra, labels: {runs.dev/gpu-flavor: A100}}
status: {AMOUNTS: {nvidia.com/gpu: "4"}}
"""
    for amounts in ("allocatable", "capacity"):
        told(on("cluster", "apply", "-f", "-", input=node.replace("AMOUNTS", amounts).replace("extra", amounts)))
    assert "Starting" in told(on("submit", "a", "--gpus", "8", "--flavor", "A100"))


def test_a_run_that_ends_says_so_and_what_follows(on: Runs) -> None:
    told(on("submit", "a", "--gpus", "8"))
    told(on("cluster", "advance", "1m"))
    assert "suspended: its pods are told to end; once they have, it is Held" in told(on("suspend", "a"))
    assert "Ending: Suspended" in told(on("get", "a"))
    assert "once its pods have ended" in told(on("explain", "a"))
    told(on("cluster", "advance", "1m"))
    assert "Ending" not in told(on("get", "a"))


def test_get_shows_why_a_run_waits_now(on: Runs) -> None:
    told(on("submit", "a", "--gpus", "12"))
    told(on("submit", "b", "--gpus", "8"))
    assert "4 GPUs are free on 1 of 2 H100 nodes that will do" in told(on("get", "b", "-o", "wide"))
    told(on("submit", "c", "--gpus", "4"))
    assert "no GPU is free on 2 H100 nodes that will do" in told(on("get", "b", "-o", "wide"))


def test_only_status_prints_the_head_of_the_ledger(on: Runs) -> None:
    assert "Ledger" not in told(on("cluster", "advance", "1m")) + told(on("cluster", "cordon", "node-000"))
    assert "Ledger" in told(on("cluster", "status"))


def test_status_names_the_nodes_that_are_set_aside(on: Runs) -> None:
    odd = "{apiVersion: v1, kind: Node, metadata: {name: odd}, status: {allocatable: {nvidia.com/gpu: x}}}"
    told(on("cluster", "apply", "-f", "-", input=odd))
    (aside,) = json.loads(told(on("cluster", "status", "-o", "json")))["aside"]
    assert (aside["node"], "nvidia.com/gpu" in aside["why"]) == ("odd", True)
    assert aside["why"] in told(on("cluster", "status"))


def test_explain_says_what_shape_is_wanted_and_where_it_started(on: Runs) -> None:
    shaped = RUN + "  topology: {groupGPUs: 8, spread: SingleDomain, selector: {kubernetes.io/os: linux}}\n"
    told(on("submit", "-f", "-", input=shaped))
    wanted = "8 GPUs of H100, in pods of 8, in groups of 8, all in one domain, where kubernetes.io/os=linux"
    assert wanted in told(on("explain", "train"))
    told(on("submit", "a", "--gpus", "12"))
    answer = told(on("explain", "a", "--history"))
    assert "attempt 1 on node-000, node-001" in answer
    assert "12 GPUs on 2 nodes; waits for 12 pods to run" in answer.partition("Events")[2]


def test_top_shows_the_parts_of_a_place_that_are_named_and_no_empty_columns(on: Runs) -> None:
    labels = "{topology.kubernetes.io/region: eu, runs.dev/fabric-domain: d1, runs.dev/gpu-flavor: A100}"
    node = f"{{apiVersion: v1, kind: Node, metadata: {{name: x, labels: {labels}}}, status: {{allocatable: {{}}}}}}"
    told(on("cluster", "apply", "-f", "-", input=node.replace("{}", "{nvidia.com/gpu: 1}")))
    rows = [line.split() for line in told(on("top")).splitlines()]
    assert rows[0] == ["FLAVOR", "DOMAIN", "GPUS", "FREE", "ACTIVE", "UNAVAILABLE", "LARGEST"]
    assert [row[1] for row in rows[1:]] == ["all", "eu/d1", "all", "default"]
    assert json.loads(told(on("top", "-o", "json")))["flavors"][0]["domains"][0]["domain"] == "eu/default/d1"


def test_a_deleted_run_goes_with_its_pods(on: Runs) -> None:
    told(on("submit", "a", "--gpus", "8"))
    told(on("cluster", "delete", "run", "a"))
    told(on("cluster", "advance", "2m"))
    assert told(on("get", "-o", "name")) == ""
    assert json.loads(told(on("top", "-o", "json")))["flavors"][0]["free"] == 16


def test_there_is_a_crd_for_each_kind_with_its_rules(runs: Runs) -> None:
    crds = list(yaml.safe_load_all(told(runs("manifests", "crds"))))
    names = ["budgets.runs.dev", "gpuleases.runs.dev", "reservations.runs.dev", "resolutions.runs.dev", "runs.runs.dev"]
    assert [crd["metadata"]["name"] for crd in crds] == names
    assert "x-kubernetes-validations" in json.dumps(crds[2])


def test_settings_are_read_and_a_bad_one_is_named(on: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "settings.yaml"
    config.write_text("local: {podStart: 1h}\n", encoding="utf-8")
    told(on("submit", "a", "--gpus", "8", "--config", str(config)))
    told(on("cluster", "advance", "30m", "--config", str(config)))
    assert json.loads(told(on("get", "a", "-o", "json", "--config", str(config))))["status"]["phase"] == "Starting"
    config.write_text("starts: {trys: 1}\n", encoding="utf-8")
    answer = on("get", "--config", str(config))
    assert answer.exit_code == 2
    assert "settings.yaml:1 starts.trys" in answer.stderr
    assert "did you mean tries?" in answer.stderr


def test_a_defect_shows_no_traceback_without_debug(on: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ValueError("boom")

    monkeypatch.setattr("runs_cli.actions.queue.line", broken)
    answer = on("queue")
    assert answer.exit_code == 1
    assert answer.stderr == "Error: unexpected ValueError: boom; run it again with --debug to see where\n"
    assert "Traceback" in on("queue", "--debug").stderr

"""The API server, by our CRDs, and our own validation judge alike; and what `kubectl get` prints is never blank."""

from __future__ import annotations

import copy
import http.client
import json
import ssl
import urllib.parse
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import pytest
import yaml

from runs_core.errors import InvalidInput
from runs_core.schema.changes import changes_refused
from runs_core.schema.convert import from_object, to_object
from runs_core.schema.crd import crds
from runs_core.schema.manifest import validate
from runs_core.schema.names import API_VERSION, GROUP, KINDS, VERSION
from runs_core.testing.resolutions import resolutions
from runs_core.values.budget import Budget, BudgetSpec
from runs_core.values.fields import RULES, rules_of
from runs_core.values.lease import Closed, Lease, LeaseSpec, LeaseStatus, NodeSlots, Opened, RunRef
from runs_core.values.meta import Meta
from runs_core.values.resolution import Resolution, ResolutionPhase, ResolutionStatus
from runs_core.values.run import Phase, Resources, Run, RunSpec, RunStatus

if TYPE_CHECKING:
    from tests.kube.conftest import Plane

Object = dict[str, Any]
TABLE = yaml.safe_load((Path(__file__).parent / "verdicts.yaml").read_text())
JSON = "application/json"
NAMESPACE = "verdicts"
NOTES = ("claim", "good", "python", "ours", "before", "after")
HARMLESS = {"a node that cannot be called so", "an unknown field of status", "a condition twice"}
START = datetime(2026, 1, 31, 8, tzinfo=UTC)


@attrs.frozen
class Server:
    """The API server over one connection. group: `runs.dev`, or a copy of it with other rules."""

    connection: http.client.HTTPSConnection
    token: str
    group: str = GROUP

    def ask(self, method: str, path: str, body: Object | None = None, accept: str = JSON) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": JSON, "Accept": accept}
        self.connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = self.connection.getresponse()
        text = answer.read()
        try:
            return answer.status, json.loads(text)
        except ValueError:
            return answer.status, {"message": text.decode()}

    def path(self, kind: str, name: str = "", tail: str = "") -> str:
        known = KINDS[kind]
        scope = f"/namespaces/{NAMESPACE}" if known.namespaced else ""
        parts = [part for part in (f"/apis/{self.group}/{VERSION}{scope}/{known.plural}", name, tail) if part]
        return "/".join(parts)

    def judge(self, method: str, path: str, body: Object) -> tuple[bool, str]:
        status, answer = self.ask(method, f"{path}?dryRun=All&fieldValidation=Strict", body)
        assert status in (200, 201, 400, 409, 422), (status, answer)
        return status < 300, answer.get("message", "")

    def write(self, method: str, path: str, body: Object) -> Object:
        status, answer = self.ask(method, f"{path}?fieldValidation=Strict", body)
        assert status in (200, 201), answer
        made: Object = answer
        return made


@pytest.fixture(scope="module")
def server(kubeplane: Plane) -> Iterator[Server]:
    applied = kubeplane.kubectl("apply", "--server-side", "-f", "-", stdin=listed(crds()))
    assert (applied.returncode, applied.stderr) == (0, "")
    assert kubeplane.kubectl("create", "namespace", NAMESPACE).returncode == 0
    address = urllib.parse.urlsplit(kubeplane.server)
    trust = ssl.create_default_context(cafile=str(kubeplane.ca))
    connection = http.client.HTTPSConnection(address.hostname or "", address.port, context=trust, timeout=30)
    found = Server(connection, kubeplane.token)
    served(kubeplane, found)
    yield found
    connection.close()


def listed(items: list[Object]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


def served(kubeplane: Plane, server: Server) -> None:
    """Until the API server answers for each kind."""
    names = [f"crd/{kind.plural}.{server.group}" for kind in KINDS.values()]
    waited = kubeplane.kubectl("wait", "--for=condition=Established", "--timeout=20s", *names)
    assert waited.returncode == 0, waited.stderr
    for kind in KINDS:
        tries = iter(range(10_000))
        while server.ask("GET", server.path(kind))[0] != 200:
            next(tries)


def laid(over: Any, under: Any) -> Any:  # noqa: ANN401 - JSON
    """Field by field; null takes a field away."""
    if not isinstance(over, Mapping) or not isinstance(under, Mapping):
        return copy.deepcopy(over)
    merged = {key: laid(value, under.get(key)) for key, value in over.items() if value is not None}
    return {**{key: value for key, value in under.items() if key not in over}, **merged}


def made(kind: str, row: Mapping[str, Any]) -> Object:
    parts = {name: part for name, part in row.items() if name not in NOTES}
    return {"apiVersion": API_VERSION, "kind": kind, **laid(parts, TABLE["base"][kind])}


def theirs(server: Server, body: Object) -> Object:
    return {**body, "apiVersion": f"{server.group}/{VERSION}"}


def creations(*kinds: str) -> list[tuple[str, Object]]:
    return [(kind, row) for kind in kinds or KINDS for row in TABLE["creations"][kind]]


def updates() -> list[tuple[str, Object]]:
    return [(kind, row) for kind in KINDS for row in TABLE["updates"][kind]]


def wrong_creations(server: Server, *kinds: str) -> list[str]:
    """Rows on which the API server or we say other than the row."""
    found = []
    for kind, row in creations(*kinds):
        body = made(kind, row)
        ours = [str(problem) for problem in validate(body)]
        accepted, message = server.judge("POST", server.path(kind), theirs(server, body))
        expected = row["good"] or "python" in row or "ours" in row
        if accepted != expected or (not ours) != row["good"]:
            found.append(told(kind, row, message, ours))
    return found


def told(kind: str, row: Object, message: str, ours: list[str]) -> str:
    return f"{kind}, {row['claim']}: want good={row['good']}; API server: {message or 'good'}; we: {ours or 'good'}"


def wrong_updates(server: Server) -> list[str]:
    found = []
    for index, (kind, row) in enumerate(updates()):
        before, after = ({**row.get(part, {})} for part in ("before", "after"))
        named = {"metadata": {"name": f"{server.group.split('.')[0]}-{index}"}}
        old = server.write("POST", server.path(kind), made(kind, laid(named, before)))
        path = server.path(kind, old["metadata"]["name"])
        apart = "/status" if KINDS[kind].status_apart else ""
        if "status" in before:
            old = server.write("PUT", f"{path}{apart}", {**old, "status": before["status"]})
        new = laid(after, old)
        accepted, message = server.judge("PUT", f"{path}{apart}" if "status" in after else path, new)
        ours = refused(old, new)
        if accepted != (row["good"] or "ours" in row) or (not ours) != row["good"]:
            found.append(told(kind, row, message, ours))
    return found


def refused(old: Object, new: Object) -> list[str]:
    problems = validate(new)
    if not problems:
        problems = changes_refused(from_object(old), from_object(new))
    return [str(problem) for problem in problems]


def test_the_table_is_worth_its_name() -> None:
    rows = [row for _, row in creations() + updates()]
    claims = [(kind, row["claim"]) for kind, row in creations()]
    assert len(rows) >= 150
    assert 0.2 < sum(row["good"] for row in rows) / len(rows) < 0.8
    assert sum("python" in row for row in rows) <= 4
    assert len(set(claims)) == len(claims)


def test_the_api_server_and_we_judge_new_objects_alike(server: Server) -> None:
    assert wrong_creations(server) == []


def test_the_api_server_and_we_judge_changes_alike(server: Server) -> None:
    assert wrong_updates(server) == []


def test_a_rule_without_its_cel_is_noticed(kubeplane: Plane, server: Server) -> None:
    broken = json.loads(json.dumps(crds()).replace(GROUP, "broken.runs.test"))
    for crd in broken:
        schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        if crd["spec"]["names"]["kind"] == "Run":
            del schema["properties"]["spec"]["properties"]["resources"]["x-kubernetes-validations"]
    assert kubeplane.kubectl("apply", "--server-side", "-f", "-", stdin=listed(broken)).returncode == 0
    other = attrs.evolve(server, group="broken.runs.test")
    served(kubeplane, other)
    wrong = wrong_creations(other, "Run")
    assert [line for line in wrong if "pods of three GPUs do not make eight: want good=False; API server: good" in line]
    assert all("API server: good" in line for line in wrong)


def test_a_rule_without_its_check_is_noticed(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Run, RULES, tuple(attrs.evolve(rule, check=None) for rule in rules_of(Run)))
    wrong = wrong_creations(server, "Run")
    assert ["itself upstream" in line for line in wrong].count(True) == 1
    assert all(line.endswith("we: good") for line in wrong)


def test_a_transition_without_its_check_is_noticed(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Lease, RULES, ())
    body = made("GPULease", {})
    assert not refused(body, laid({"spec": {"attempt": 2}}, body))


PHASES = {
    Phase.HELD: "Suspended",
    Phase.QUEUED: "NoRoom",
    Phase.STARTING: "PodsStarting",
    Phase.RUNNING: "PodsReady",
    Phase.SUCCEEDED: "AllRanksSucceeded",
    Phase.FAILED: "Canceled",
}


def some_objects() -> Iterator[Run | Lease | Budget | Resolution]:
    """As they are written: a run in each phase, one that nobody has looked at, leases, a budget, resolutions."""
    spec = RunSpec(resources=Resources(flavor="H100-80GB", gpus=8))
    yield Run(meta=Meta(name="fresh", namespace=NAMESPACE), spec=spec)
    for phase, reason in PHASES.items():
        status = RunStatus(phase=phase, reason=reason)
        yield Run(meta=Meta(name=f"is-{phase.lower()}", namespace=NAMESPACE), spec=spec, status=status)
    shut = LeaseStatus(closed=True, end=START + timedelta(hours=1), closure_reason=Closed.NODE_LOST)
    yield Lease(meta=Meta(name="open", namespace=NAMESPACE), spec=a_lease())
    yield Lease(meta=Meta(name="shut", namespace=NAMESPACE), spec=a_lease(), status=shut)
    yield Budget(meta=Meta(name="vision"), spec=BudgetSpec(owner="vision"))
    for resolution, then in zip(resolutions(3), ResolutionPhase, strict=True):
        yield attrs.evolve(resolution, status=ResolutionStatus(phase=then))


def a_lease() -> LeaseSpec:
    return LeaseSpec(
        run_ref=RunRef(name="train", uid="3f1c"),
        group=0,
        slots=(NodeSlots(node="node-1", ordinals=(0, 1)),),
        attempt=1,
        start=START,
        reason=Opened.START,
    )


def test_every_column_is_filled_in_every_phase(server: Server) -> None:
    for value in some_objects():
        body = to_object(value)
        kind, name = body["kind"], body["metadata"]["name"]
        if kind == "Resolution":  # their names are numbers: whoever was on this cluster before may have used this one
            server.ask("DELETE", server.path(kind, name))
        stored = server.write("POST", server.path(kind), {**body, "metadata": {"name": name}})
        if not (isinstance(value, Run) and name == "fresh"):
            apart = ("status",) if KINDS[kind].status_apart else ()
            server.write("PUT", server.path(kind, name, *apart), {**stored, "status": body.get("status", {})})
        asked = "application/json;as=Table;v=v1;g=meta.k8s.io"
        _, table = server.ask("GET", server.path(kind, name), accept=asked)
        columns = [column["name"] for column in table["columnDefinitions"]]
        cells = dict(zip(columns, table["rows"][0]["cells"], strict=True))
        assert len(cells) == len(KINDS[kind].columns) + 1, cells
        assert [column for column, cell in cells.items() if cell in (None, "", "<unknown>")] == [], (kind, name, cells)
        if kind == "Resolution":
            server.ask("DELETE", server.path(kind, name))


def test_what_the_api_server_stores_reads_back_as_the_same_value(server: Server) -> None:
    for value in some_objects():
        body = to_object(value)
        named = {**body, "metadata": {"name": f"again-{body['metadata']['name']}"}}
        stored = server.write("POST", server.path(body["kind"]), named)
        back = from_object(stored)
        assert isinstance(back, Run | Budget | Lease | Resolution)
        assert back.spec == value.spec


def test_of_a_run_no_more_is_stored_than_was_said_and_what_rules_look_at(server: Server) -> None:
    said = {"resources": {"gpus": 8}, "onPodFailure": {"policy": "Retry"}}
    body = made("Run", {"metadata": {"name": "terse"}, "spec": said})
    stored = server.write("POST", server.path("Run"), body)
    assert stored["spec"] == {
        "resources": {"gpus": 8, "gpusPerPod": 1},
        "onPodFailure": {"policy": "Retry", "limit": 3, "backoff": "10s"},
        "topology": {"spread": "Allowed"},
        "canceled": False,
    }
    back, meant = from_object(stored), from_object(body)
    assert isinstance(back, Run)
    assert isinstance(meant, Run)
    assert back.spec == meant.spec


def test_the_status_of_a_stored_object_cannot_be_forged_with_an_edit(server: Server) -> None:
    body = made("Run", {"metadata": {"name": "forged"}})
    stored = server.write("POST", server.path("Run"), {**body, "status": {"phase": "Running", "reason": "Forged"}})
    assert stored["status"] == {**stored["status"], "phase": "Queued", "reason": "Submitted"}


def applied(server: Server, name: str, spec: Object, manager: str) -> tuple[int, Object]:
    body = {"apiVersion": f"{server.group}/{VERSION}", "kind": "Run", "metadata": {"name": name}, "spec": spec}
    headers = {"Authorization": f"Bearer {server.token}", "Content-Type": "application/apply-patch+yaml"}
    path = f"{server.path('Run', name)}?fieldManager={manager}"
    server.connection.request("PATCH", path, json.dumps(body), headers)
    answer = server.connection.getresponse()
    return answer.status, json.loads(answer.read())


def test_whoever_suspends_a_run_need_say_no_more_and_nobody_changes_half_of_what_another_wrote(server: Server) -> None:
    template = {"spec": {"containers": [{"name": "a", "image": "x", "env": [{"name": "A", "value": "1"}]}]}}
    spec = {"resources": {"flavor": "H100-80GB", "gpus": 8}, "template": template}
    status, stored = applied(server, "of-two", spec, "one")
    assert status == 201, stored
    (entry,) = stored["metadata"]["managedFields"]
    assert entry["fieldsV1"]["f:spec"] == {"f:resources": {}, "f:template": {}}
    status, stored = applied(server, "of-two", {"suspend": True}, "two")
    assert (status, stored["spec"]["suspend"], stored["spec"]["template"]) == (200, True, template)
    status, refused = applied(server, "of-two", {"suspend": True, "resources": {"gpus": 16}}, "two")
    assert (status, refused["reason"]) == (409, "Conflict")
    assert 'conflict with "one": .spec.resources' in refused["message"]


def test_what_the_api_server_keeps_as_it_comes_is_judged_by_whoever_reads_it() -> None:
    """Leases, and the statuses of runs: what is wrong there is told in a sentence, or does no harm."""
    rows = [(kind, row) for kind, row in creations() + updates() if "ours" in row]
    told = {row["claim"]: unread(made(kind, {**row, **row.get("after", {})})) for kind, row in rows}
    assert len(rows) >= 30
    assert {claim for claim, why in told.items() if why is None} == HARMLESS
    assert all(" a: cannot be read (" in why for why in told.values() if why is not None)


def unread(body: Object) -> str | None:
    try:
        from_object(body)
    except InvalidInput as error:
        return str(error)
    return None


def test_a_stored_object_that_is_not_ours_is_named() -> None:
    with pytest.raises(InvalidInput, match="Run verdicts/odd: cannot be read"):
        from_object({"kind": "Run", "metadata": {"name": "odd", "namespace": NAMESPACE}, "spec": {"resources": {}}})

"""What people change behind the scheduler's back, on real objects."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import attrs
import pytest
from tests.kube.serve.conftest import HOME, _run, eventually, overlaps

from runs_core.cluster.kube.api import Api, Refused
from runs_core.cluster.kube.write_pods import PodWrites
from runs_core.testing.builders import a_pod, a_run

if TYPE_CHECKING:
    from tests.kube.serve.conftest import Object, Site

SPOILT = {"data": {"term": "x", "head": "no hex", "intents": "{", "intents.zlib": None}}


def _running(site: Site, namespace: str, count: int) -> None:
    eventually("they run", lambda: site.phases(namespace) == {"Running": count})


def test_a_journal_that_somebody_spoils_is_told_of_and_no_lease_is_lost(site: Site) -> None:
    one = site.serve("one")
    one.leads()
    namespace = site.namespace("spoilt")
    site.submit(namespace, [8, 4], seconds=60)
    _running(site, namespace, 2)
    before = site.all("gpuleases.runs.dev", namespace)
    site.kubectl("patch", "configmap", "runs-journal", "-n", HOME, "--type=merge", "-p", json.dumps(SPOILT))
    more = site.namespace("after")
    site.submit(more, [8], seconds=60)
    _running(site, more, 1)
    assert one.process.poll() is None
    assert one.told("leads no more, and stands by: somebody changed the ConfigMap runs-system/runs-journal")
    (told,) = one.told("the journal, ConfigMap runs-system/runs-journal, cannot be read")
    assert "intents is '{'; term is 'x'; head is 'no hex'" in told["message"]
    (kept,) = [one for one in site.all("configmap", HOME) if one["metadata"]["name"] == "runs-journal-unread"]
    assert kept["data"]["head"] == "no hex"
    (event,) = [one for one in site.all("events", HOME) if one["reason"] == "JournalUnread"]
    assert event["involvedObject"]["name"] == "runs-journal"
    after = site.all("gpuleases.runs.dev", namespace)
    assert [lease["spec"] for lease in after] == [lease["spec"] for lease in before]
    assert not any(lease["status"]["closed"] for lease in after)
    assert overlaps([*after, *site.all("gpuleases.runs.dev", more)]) == []
    for where in (namespace, more):
        assert {run["status"]["attempt"] for run in site.all("runs.runs.dev", where)} == {1}
        site.kubectl("delete", "runs.runs.dev", "--all", "-n", where)


def test_the_next_journal_that_somebody_spoils_is_kept_in_place_of_the_one_before(site: Site) -> None:
    site.serve("one").leads()
    for term in ("x", "y"):
        data = json.dumps({"data": {"term": term, **({"head": "no hex"} if term == "x" else {})}})
        site.kubectl("patch", "configmap", "runs-journal", "-n", HOME, "--type=merge", "-p", data)
        namespace = site.namespace(f"after-{term}")
        site.submit(namespace, [4], seconds=60)
        _running(site, namespace, 1)
        assert _kept(site)["data"]["term"] == term
        site.kubectl("delete", "runs.runs.dev", "--all", "-n", namespace)
    assert _kept(site)["data"]["head"] != "no hex"
    assert "runs.dev/kept-since" in _kept(site)["metadata"]["annotations"]


def _kept(site: Site) -> Object:
    found = [one for one in site.all("configmap", HOME) if one["metadata"]["name"] == "runs-journal-unread"]
    return found[0] if found else {}


def _written_late(site: Site, namespace: str, late: str, first: Object) -> None:
    """A lease of that run in the places of another, as a leader writes it that was paused after it had decided so."""
    run = json.loads(site.kubectl("get", "runs.runs.dev", late, "-n", namespace, "-o", "json"))
    uid, spec = run["metadata"]["uid"], first["spec"]
    body = {
        **{name: first[name] for name in ("apiVersion", "kind")},
        "metadata": {"name": f"{late}-{uid[-8:]}-1-0-active-0", "namespace": namespace},
        "spec": {**spec, "runRef": {"name": late, "uid": uid}},
    }
    body["metadata"]["finalizers"] = first["metadata"]["finalizers"]
    site.as_scheduler("create", "-f", "-", stdin=json.dumps(body))


def test_of_two_runs_in_one_place_the_one_that_came_later_goes_back_to_the_line(site: Site) -> None:
    one = site.serve("one")
    one.leads()
    namespace = site.namespace("doubled")
    site.submit(namespace, [8, 8, 8, 8], seconds=120)
    _running(site, namespace, 4)
    first = site.all("gpuleases.runs.dev", namespace)[0]
    site.kubectl("create", "-f", "-", stdin=json.dumps(_run("late", namespace, 8, 120)))
    eventually("it waits", lambda: site.phases(namespace) == {"Running": 4, "Queued": 1})
    _written_late(site, namespace, "late", first)
    told, *_ = eventually("it is told of", lambda: one.told("invariant 1 is broken"))
    assert first["metadata"]["name"] in told["message"]
    (mended,) = eventually("it is mended", lambda: one.told("mended"))
    assert (mended["run"], mended["what"].split(":")[0]) == (
        f"{namespace}/late",
        f"run {namespace}/{first['spec']['runRef']['name']} was there first",
    )
    eventually("it is in line again", lambda: site.phases(namespace) == {"Running": 4, "Queued": 1})
    (closed,) = [lease for lease in site.all("gpuleases.runs.dev", namespace) if lease["status"]["closed"]]
    assert (closed["spec"]["runRef"]["name"], closed["status"]["closureReason"]) == ("late", "Evicted")
    (same,) = [one for one in site.all("gpuleases.runs.dev", namespace) if one["spec"] == first["spec"]]
    assert not same["status"].get("closed")
    site.kubectl("delete", "runs.runs.dev", "--all", "-n", namespace)


def _pod(site: Site, namespace: str) -> str:
    """Its uid."""
    spec = {"schedulerName": "runs", "containers": [{"name": "main", "image": "busybox"}]}
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "theirs"}, "spec": spec}
    made = site.kubectl("create", "-n", namespace, "-f", "-", "-o", "json", stdin=json.dumps(body))
    uid: str = json.loads(made)["metadata"]["uid"]
    return uid


def test_a_pod_that_is_made_again_under_its_name_is_not_bound_in_place_of_the_first(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes, and another of its name comes, after its rank was written and before its node is."""
    namespace = site.namespace("again")
    api = Api.connect(str(site.kubeconfig))
    meant = attrs.evolve(
        a_pod(a_run("train", gpus=1), node="node-00000"), namespace=namespace, name="theirs", uid=_pod(site, namespace)
    )
    apply = api.apply

    def applied(path: str, body: Object) -> tuple[int, Object]:
        answer = apply(path, body)
        site.kubectl("delete", "pod", "theirs", "-n", namespace, "--grace-period=0", "--force")
        _pod(site, namespace)
        return answer

    monkeypatch.setattr(api, "apply", applied)
    with pytest.raises(Refused) as refused:
        PodWrites(api).bind(meant)
    assert refused.value.another
    (other,) = site.all("pods", namespace)
    assert "nodeName" not in other["spec"]


def test_who_deletes_a_pod_with_a_grace_of_years_keeps_its_gpus_no_longer_than_its_run_may(site: Site) -> None:
    site.serve("one").leads()
    namespace = site.namespace("years")
    run = _run("train", namespace, 8, 600)
    run["spec"]["template"]["metadata"]["annotations"]["kwok.test/shutdown"] = "600s"
    site.kubectl("create", "-f", "-", stdin=json.dumps(run))
    _running(site, namespace, 1)
    site.kubectl("delete", "pods", "--all", "-n", namespace, "--grace-period=1000000000", "--wait=false")
    site.kubectl("patch", "runs.runs.dev", "train", "-n", namespace, "--type=merge", "-p", '{"spec":{"canceled":true}}')
    graces = [30]  # what a pod has where nobody says anything
    eventually(
        "it is asked to go sooner",
        lambda: graces == [pod["metadata"]["deletionGracePeriodSeconds"] for pod in site.all("pods", namespace)],
    )
    site.kubectl("delete", "pods", "--all", "-n", namespace, "--grace-period=0", "--force")
    eventually("it is over", lambda: site.phases(namespace) == {"Failed": 1})


def test_a_run_whose_namespace_adds_gpus_to_its_pods_holds_no_more_than_its_leases_say(site: Site) -> None:
    """Else the pods of others would find fewer GPUs on that node than were free, and fail."""
    site.serve("one").leads()
    namespace = site.namespace("added")
    limits = {"type": "Container", "default": {"nvidia.com/gpu": "1"}}
    body = {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "one-each"}, "spec": {"limits": [limits]}}
    site.kubectl("create", "-n", namespace, "-f", "-", stdin=json.dumps(body))
    eventually("it is known", lambda: "added" in site.kubectl("get", "limitrange", "-A"))
    alone, pair = _run("alone", namespace, 2, 600), _run("pair", namespace, 2, 600)
    pair["spec"]["template"]["spec"]["containers"].append({"name": "beside", "image": "busybox"})
    for run in (alone, pair):
        site.kubectl("create", "-f", "-", stdin=json.dumps(run))
    eventually("one waits", lambda: site.phases(namespace) == {"Running": 1, "Held": 1})
    (held,) = [run["status"] for run in site.all("runs.runs.dev", namespace) if run["status"]["phase"] == "Held"]
    assert held["reason"] == "StartRefused"
    assert "pod pair-1-0 was made to ask for 3 nvidia.com/gpu where the run holds 2" in held["message"]
    eventually(
        "its pod goes", lambda: [pod["metadata"]["name"] for pod in site.all("pods", namespace)] == ["alone-1-0"]
    )
    leases = site.all("gpuleases.runs.dev", namespace)
    assert {one["spec"]["runRef"]["name"] for one in leases if not one["status"].get("closed")} == {"alone"}
    site.kubectl("delete", "runs.runs.dev", "--all", "-n", namespace)

from __future__ import annotations

import json
import signal
import time
from typing import TYPE_CHECKING, Any

from tests.kube.serve.conftest import HOME, LEASE_SECONDS, eventually, overlaps

if TYPE_CHECKING:
    from tests.kube.serve.conftest import Site

TAKE_OVER_SECONDS = LEASE_SECONDS + 3
"""The lease runs out, the next step of the election comes, and the world is built."""


def once_each(site: Site, namespace: str, count: int) -> None:
    """Every run ran once, and no place was ever held twice."""
    assert {run["status"]["attempt"] for run in site.all("runs.runs.dev", namespace)} == {1}
    leases: list[dict[str, Any]] = site.all("gpuleases.runs.dev", namespace)
    assert len({lease["spec"]["runRef"]["uid"] for lease in leases}) == count
    assert overlaps(leases) == []
    assert all(lease["status"]["closed"] and not lease["metadata"].get("finalizers") for lease in leases)


def holder(site: Site) -> str:
    found: str = json.loads(site.kubectl("get", "lease", "runs-scheduler", "-n", HOME, "-o", "json"))["spec"].get(
        "holderIdentity", ""
    )
    return found


def test_runs_start_and_end_on_real_objects_under_the_rights_that_we_generate(site: Site) -> None:
    one = site.serve("one")
    one.leads()
    namespace = site.namespace("plain")
    site.submit(namespace, [8, 16, 1, 32], seconds=1)
    site.succeeded(namespace, 4)
    once_each(site, namespace, 4)
    decisions = one.told("decided")
    assert {"cycle", "run", "outcome", "reasons", "seconds"} <= decisions[0].keys()
    assert [line["outcome"] for line in decisions if line["run"] == "plain/r0"] == ["Starts", "Moves", "Released"]
    assert [line for line in one.told("") if line["level"] in ("warning", "error")] == []
    assert [one.answer(path) for path in ("/livez", "/readyz", "/healthz")] == [(200, "ok\n")] * 3


def test_told_to_stop_it_releases_the_lease_and_another_goes_on_at_once(site: Site) -> None:
    first, second = site.serve("first"), None
    first.leads()
    second = site.serve("second")
    second.stands_by()
    assert second.answer("/readyz") == (200, "ok\n")
    namespace = site.namespace("handover")
    site.submit(namespace, [4] * 10, seconds=2)
    eventually("a run starts", lambda: first.told("decided"))
    first.process.send_signal(signal.SIGTERM)
    assert first.process.wait(25) == 0
    began = time.monotonic()
    assert not holder(site).startswith("first")
    second.leads()
    assert time.monotonic() - began < LEASE_SECONDS - 1
    site.succeeded(namespace, 10)
    once_each(site, namespace, 10)


def test_a_leader_that_is_killed_in_the_middle_of_its_work_is_replaced_and_nothing_starts_twice(site: Site) -> None:
    first = site.serve("first")
    first.leads()
    second = site.serve("second")
    second.stands_by()
    namespace = site.namespace("killed")
    site.submit(namespace, [1, 2, 4, 8] * 4, seconds=1)
    eventually("some runs start", lambda: len(first.told("decided")) > 8)
    first.process.kill()
    began = time.monotonic()
    leads = second.leads()
    assert time.monotonic() - began < TAKE_OVER_SECONDS
    assert leads["seconds"] < 2
    site.succeeded(namespace, 16)
    once_each(site, namespace, 16)


def test_a_leader_that_slept_through_its_replacement_wakes_up_and_stands_by(site: Site) -> None:
    first = site.serve("first")
    term = first.leads()["term"]
    second = site.serve("second")
    second.stands_by()
    namespace = site.namespace("asleep")
    site.submit(namespace, [1, 2, 4, 8] * 4, seconds=1)
    eventually("some runs start", lambda: len(first.told("decided")) > 8)
    first.process.send_signal(signal.SIGSTOP)
    assert second.leads()["term"] == term + 1
    first.process.send_signal(signal.SIGCONT)
    first.stands_by(times=2)
    assert len(first.told("leads no more")) == 1
    assert first.process.poll() is None
    site.succeeded(namespace, 16)
    once_each(site, namespace, 16)
    assert holder(site).startswith("second")


def test_a_pod_that_nobody_leases_anything_for_is_ended(site: Site) -> None:
    namespace = site.namespace("leaked")
    one = site.serve("one")
    one.leads()
    labels = {"run": "r", "run-uid": "u", "attempt": "1", "retry": "0", "rank": "0", "group": "0"}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "r-1-0", "labels": {f"runs.dev/{key}": value for key, value in labels.items()}},
        "spec": {"nodeName": "node-00000", "containers": [{"name": "main", "image": "busybox"}]},
    }
    site.as_scheduler("create", "-n", namespace, "-f", "-", stdin=json.dumps(pod))
    eventually("it is found", lambda: not site.all("pods", namespace))
    assert one.told("mended")[0]["what"] == "pod r-1-0 on node node-00000 holds GPUs without a lease"

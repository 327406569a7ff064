"""What is over goes when its time has come, from a real API server, and nothing else goes with it."""

from __future__ import annotations

import pytest
from tests.faults.by_hand import AT_ONCE, asked, taken_back, verified
from tests.faults.plane import Object, until
from tests.faults.stage import SOON, Stage

from runs_core.cluster.kube.api import MERGE
from runs_core.serve.manifests.installation import NAMESPACE
from runs_core.settings import Settings

A_DAY = 86_400.0
LATER = Settings().retention.leases.total_seconds() + A_DAY
OFTEN = {"audit": {"period": "1s", "grace": "1s"}}


def journal(stage: Stage) -> dict[str, str]:
    path = f"/api/v1/namespaces/{NAMESPACE}/configmaps/runs-journal"
    found: dict[str, str] = stage.plane.admin.call("GET", path)[1]["data"]
    return found


def leases(stage: Stage) -> dict[str, Object]:
    mine = (one for one in stage.items("GPULease") if one["metadata"]["namespace"] == stage.namespace)
    return {one["metadata"]["name"]: one for one in mine}


def a_month_later(stage: Stage, variant: str = "") -> None:
    """Two runs, of which one is taken back twice and ended; then a leader whose clock is a month ahead."""
    stage.settings = {"election": SOON, **AT_ONCE, **OFTEN}
    old = stage.scheduler("now", variant=variant)
    stage.reach_leader("now")
    stage.submit("over", 8, None)
    stage.reach("over", "Running")
    names = []
    for _ in range(2):
        names.append(taken_back(stage, 16))
        stage.settle({"over": "Running"}, 30)
    stage.submit("stays", 4, None)
    stage.reach("stays", "Running")
    stage.edit("over", canceled=True)
    stage.settle({"over": "Failed", "stays": "Running"}, 30)
    before = leases(stage)
    closed = {name for name, one in before.items() if one.get("status", {}).get("closed")}
    assert len(closed) >= 3
    assert len(before) > len(closed)
    assert verified(stage, names[1])[0] == 0
    assert f"Nonce bound by: {names[0]}" in verified(stage, names[1])[1]
    assert closed <= set(leases(stage)), "a lease went before its time"
    old.stop()
    head = journal(stage)["head"]
    stage.scheduler("later", skew=LATER, variant=variant)
    stage.reach_leader("later")
    until(lambda: not closed & set(leases(stage)), 30, "closed leases are still there")
    until(lambda: names[0] not in resolutions(stage), 30, "a resolution is still there")
    stage.await_(lambda: "over" not in stage.runs(), "the run is still there")
    after = leases(stage)
    assert set(after) == set(before) - closed
    assert [name for name, one in after.items() if "deletionTimestamp" in one["metadata"]] == [], "an open lease goes"
    mine = [name for name in resolutions(stage) if name in names]  # many may have been taken back before on this plane
    assert mine == names[-1:], "the last resolution went"
    assert journal(stage)["head"] == head
    code, told = verified(stage, names[-1])
    assert code == 0, told
    assert f"{names[0]} is not there any more" in told
    name = taken_back(stage, 16, ahead=LATER)
    assert verified(stage, name)[0] == 0
    assert f"Nonce bound by: {names[-1]}" in verified(stage, name)[1]


def resolutions(stage: Stage) -> list[str]:
    return sorted(one["metadata"]["name"] for one in stage.items("Resolution"))


def test_what_was_kept_for_its_time_goes_and_what_is_open_or_last_stays(stage: Stage) -> None:
    a_month_later(stage)
    assert stage.verdict().wrong() == []


def parts(stage: Stage, resolution: str) -> set[str]:
    """The ConfigMaps with evidence that was made for it, or for another of its number."""
    items = stage.plane.admin.call("GET", f"/api/v1/namespaces/{NAMESPACE}/configmaps")[1]["items"]
    return {name for one in items if (name := one["metadata"]["name"]).startswith(f"{resolution}-")}


def killed_over_its_evidence(stage: Stage, variant: str) -> None:
    """SIGKILL once the evidence of a Resolution is there, before that is. Its number is another's; a month goes by."""
    stage.settings = {"election": SOON, **AT_ONCE, **OFTEN}
    victim = stage.scheduler("dies", variant=variant)
    stage.reach_leader("dies")
    stage.submit("over", 8, None)
    stage.reach("over", "Running")
    found = stage.kill_at(lambda one: (one.verb, one.plural) == ("create", "resolutions"), victim, landed=False)
    with asked(stage, 16):
        stage.await_(lambda: bool(found), "no resolution is written")
        victim.kill()
        stage.proxy.before_write = None
    heir = stage.scheduler("lives", variant=variant)
    stage.reach_leader("lives")
    stage.submit("more", 4, None)
    stage.reach("more", "Running")
    names = []
    for _ in range(3):
        names.append(taken_back(stage, 16))
        stage.settle({"over": "Running", "more": "Running"}, 30)
    made = parts(stage, names[0])
    (kept,) = (one["spec"]["evidence"] for one in stage.items("Resolution") if one["metadata"]["name"] == names[0])
    lost = {name for name in made if f"-{kept['digest'][:8]}-" not in name}
    assert lost
    assert made - lost
    heir.stop()
    stage.scheduler("later", skew=LATER, variant=variant)
    stage.reach_leader("later")
    until(lambda: names[0] not in resolutions(stage), 30, "a resolution is still there")
    until(lambda: not parts(stage, names[0]), 12, "evidence is still there")
    assert parts(stage, names[-1]), "the evidence of the last one went"


def test_evidence_of_a_resolution_that_was_never_kept_goes(stage: Stage) -> None:
    killed_over_its_evidence(stage, "evidence in parts")
    assert stage.verdict().wrong() == []


def test_evidence_that_the_journal_forgets_stays_and_is_found(stage: Stage) -> None:
    with pytest.raises(AssertionError, match="evidence is still there"):
        killed_over_its_evidence(stage, "evidence forgotten")


@pytest.mark.parametrize(
    ("variant", "found"), [("sweeps what is open", "an open lease goes"), ("sweeps the last", "last resolution went")]
)
def test_a_scheduler_that_removes_too_much_is_found_out(stage: Stage, variant: str, found: str) -> None:
    with pytest.raises(AssertionError, match=found):
        a_month_later(stage, variant)


def kept(stage: Stage) -> bool:
    """Whether a journal is there of which something could not be read."""
    items = stage.plane.admin.call("GET", f"/api/v1/namespaces/{NAMESPACE}/configmaps")[1]["items"]
    return "runs-journal-unread" in [one["metadata"]["name"] for one in items]


def test_a_journal_that_could_not_be_read_is_kept_for_its_time(stage: Stage) -> None:
    stage.settings = {"election": SOON, **OFTEN}
    first = stage.scheduler("now")
    stage.reach_leader("now")
    spoilt = {"data": {"term": "x"}}
    stage.plane.admin.call("PATCH", f"/api/v1/namespaces/{NAMESPACE}/configmaps/runs-journal", spoilt, content=MERGE)
    stage.submit("stays", 4, None)
    stage.reach("stays", "Running")
    assert kept(stage)
    first.stop()
    stage.scheduler("later", skew=LATER)
    stage.reach_leader("later")
    until(lambda: not kept(stage), 30, "what could not be read is still there")
    assert stage.verdict().wrong() == []

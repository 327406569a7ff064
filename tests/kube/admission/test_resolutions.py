"""Resolutions on a real API server, written with the scheduler's own rights and no others."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import pytest
from tests.kube.admission.conftest import HOME, ours, refusal

from runs_core.cluster.kube import evidence
from runs_core.cluster.kube.api import APPLY, Api, Refused
from runs_core.cluster.kube.evidence import joined
from runs_core.cluster.kube.nonce import standing
from runs_core.cluster.kube.writes import Writes
from runs_core.decide.verify import verify
from runs_core.schema.convert import resolution_from_object, to_object
from runs_core.testing.builders import A_MONDAY
from runs_core.testing.resolutions import NONCES, a_wide_one, numbered
from runs_core.values.effect import PutResolution, SetResolutionStatus
from runs_core.values.resolution import Resolution, ResolutionPhase, ResolutionStatus

if TYPE_CHECKING:
    from tests.kube.admission.conftest import Guarded, Object

SCRIPT = Path(__file__).resolve().parents[3] / "examples" / "verify_draw.py"
ALL = ours("resolutions", namespace=None)


def writes(api: Api) -> Writes:
    return Writes(api, lambda _: None, lambda _: None, (), HOME)


def stored(guarded: Guarded, one: Resolution) -> Resolution:
    return resolution_from_object(guarded.alice.call("GET", f"{ALL}/{one.name}")[1])


def test_the_scheduler_keeps_a_resolution_and_then_only_its_status(guarded: Guarded) -> None:
    one, scheduler = numbered(1), writes(guarded.scheduler)
    for _ in range(2):
        assert scheduler.write(PutResolution(one)) is not None
    over = ResolutionStatus(phase=ResolutionPhase.RELEASED, reason="Started", message="it has them", end=A_MONDAY)
    scheduler.write(SetResolutionStatus(attrs.evolve(one, status=over)))
    found = stored(guarded, one)
    assert (found.spec, found.status) == (one.spec, over)
    assert verify(found, found.spec.evidence.data, NONCES.commitment(1)) == []


def test_another_of_the_same_number_is_refused_and_the_first_one_stays(guarded: Guarded) -> None:
    one = numbered(2)
    writes(guarded.scheduler).write(PutResolution(one))
    other = attrs.evolve(one, spec=attrs.evolve(one.spec, at=A_MONDAY.replace(year=2027), digest="1" * 64))
    with pytest.raises(Refused, match="resolution-2 is another one"):
        writes(guarded.scheduler).write(PutResolution(other))
    assert stored(guarded, one).spec == one.spec


def test_evidence_that_is_too_long_lies_beside_it_and_belongs_to_it(
    guarded: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence, "MOST_INLINE", 900)
    monkeypatch.setattr(evidence, "PART_CHARACTERS", 400)
    one = numbered(3)
    for _ in range(2):
        writes(guarded.scheduler).write(PutResolution(one))
    found = stored(guarded, one)
    assert found.spec.evidence.parts > 1
    admin = Api.connect(str(guarded.plane.kubeconfig))
    assert joined(admin, found) == one.spec.evidence.data
    for part in evidence.names(one.name, found.spec.evidence, found.spec.evidence.parts):
        (owner,) = admin.call("GET", f"/api/v1/namespaces/{HOME}/configmaps/{part}")[1]["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["name"], owner["uid"]) == ("Resolution", one.name, found.meta.uid)
    assert verify(found, joined(admin, found), NONCES.commitment(3)) == []


def test_one_that_cuts_four_thousand_runs_is_kept_released_and_verified(guarded: Guarded) -> None:
    one = a_wide_one(7, 4_000)
    writes(guarded.scheduler).write(PutResolution(one))
    over = ResolutionStatus(phase=ResolutionPhase.RELEASED, reason="Started", end=A_MONDAY)
    writes(guarded.scheduler).write(SetResolutionStatus(attrs.evolve(one, status=over)))
    found = stored(guarded, one)
    assert (found.status.phase, len(found.spec.cuts), found.spec.evidence.parts) == ("Released", 4_000, 1)
    assert verify(found, joined(Api.connect(str(guarded.plane.kubeconfig)), found), NONCES.commitment(7)) == []


def test_whoever_has_the_rights_still_may_not_make_or_change_one(guarded: Guarded) -> None:
    one = numbered(4)
    body = {**to_object(one), "metadata": {"name": one.name}}
    assert "written by the scheduler only" in (refusal(guarded.meddler, ALL, body) or "")
    writes(guarded.scheduler).write(PutResolution(one))
    over: Object = {"status": {"phase": "Canceled", "reason": "Meddled"}}
    for path, change in (
        (f"{ALL}/{one.name}/status", over),
        (f"{ALL}/{one.name}", {"spec": {"cutGPUs": 1}}),
        (f"{ALL}/{one.name}", {"metadata": {"labels": {"a": "b"}}}),
    ):
        with pytest.raises(Refused, match=r"written by the scheduler only|want no change"):
            guarded.meddler.call("PATCH", path, change, content="application/merge-patch+json")
    assert stored(guarded, one).spec == one.spec


def test_not_even_the_scheduler_may_change_what_one_says(guarded: Guarded) -> None:
    one = numbered(5)
    writes(guarded.scheduler).write(PutResolution(one))
    other = {**to_object(one), "metadata": {"name": one.name}}
    other["spec"]["cutGPUs"] += 1
    with pytest.raises(Refused, match="cannot patch resource"):
        guarded.scheduler.call("PATCH", f"{ALL}/{one.name}", other, content=APPLY, query={"fieldManager": "runs"})


def test_the_secret_of_the_nonces_is_made_once_and_read_by_nobody_else(guarded: Guarded) -> None:
    first = standing(guarded.scheduler, HOME)
    assert standing(guarded.scheduler, HOME) == first
    path = f"/api/v1/namespaces/{HOME}/secrets/runs-nonce"
    for change in ("PUT", "DELETE"):
        with pytest.raises(Refused):
            guarded.scheduler.call(change, path, {"metadata": {"name": "runs-nonce"}})
    with pytest.raises(Refused, match="cannot get resource"):
        guarded.alice.call("GET", path)


def test_what_kubectl_prints_is_all_that_the_script_needs(guarded: Guarded) -> None:
    one = numbered(6)
    writes(guarded.scheduler).write(PutResolution(one))
    printed = guarded.plane.kubectl("get", "rsl", one.name, "-o", "json").stdout
    done = subprocess.run(
        [sys.executable, "-I", str(SCRIPT)], input=printed, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "the draw follows from its seed\n")
    forged = json.loads(printed)
    forged["spec"]["seed"]["nonce"] = "1" * 64
    done = subprocess.run(
        [sys.executable, "-I", str(SCRIPT)], input=json.dumps(forged), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1


def test_kubectl_prints_the_parts_of_the_evidence_for_the_script(
    guarded: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence, "MOST_INLINE", 900)
    monkeypatch.setattr(evidence, "PART_CHARACTERS", 400)
    one = numbered(8)
    writes(guarded.scheduler).write(PutResolution(one))
    packed = stored(guarded, one).spec.evidence
    parts = [f"configmap/{name}" for name in evidence.names(one.name, packed, packed.parts)]
    printed = guarded.plane.kubectl("get", "-n", HOME, "-o", "json", f"resolution/{one.name}", *parts).stdout
    done = subprocess.run(
        [sys.executable, "-I", str(SCRIPT)], input=printed, capture_output=True, text=True, check=False
    )
    assert len(parts) > 1
    assert (done.returncode, done.stdout) == (0, "the draw follows from its seed\n")

from __future__ import annotations

import pytest

from runs_core.errors import InvalidInput
from runs_core.schema.storage import storage_from_object
from runs_core.values.storage import SELECTED_NODE, StorageClass, Volume, VolumeClaim
from runs_core.values.template import Operator, Requirement

CLAIM = {
    "metadata": {"name": "data", "namespace": "team", "uid": "1", "annotations": {SELECTED_NODE: "n1"}},
    "spec": {"storageClassName": "local", "volumeName": "disk"},
}
HERE = Requirement(key="disk", operator=Operator.IN, values=("here",))


@pytest.mark.parametrize(
    ("phase", "volume", "lost"), [("Bound", "disk", False), ("Pending", None, False), ("Lost", None, True)]
)
def test_a_claim_is_bound_once_its_controller_says_so(phase: str, volume: str | None, *, lost: bool) -> None:
    found = storage_from_object("PersistentVolumeClaim", {**CLAIM, "status": {"phase": phase}})
    wanted = VolumeClaim(
        namespace="team", name="data", uid="1", storage_class="local", volume=volume, node="n1", lost=lost
    )
    assert found == wanted


def test_a_volume_says_which_nodes_reach_it() -> None:
    terms = [{"matchExpressions": [{"key": "disk", "operator": "In", "values": ["here"]}]}]
    body = {"metadata": {"name": "disk"}, "spec": {"nodeAffinity": {"required": {"nodeSelectorTerms": terms}}}}
    assert storage_from_object("PersistentVolume", body) == Volume(name="disk", terms=((HERE,),))
    assert storage_from_object("PersistentVolume", {"metadata": {"name": "nfs"}}) == Volume(name="nfs")


def test_a_class_says_whether_it_waits_and_where_it_can_make_volumes() -> None:
    topology = [{"matchLabelExpressions": [{"key": "disk", "values": ["here"]}]}]
    body = {"metadata": {"name": "local"}, "volumeBindingMode": "WaitForFirstConsumer", "allowedTopologies": topology}
    assert storage_from_object("StorageClass", body) == StorageClass(name="local", waits=True, terms=((HERE,),))
    assert storage_from_object("StorageClass", {"metadata": {"name": "fast"}}) == StorageClass(name="fast")


@pytest.mark.parametrize("spec", [{"nodeAffinity": {"required": {}}}, {"nodeAffinity": {"required": 3}}])
def test_one_that_cannot_be_read_is_named(spec: object) -> None:
    with pytest.raises(InvalidInput, match="disk"):
        storage_from_object("PersistentVolume", {"metadata": {"name": "disk"}, "spec": spec})

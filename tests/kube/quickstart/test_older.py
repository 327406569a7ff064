"""An API server without what is stable since Kubernetes 1.36 only: the page on a live cluster holds there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from tests.kube.conftest import Plane, four_nodes
from tests.kube.quickstart.conftest import HOWTO, played, shown

KINDS = ("mutatingadmissionpolicies", "mutatingadmissionpolicybindings")
OFF = ",".join(f"admissionregistration.k8s.io/v1/{kind}=false" for kind in KINDS)
ALL = "runs manifests all"
FINALIZER = "kubectl get run train -o jsonpath='{.metadata.finalizers}'\n"


@pytest.fixture(scope="module")
def older(component: Callable[[str, Sequence[str]], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """Without the kind, as one of Kubernetes 1.30 is; four nodes of 8 GPUs in two domains, played by kwok."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KP_APISERVER_ARGS", f"--disable-admission-plugins=MutatingAdmissionPolicy --runtime-config={OFF}")
        with four_nodes(component, tmp_path_factory.mktemp("older")) as made:
            yield made


def test_without_the_option_kubectl_ends_with_an_error_and_applies_all_the_others(older: Plane, tmp_path: Path) -> None:
    done = played(f"{ALL} | kubectl apply --server-side -f -", tmp_path, older)
    assert done.returncode == 1
    assert done.stderr.count("no matches for kind") == 4
    assert 'no matches for kind "MutatingAdmissionPolicy"' in done.stderr
    again = played(f"{ALL} --kubernetes 1.30 | kubectl diff --server-side -f -", tmp_path, older)
    assert (again.returncode, again.stdout) == (0, ""), again.stderr


def test_with_it_the_page_works_and_the_scheduler_writes_the_finalizers(older: Plane, tmp_path: Path) -> None:
    page = (HOWTO / "live-cluster.md").read_text()
    assert ALL in page
    commands = [one.replace(ALL, f"{ALL} --kubernetes 1.30") for one in shown(page, tmp_path)]
    at = next(index for index, one in enumerate(commands) if "runs leases train" in one)
    done = played("\n".join([*commands[: at + 1], FINALIZER, *commands[at + 1 :]]), tmp_path, older)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert '["runs.dev/ledger"]' in done.stdout
    assert "NotEnoughGPUs: wants 24" in done.stdout

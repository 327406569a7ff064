"""The API server, and our kinds in it."""

from __future__ import annotations

from collections.abc import Iterator

from runs_core.cluster.kube.api import Object
from runs_core.schema.crd import crds
from runs_core.schema.names import API_VERSION, KINDS, VERSION
from runs_core.serve.doctor.evidence import Evidence
from runs_core.serve.doctor.finding import Finding, some
from runs_core.serve.manifests.policies import OLDEST

MOST_SKEW_SECONDS = 5.0
INSTALL = "runs manifests crds | kubectl apply --server-side --force-conflicts -f -"


def server_too_old(evidence: Evidence) -> Iterator[Finding]:
    if evidence.server >= OLDEST:
        return
    got, want = (".".join(map(str, version)) for version in (evidence.server, OLDEST))
    what = f"it is Kubernetes {got}, and runs needs {want}: admission policies are not enforced"
    yield Finding(check="ServerTooOld", about="API server", what=what, remedy="kubeadm upgrade plan")


def clock_differs(evidence: Evidence) -> Iterator[Finding]:
    seconds = evidence.skew.total_seconds()
    if abs(seconds) <= MOST_SKEW_SECONDS:
        return
    way = "ahead of" if seconds > 0 else "behind"
    what = f"its clock is {abs(seconds):.0f} s {way} this machine's: ages and waits are shown wrong by that much"
    yield Finding(check="ClockDiffers", about="API server", what=what, remedy="chronyc makestep")


def kinds_missing(evidence: Evidence) -> Iterator[Finding]:
    missing = [kind.plural for kind in KINDS.values() if kind.plural not in evidence.resources]
    if not missing:
        return
    others = [version for version in evidence.versions if version != VERSION]
    instead = f" (it serves {some(others)})" if others and VERSION not in evidence.versions else ""
    what = f"{some(missing)} of {API_VERSION} are not served{instead}: nothing can be submitted or scheduled"
    yield Finding(check="KindsMissing", about="CustomResourceDefinitions", what=what, remedy=INSTALL)


def kinds_differ(evidence: Evidence) -> Iterator[Finding]:
    """A schema of another release refuses, or silently drops, what this one writes."""
    here = {crd["metadata"]["name"]: crd for crd in evidence.of("crds")}
    for wanted in crds(evidence.sections):
        name = wanted["metadata"]["name"]
        if name in here and (place := _difference(_schema(wanted), _schema(here[name]))):
            what = f"its schema is another release's, or made with other plugins: it differs at {place}"
            yield Finding(check="KindDiffers", about=name, what=what, remedy=INSTALL)


def _schema(crd: Object) -> object:
    versions: list[Object] = [one for one in crd["spec"]["versions"] if one["name"] == VERSION]
    return (versions[0].get("schema") or {}).get("openAPIV3Schema") if versions else None


def _difference(wanted: object, found: object, path: str = "") -> str | None:
    """Where they first differ; None: nowhere. Other words for the same thing are no difference."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        for name in sorted({*wanted, *found} - {"description"}):
            step = path if name == "properties" else f"{path}.{name}".lstrip(".")
            if (place := _difference(wanted.get(name), found.get(name), step)) is not None:
                return place
        return None
    return None if wanted == found else path or "its root"

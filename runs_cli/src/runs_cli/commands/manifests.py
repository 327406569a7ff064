"""`runs manifests`: Kubernetes objects as YAML."""

from __future__ import annotations

from runs_cli.command import LazyGroup, Place, declare


@declare(
    "crds",
    examples=(
        ("Teach a cluster the kinds:", "runs manifests crds | kubectl apply --server-side -f -"),
        ("What are they called?", "runs manifests crds -o name"),
    ),
)
def crds() -> None:
    """The CustomResourceDefinitions of core, with the sections of the plugins that are on."""


manifests = LazyGroup(
    name="manifests",
    help="The Kubernetes objects that runs and the plugins that are on need, as YAML for kubectl apply.",
    places={"crds": Place("runs_cli.commands.manifests:crds", "CustomResourceDefinitions.")},
    examples=(("Teach a cluster the kinds:", "runs manifests crds | kubectl apply --server-side -f -"),),
)

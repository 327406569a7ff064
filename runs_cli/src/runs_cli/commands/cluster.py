"""`runs cluster`: the embedded cluster's fleet and clock."""

from __future__ import annotations

import click

from runs_cli.command import LazyGroup, Place, declare
from runs_cli.completion import NODE
from runs_cli.options import one_file

MOST_NODES = 100_000


@declare(
    "init",
    examples=(
        ("An empty cluster, to `cluster apply` nodes to:", "runs --local fleet.db cluster init"),
        (
            "A fleet of 512 GPUs in 4 domains:",
            "runs --local fleet.db cluster init --nodes 64 --gpus 8 --domains 4 --flavor H100-80GB",
        ),
    ),
)
@click.option("--nodes", type=click.IntRange(0, MOST_NODES), default=0, show_default=True, help="Nodes to make.")
@click.option("--gpus", type=click.IntRange(1, 1024), default=8, show_default=True, help="GPUs of each.")
@click.option(
    "--domains", type=click.IntRange(1), default=1, show_default=True, help="Fabric domains to spread them over."
)
@click.option("--flavor", default="default", show_default=True, help="Their GPU flavor.")
@click.option("--cpu", default="128", show_default=True, help="CPU of each node, as Kubernetes writes it.")
@click.option("--memory", default="2Ti", show_default=True, help="Memory of each node, as Kubernetes writes it.")
@click.option("--at", "start", metavar="TIME", help="Where the virtual clock starts; the present time unless given.")
@click.option("--seed", metavar="TEXT", help="Draws that can be repeated, and so foreseen; secret ones unless given.")
def init() -> None:
    """Make the state file of an embedded cluster. It must not exist yet."""


@declare(
    "apply",
    examples=(
        ("Nodes, namespaces and budgets, as for Kubernetes:", "runs --local fleet.db cluster apply -f fleet.yaml"),
        ("From a live cluster's own list:", "kubectl get nodes -o json | runs --local fleet.db cluster apply -f -"),
    ),
)
@click.option(
    "-f", "--filename", required=True, multiple=True, callback=one_file, metavar="FILE", help="Manifests, - for stdin."
)
def apply() -> None:
    """Declare Nodes, Namespaces and Budgets by their ordinary manifests. Runs come with `submit`.

    A Node whose status names no condition is ready; one that does not say how many pods it takes has room for 110.
    StorageClasses, PersistentVolumes and PersistentVolumeClaims say where pods can run; nobody binds a claim here but
    its manifest, by `spec.volumeName` and `status.phase: Bound`.
    """


@declare(
    "delete",
    examples=(
        ("A node for good (its runs lose it):", "runs --local fleet.db cluster delete node node-003"),
        ("A run with its record:", "runs --local fleet.db cluster delete run train"),
    ),
)
@click.argument("kind", type=click.Choice(["node", "namespace", "budget", "run"], case_sensitive=False))
@click.argument("name")
def delete() -> None:
    """Delete an object. A run first ends, as in Kubernetes."""


@declare(
    "advance",
    examples=(
        ("A minute:", "runs --local fleet.db cluster advance 1m"),
        ("A day and a half:", "runs --local fleet.db cluster advance 36h"),
    ),
)
@click.argument("length", metavar="DURATION")
def advance() -> None:
    """Move the virtual clock, and let everything happen that happens on the way."""


@declare("lose", examples=(("Break a node:", "runs --local fleet.db cluster lose node-003"),))
@click.argument("node", type=NODE)
def lose() -> None:
    """Put a node out of service: what ran on it is gone."""


@declare("restore", examples=(("Mend it:", "runs --local fleet.db cluster restore node-003"),))
@click.argument("node", type=NODE)
def restore() -> None:
    """Take a lost node into service again."""


@declare("cordon", examples=(("Nothing new on it:", "runs --local fleet.db cluster cordon node-003"),))
@click.argument("node", type=NODE)
def cordon() -> None:
    """Let a node take nothing new. What runs there goes on."""


@declare("uncordon", examples=(("New work again:", "runs --local fleet.db cluster uncordon node-003"),))
@click.argument("node", type=NODE)
def uncordon() -> None:
    """Let a node take new work again."""


@declare(
    "status",
    examples=(
        ("What time is it there, and how is it?", "runs --local fleet.db cluster status"),
        ("One number for the whole ledger:", "runs --local fleet.db cluster status -o json | jq -r .head"),
    ),
)
def status() -> None:
    """The clock, the nodes, the runs by phase, and the ledger's head, which changes with every lease."""


def _place(name: str, does: str) -> tuple[str, Place]:
    return name, Place(f"runs_cli.commands.cluster:{name}", does)


cluster = LazyGroup(
    name="cluster",
    help="The embedded cluster that --local FILE names: its fleet, and its virtual clock.",
    places=dict(
        (
            _place("init", "Make the state file, with a fleet if you like."),
            _place("apply", "Declare nodes, namespaces, budgets and volumes."),
            _place("delete", "Delete an object."),
            _place("advance", "Move the virtual clock."),
            _place("lose", "Put a node out of service."),
            _place("restore", "Take a lost node into service again."),
            _place("cordon", "Let a node take nothing new."),
            _place("uncordon", "Let a node take new work again."),
            _place("status", "Clock, nodes, runs, ledger."),
        )
    ),
    examples=(
        ("A fleet in a file:", "runs --local fleet.db cluster init --nodes 8 --gpus 8 --domains 2 --flavor H100-80GB"),
        ("An hour passes:", "runs --local fleet.db cluster advance 1h"),
        ("A node breaks:", "runs --local fleet.db cluster lose node-003"),
    ),
)

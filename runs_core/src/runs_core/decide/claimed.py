"""Pods that somebody else makes for a run without a template: which of them may be ranks of it."""

from __future__ import annotations

from collections.abc import Sequence

from runs_core.values.pod import Pod
from runs_core.values.quantity import counted
from runs_core.values.run import Run
from runs_core.world.world import World


def fitting(world: World, run: Run) -> Sequence[Pod]:
    """Those that ask for the GPUs that a rank holds, in the order of their ranks.

    No other is ever bound: a pod that asks for more would take what others' leases say is theirs.
    """
    return [pod for pod in world.gangs.claiming(run.key) if misfit(world, run, pod) is None]


def misfits(world: World, run: Run) -> str | None:
    """Why the first that does not fit does not; None: there is none."""
    told = (misfit(world, run, pod) for pod in world.gangs.claiming(run.key))
    return next((why for why in told if why is not None), None)


def misfit(world: World, run: Run, pod: Pod) -> str | None:
    """What is wrong with the GPUs that it asks for. A kubelet passes over those that its node does not offer."""
    fleet, per_pod = world.settings.fleet, run.spec.resources.gpus_per_pod
    if pod.gpus != per_pod:
        return f"pod {pod.name} asks for {counted(pod.gpus, 'GPU')}, the run for {per_pod} a pod; make them equal"
    flavor = world.held_flavor(run) or world.sole_flavor()
    held, extended = fleet.resource_of(flavor or ""), pod.claim.rules.extended if pod.claim else ()
    for name, amount in extended if flavor else ():
        if amount and name != held and name in fleet.known:
            return f"pod {pod.name} asks for {amount} {name}, the run for {per_pod} {held} a pod; make them equal"
    return None


def waits_for(run: Run, pods: int) -> str:
    """`1 pod with schedulerName runs and the label runs.dev/run: train`."""
    return f"{counted(pods, 'pod')} with schedulerName runs and the label runs.dev/run: {run.meta.name}"

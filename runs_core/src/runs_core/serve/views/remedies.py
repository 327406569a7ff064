"""What would start a run that waits, with the commands that do it."""

from __future__ import annotations

import shlex
from itertools import count

from runs_core.decide.advice import Advice
from runs_core.decide.remedies import Tried, remedies
from runs_core.serve.views.plan import Remedy
from runs_core.values.meta import Key
from runs_core.values.run import Resources, Run, RunSpec, Topology
from runs_core.world.world import World


def remedies_of(world: World, run: Run, advice: Advice, program: str = "runs") -> tuple[Remedy, ...]:
    """program: how the commands begin."""
    return tuple(
        Remedy(change=one.change, command=_command(world, run, one, program), starts_at=one.at)
        for one in remedies(world, run, advice)
    )


def _command(world: World, run: Run, tried: Tried, program: str) -> str | None:
    """None where no command makes the change: a manifest says it, or an edit of the run."""
    here = f"{program} -n {run.key.namespace}"
    if tried.words:
        return f"{here} {shlex.join(tried.words)}"
    if not tried.anew and world.run(run.key) is not None:
        return None
    words = _submitted(tried.spec)
    if words is None:
        return None
    if not tried.anew:
        return f"{here} {shlex.join(['submit', run.key.name, *words])}"
    name = next(
        name for number in count(2) if world.run(Key(run.key.namespace, name := f"{run.key.name}-{number}")) is None
    )
    return f"{here} cancel {run.key.name} && {here} {shlex.join(['submit', name, *words])}"


def _submitted(spec: RunSpec) -> list[str] | None:
    """As flags; None: they cannot say it."""
    resources, topology = spec.resources, spec.topology
    if spec != RunSpec(resources=resources, topology=Topology(group_gpus=topology.group_gpus)):
        return None
    words = _flags(resources)
    return words if topology.group_gpus is None else [*words, "--group", str(topology.group_gpus)]


def _flags(resources: Resources) -> list[str]:
    words = ["--gpus", str(resources.gpus)]
    if resources.flavor is not None:
        words += ["--flavor", resources.flavor]
    if resources.gpus_per_pod != 1:
        words += ["--gpus-per-pod", str(resources.gpus_per_pod)]
    return words

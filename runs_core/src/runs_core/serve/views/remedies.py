"""Changes after which a waiting run would start now. Each was tried: what is listed is true."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from datetime import datetime

import attrs

from runs_core.serve.views.plan import Remedy
from runs_core.values.decision import Starts
from runs_core.values.quantity import counted
from runs_core.values.run import Resources, Run, RunSpec, Spread, Topology

Try = Callable[[RunSpec], object]
"""What would be decided now, were this the run's spec."""
Change = tuple[str, str | None, RunSpec]
"""In words, as a command where one makes it, and the spec after it."""


def remedies(
    run: Run, flavors: tuple[str, ...], now: datetime, consider: Try, program: str = "runs"
) -> tuple[Remedy, ...]:
    """flavors: those of the fleet. program: how the commands begin.

    Costs one decision for each change tried, log2(width) for narrower widths.
    """
    spec = run.spec
    if spec.suspend:
        resumed = attrs.evolve(spec, suspend=False)
        found: list[Change] = [("resume it", f"{program} -n {run.key.namespace} resume {run.key.name}", resumed)]
    else:
        found = list(_changes(run, flavors, consider, program))
    return tuple(
        Remedy(change=change, command=command, starts_at=now)
        for change, command, changed in found
        if isinstance(consider(changed), Starts)
    )


def _changes(run: Run, flavors: tuple[str, ...], consider: Try, program: str) -> Iterator[Change]:
    spec = run.spec
    narrower = _narrower(spec, consider)
    if narrower is not None:
        fewer = counted(narrower.resources.gpus, "GPU")
        yield f"ask for {fewer} instead of {run.gpus}", _submit(run, narrower, program), narrower
    if spec.topology.spread is Spread.SINGLE_DOMAIN:
        spread = attrs.evolve(spec, topology=attrs.evolve(spec.topology, spread=Spread.ALLOWED))
        yield (
            "let its groups lie in different domains (topology.spread: Allowed)",
            _submit(run, spread, program),
            spread,
        )
    if spec.topology.selector:
        anywhere = attrs.evolve(spec, topology=attrs.evolve(spec.topology, selector=()))
        yield "drop topology.selector", _submit(run, anywhere, program), anywhere
    for flavor in flavors:
        if flavor != spec.resources.flavor:
            other = attrs.evolve(spec, resources=attrs.evolve(spec.resources, flavor=flavor))
            yield f"take the flavor {flavor}", _submit(run, other, program), other


def _narrower(spec: RunSpec, consider: Try) -> RunSpec | None:
    """The widest gang of the same shape, below the wanted width, that starts now."""
    step = spec.resources.gpus_per_pod
    low, high = 0, spec.resources.gpus // step
    while high - low > 1:
        middle = (low + high) // 2
        if isinstance(consider(_as_wide(spec, middle * step)), Starts):
            low = middle
        else:
            high = middle
    return _as_wide(spec, low * step) if low else None


def _as_wide(spec: RunSpec, gpus: int) -> RunSpec:
    return attrs.evolve(spec, resources=attrs.evolve(spec.resources, gpus=gpus))


def _submit(run: Run, changed: RunSpec, program: str) -> str | None:
    """The shape of an admitted run is fixed, so the remedy is a new run; None for one that flags cannot say."""
    resources, topology = changed.resources, changed.topology
    plain = RunSpec(resources=resources, topology=Topology(group_gpus=topology.group_gpus))
    if changed != plain:
        return None
    words = ["-n", run.key.namespace, "submit", f"{run.key.name}-2", *_flags(resources)]
    if topology.group_gpus is not None:
        words += ["--group", str(topology.group_gpus)]
    return f"{program} {shlex.join(words)}"


def _flags(resources: Resources) -> list[str]:
    words = ["--gpus", str(resources.gpus)]
    if resources.flavor is not None:
        words += ["--flavor", resources.flavor]
    if resources.gpus_per_pod != 1:
        words += ["--gpus-per-pod", str(resources.gpus_per_pod)]
    return words

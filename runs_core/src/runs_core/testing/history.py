"""Worlds to try a plugin in: odd runs, and random histories of changes. The same seed makes the same history."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import timedelta

import attrs

from runs_core.testing.builders import A_MONDAY, FLAVOR, Thing, a_budget, a_lease, a_node, a_run
from runs_core.values.change import (
    BudgetGone,
    BudgetSeen,
    Change,
    LeaseSeen,
    NodeGone,
    NodeSeen,
    RunGone,
    RunSeen,
    TimePassed,
)
from runs_core.values.lease import Closed, Lease, LeaseStatus
from runs_core.values.node import MalformedNode
from runs_core.values.run import Phase, Run, RunStatus

NODES = 6
SLOTS = 8


def a_fleet() -> tuple[Thing, ...]:
    """Six nodes in three domains, one that is set aside, and a budget."""
    nodes = tuple(a_node(f"n{number}", domain=f"d{number % 3}", gpus=SLOTS) for number in range(NODES))
    return (*nodes, MalformedNode(name="broken", why="its GPUs are not a number"), a_budget("vision"))


def odd_runs() -> tuple[Run, ...]:
    """Runs as nobody writes them, and as somebody will."""
    plain = a_run("plain")
    return (
        plain,
        a_run("one-gpu", gpus=1, flavor=None),
        a_run("too-wide", gpus=1_000_000, gpus_per_pod=8),
        a_run("unknown-flavor", flavor="no-such-gpu"),
        a_run("x" * 253, labels={"": "", "example.org/odd": "ü" * 63}),
        a_run("elsewhere", namespace="no-such-namespace", owner="nobody"),
        a_run("held", phase=Phase.HELD),
        attrs.evolve(plain, meta=attrs.evolve(plain.meta, name="bare", created=None, uid=""), status=RunStatus()),
        attrs.evolve(plain, meta=attrs.evolve(plain.meta, name="leaving", deleting=A_MONDAY)),
        attrs.evolve(plain, meta=attrs.evolve(plain.meta, name="ended"), status=RunStatus(phase=Phase.FAILED)),
    )


class History:
    """Changes that follow from one another: leases of known runs on free places, closed before they are opened again.

    runs: what the histories are about, beside runs of their own.
    """

    def __init__(self, runs: Sequence[Run], seed: int) -> None:
        self._random = random.Random(seed)
        self._samples = [*runs, *(a_run(f"own-{number}", gpus=number + 1) for number in range(4))]
        self._known: dict[str, Run] = {}
        self._open: dict[str, Lease] = {}
        self._free = {(f"n{node}", place) for node in range(NODES) for place in range(SLOTS)}
        self._now = A_MONDAY
        self._attempts = 0

    def changes(self, count: int) -> Iterator[Change]:
        """That many, after the fleet has been seen."""
        moves = (self._run, self._run, self._open_lease, self._open_lease, self._close_lease, self._go, self._around)
        while count:
            change = self._random.choice(moves)()
            if change is not None:
                count -= 1
                yield change

    def _run(self) -> Change:
        sample = self._random.choice(self._samples)
        labels = self._random.choice([run.meta.labels for run in self._samples])
        phase = self._random.choice([Phase.QUEUED, Phase.HELD, Phase.RUNNING])
        run = attrs.evolve(
            sample,
            meta=attrs.evolve(sample.meta, labels=labels),
            status=attrs.evolve(sample.status, phase=phase),
        )
        self._known[run.meta.name] = run
        return RunSeen(run)

    def _open_lease(self) -> Change | None:
        places = sorted(self._free)
        if not self._known or not places:
            return None
        run = self._known[self._random.choice(sorted(self._known))]
        taken = self._random.sample(places, k=min(len(places), self._random.randint(1, 4)))
        self._free.difference_update(taken)
        self._attempts += 1
        nodes = {node for node, _ in taken}
        slots = {node: tuple(sorted(place for other, place in taken if other == node)) for node in sorted(nodes)}
        one_gpu = attrs.evolve(run.spec.resources, gpus_per_pod=1)
        lease = a_lease(
            attrs.evolve(run, spec=attrs.evolve(run.spec, resources=one_gpu)), slots, attempt=self._attempts
        )
        self._open[lease.meta.name] = lease
        return LeaseSeen(lease)

    def _close_lease(self) -> Change | None:
        if not self._open:
            return None
        lease = self._open.pop(self._random.choice(sorted(self._open)))
        self._free.update((slots.node, place) for slots in lease.spec.slots for place in slots.ordinals)
        status = LeaseStatus(closed=True, end=self._now, closure_reason=Closed.SUCCEEDED)
        return LeaseSeen(attrs.evolve(lease, status=status))

    def _go(self) -> Change | None:
        held = {lease.spec.run_ref.name for lease in self._open.values()}
        leaving = sorted(set(self._known) - held)
        return RunGone(self._known.pop(self._random.choice(leaving)).key) if leaving else None

    def _around(self) -> Change:
        self._now += timedelta(minutes=self._random.randint(1, 300))
        choices: list[Change] = [
            TimePassed(self._now),
            NodeSeen(a_node("extra", flavor=FLAVOR, cordoned=self._random.random() < 0.5)),  # noqa: PLR2004 - half of them
            NodeGone("extra"),
            BudgetSeen(a_budget("other", owner=self._random.choice(["vision", "speech"]))),
            BudgetGone("other"),
        ]
        return self._random.choice(choices)

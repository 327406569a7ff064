"""What if some had left the fleet, or other places of it were kept: tried in place, and undone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from runs_core.values.lease import Lease, Role
from runs_core.values.pod import Pod
from runs_core.world.fleet import Fleet
from runs_core.world.nodes import NodeState


class Before(NamedTuple):
    """What a what-if changes of one node, as it was."""

    state: NodeState
    active: int
    cpu: int
    memory: int
    ephemeral: int
    pods: int


def empty(fleet: Fleet, leases: Iterable[Lease], pods: Iterable[Pod]) -> Sequence[Before]:
    """What if these leases were closed and these pods gone. Returns what `refill` undoes it with."""
    before: dict[str, Before] = {}
    for lease in leases:
        for slots in lease.spec.slots:
            state = _before(fleet, slots.node, before)
            if state is not None and lease.spec.role is Role.ACTIVE:
                state.active &= ~slots.mask
    for pod in pods:
        state = _before(fleet, pod.node or "", before)
        if state is not None and not pod.phase.ended:
            state.cpu -= pod.requests.cpu_milli
            state.memory -= pod.requests.memory_bytes
            state.ephemeral -= pod.requests.ephemeral_bytes
            state.pods -= 1
    for one in before.values():
        fleet.refresh(one.state)
        short = one.state.domain.short if one.state.domain is not None else {}
        for requests in short:
            short[requests] &= ~(1 << one.state.bit)
    return tuple(before.values())


def refill(fleet: Fleet, before: Iterable[Before]) -> None:
    """It was only a what-if."""
    for one in before:
        state = one.state
        state.active, state.cpu, state.memory, state.ephemeral, state.pods = one[1:]
        fleet.refresh(state)


def _before(fleet: Fleet, name: str, before: dict[str, Before]) -> NodeState | None:
    state = fleet.states.get(name)
    if state is not None and name not in before:
        before[name] = Before(state, state.active, state.cpu, state.memory, state.ephemeral, state.pods)
    return state


class Keeping:
    """What if other places were promised to others than are: these, then those; only what differs is touched."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._before: dict[str, tuple[NodeState, int]] = {}

    def only(self, masks: Mapping[str, int]) -> None:
        """These of these nodes."""
        for name, mask in masks.items():
            state = self._fleet.states.get(name)
            if state is not None and state.kept != mask:
                self._before.setdefault(name, (state, state.kept))
                _keep(self._fleet, state, mask)

    def undo(self) -> None:
        """It was only a what-if."""
        for state, mask in self._before.values():
            _keep(self._fleet, state, mask)
        self._before.clear()


@contextmanager
def keeping(fleet: Fleet, masks: Mapping[str, int]) -> Iterator[None]:
    """What if only these places of these nodes were promised to others."""
    trial = Keeping(fleet)
    trial.only(masks)
    try:
        yield
    finally:
        trial.undo()


def _keep(fleet: Fleet, state: NodeState, mask: int) -> None:
    """As `Fleet.keep`, but nobody hears of it."""
    state.kept = mask
    fleet.refresh(state)

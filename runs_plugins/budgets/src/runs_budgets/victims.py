"""Work that nobody pays for: it runs until a rightful claim needs its GPUs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runs_budgets.funding import Funding
from runs_core import Class, Closed, Key, Lease, Run, Split, Stage, Unit, View

UNFUNDED_WORK = Stage(name="unfunded", order=1, closure=Closed.UNFUNDED_RECLAIMED, at_once=True)


def unfunded_work(funding: Funding, view: View, flavor: str) -> Sequence[Unit]:
    """Runs any part of which is unfunded: each would stop as a whole. Cost: those, and their leases.

    One that can do with less keeps what is paid for, and so stops only where nothing of it is.
    """
    return [
        Unit(key)
        for key in sorted(funding.unfunded())
        if any(_lies_in(view, lease, flavor) for lease in view.leases_of(key)) and not _keeps_some(funding, view, key)
    ]


def _keeps_some(funding: Funding, view: View, key: Key) -> bool:
    run = view.run(key)
    if run is None or view.demand(run) is None:
        return False
    return any(cls is not Class.UNFUNDED for _, cls in _classes(funding, view, run))


def _lies_in(view: View, lease: Lease, flavor: str) -> bool:
    node = view.node(lease.spec.slots[0].node)
    return getattr(node, "flavor", None) == flavor


def paying(funding: Funding, view: View, run: Run) -> dict[tuple[str, str], Split]:
    """GPUs of a run by class, by budget and envelope."""
    found: dict[tuple[str, str], Split] = {}
    for lease, cls in _classes(funding, view, run):
        if lease.spec.payer is not None:
            spot = lease.spec.payer.budget, lease.spec.payer.envelope
            found[spot] = found.get(spot, Split()).plus(cls, lease.gpus)
    return found


def _classes(funding: Funding, view: View, run: Run) -> Iterator[tuple[Lease, Class]]:
    for lease in view.leases_of(run.key):
        cls = funding.classify(lease)
        if cls is not None:
            yield lease, cls

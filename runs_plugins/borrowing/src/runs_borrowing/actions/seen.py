"""Leases with what they count as, as a session of the command line sees them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import attrs

from runs_borrowing.views import Held
from runs_cli.options import Asked
from runs_cli.session.port import Session
from runs_core import Class, Lease, Split


def everywhere(asked: Asked) -> Asked:
    """Classes follow from all claims, so that all namespaces are looked at."""
    return attrs.evolve(asked, all_namespaces=True)


def held(session: Session, leases: Iterable[Lease]) -> Iterator[Held]:
    """Open ones as they are metered now, closed ones as it was written down."""
    for lease in leases:
        if lease.status.closed:
            yield Held(lease=lease, cls=Class.UNFUNDED, used=lease.status.gpu_seconds or Split())
        else:
            yield Held(lease=lease, cls=_class(session, lease), used=_used(session, lease))


def _class(session: Session, lease: Lease) -> Class:
    """What the scheduler wrote down last counts; before it did, what follows from all claims."""
    found = lease.status.metered_as or session.advice.classify(lease, session.world, session.now)
    return found if found is not None else Class.UNFUNDED


def _used(session: Session, lease: Lease) -> Split:
    return session.advice.meter(lease, session.world, session.now) or lease.status.gpu_seconds or Split()

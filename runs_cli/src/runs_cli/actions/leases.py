"""`runs leases`: who held which GPUs, from when to when."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import attrs
import click

from runs_cli.answer import Column, Table, answer, listed
from runs_cli.options import Asked, asked
from runs_cli.session import opened
from runs_cli.session.port import LEDGER, Session
from runs_cli.words import NONE, instant, key_of, moment, numbers, span
from runs_core.decide.paying import by_class
from runs_core.errors import InvalidInput, Problem
from runs_core.values.lease import Lease

EXPORT = "export"


@attrs.frozen(kw_only=True)
class Wanted:
    """Which leases. since, until: those that held GPUs at some moment in between, half open."""

    owner: str | None
    node: str | None
    since: datetime | None
    until: datetime | None
    only_open: bool

    def __call__(self, lease: Lease) -> bool:
        spec, end = lease.spec, lease.status.end
        return (
            (self.owner is None or spec.owner == self.owner)
            and (self.node is None or any(slots.node == self.node for slots in spec.slots))
            and (self.since is None or end is None or end > self.since)
            and (self.until is None or spec.start < self.until)
            and not (self.only_open and lease.status.closed)
        )


def leases(
    what: str | None, *, owner: str | None, node: str | None, since: str | None, until: str | None, only_open: bool
) -> None:
    about = () if what in (None, EXPORT) else (str(what),)
    with opened(asked(), LEDGER if node is None else (*LEDGER, "Node"), about) as session:
        said = session.asked
        wanted = Wanted(
            owner=owner,
            node=None if node is None else session.node_named(node),
            since=None if since is None else instant(since, "--since", session.now),
            until=None if until is None else instant(until, "--until", session.now),
            only_open=only_open,
        )
        if wanted.since is not None and wanted.until is not None and wanted.until <= wanted.since:
            late = f"got {until!r}, want it later than --since, which is {moment(wanted.since)}"
            raise InvalidInput([Problem("--until", late)])
        found = _leases(session, said, None if what == EXPORT else what, wanted)
        if what == EXPORT:
            for lease in found:
                click.echo(json.dumps(session.stored("GPULease", lease.key), sort_keys=True, ensure_ascii=False))
            return
        answer(
            said,
            plain=lambda: listed([session.stored("GPULease", lease.key) for lease in found], one=False),
            names=lambda: [str(lease.key) for lease in found],
            blocks=lambda: [lease_table(found, session.now, wanted.node)],
        )


def _leases(session: Session, said: Asked, run: str | None, wanted: Wanted) -> list[Lease]:
    """By start, then name. A run that is long gone still has its leases."""
    key = None if run is None else key_of(run, said.home)
    found = [
        lease
        for lease in session.leases()
        if wanted(lease) and (lease.run == key if key else said.scope is None or lease.meta.namespace == said.scope)
    ]
    if key and not found:
        session.run_named(str(key))
    return sorted(found, key=lambda lease: (lease.spec.start, lease.key))


def lease_table(found: list[Lease], now: datetime, node: str | None) -> Table:
    """A row for each node of each lease; node: of this one only."""
    columns = [
        Column("NAMESPACE"),
        Column("RUN"),
        Column("OWNER"),
        Column("ROLE", wide=True),
        Column("GROUP", right=True, wide=True),
        Column("ATTEMPT", right=True, wide=True),
        Column("NODE"),
        Column("SLOTS"),
        Column("GPUS", right=True),
        Column("START"),
        Column("END"),
        Column("HELD", right=True),
        Column("PAYER", wide=True),
        Column("GPU-SECONDS", wide=True),
        Column("STATE", state=True),
        Column("DETAIL", wide=True),
        Column("LEASE", wide=True),
    ]
    rows = [
        [
            lease.run.namespace,
            lease.run.name,
            lease.spec.owner or NONE,
            str(lease.spec.role),
            str(lease.spec.group),
            str(lease.spec.attempt),
            slots.node,
            numbers(slots.ordinals),
            str(len(slots.ordinals)),
            moment(lease.spec.start),
            moment(lease.status.end),
            span(held(lease, now)),
            f"{payer.budget}/{payer.envelope}" if (payer := lease.spec.payer) is not None else NONE,
            metered(lease),
            str(lease.status.closure_reason) if lease.status.closed else "open",
            lease.status.closure_detail or NONE,
            lease.meta.name,
        ]
        for lease in found
        for slots in lease.spec.slots
        if node in (None, slots.node)
    ]
    return Table(columns=columns, rows=rows, empty="No such lease.")


def held(lease: Lease, now: datetime) -> timedelta:
    """How long it has held, or did."""
    return (lease.status.end or now) - lease.spec.start


def metered(lease: Lease) -> str:
    """GPU-seconds by class, and until when, where it goes on."""
    status = lease.status
    if status.gpu_seconds is None:
        return NONE
    used = by_class(status.gpu_seconds)
    return used if status.metered_until is None else f"{used} until {moment(status.metered_until)}"

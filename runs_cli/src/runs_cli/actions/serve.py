"""`runs serve`: the scheduler as a process."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import click

from runs_cli.options import asked
from runs_cli.session import embedded
from runs_cli.session.local import Local
from runs_cli.words import moment
from runs_core.serve import drive


def serve() -> None:
    with embedded(asked()) as session, _stopped() as stop:
        click.echo(f"serving {session.asked.local} from {moment(session.now)}", err=True)
        drive.follow(session.loop, session.cluster, lambda: bool(stop))
        click.echo(f"stopped at {moment(session.now)}, {_open(session)} leases open", err=True)


def _open(session: Local) -> int:
    return len(session.world.ledger.open)


@contextmanager
def _stopped() -> Iterator[list[int]]:
    """A list that a signal puts its number into."""
    got: list[int] = []

    def stop(number: int, _: FrameType | None) -> None:
        got.append(number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield got
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

"""`runs serve`: the scheduler as a process."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import attrs
import click

from runs_cli.enabled import known_plugins, loaded_settings
from runs_cli.options import asked
from runs_cli.session import embedded
from runs_core.cluster.archive import refuse_unwritable
from runs_core.serve import drive, log
from runs_core.serve.health import Health, HealthServer, address
from runs_core.serve.log import Level, LogFormat
from runs_core.serve.manifests.installation import NAME
from runs_core.serve.reload import Reload
from runs_core.serve.signals import Stopping, stopping
from runs_core.settings import Settings
from runs_core.values.quantity import format_time


@attrs.frozen(kw_only=True)
class Wanted:
    """What the options of `serve` say."""

    http_address: str
    identity: str | None
    webhook_address: str
    webhook_cert_dir: str | None
    webhook_hosts: tuple[str, ...]
    log_format: str
    log_level: str


def serve(**given: object) -> None:
    wanted = Wanted(**given)  # type: ignore[arg-type]  # click's own, by the names and types of the options
    if asked().local is not None:
        _refuse_live_options(wanted)
    log.set_up(LogFormat(wanted.log_format), Level(wanted.log_level))
    health = Health()
    with stopping() as stop, _answering(wanted, health):
        if asked().local is not None:
            _local(stop, health)
        else:
            _live(stop, health, wanted)


@contextmanager
def _answering(wanted: Wanted, health: Health) -> Iterator[None]:
    where = address(wanted.http_address, "--http-address")
    if where is None:
        yield
        return
    server = HealthServer(where, health)
    server.start()
    log.info("answers /healthz, /livez and /readyz", address=f"{where[0] or '*'}:{server.port}")
    try:
        yield
    finally:
        server.stop()


# -- the embedded cluster ---------------------------------------------------------------------------------------------


def _local(stop: Stopping, health: Health) -> None:
    with embedded(asked()) as session:
        refuse_unwritable(session.settings.retention)
        loop = session.loop
        loop.tell(lambda record: log.decided(loop.cycles, record))
        log.info("serving", file=session.asked.local, since=format_time(session.now))

        def stopped() -> bool:
            health.turned()
            return stop.asked

        drive.follow(loop, session.cluster, stopped, sleep=lambda seconds: _doze(stop, seconds))
        log.info("stopped", until=format_time(session.now), leases=len(session.world.ledger.open))


def _doze(stop: Stopping, seconds: float) -> None:
    stop.event.wait(seconds)


def _refuse_live_options(wanted: Wanted) -> None:
    said = {"--identity": wanted.identity, "--webhook-cert-dir": wanted.webhook_cert_dir}
    said["--webhook-address"] = None if wanted.webhook_address == "none" else wanted.webhook_address
    for flag, value in said.items():
        if value:
            raise click.UsageError(f"{flag} is for a live cluster: leave it out with --local")


# -- a live cluster ---------------------------------------------------------------------------------------------------


def _live(stop: Stopping, health: Health, wanted: Wanted) -> None:
    from runs_cli.serving import parts, webhooks  # noqa: PLC0415 - the embedded cluster needs no client
    from runs_core.serve.process import Process  # noqa: PLC0415

    said = asked()
    where = address(wanted.webhook_address, "--webhook-address")
    plugins = known_plugins(said).sound()

    def load() -> Settings:
        settings = loaded_settings(said, plugins)
        refuse_unwritable(settings.retention)
        return settings

    reload = Reload(said.config, load, load())
    made = parts(said, plugins, reload, identity=_identity(wanted.identity), stop=stop, health=health)
    with webhooks(made, where, wanted.webhook_cert_dir, _hosts(wanted, where, made.namespace)):
        Process(made.parts).run()
    log.info("stopped", identity=made.parts.election.identity)


def _hosts(wanted: Wanted, where: tuple[str, int] | None, namespace: str) -> list[str]:
    """What certificates of our own are for: what was named, else the Service inside a cluster and where we listen."""
    if wanted.webhook_hosts or where is None:
        return list(wanted.webhook_hosts)
    listening = [where[0]] if where[0] not in ("", "0.0.0.0", "::") else []  # noqa: S104 - everywhere is no name
    return [f"{NAME}.{namespace}.svc", *listening]


def _identity(base: str | None) -> str:
    """No two processes share one, not even one after the other: the later must not be taken for the former."""
    return f"{base or socket.gethostname()}_{secrets.token_hex(4)}"

"""`runs serve`: the scheduler as a process."""

from __future__ import annotations

import click

from runs_cli.command import declare


@declare(
    "serve",
    examples=(
        ("Schedule the cluster of the current context, from outside of it:", "runs serve"),
        ("The same as what runs in the cluster, with webhooks:", "runs serve -n runs-system --webhook-address :9443"),
        ("Let the embedded cluster's time pass as ours does:", "runs --local fleet.db serve"),
        ("In the meantime, from another shell:", "runs --local fleet.db submit train --gpus 8 --wait"),
    ),
)
@click.option(
    "--http-address",
    metavar="HOST:PORT",
    default="127.0.0.1:8080",
    show_default=True,
    help="Where /healthz, /livez and /readyz are answered; `none` for nowhere.",
)
@click.option("--identity", metavar="NAME", help="This process among those that stand for election; the host's name.")
@click.option(
    "--webhook-address",
    metavar="HOST:PORT",
    default="none",
    show_default=True,
    help="Where the API server's webhooks are answered, over TLS.",
)
@click.option(
    "--webhook-cert-dir",
    metavar="FOLDER",
    type=click.Path(exists=True, file_okay=False),
    help="tls.crt and tls.key for the webhooks, read again when they change; without it we make our own.",
)
@click.option(
    "--webhook-host",
    "webhook_hosts",
    metavar="NAME",
    multiple=True,
    help="Name or address that the API server asks at, for certificates of our own; may be repeated.",
)
@click.option(
    "--log-format",
    type=click.Choice(["auto", "json", "human"]),
    default="auto",
    show_default=True,
    help="How to write log lines; auto: human on a terminal, json elsewhere.",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    help="What is worth a line; each decision is one at info.",
)
def serve() -> None:
    """Schedule until told to stop (SIGTERM, or Ctrl-C), which is always safe. A second time stops at once.

    On a live cluster, of several such processes one decides and the others stand by. --namespace is the scheduler's
    own, for its election and its journal: its pod's inside a cluster, else runs-system.

    The embedded cluster's clock goes on from where it stands, in real time. Other commands may write to the same
    file meanwhile.
    """

"""`runs submit`: create or update runs."""

from __future__ import annotations

import click

from runs_cli.command import Command, declare
from runs_cli.options import FINISHED, RUNNING, one_file


class _Submit(Command):
    """`--wait` may stand without a value, and does not take the word behind it for one."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        end = args.index("--") if "--" in args else len(args)
        args[:end] = [f"--wait={RUNNING}" if word == "--wait" else word for word in args[:end]]
        return super().parse_args(ctx, args)


@declare(
    "submit",
    cls=_Submit,
    examples=(
        ("A run from a manifest, or from several in one file:", "runs submit -f train.yaml"),
        ("A gang of 32 GPUs in groups of 16 that share a fabric domain:", "runs submit train --gpus 32 --group 16"),
        (
            "With your container:",
            "runs submit train --gpus 16 --gpus-per-pod 8 --image ghcr.io/me/train:1 -- torchrun train.py",
        ),
        ("What would be sent:", "runs submit train --gpus 8 --dry-run=client -o yaml"),
        ("On the embedded cluster, a run of two hours:", "runs submit train --gpus 8 --simulated-duration 2h"),
    ),
)
@click.argument("name", required=False, metavar="[NAME]")
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[-- CMD...]")
@click.option(
    "-f", "--filename", multiple=True, callback=one_file, metavar="FILE", help="Manifests of Runs, - for stdin."
)
@click.option("--gpus", type=int, metavar="N", help="GPUs of the whole gang.")
@click.option("--flavor", metavar="F", help="GPU flavor; the cluster's own where it has one only.")
@click.option("--group", type=int, metavar="G", help="GPUs that must share one fabric domain.")
@click.option("--gpus-per-pod", type=int, metavar="P", help="GPUs of each pod; 1.")
@click.option("--image", metavar="I", help="Container image of its pods; CMD is its command.")
@click.option("--after", multiple=True, metavar="RUN", help="Start once this run has succeeded; again for several.")
@click.option("--owner", metavar="NAME", help="Who spends, where the namespace may spend for several.")
@click.option("--expected-duration", metavar="D", help="A hint for forecasts, such as 6h.")
@click.option("--simulated-duration", metavar="D", help="How long its pods run on the embedded cluster.")
@click.option(
    "--dry-run",
    type=click.Choice(["client", "server"]),
    help="client: say what would be sent, and send nothing. server: let the cluster judge it, and keep nothing.",
)
@click.option(
    "--wait", type=click.Choice([RUNNING, FINISHED]), metavar="[=running|finished]", help="Until it runs, or is over."
)
@click.option("--timeout", metavar="D", default="10m", show_default=True, help="How long to --wait; then exit code 4.")
def submit() -> None:
    """Create or update runs, from manifests or from flags.

    On the embedded cluster only `serve` and `cluster advance` move the clock: --wait ends at once where neither does.
    """

"""`runs completion`: a shell's completion script."""

from __future__ import annotations

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from runs_cli.command import command

SHELLS: dict[str, type[ShellComplete]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


@command(
    "completion",
    examples=(
        ("For this bash:", 'eval "$(runs completion bash)"'),
        ("For every zsh:", "runs completion zsh > ~/.zfunc/_runs"),
        ("For fish:", "runs completion fish > ~/.config/fish/completions/runs.fish"),
    ),
)
@click.argument("shell", type=click.Choice([*SHELLS]))
def completion(shell: str) -> None:
    """The completion script of a shell: commands, options, runs, namespaces and nodes of the cluster.

    Through kubectl it needs nothing but kubectl_complete-runs on the PATH, which is installed beside `runs`.
    """
    root = click.get_current_context().find_root()
    click.echo(SHELLS[shell](root.command, {}, "runs", "_RUNS_COMPLETE").source())

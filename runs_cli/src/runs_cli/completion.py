"""Completion of names from the cluster: for click's own scripts, and in the protocol that kubectl speaks."""

from __future__ import annotations

import sys

import attrs
import click
from click.shell_completion import CompletionItem, ShellComplete

from runs_cli.options import Asked, asked_in

NO_FILES = 4
"""cobra's ShellCompDirectiveNoFileComp: what was printed is all there is to choose from."""


class _RunName(click.ParamType[str, str]):
    """A run's name, or namespace/name; what fits is found in the cluster."""

    name = "run"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        asked = asked_in(ctx)
        return [CompletionItem(name) for name in runs(asked, incomplete)]


class _NodeName(click.ParamType[str, str]):
    """A node's name; what fits is found in the cluster."""

    name = "node"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(name) for name in nodes(asked_in(ctx), incomplete)]


class _ResolutionName(click.ParamType[str, str]):
    """A resolution's name; what fits is found in the cluster."""

    name = "resolution"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        names = [name for _, name in _known(asked_in(ctx), "Resolution")]
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


class _BudgetName(click.ParamType[str, str]):
    """A Budget's name; what fits is found in the cluster."""

    name = "budget"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        names = [name for _, name in _known(asked_in(ctx), "Budget")]
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


RUN = _RunName()
BUDGET = _BudgetName()
RESOLUTION = _ResolutionName()
NODE = _NodeName()


def runs(asked: Asked, incomplete: str) -> list[str]:
    """Runs of the namespace by name, or of every namespace as namespace/name once a slash is typed."""
    everywhere = asked.all_namespaces or "/" in incomplete
    keys = _known(attrs.evolve(asked, all_namespaces=everywhere), "Run")
    names = [f"{namespace}/{name}" for namespace, name in keys if everywhere]
    names = names or [name for namespace, name in keys if namespace == asked.home or asked.local is None]
    return [name for name in names if name.startswith(incomplete)]


def namespaces(asked: Asked, incomplete: str) -> list[str]:
    """Of the cluster."""
    return [name for _, name in _known(asked, "Namespace") if name.startswith(incomplete)]


def nodes(asked: Asked, incomplete: str) -> list[str]:
    """Nodes of the fleet."""
    return [name for _, name in _known(asked, "Node") if name.startswith(incomplete)]


def _known(asked: Asked, kind: str) -> list[tuple[str, str]]:
    """(namespace, name) of what is there; nothing where the cluster cannot be read: a shell is no place for errors."""
    from runs_cli import session  # noqa: PLC0415 - only completion of names opens the cluster

    try:
        return session.names(asked, kind)
    except Exception:  # noqa: BLE001 - whatever is wrong, the command itself will say it
        return []


class _Cobra(ShellComplete):
    """The words come as arguments: those of `kubectl runs`, the last one still being typed."""

    name = "cobra"
    source_template = ""

    def get_completion_args(self) -> tuple[list[str], str]:
        *words, incomplete = sys.argv[1:] or [""]
        return words, incomplete

    def format_completion(self, item: CompletionItem) -> str:
        return f"{item.value}\t{item.help}" if item.help else str(item.value)


def kubectl_complete() -> None:
    """`kubectl_complete-runs WORDS… INCOMPLETE`, which kubectl calls."""
    from runs_cli.main import root  # noqa: PLC0415 - the root imports the options, which import this

    print(_Cobra(root, {}, "kubectl runs", "").complete())  # noqa: T201 - the protocol is stdout
    print(f":{NO_FILES}")  # noqa: T201

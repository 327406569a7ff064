"""Fields of first-party plugins that are not installed: whose they are, and how to get them."""

from __future__ import annotations

from pathlib import Path

from runs_core.schema.names import BUDGET, RUN

_PLUGINS = {
    (RUN.name, "funding"): "budgets",
    (f"{RUN.name}.funding", "allowUnfunded"): "budgets",
    (f"{RUN.name}.funding", "allowBorrow"): "borrowing",
    (f"{RUN.name}.funding", "maxBorrowGPUs"): "borrowing",
    (f"{RUN.name}.funding", "sponsors"): "borrowing",
    (RUN.name, "malleable"): "elasticity",
    (RUN.name, "spares"): "spares",
    (BUDGET.name, "parents"): "budgets",
    (BUDGET.name, "envelopes"): "budgets",
    (BUDGET.name, "aggregateCaps"): "budgets",
}
TREE = Path(__file__).resolve().parents[4]
"""The source tree, where this module lies in one."""


def whose(kind: str, field: str, tree: Path = TREE) -> str | None:
    """The refusal of a plugin's field of this kind's spec; None for any other field.

    kind: with the section, where it is a field of one, as `Run.funding`.
    """
    plugin = _PLUGINS.get((kind, field))
    if plugin is None:
        return None
    if (tree / "runs_plugins" / plugin / "pyproject.toml").is_file():
        install = f"`pip install -e runs_plugins/{plugin}`"
        return f"got a field of the plugin {plugin}, which is not on: install it with {install}, or switch it on"
    return f"got a field of the plugin {plugin}, which this release does not contain; remove the field"

"""`runs version`."""

from __future__ import annotations

import platform

from runs_cli import __version__
from runs_cli.answer import Fields, answer
from runs_cli.options import asked
from runs_core.hooks.specs import HOOK_API
from runs_core.schema.names import API_VERSION


def version() -> None:
    found = {
        "version": __version__,
        "hookApi": HOOK_API,
        "api": API_VERSION,
        "python": platform.python_version(),
    }
    labels = {"version": "runs", "hookApi": "Plugin interface", "api": "Objects", "python": "Python"}
    answer(
        asked(),
        plain=lambda: found,
        names=lambda: [__version__],
        blocks=lambda: [Fields(pairs=[(labels[name], str(value)) for name, value in found.items()])],
    )

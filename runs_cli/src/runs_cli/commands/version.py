"""`runs version`."""

from __future__ import annotations

from runs_cli.command import declare


@declare("version", examples=(("What is installed:", "runs version"),))
def version() -> None:
    """Versions of runs, of its plugin interface, of its objects and of Python."""

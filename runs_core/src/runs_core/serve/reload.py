"""Settings that change while the process runs: taken as a whole or not at all, and only where that is safe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import attrs

from runs_core.errors import RunsError
from runs_core.serve import log
from runs_core.settings import Settings

SAFE = ("unbudgeted", "checkpoint_grace_cap", "starts", "retention")
"""Read anew with each decision. The others shape what was built at the start: nodes, plugins, the line's order."""
LOOK_SECONDS = 2.0
Load = Callable[[], Settings]


class Reload:
    """path: of the settings file; None: there is none, and nothing changes. load: reads it, with the variables."""

    def __init__(self, path: str | None, load: Load, settings: Settings) -> None:
        self._path = Path(path) if path is not None else None
        self._load = load
        self._stamp = self._look()
        self.settings = settings

    def changed(self) -> Settings | None:
        """The settings to go on with, where they are others than before; told what was refused or has to wait."""
        stamp = self._look()
        if stamp == self._stamp:
            return None
        self._stamp = stamp
        try:
            found = self._load()
        except Exception as error:  # noqa: BLE001  # a plugin's own check may fail, and whoever leads goes on
            why = str(error) if isinstance(error, RunsError) else f"{type(error).__name__}: {error}"
            log.warn(f"settings refused, the former ones stay: {why}", file=str(self._path))
            return None
        taken = attrs.evolve(self.settings, **{name: getattr(found, name) for name in SAFE})
        waiting = [
            field.name for field in attrs.fields(Settings) if getattr(taken, field.name) != getattr(found, field.name)
        ]
        if waiting:
            log.warn("settings that only a restart takes up have changed", settings=waiting)
        if taken == self.settings:
            return None
        self.settings = taken
        log.info("settings taken up", file=str(self._path))
        return taken

    def _look(self) -> tuple[int, ...] | None:
        """Differs whenever the file does: also when a link now leads elsewhere, as in a mounted ConfigMap."""
        if self._path is None:
            return None
        try:
            found = self._path.stat()
        except OSError:
            return ()
        return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)

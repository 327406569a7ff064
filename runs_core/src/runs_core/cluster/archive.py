"""Where closed leases and resolutions go before they are removed: JSON lines, a file for each kind."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from runs_core.errors import InvalidInput, Problem, Unavailable
from runs_core.settings import RetentionSettings


def archive(folder: Path, gone: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Append. gone: objects by file. One may stand twice after a crash in between; its uid tells.

    Unavailable: it cannot be written.
    """
    try:
        for kind, bodies in gone.items():
            if bodies:
                folder.mkdir(parents=True, exist_ok=True)
                with (folder / f"{kind}.jsonl").open("a", encoding="utf-8") as out:
                    out.writelines(json.dumps(body, sort_keys=True) + "\n" for body in bodies)
    except OSError as error:
        raise Unavailable(f"retention.archive: {_why(folder, error)}") from error


def refuse_unwritable(retention: RetentionSettings) -> None:
    """InvalidInput: nothing could be archived as these settings say. Before anything is due, and not a month later."""
    if retention.archive is None:
        return
    folder = Path(retention.archive)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InvalidInput([Problem("retention.archive", _why(folder, error))]) from error


def _why(folder: Path, error: OSError) -> str:
    return f"{folder} cannot be written: {error.strerror or error}; name another folder, or mend it"

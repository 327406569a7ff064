"""Where closed leases and resolutions go before they are removed: JSON lines, a file for each kind."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def archive(folder: Path, gone: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Append. gone: objects by file. One may stand twice after a crash in between; its uid tells."""
    for kind, bodies in gone.items():
        if bodies:
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / f"{kind}.jsonl").open("a", encoding="utf-8") as out:
                out.writelines(json.dumps(body, sort_keys=True) + "\n" for body in bodies)

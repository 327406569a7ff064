"""`python -m docs.generate [--check] [FOLDER]`: FOLDER: docs/reference unless named. Exit code 1: not current."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from docs.generate import api, cli, faults, hooks, settings, simulated, views

REFERENCE = Path(__file__).resolve().parents[1] / "reference"
PAGES: Mapping[str, Callable[[], str]] = {
    "api.md": api.page,
    "cli.md": cli.page,
    "faults.md": faults.page,
    "hooks.md": hooks.page,
    "settings.md": settings.page,
    "simulated.md": simulated.page,
    "views.md": views.page,
}


def stale(folder: Path) -> list[str]:
    """Names of pages that are missing, or are not what the code says."""
    return [name for name, page in PAGES.items() if _kept(folder / name) != page()]


def _kept(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


def main(words: list[str]) -> int:
    """The command line."""
    folder = next((Path(word) for word in words if not word.startswith("-")), REFERENCE)
    found = stale(folder)
    if "--check" in words:
        for name in found:
            print(f"{folder / name} is not what the code says: run `python -m docs.generate`")
        return int(bool(found))
    for name in found:
        (folder / name).write_text(PAGES[name](), encoding="utf-8")
        print(f"written: {folder / name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Transcripts in the documentation: every `console` block is run, and what it shows is what the commands print.

`python tests/docs/transcripts.py` compares, with `--write` it puts the present output in place. All blocks of one page
run in one folder, in order, and share what they `export`; the repository's `examples` are in it. Lines that begin with
`$ ` are commands for a POSIX shell; what follows up to the next is their output. No plugin is on, whatever is
installed, unless the page exports RUNS_PLUGINS. A file that a page shows (a fenced block whose info string ends in a
file name, such as ```yaml train.yaml) is written there first.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```(?P<kind>\w+)(?: (?P<file>[\w./-]+))?\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
EXPORT = re.compile(r"export (\w+)=(\S+)")
SECONDS = 120


@attrs.frozen(kw_only=True)
class Difference:
    """A command whose output is not what the page shows."""

    page: str
    command: str
    shown: str
    printed: str


def pages() -> Iterator[Path]:
    """README and docs, wherever they show a transcript."""
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        if "```console\n" in page.read_text(encoding="utf-8"):
            yield page


def played(text: str) -> tuple[str, list[tuple[str, str, str]]]:
    """The page with present output in its transcripts; and each command with what was shown and what it printed."""
    commands: list[tuple[str, str, str]] = []
    exported: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "examples").symlink_to(ROOT / "examples")

        def play(block: re.Match[str]) -> str:
            if block["file"]:
                target = Path(folder) / block["file"]
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(block["body"], encoding="utf-8")
            if block["kind"] != "console":
                return block[0]
            body = ""
            for command, shown in steps(block["body"]):
                if said := EXPORT.fullmatch(command):
                    exported[said[1]] = said[2]
                printed = run(command, folder, exported)
                commands.append((command, shown, printed))
                body += f"$ {command}\n{printed}"
            return f"```console\n{body}```"

        return FENCE.sub(play, text), commands


def steps(body: str) -> Iterator[tuple[str, str]]:
    """(command, output shown). A command goes on over lines that end in a backslash."""
    for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
        command, _, shown = part.partition("\n")
        while command.endswith("\\"):
            more, _, shown = shown.partition("\n")
            command += "\n" + more
        yield command, shown


def run(command: str, folder: str, exported: Mapping[str, str]) -> str:
    """What a person would see: standard output and standard error together."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RUNS_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env={**kept, "RUNS_PLUGINS": "", **exported, "PATH": path, "COLUMNS": "120", "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return "".join(line.rstrip() + "\n" for line in done.stdout.splitlines())


def differences(page: Path) -> list[Difference]:
    """What the page shows and no command prints."""
    _, commands = played(page.read_text(encoding="utf-8"))
    name = str(page.relative_to(ROOT))
    return [
        Difference(page=name, command=command, shown=shown, printed=printed)
        for command, shown, printed in commands
        if shown != printed
    ]


def main() -> int:
    if "--write" in sys.argv:
        for page in pages():
            text = page.read_text(encoding="utf-8")
            new, _ = played(text)
            if new != text:
                page.write_text(new, encoding="utf-8")
                print(f"written: {page.relative_to(ROOT)}")
        return 0
    found = [difference for page in pages() for difference in differences(page)]
    for difference in found:
        print(
            f"{difference.page}: $ {difference.command}\n--- shown\n{difference.shown}--- printed\n{difference.printed}"
        )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

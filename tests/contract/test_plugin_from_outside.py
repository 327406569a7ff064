"""The plugin in tests/thirdparty is found, used and switched off as any installed one is."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from runs_core.hooks.registry import State, registry

FOLDER = Path(__file__).parents[1] / "thirdparty" / "runs-houserules"
pytestmark = pytest.mark.skipif(
    "houserules" not in entry_points(group="runs.plugins").names and os.environ.get("CI") != "true",
    reason="runs-houserules is not installed: pip install -e tests/thirdparty/runs-houserules",
)


class Only:
    def __init__(self, *names: str) -> None:
        self.names = names

    def allows(self, name: str) -> bool:
        return name in self.names


def test_it_is_found_with_its_version_and_what_it_declares() -> None:
    found = registry(Only("houserules")).sound()
    [plugin] = [one for one in found.plugins if one.name == "houserules"]
    assert (plugin.distribution, plugin.version, plugin.state) == ("runs-houserules", "1.0.0", State.ENABLED)
    assert [f"{section.kind}.spec.{section.name}" for section in found.sections] == ["Run.spec.houserules"]
    assert {"runs_hold", "runs_index", "runs_score"} <= set(plugin.hooks)


@pytest.mark.parametrize(("names", "imported"), [('"houserules"', True), ("", False)])
def test_it_is_imported_if_it_is_allowed_and_only_then(names: str, imported: bool) -> None:
    script = (
        "import sys\n"
        "from runs_core.hooks.registry import registry\n"
        "class Only:\n"
        f"    def allows(self, name): return name in [{names}]\n"
        "assert 'houserules' in [one.name for one in registry(Only()).plugins]\n"
        "print(any(name.startswith('runs_houserules') for name in sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(imported)


def test_it_uses_public_names_only() -> None:
    for file in sorted((FOLDER / "src").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("runs_c"):
                assert node.module == "runs_core", file


def test_its_command_is_offered_without_an_import() -> None:
    [command] = [point for point in entry_points(group="runs.commands") if point.name == "house-rules"]
    assert command.value == "runs_houserules.commands:house_rules"

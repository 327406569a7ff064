"""What is said of a cluster that does not answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import Result

Runs = Callable[..., Result]
REMEDY = "; see that it runs, or name another --context\n"


@pytest.fixture
def nowhere(tmp_path: Path) -> str:
    """A kubeconfig of a server that nobody runs."""
    whole = {
        "current-context": "here",
        "clusters": [{"name": "one", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "me", "user": {"token": "t"}}],
        "contexts": [{"name": "here", "context": {"cluster": "one", "user": "me"}}],
    }
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(whole), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("words", [["doctor"], ["get"], ["queue"], ["explain", "a"], ["submit", "a", "--gpus", "1"]])
def test_it_is_told_in_a_sentence_with_a_remedy(runs: Runs, nowhere: str, words: list[str]) -> None:
    done = runs("--kubeconfig", nowhere, *words)
    assert (done.exit_code, done.stdout, len(done.stderr.splitlines())) == (3, "", 1)
    assert done.stderr.startswith("Error: https://127.0.0.1:1 does not answer: ")
    assert done.stderr.endswith(REMEDY)

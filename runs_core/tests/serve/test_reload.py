from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import attrs
import pytest

from runs_core.errors import InvalidInput, Problem
from runs_core.schema.settings import load_settings
from runs_core.serve.reload import Reload
from runs_core.settings import Settings


def reloading(path: Path) -> Reload:
    def load() -> Settings:
        if not path.exists():
            raise InvalidInput([Problem(str(path), "cannot be read")])
        return load_settings(path.read_text(), str(path), {}, {})[0]

    return Reload(str(path), load, load())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "settings.yaml"
    found.write_text("starts: {tries: 3}\n")
    return found


def test_a_file_that_stays_as_it_is_is_not_read_again(path: Path) -> None:
    assert reloading(path).changed() is None


def test_a_change_is_taken_up_where_that_is_safe(path: Path) -> None:
    reload = reloading(path)
    path.write_text("starts: {tries: 5}\nretention: {runs: 24h}\n")
    found = reload.changed()
    assert found is not None
    assert (found.starts.tries, found.retention.runs) == (5, timedelta(days=1))
    assert reload.changed() is None


def test_an_invalid_file_is_refused_as_a_whole(path: Path) -> None:
    reload = reloading(path)
    path.write_text("starts: {tries: 5}\nretention: {runs: soon}\n")
    assert reload.changed() is None
    assert reload.settings.starts.tries == 3


def test_what_shapes_the_world_waits_for_a_restart(path: Path) -> None:
    reload = reloading(path)
    path.write_text("fleet: {resource: amd.com/gpu}\nstarts: {tries: 4}\n")
    found = reload.changed()
    assert found is not None
    assert (found.fleet.resource, found.starts.tries) == ("nvidia.com/gpu", 4)


def test_a_file_that_is_gone_changes_nothing(path: Path) -> None:
    reload = reloading(path)
    path.unlink()
    assert reload.changed() is None
    path.write_text("starts: {tries: 9}\n")
    assert attrs.asdict(reload.changed() or Settings())["starts"]["tries"] == 9


def test_a_file_that_nobody_foresaw_is_refused_as_well_and_ends_no_process(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Such as one at which the check of a plugin of others fails."""

    def load() -> Settings:
        raise KeyError("tries")

    reload = Reload(str(path), load, Settings())
    path.write_text("starts: {tries: 5}\n")
    assert reload.changed() is None
    assert "settings refused, the former ones stay: KeyError: 'tries'" in caplog.text

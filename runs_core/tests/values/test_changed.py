"""A value with some fields changed."""

from __future__ import annotations

import attrs
import pytest

from runs_core.values.changed import changed
from runs_core.values.run import Resources, RunStatus


def test_it_is_what_evolve_makes() -> None:
    status = RunStatus(attempt=2, message="here")
    assert changed(status, attempt=3) == attrs.evolve(status, attempt=3)


def test_what_it_makes_is_valid_or_not_made() -> None:
    with pytest.raises(ValueError, match="want at least 1"):
        changed(Resources(gpus=8), gpus=0)


def test_a_field_that_is_not_there_is_refused() -> None:
    with pytest.raises(TypeError):
        changed(RunStatus(), nothing=1)

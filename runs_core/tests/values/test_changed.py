"""A value with some fields changed."""

from __future__ import annotations

import attrs
import pytest

from runs_core.values.changed import changed, changer
from runs_core.values.meta import Key, Meta
from runs_core.values.pod import Pod
from runs_core.values.run import Resources, RunStatus
from runs_core.values.template import Requests


def test_it_is_what_evolve_makes() -> None:
    status = RunStatus(attempt=2, message="here")
    assert changed(status, attempt=3) == attrs.evolve(status, attempt=3)


def test_what_it_makes_is_valid_or_not_made() -> None:
    with pytest.raises(ValueError, match="want at least 1"):
        changed(Resources(gpus=8), gpus=0)


def test_a_field_that_is_not_there_is_refused() -> None:
    with pytest.raises(TypeError):
        changed(RunStatus(), nothing=1)


def test_it_is_of_its_class_and_frozen_like_any_other() -> None:
    status = changed(RunStatus(), attempt=1)
    assert type(status) is RunStatus
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        status.attempt = 2  # type: ignore[misc]  # what is tried


def test_what_is_worked_out_follows_what_it_is_worked_out_from() -> None:
    assert changed(Meta(name="a", namespace="x"), name="b").key == Key("x", "b")


def test_what_is_worked_out_stays_the_same_object_while_it_says_the_same() -> None:
    pod = Pod(namespace="x", name="a")
    assert changed(pod, gpus=1).key is pod.key
    assert changed(pod, name="a").key is pod.key


def test_fields_that_always_change_together_are_given_in_order() -> None:
    assert changer(Meta, "namespace", "name")(Meta(name="a"), "x", "b") == Meta(namespace="x", name="b")


def test_a_class_that_keeps_more_than_its_fields_is_refused() -> None:
    with pytest.raises(TypeError, match=r"use attrs\.evolve"):
        changed(Requests(), cpu_milli=1)

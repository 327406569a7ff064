"""Plugins made of a few functions, for tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from types import SimpleNamespace

import attrs

from runs_core.hooks.ask import PluginAdvice
from runs_core.hooks.registry import of
from runs_core.hooks.specs import HOOK_API, hookimpl
from runs_core.settings import HookSettings, Settings

PATIENT = HookSettings(timeout=timedelta(minutes=1))
"""In place of the default: how busy the machine is decides nothing in a test that is not about time."""


def a_plugin(*implementations: Callable[..., object], api: object = (HOOK_API, HOOK_API)) -> SimpleNamespace:
    """A plugin of these functions, each named as its hook."""
    return SimpleNamespace(RUNS_HOOK_API=api, **{function.__name__: hookimpl(function) for function in implementations})


def advice_of(plugins: Mapping[str, object], settings: Settings | None = None) -> PluginAdvice:
    """What these plugins advise, by name."""
    said = settings or Settings()
    return PluginAdvice(of(**plugins), attrs.evolve(said, hooks=PATIENT) if said.hooks == HookSettings() else said)

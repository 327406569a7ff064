"""Plugins made of a few functions, for tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace

from runs_core.hooks.ask import PluginAdvice
from runs_core.hooks.registry import of
from runs_core.hooks.specs import HOOK_API, hookimpl
from runs_core.settings import Settings


def a_plugin(*implementations: Callable[..., object], api: object = (HOOK_API, HOOK_API)) -> SimpleNamespace:
    """A plugin of these functions, each named as its hook."""
    return SimpleNamespace(RUNS_HOOK_API=api, **{function.__name__: hookimpl(function) for function in implementations})


def advice_of(plugins: Mapping[str, object], settings: Settings | None = None) -> PluginAdvice:
    """What these plugins advise, by name."""
    return PluginAdvice(of(**plugins), settings or Settings())

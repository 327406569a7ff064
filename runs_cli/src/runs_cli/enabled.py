"""Settings, and the plugins that they let in."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from runs_cli.options import Asked
from runs_core.errors import InvalidInput, Problem
from runs_core.hooks.registry import Registry, installed, registry
from runs_core.schema.settings import PluginSwitches, load_settings, load_switches
from runs_core.schema.text import bounded
from runs_core.settings import Settings
from runs_core.values.section import Section


def switches(asked: Asked) -> PluginSwitches:
    """Which plugins the settings allow; no plugin is imported for it."""
    text, source = _file(asked)
    return load_switches(text, source, os.environ, [one.name for one in installed()])


def known_plugins(asked: Asked) -> Registry:
    """Installed plugins, with what is wrong with them. One that is switched off is not imported."""
    return registry(switches(asked))


def loaded_settings(asked: Asked, plugins: Registry | None = None) -> Settings:
    """The settings file and RUNS_* variables, with the settings of these plugins; without any, of those that are on."""
    text, source = _file(asked)
    return load_settings(text, source, os.environ, (plugins or known_plugins(asked)).settings_classes)[0]


def sections(asked: Asked) -> tuple[Section, ...]:
    """What the plugins that are on add to specs."""
    return known_plugins(asked).sound().sections


def _file(asked: Asked) -> tuple[str | None, str]:
    if asked.config is None:
        return None, "settings"
    path = Path(asked.config)
    try:
        return _read(path) if path.is_file() else _once(path), asked.config
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise InvalidInput([Problem(asked.config, f"cannot be read: {why}; name a settings file")]) from error


@cache
def _once(path: Path) -> str:
    """A pipe, as `<(…)` of a shell or /dev/stdin, says what it says only once, and settings are read several times."""
    return _read(path)


def _read(path: Path) -> str:
    with path.open(encoding="utf-8") as file:
        return bounded(file, str(path))

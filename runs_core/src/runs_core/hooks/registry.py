"""Which plugins there are, and which of them can be used. A plugin that is switched off is never imported."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from importlib.metadata import EntryPoint, entry_points
from typing import Protocol

import attrs

from runs_core.errors import PluginError
from runs_core.hooks.contract import CONTRACTS, SOLE
from runs_core.hooks.declared import clashes, contested
from runs_core.hooks.loading import Impl, Loaded, Unusable, loaded
from runs_core.hooks.permission import Permission
from runs_core.values.funding import Stage
from runs_core.values.section import Section

GROUP = "runs.plugins"
"""The entry-point group: the entry point's name is the plugin's, its value a module or an object in one."""


class Switches(Protocol):
    """Which plugins the settings allow. Readable before any plugin is imported."""

    def allows(self, name: str) -> bool: ...


class State(StrEnum):
    """Broken: it is wanted, and cannot be used."""

    ENABLED = "Enabled"
    DISABLED = "Disabled"
    BROKEN = "Broken"


@attrs.frozen(kw_only=True)
class Plugin:
    """What is known of an installed plugin; of one that is switched off, only who it is. why: what is wrong."""

    name: str
    version: str
    distribution: str
    state: State
    why: str = ""
    api: tuple[int, int] | None = None
    hooks: tuple[str, ...] = ()
    settings: type | None = None
    sections: tuple[Section, ...] = ()
    permissions: tuple[Permission, ...] = ()
    stages: tuple[Stage, ...] = ()


@attrs.frozen(kw_only=True)
class Found:
    """An installed plugin, not yet imported."""

    name: str
    version: str = ""
    distribution: str = ""
    load: Callable[[], object]


@attrs.frozen(kw_only=True)
class Registry:
    """plugins: all that are installed, by name. impls: of those that are enabled, by plugin name, then hook."""

    plugins: tuple[Plugin, ...]
    impls: tuple[Impl, ...]

    @property
    def problems(self) -> tuple[str, ...]:
        """One sentence for each broken plugin, with the remedy."""
        return tuple(
            f"plugin {plugin.name} ({plugin.distribution or 'unknown'} {plugin.version}) {plugin.why}; "
            f"mend it, or switch it off with `plugins: {{{plugin.name}: {{enabled: false}}}}`"
            for plugin in self.plugins
            if plugin.state is State.BROKEN
        )

    def sound(self) -> Registry:
        """Itself. PluginError: a wanted plugin is broken; it might have vetoed, so nothing starts without it."""
        if self.problems:
            raise PluginError("\n".join(self.problems))
        return self

    @property
    def sections(self) -> tuple[Section, ...]:
        return tuple(section for plugin in self._enabled for section in plugin.sections)

    @property
    def permissions(self) -> tuple[Permission, ...]:
        """Each once, sorted."""
        return tuple(sorted({one for plugin in self._enabled for one in plugin.permissions}, key=str))

    @property
    def stages(self) -> tuple[tuple[str, Stage], ...]:
        """In their order, each with its plugin."""
        return tuple(
            sorted(
                ((plugin.name, stage) for plugin in self._enabled for stage in plugin.stages),
                key=lambda item: (item[1].order, item[1].name, item[0]),
            )
        )

    @property
    def settings_classes(self) -> Mapping[str, type]:
        """By plugin name."""
        return {plugin.name: plugin.settings for plugin in self._enabled if plugin.settings is not None}

    def implementing(self, hook: str) -> tuple[Impl, ...]:
        """By plugin name."""
        return tuple(impl for impl in self.impls if impl.hook == hook)

    def ranking(self, named: str | None) -> Impl | None:
        """Who orders the line; None: admission time does.

        PluginError: the setting names nobody who could, or two could and it names none.
        """
        able = {impl.plugin: impl for impl in self.implementing("runs_rank")}
        if named is None:
            if len(able) > 1:
                who = " and ".join(able)
                raise PluginError(f"rank: {who} would all order the line; name one, or switch the others off")
            return None
        if named not in able:
            can = f"one of {', '.join(able)}" if able else "none: no enabled plugin orders the line"
            raise PluginError(f"rank: got {named!r}, want {can}")
        return able[named]

    @property
    def _enabled(self) -> Sequence[Plugin]:
        return [plugin for plugin in self.plugins if plugin.state is State.ENABLED]


def installed(points: Iterable[EntryPoint] | None = None) -> tuple[Found, ...]:
    """What is installed, without importing any of it, by name. points: in place of those of the running Python."""
    found = [
        Found(
            name=point.name,
            version=point.dist.version if point.dist else "",
            distribution=point.dist.name if point.dist else "",
            load=point.load,
        )
        for point in (entry_points(group=GROUP) if points is None else points)
    ]
    return tuple(sorted(found, key=lambda one: (one.name, one.distribution, one.version)))


def registry(switches: Switches, found: Iterable[Found] | None = None) -> Registry:
    """Load what is allowed, and check it. Never raises for a plugin's fault: `sound` does.

    found: in place of what is installed.
    """
    everyone = sorted(installed() if found is None else found, key=lambda one: (one.name, one.distribution))
    plugins: list[Plugin] = []
    impls: list[Impl] = []
    for one in everyone:
        if not switches.allows(one.name):
            plugins.append(_described(one, State.DISABLED))
            continue
        try:
            _once(one, everyone)
            part = loaded(one.name, one.load)
        except Unusable as error:
            plugins.append(_described(one, State.BROKEN, why=str(error)))
            continue
        plugins.append(_described(one, State.ENABLED, part))
        impls += part.impls
    return _without_clashes(plugins, impls)


def _once(one: Found, everyone: Sequence[Found]) -> None:
    origins = [other.distribution or "unknown" for other in everyone if other.name == one.name]
    if len(origins) > 1:
        raise Unusable(f"is installed twice, by {' and '.join(origins)}; uninstall one of them")


def of(**plugins: object) -> Registry:
    """A registry of these objects, by plugin name, in place of what is installed. PluginError: one is broken."""
    return registry(_Every(), [Found(name=name, load=_gives(plugin)) for name, plugin in plugins.items()]).sound()


class _Every:
    def allows(self, name: str) -> bool:
        return True


def _gives(plugin: object) -> Callable[[], object]:
    return lambda: plugin


def _described(one: Found, state: State, part: Loaded | None = None, *, why: str = "") -> Plugin:
    who = Plugin(name=one.name, version=one.version, distribution=one.distribution, state=state, why=why)
    if part is None:
        return who
    return attrs.evolve(
        who,
        api=part.api,
        hooks=tuple(impl.hook for impl in part.impls),
        settings=part.settings,
        sections=part.sections,
        permissions=part.permissions,
        stages=part.stages,
    )


def _rivals(impls: Sequence[Impl]) -> Iterator[tuple[tuple[str, ...], str]]:
    for hook, contract in CONTRACTS.items():
        who = tuple(impl.plugin for impl in impls if impl.hook == hook)
        if contract.merge in SOLE and len(who) > 1:
            yield who, f"{' and '.join(who)} would all answer {hook}, which has one answer"


def _without_clashes(plugins: Sequence[Plugin], impls: Sequence[Impl]) -> Registry:
    """Plugins that declare one field or stage, or answer what has one answer, are all broken: neither counts."""
    why: dict[str, str] = {}
    found = clashes([section for plugin in plugins for section in plugin.sections])
    found += contested([(one.name, stage) for one in plugins for stage in one.stages])
    found += _rivals(impls)
    for concerned, sentence in found:
        for name in concerned:
            why.setdefault(name, f"contradicts another: {sentence}")
    return Registry(
        plugins=tuple(
            attrs.evolve(plugin, state=State.BROKEN, why=why[plugin.name], sections=(), stages=())
            if plugin.name in why
            else plugin
            for plugin in plugins
        ),
        impls=tuple(impl for impl in impls if impl.plugin not in why),
    )

"""`runs plugins`: what is installed, on, off or broken."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from runs_cli.answer import Block, Column, Fields, Notes, Table, answer
from runs_cli.enabled import known_plugins, loaded_settings
from runs_cli.failures import Stop, nearest
from runs_cli.options import asked
from runs_cli.words import NONE, shown
from runs_core.errors import PluginError
from runs_core.hooks.registry import Plugin, Registry, State
from runs_core.schema.convert import Object, converter
from runs_core.schema.settings import Row, describe_settings
from runs_core.serve.views.plain import plain
from runs_core.settings import Settings


@attrs.frozen(kw_only=True)
class Listed:
    """One plugin in the list. why: what is wrong with a broken one, or what one that is on is, or is not, asked."""

    name: str
    version: str
    distribution: str
    state: State
    hooks: tuple[str, ...]
    why: str | None


@attrs.frozen(kw_only=True)
class Setting(Row):
    """One setting of a plugin, in the notation of the settings file. value: as it is now."""

    value: str


@attrs.frozen(kw_only=True)
class Shown(Listed):
    """sections: the fields that it adds to specs. permissions: what it must be allowed to do in a cluster."""

    api: tuple[int, int] | None
    settings: tuple[Setting, ...]
    sections: tuple[str, ...]
    permissions: tuple[str, ...]


@attrs.frozen(kw_only=True)
class Ranking:
    """Who orders the line. said: of each plugin that could, whether it does. undecided: nothing starts."""

    said: Mapping[str, str]
    undecided: bool = False


def list_() -> int:
    registry = known_plugins(asked())
    ranking = _ranking(registry)
    found = [_listed(plugin, ranking) for plugin in registry.plugins]
    answer(
        asked(),
        plain=lambda: {"items": plain(found)},
        names=lambda: [plugin.name for plugin in found],
        blocks=lambda: [_table(found)],
    )
    return int(ranking.undecided or any(plugin.state is State.BROKEN for plugin in found))


def _ranking(registry: Registry) -> Ranking:
    able = [impl.plugin for impl in registry.implementing("runs_rank")]
    if not able or registry.problems:  # nothing is read for those that cannot
        return Ranking(said={})
    named = loaded_settings(asked(), registry).rank
    try:
        registry.ranking(named)
    except PluginError as error:
        return Ranking(said=dict.fromkeys(able, f"is not asked about the line ({error})"), undecided=True)
    why = f"the setting rank names {named}" if named else f"admission time does, unless `rank: {able[0]}` is set"
    does = {name: "orders" if name == named else "does not order" for name in able}
    return Ranking(said={name: f"{word} the line: {why}" for name, word in does.items()})


def _listed(plugin: Plugin, ranking: Ranking) -> Listed:
    return Listed(
        name=plugin.name,
        version=plugin.version,
        distribution=plugin.distribution,
        state=plugin.state,
        hooks=plugin.hooks,
        why=plugin.why or ranking.said.get(plugin.name),
    )


def _table(found: list[Listed]) -> Table:
    columns = [
        Column("NAME"),
        Column("VERSION"),
        Column("FROM"),
        Column("STATE", state=True),
        Column("HOOKS", wide=True),
    ]
    rows = [
        [
            plugin.name,
            plugin.version or NONE,
            plugin.distribution or NONE,
            str(plugin.state),
            ", ".join(plugin.hooks) or NONE,
            plugin.why or NONE,
        ]
        for plugin in found
    ]
    return Table(columns=[*columns, Column("WHY")], rows=rows, empty="No plugin is installed: this is the bare core.")


LIST = "`runs plugins list` names those that are"


def show(name: str) -> None:
    said = asked()
    registry = known_plugins(said)
    plugin = next((one for one in registry.plugins if one.name == name), None)
    if plugin is None:
        raise Stop(f"no plugin {name!r} is installed{nearest(name, [one.name for one in registry.plugins])}; {LIST}")
    settings = (
        loaded_settings(said, registry) if plugin.state is State.ENABLED and not registry.problems else Settings()
    )
    found = Shown(
        **attrs.asdict(_listed(plugin, _ranking(registry)), recurse=False),
        api=plugin.api,
        settings=_settings(plugin, settings),
        sections=tuple(f"{part.kind}.spec.{part.name}".rstrip(".") for part in plugin.sections),
        permissions=tuple(str(permission) for permission in plugin.permissions),
    )
    answer(said, plain=lambda: plain(found), names=lambda: [name], blocks=lambda: _blocks(found))


def _settings(plugin: Plugin, settings: Settings) -> tuple[Setting, ...]:
    if plugin.settings is None:
        return ()
    said = converter().unstructure(settings.plugins.get(plugin.name, plugin.settings()))
    prefix = f"plugins.{plugin.name}"
    rows = describe_settings(plugin.settings, prefix)
    return tuple(
        Setting(**attrs.asdict(row), value=_value(said, row.path.removeprefix(f"{prefix}."), row.default))
        for row in rows
    )


def _value(said: Object, path: str, default: str) -> str:
    """What is not said is at its default."""
    for step in path.split("."):
        if step not in said:
            return default or NONE
        said = said[step]
    return shown(said)


def _blocks(found: Shown) -> list[Block]:
    api = f"{found.api[0]} to {found.api[1]}" if found.api else NONE
    pairs = [
        ("Plugin", found.name),
        ("Version", found.version or NONE),
        ("From", found.distribution or NONE),
        ("State", str(found.state)),
        ("Why", found.why or NONE),
        ("Plugin interface", api),
        ("Hooks", ", ".join(found.hooks) or NONE),
        ("Fields", ", ".join(found.sections) or NONE),
    ]
    blocks: list[Block] = [Fields(pairs=[pair for pair in pairs if pair[1] != NONE])]
    if found.settings:
        titles = ("SETTING", "VALUE", "DEFAULT", "WANTS", "MEANING")
        columns = [*(Column(title) for title in titles), Column("VARIABLE", wide=True)]
        rows = [[one.path, one.value, one.default or NONE, one.type, one.doc, one.variable] for one in found.settings]
        blocks.append(Table(columns=columns, rows=rows, title="Settings"))
    if found.permissions:
        blocks.append(Notes(title="Permissions", lines=found.permissions))
    return blocks

"""Settings from a YAML file and from RUNS_* variables; a variable counts more than the file.

A field's variable is its path in capitals: `starts.tries` is RUNS_STARTS_TRIES, `plugins.NAME.field` is
RUNS_PLUGINS_NAME_FIELD. A list is written `a,b`, a map `key=value,key=value`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import attrs

from runs_core.errors import InvalidInput, Problem
from runs_core.schema.check import faults, wanted
from runs_core.schema.convert import converter
from runs_core.schema.crd import json_default
from runs_core.schema.say import Path, got, guess, one_of, spell
from runs_core.schema.shape import Flag, Items, Member, Real, Record, Shape, Span, Table, Text, Whole, record
from runs_core.schema.text import Parsed, parse
from runs_core.settings import Settings

ALLOWED = "RUNS_PLUGINS"
_OTHERS = frozenset({ALLOWED, "RUNS_LOCAL", "RUNS_CONFIG", "RUNS_DEBUG", "RUNS_GROUP", "RUNS_GROUP_RANK"})
"""Variables that are no settings: of the command line, and of the pods of a run."""
_NEAR = 0.85
_TESTS = "RUNS_TEST_"


@attrs.frozen(kw_only=True)
class PluginSwitches:
    """Which plugins may be loaded. allowed: no others than these; None: all that are not switched off."""

    allowed: tuple[str, ...] | None = None
    enabled: Mapping[str, bool] = attrs.field(factory=lambda: MappingProxyType({}))

    def allows(self, name: str) -> bool:
        """The list of a variable counts more than the switch of the file, as with every setting."""
        return name in self.allowed if self.allowed is not None else self.enabled.get(name, True)


@attrs.frozen(kw_only=True)
class Row:
    """One setting, for a person. default: in the notation of the settings file."""

    path: str
    variable: str
    type: str
    default: str
    doc: str


def load_switches(
    text: str | None, source: str, environ: Mapping[str, str], installed: Collection[str] | None = None
) -> PluginSwitches:
    """Only what says which plugins are on: readable before any of them is imported. InvalidInput as `load_settings`.

    installed: the plugins that there are; any other is refused where it is to be on, or may be one of them misspelt.
    """
    sources = _Sources.read(text, source, environ)
    switches = _switches(sources)
    if installed is not None:
        _refuse_strangers(sources, switches, sorted(set(installed)))
    return switches


def load_settings(
    text: str | None, source: str, environ: Mapping[str, str], plugin_classes: Mapping[str, type]
) -> tuple[Settings, PluginSwitches]:
    """What is said of a plugin that is off is not read.

    plugin_classes: the settings classes of the plugins that are on. source: what the text is called in errors.
    InvalidInput has every problem of both, by line and field, or by variable.
    """
    sources = _Sources.read(text, source, environ)
    switches = _switches(sources)
    sources.overlay(record(Settings), ())
    for name in sorted(plugin_classes):
        sources.overlay(record(plugin_classes[name]), ("plugins", name))
    sources.refuse_unknown(switches)
    sources.check(sources.body, _file_shape(), ())
    parts = sources.parts(switches, plugin_classes)
    for name, cls in sorted(plugin_classes.items()):
        sources.check(parts.get(name, {}), record(cls), ("plugins", name))
    if sources.problems:
        raise InvalidInput(sources.problems)
    read = converter()
    settings = read.structure(sources.body, Settings)
    plugins: dict[str, Any] = {
        name: read.structure(parts.get(name, {}), cls) for name, cls in sorted(plugin_classes.items())
    }
    return attrs.evolve(settings, plugins=MappingProxyType(plugins)), switches


def _file_shape() -> Record:
    core = record(Settings)
    anything = Table(of=Record(parts=(), members=(), open=True))
    switched = Member(name="plugins", attribute="", shape=anything, doc="Plugins by name.", default=None)
    return attrs.evolve(core, members=(*core.members, switched))


def describe_settings(cls: type, prefix: str = "") -> tuple[Row, ...]:
    """Every setting of a class, in order. prefix: `plugins.NAME` for a plugin's."""
    start: Path = tuple(prefix.split(".")) if prefix else ()
    return tuple(
        Row(
            path=spell(path),
            variable=variable,
            type="duration" if isinstance(member.shape, Span) else wanted(member.shape).removeprefix("a "),
            default=_written(member),
            doc=member.doc,
        )
        for variable, path, member in _leaves(record(cls), start, start)
    )


def _written(member: Member) -> str:
    default = member.default
    if isinstance(default, tuple):
        return ", ".join("=".join(one) if isinstance(one, tuple) else str(one) for one in default)
    value = json_default(member)
    return "" if value is None else got(value).strip("'")


def _leaves(shape: Record, path: Path, variable: Path) -> Iterator[tuple[str, Path, Member]]:
    """(variable, path, field) of everything below."""
    for member in shape.members:
        here, named = (*path, member.name), (*variable, member.attribute)
        if isinstance(member.shape, Record):
            yield from _leaves(member.shape, here, named)
        else:
            yield _variable(named), here, member


def _variable(path: Path) -> str:
    return "_".join(("RUNS", *(str(step).upper().replace("-", "_").replace(".", "_") for step in path)))


def _switches(sources: _Sources) -> PluginSwitches:
    allowed = sources.environ.get(ALLOWED)
    names = None if allowed is None else tuple(sorted({name.strip() for name in allowed.split(",") if name.strip()}))
    enabled: dict[str, bool] = {}
    plugins = sources.body.get("plugins") or {}
    if not isinstance(plugins, dict):
        sources.refuse(("plugins",), f"got {got(plugins)}, want a map of plugin names")
        plugins = {}
    for name, part in plugins.items():
        if not isinstance(part, dict | type(None)):
            sources.refuse(("plugins", name), f"got {got(part)}, want a map")
            continue
        switch = (part or {}).get("enabled", True)
        if not isinstance(switch, bool):
            sources.refuse(("plugins", name, "enabled"), f"got {got(switch)}, want true or false")
        enabled[name] = switch is True
    if sources.problems:
        raise InvalidInput(sources.problems)
    return PluginSwitches(allowed=names, enabled=MappingProxyType(enabled))


def _refuse_strangers(sources: _Sources, switches: PluginSwitches, installed: Sequence[str]) -> None:
    """A list of a variable counts more than the file, whose names then do not matter."""
    want = f"want {one_of(installed)}, which are installed" if installed else "want none: no plugin is installed"
    listed = switches.allowed is not None
    for name, on in [(one, True) for one in switches.allowed or ()] if listed else switches.enabled.items():
        near = guess(name, installed)
        if name not in installed and (on or near):
            place = ALLOWED if listed else sources.place(("plugins", name))
            sources.problems.append(Problem(place, f"got {name}{near}, {want}"))
    if sources.problems:
        raise InvalidInput(sources.problems)


@attrs.define(kw_only=True)
class _Sources:
    """The file's content with the variables laid over it. known: each setting's variable; said: what variables set."""

    source: str
    environ: Mapping[str, str]
    body: dict[str, Any]
    parsed: Parsed | None
    problems: list[Problem] = attrs.field(factory=list)
    known: dict[str, Path] = attrs.field(factory=dict)
    said: dict[Path, str] = attrs.field(factory=dict)

    @classmethod
    def read(cls, text: str | None, source: str, environ: Mapping[str, str]) -> _Sources:
        documents = parse(text, source) if text is not None else ()
        if len(documents) > 1:
            where = f"{source}:{documents[1].line(())}"
            raise InvalidInput([Problem(where, f"got {len(documents)} documents, want one")])
        parsed = documents[0] if documents else None
        body = parsed.value if parsed else {}
        if not isinstance(body, dict):
            raise InvalidInput([Problem(f"{source}:1", f"got {got(body)}, want a map of settings")])
        found = cls(source=source, environ=environ, body=body, parsed=parsed)
        for path, line in parsed.twice if parsed else ():
            found.problems.append(Problem(f"{source}:{line} {spell(path)}", "got this key a second time, want it once"))
        return found

    def overlay(self, shape: Record, prefix: Path) -> None:
        """Put what the variables say in place of what the file says."""
        for variable, path, member in _leaves(shape, prefix, prefix):
            self.known[variable] = path
            if variable not in self.environ:
                continue
            self.said[path] = variable
            into: Any = self.body
            for step in path[:-1]:
                if not isinstance(into.get(step), dict):
                    into[step] = {}
                into = into[step]
            into[path[-1]] = _value(self.environ[variable], member.shape)

    def refuse_unknown(self, switches: PluginSwitches) -> None:
        """Variables that can only be meant as a setting: near to one, or below a part of the settings."""
        parts = {f"RUNS_{path[0]}_".upper() for path in self.known.values() if len(path) > 1} | {f"{ALLOWED}_"}
        for name in sorted(self.environ):
            if name in self.known or name in _OTHERS or not name.startswith("RUNS_") or name.startswith(_TESTS):
                continue
            if name.startswith(f"{ALLOWED}_") and self._switched_off(name, switches):
                continue
            near = guess(name, self.known, cutoff=_NEAR)
            if near or name.startswith(tuple(parts)):
                self.problems.append(Problem(name, f"got a variable of no setting{near}, want it unset or renamed"))

    def _switched_off(self, name: str, switches: PluginSwitches) -> bool:
        """A list of allowed plugins switches off plugins whose names nobody lists."""
        off = [plugin for plugin, on in switches.enabled.items() if not on]
        return switches.allowed is not None or name.startswith(tuple(f"{_variable(('plugins', one))}_" for one in off))

    def parts(self, switches: PluginSwitches, classes: Mapping[str, type]) -> dict[str, dict[str, Any]]:
        """What is said to each plugin, without its switch."""
        found: dict[str, dict[str, Any]] = {}
        for name, part in (self.body.get("plugins") or {}).items():
            found[name] = {key: value for key, value in (part or {}).items() if key != "enabled"}
            if found[name] and name not in classes and switches.allows(name):
                near = guess(name, classes)
                what = f"got settings{near}, want none: no plugin of this name is on, or it has no settings"
                self.refuse(("plugins", name), what)
        return found

    def check(self, value: object, shape: Record, prefix: Path) -> None:
        for fault in faults(value, shape, converter()):
            self.refuse((*prefix, *fault.path), fault.what)

    def refuse(self, path: Path, what: str) -> None:
        self.problems.append(Problem(self.place(path), what))

    def place(self, path: Path) -> str:
        """Where it was said: the variable, or the line and the field of the file."""
        variable = next((name for said, name in self.said.items() if path[: len(said)] == said), None)
        line = self.parsed.line(path) if self.parsed else 1
        return variable or f"{self.source}:{line} {spell(path)}"


def _value(text: str, shape: Shape) -> Any:
    """What a variable says, as the file would; what is not of the shape stays text, for the check to refuse."""
    text = text.strip()
    match shape:
        case Items(of=of):
            return [_value(one, of) for one in text.split(",") if one.strip()]
        case Table(of=of):
            entries = [one.partition("=") for one in text.split(",") if one.strip()]
            return {key.strip(): _value(value, of) for key, _, value in entries}
        case Flag():
            return {"true": True, "false": False}.get(text.lower(), text)
        case Whole() | Real():
            number = float if isinstance(shape, Real) else int
            try:
                return number(text)
            except ValueError:
                return text
        case Text():
            return text or None
        case _:
            return text

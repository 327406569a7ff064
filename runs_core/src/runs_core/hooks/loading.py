"""One plugin, from its entry point to the hooks that it implements, or the reason why it cannot be used."""

from __future__ import annotations

import difflib
import inspect
import signal
from collections.abc import Callable
from typing import Any, TypeVar

import attrs
import pluggy

from runs_core.hooks import declared, specs
from runs_core.hooks.contract import CONTRACTS
from runs_core.hooks.permission import Permission
from runs_core.hooks.watchdog import WATCHDOG, Overdue, TooSlow
from runs_core.values.funding import Stage
from runs_core.values.section import Section

T = TypeVar("T")
MOST_TOLD = 300
LONGEST_START = 30.0
"""Seconds that a plugin's import may take, and each of its declarations: its settings are not known then."""


class Unusable(Exception):
    """Why a plugin cannot be used, as the end of a sentence that its name begins."""


@attrs.frozen(kw_only=True)
class Impl:
    """One plugin's implementation of one hook. arguments: the names that it wants.

    concerning: sections of which a run's spec must have one for it to be asked; none: it is asked of every run.
    """

    plugin: str
    hook: str
    function: Callable[..., Any]
    arguments: tuple[str, ...]
    concerning: frozenset[type] = frozenset()


@attrs.frozen(kw_only=True)
class Loaded:
    """What came out of one plugin."""

    api: tuple[int, int]
    impls: tuple[Impl, ...]
    settings: type | None
    sections: tuple[Section, ...]
    permissions: tuple[Permission, ...]
    stages: tuple[Stage, ...] = ()


def loaded(name: str, load: Callable[[], object]) -> Loaded:
    """Import it, check it, ask it what it declares. Raises Unusable."""
    plugin = _guarded("cannot be imported", load)
    return _guarded("cannot be checked", lambda: _checked(name, plugin))


def _checked(name: str, plugin: object) -> Loaded:
    api = _api(plugin)
    impls = _impls(name, plugin)
    by_hook = {impl.hook: impl.function for impl in impls}
    sections = _declared(by_hook, "runs_sections", lambda answer: declared.sections(answer, name)) or ()
    _concerned(impls, sections)
    return Loaded(
        api=api,
        impls=impls,
        settings=_declared(by_hook, "runs_settings", declared.settings_class),
        sections=sections,
        permissions=_declared(by_hook, "runs_permissions", declared.permissions) or (),
        stages=_declared(by_hook, "runs_stages", declared.stages) or (),
    )


def _declared(by_hook: dict[str, Callable[..., Any]], hook: str, fit: Callable[[object], T]) -> T | None:
    """What it declares, if it does. The answer is looked at under the same guard: it may be anything."""
    function = by_hook.get(hook)
    return _guarded(f"failed in {hook}", lambda: fit(function())) if function is not None else None


def _guarded(what: str, function: Callable[[], T]) -> T:
    try:
        return WATCHDOG.call(what, function, LONGEST_START)[0]
    except Unusable:
        raise
    except declared.Undeclarable as error:
        raise Unusable(str(error)) from error
    except TooSlow as slow:
        raise Unusable(f"{what}: {slow}") from slow
    except BaseException as error:  # whatever a plugin raises must not take the others with it
        if not its_own(error):
            raise
        raise Unusable(f"{what}: {told(error)}") from error


def its_own(error: BaseException) -> bool:
    """Whether a plugin is to blame for it: neither for what breaks its call, nor for a person's Ctrl-C.

    Where SIGINT has a handler of its own, as in `runs serve`, no Ctrl-C raises anything.
    """
    if isinstance(error, KeyboardInterrupt):
        return signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    return not isinstance(error, Overdue)


def told(error: BaseException) -> str:
    """Kind and text of an error in one line of at most MOST_TOLD characters, whatever its __str__ does."""
    try:
        text = " ".join(str(error).split())
    except Exception:  # noqa: BLE001 - an error that cannot even say what it is still has a name
        text = ""
    text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    text = "".join(letter if letter.isprintable() else "?" for letter in text[: MOST_TOLD + 1])
    return text if len(text) <= MOST_TOLD else f"{text[: MOST_TOLD - 3]}..."


def _api(plugin: object) -> tuple[int, int]:
    match getattr(plugin, "RUNS_HOOK_API", None):
        case (int() as low, int() as high) if low <= high:
            if not low <= specs.HOOK_API <= high:
                remedy = "install a newer release of it" if high < specs.HOOK_API else "install a newer runs-core"
                raise Unusable(f"was written for HOOK_API {low} to {high}, and this is {specs.HOOK_API}; {remedy}")
            return low, high
        case None:
            raise Unusable(f"does not say RUNS_HOOK_API = (low, high); this is HOOK_API {specs.HOOK_API}")
        case other:
            raise Unusable(f"says RUNS_HOOK_API = {str(other)[:60]}, want two whole numbers such as (1, 1)")


def _impls(name: str, plugin: object) -> tuple[Impl, ...]:
    if isinstance(plugin, type):
        raise Unusable(f"is the class {plugin.__name__}; let the entry point name an instance, or a module")
    _named(plugin)
    manager = pluggy.PluginManager(specs.PROJECT)
    manager.add_hookspecs(specs)
    try:
        manager.register(plugin, name)
    except pluggy.PluginValidationError as error:
        raise Unusable(" ".join(str(error).split())) from error
    found = []
    for caller in sorted(manager.get_hookcallers(plugin) or (), key=lambda caller: caller.name):
        for impl in caller.get_hookimpls():
            if caller.name in CONTRACTS:
                found.append(_impl(name, caller.name, impl))
            elif not impl.optionalhook:
                raise Unusable(f"implements {caller.name}, which is no hook{_like(caller.name)}")
    _unmarked(plugin, {impl.hook for impl in found})
    if not found:
        raise Unusable("implements no hook; mark its functions with @hookimpl")
    return tuple(found)


_UNFILLED: dict[object, str] = {
    inspect.Parameter.VAR_POSITIONAL: "*",
    inspect.Parameter.VAR_KEYWORD: "**",
    inspect.Parameter.KEYWORD_ONLY: "the keyword ",
}
"""Kinds of arguments that no hook fills, and how they are spelt."""


def _named(plugin: object) -> None:
    """An implementation gets the arguments that it names plainly, and no others."""
    for hook, contract in CONTRACTS.items():
        function = getattr(plugin, hook, None)
        if not inspect.isroutine(function):
            continue
        takes = f"it may take {', '.join(contract.arguments)}" if contract.arguments else "it takes none"
        for argument in inspect.signature(function).parameters.values():
            name, bare = argument.name, argument.default is argument.empty
            if (spelt := _UNFILLED.get(argument.kind)) is not None:
                raise Unusable(f"has {spelt}{name} in {hook}, which would get nothing; name plain arguments: {takes}")
            if name not in contract.arguments and bare:
                raise Unusable(f"wants {name} in {hook}, which has no such argument; {takes}")
            if name in contract.arguments and not bare:
                raise Unusable(f"has a default for {name} in {hook}, and would get nothing else; take it away")


def _impl(name: str, hook: str, impl: pluggy.HookImpl) -> Impl:
    if impl.wrapper or impl.hookwrapper or impl.tryfirst or impl.trylast:
        raise Unusable(
            f"asks for an order or a wrapper in {hook}; answers merge in any order, so use a plain @hookimpl"
        )
    if inspect.iscoroutinefunction(impl.function) or inspect.isasyncgenfunction(impl.function):
        raise Unusable(f"implements {hook} as an async function; a question is answered at once, so use a plain one")
    try:
        concerning = frozenset(getattr(impl.function, "runs_concerning", ()))
    except TypeError as error:
        raise Unusable(f"says of {hook} that it concerns something else than classes ({error})") from error
    return Impl(plugin=name, hook=hook, function=impl.function, arguments=tuple(impl.argnames), concerning=concerning)


def _concerned(impls: tuple[Impl, ...], sections: tuple[Section, ...]) -> None:
    """A plugin that is asked by section has that section, and is asked about a run's payers."""
    own = {one.cls for one in sections if one.within("Run", "spec")}
    for impl in impls:
        if impl.concerning and impl.hook != "runs_cover":
            raise Unusable(f"marks {impl.hook} with @concerning, which only runs_cover takes; take it away there")
        if strange := sorted(str(getattr(cls, "__name__", cls)) for cls in impl.concerning - own):
            raise Unusable(
                f"has {impl.hook} @concerning {strange[0]}, which its runs_sections does not declare for Run"
            )


def _unmarked(plugin: object, marked: set[str]) -> None:
    for hook in CONTRACTS:
        if hook not in marked and inspect.isroutine(inspect.getattr_static(plugin, hook, None)):
            raise Unusable(f"has a function {hook} without @hookimpl, so it would never be asked; mark or rename it")


def _like(hook: str) -> str:
    near = difflib.get_close_matches(hook, CONTRACTS, n=1)
    return f"; did you mean {near[0]}?" if near else f"; the hooks are {', '.join(CONTRACTS)}"

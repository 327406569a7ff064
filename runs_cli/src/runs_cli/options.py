"""The options that every command takes, before its name or after it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum

import attrs
import click
from click.core import ParameterSource

_META = "runs_cli.options"
_TYPED = "runs_cli.options.typed"
_LIVE = frozenset({"context", "kubeconfig"})
DEFAULT_NAMESPACE = "default"
MOST_NAMESPACE = 63
RUNNING = "running"
FINISHED = "finished"
"""What `--wait` waits for."""
DEMO_STATE = "runs-demo.db"


class Output(StrEnum):
    """How an answer is written."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"
    NAME = "name"


@attrs.frozen(kw_only=True)
class Asked:
    """What the global options say. namespace: None where nobody named one. local: the embedded cluster's state file.

    standing: the namespace that counts where nobody named one; the kube context's, once a live cluster was opened.
    """

    local: str | None = None
    context: str | None = None
    kubeconfig: str | None = None
    namespace: str | None = None
    standing: str = DEFAULT_NAMESPACE
    all_namespaces: bool = False
    config: str | None = None
    output: Output = Output.TABLE
    debug: bool = False

    @property
    def home(self) -> str:
        """The namespace of a name without one."""
        return self.namespace or self.standing

    @property
    def scope(self) -> str | None:
        """The namespace that a list is about; None: all."""
        return None if self.all_namespaces else self.home


class GlobalOption(click.Option):
    """One that counts wherever it stands; the one nearest to the end of the line wins."""


def _remember(context: click.Context, option: click.Parameter, value: object) -> None:
    source = context.get_parameter_source(option.name or "")
    said: dict[str, object] = context.meta.setdefault(_META, {})
    if source is ParameterSource.COMMANDLINE:
        if value == "" and isinstance(option.type, click.Path):
            raise click.UsageError(f"{option.opts[0]} names no file", context)
        if option.name == "namespace" and not context.resilient_parsing:
            _check_namespace(context, option, str(value))
        said[str(option.name)] = value
        _one_cluster(context, said, str(option.name))
    elif source is ParameterSource.ENVIRONMENT and not (option.name == "local" and _LIVE & _typed(context)):
        said.setdefault(str(option.name), value)


def _check_namespace(context: click.Context, option: click.Parameter, name: str) -> None:
    """BadParameter: Kubernetes has no namespace of such a name, and its server answers that in other words."""
    from runs_core.schema.say import got, spelling  # noqa: PLC0415 - most command lines name none
    from runs_core.values.meta import DNS_LABEL  # noqa: PLC0415 - likewise

    if re.fullmatch(DNS_LABEL, name) is None or len(name) > MOST_NAMESPACE:
        wanted = f"at most {MOST_NAMESPACE} {spelling(DNS_LABEL)}"
        raise click.BadParameter(f"got {got(name)}, want {wanted}", context, option)


def _typed(context: click.Context) -> set[str]:
    typed: set[str] = context.meta.setdefault(_TYPED, set())
    return typed


def _one_cluster(context: click.Context, said: dict[str, object], name: str) -> None:
    """A cluster that the command line names counts before one that the surroundings name. UsageError: it names two."""
    typed = _typed(context)
    typed.add(name)
    if _LIVE & typed:
        if "local" in typed:
            raise click.UsageError("--local and --context or --kubeconfig name two clusters: leave one out", context)
        said.pop("local", None)


def one_file(context: click.Context, _: click.Parameter, given: Sequence[str]) -> str | None:
    """Callback of a `-f` that may stand once. UsageError: several, of which all but one would be passed over."""
    if not given:
        return None
    if len(given) > 1 or not given[0]:
        what = ", ".join(filter(None, given)) or "none"
        raise click.UsageError(f"-f takes one file, and got {what}; `cat A B` into `-f -` joins several", context)
    return given[0]


def _names(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    from runs_cli.completion import namespaces  # noqa: PLC0415 - only completion opens the cluster

    return namespaces(asked_in(context), incomplete)


def _option(*names: str, **settings: object) -> GlobalOption:
    return GlobalOption(names, expose_value=False, callback=_remember, **settings)  # type: ignore[arg-type] # click's own keywords


GLOBALS: Sequence[GlobalOption] = (
    _option(
        "--local",
        metavar="FILE",
        envvar="RUNS_LOCAL",
        type=click.Path(dir_okay=False),
        help="State file of an embedded cluster (or RUNS_LOCAL), in place of a live one.",
    ),
    _option("--context", metavar="NAME", help="Context of the kubeconfig; its current one."),
    _option(
        "--kubeconfig",
        metavar="FILE",
        type=click.Path(dir_okay=False),
        help="Kubeconfig; KUBECONFIG, as kubectl has it.",
    ),
    _option("-n", "--namespace", metavar="NAME", shell_complete=_names, help="Namespace; the context's, or default."),
    _option("-A", "--all-namespaces", is_flag=True, help="Every namespace."),
    _option(
        "--config", metavar="FILE", envvar="RUNS_CONFIG", type=click.Path(dir_okay=False), help="Settings, as YAML."
    ),
    _option(
        "-o", "--output", type=click.Choice([str(output) for output in Output]), help="How to write the answer; table."
    ),
    _option("--debug", is_flag=True, envvar="RUNS_DEBUG", help="Show where an error came from."),
)


def with_globals(command: click.Command) -> click.Command:
    """The same command, with those of the global options that it does not define itself."""
    own = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    command.params.extend(option for option in GLOBALS if not own.intersection(option.opts))
    return command


def asked_in(context: click.Context) -> Asked:
    """What has been said so far, on any level of the command line."""
    said = context.meta.get(_META, {})
    return Asked(
        local=said.get("local"),
        context=said.get("context"),
        kubeconfig=said.get("kubeconfig"),
        namespace=said.get("namespace"),
        all_namespaces=bool(said.get("all_namespaces")),
        config=said.get("config"),
        output=Output(said.get("output") or Output.TABLE),
        debug=bool(said.get("debug")),
    )


def asked() -> Asked:
    """What the global options of the running command say."""
    return asked_in(click.get_current_context())

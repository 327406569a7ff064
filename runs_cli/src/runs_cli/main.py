"""`runs`: the root of all commands, and the one place where an error becomes a sentence and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import click

from runs_cli import streams
from runs_cli.command import LazyGroup, Place
from runs_cli.failures import Code, Stop, code_of

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

_OFFERED = "runs_cli.main.offered"
PLACES = {
    name: Place(f"runs_cli.commands.{module}:{attribute}", does)
    for name, module, attribute, does in (
        ("submit", "submit", "submit", "Create or update runs."),
        ("plan", "plan", "plan", "What would happen now, without doing it."),
        ("get", "get", "get", "Runs, with phase and reason."),
        ("queue", "queue", "queue", "The line: who waits, for how much, behind whom."),
        ("watch", "watch", "watch", "Runs as they change."),
        ("explain", "explain", "explain", "Why a run is where it is, step by step."),
        ("leases", "leases", "leases", "The ledger: who held which GPUs, from when to when."),
        ("resolve", "resolve", "resolve", "Who was cut for whom, and whether the draw was fair."),
        ("pods", "pods", "pods", "The pods of a run."),
        ("logs", "logs", "logs", "What a rank of a run wrote."),
        ("cancel", "change", "cancel", "End runs for ever, and keep their record."),
        ("suspend", "change", "suspend", "Give the GPUs of runs back, and keep the runs."),
        ("resume", "change", "resume", "Put suspended runs in line again."),
        ("top", "top", "top", "The fleet by flavor and domain: what is free, used, away."),
        ("cluster", "cluster", "cluster", "Declare, break and mend the embedded cluster; move its clock."),
        ("serve", "serve", "serve", "The scheduler as a process."),
        ("simulate", "simulate", "simulate", "The same scheduler over a trace: what if?"),
        ("manifests", "manifests", "manifests", "Kubernetes objects that runs needs, as YAML."),
        ("plugins", "plugins", "plugins", "What is installed, on, off or broken."),
        ("doctor", "doctor", "doctor", "What is wrong with this cluster, and what mends it."),
        ("completion", "completion", "completion", "The completion script of a shell."),
        ("version", "version", "version", "Versions of runs and of its plugin interface."),
        ("demo", "demo", "demo", "A fleet, a day, and what a person wants to see of it."),
    )
}


class ReaderGone(Exception):
    """Whoever read our output has gone."""


class Root(LazyGroup):
    """Also knows the commands of plugins, and ends every command with its exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *_offered(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        found = super().get_command(ctx, cmd_name)
        if found is not None:
            return found
        from runs_cli import outside  # noqa: PLC0415
        from runs_cli.options import asked_in, with_globals  # noqa: PLC0415

        point = _offered(ctx).get(cmd_name)
        if point is not None:
            return with_globals(outside.allowed(point, asked_in(ctx)))
        return None

    def does(self, ctx: click.Context, name: str) -> str:
        from runs_cli import outside  # noqa: PLC0415

        point = None if name in self.places else _offered(ctx).get(name)
        return super().does(ctx, name) if point is None else outside.does(point)

    def unknown(self, ctx: click.Context, name: str) -> str:
        from runs_cli import outside  # noqa: PLC0415

        lack = outside.missing(name)
        if lack is not None:
            raise Stop(lack, Code.USAGE)
        return super().unknown(ctx, name)

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,  # noqa: ANN401 - click's own
    ) -> click.Context:
        """As `invoke`: the help is written here."""
        try:
            return super().make_context(info_name, args, parent, **extra)
        except BrokenPipeError:
            raise ReaderGone from None

    def invoke(self, ctx: click.Context) -> object:
        """Click would make an exit code of 1 out of a reader that leaves: it must not see it."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise ReaderGone from None

    def main(  # type: ignore[override]  # it always exits: the other mode of click's own is of no use here
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **_: object
    ) -> NoReturn:
        """Run a command line (of this process, without `args`) and exit."""
        given = list(sys.argv[1:] if args is None else args)
        streams.opened()
        try:
            result = super().main(given, prog_name or "runs", standalone_mode=False)
            sys.stdout.flush()
            code = result if isinstance(result, int) else Code.DONE
        except (BrokenPipeError, ReaderGone):
            streams.mute(sys.stdout)
            code = Code.DONE
        except (KeyboardInterrupt, click.Abort):
            code = Code.INTERRUPTED
        except Exception as error:  # noqa: BLE001 - the last place where an error can become a sentence
            code = _report(error, debug="--debug" in given)
        sys.exit(int(code))


def _offered(ctx: click.Context) -> dict[str, EntryPoint]:
    """What installed plugins bring, looked up once for one command line."""
    from runs_cli import outside  # noqa: PLC0415 - a command of our own does not look for others

    if _OFFERED not in ctx.meta:
        ctx.meta[_OFFERED] = outside.offered()
    found: dict[str, EntryPoint] = ctx.meta[_OFFERED]
    return found


def _report(error: Exception, *, debug: bool) -> int:
    """The exit code; where nothing takes the sentence, it must do."""
    try:
        return _said(error, debug=debug)
    except OSError:
        streams.mute(sys.stderr)
        return _said(error, debug=debug)


def _said(error: Exception, *, debug: bool) -> int:
    from runs_cli.render import complain  # noqa: PLC0415

    if debug:
        traceback.print_exception(error)
    if isinstance(error, streams.Unwritable):
        streams.mute(sys.stdout)
        complain(f"stdout cannot be written: {error.strerror}; send the answer where there is room for it")
        return Code.NO
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message(), err=True)
        return Code.USAGE
    if isinstance(error, click.UsageError):
        where = error.ctx.command_path if error.ctx else "runs"
        text = " ".join(error.format_message().split()).replace(". Choose from:", ": choose from")
        text = text.replace(". Did you mean", ": did you mean").rstrip(".?")
        complain(f"{text[:1].lower()}{text[1:]}; see `{where} --help`")
        return Code.USAGE
    if isinstance(error, click.ClickException):
        complain(error.format_message())
        return error.code if isinstance(error, Stop) else Code.NO
    if _is_ours(error):
        for line in str(error).splitlines():
            complain(line)
        return code_of(error)
    complain(f"unexpected {type(error).__name__}: {error}; run it again with --debug to see where")
    return Code.NO


def _is_ours(error: Exception) -> bool:
    from runs_core.errors import RunsError  # noqa: PLC0415

    return isinstance(error, RunsError)


root = Root(
    name="runs",
    places=PLACES,
    context_settings={"max_content_width": 120, "help_option_names": ["-h", "--help"]},
    help="Schedule gangs of GPUs: all of a gang or nothing, where it belongs, and every decision explained.",
    examples=(
        ("A fleet and a day of work, to look at:", "runs demo"),
        ("What waits on the cluster of your kube context, and what is wrong with it?", "runs queue; runs doctor"),
        ("A fleet of your own, in one file:", "runs --local fleet.db cluster init --nodes 4 --flavor H100-80GB"),
        ("Ask for 16 GPUs:", "runs --local fleet.db submit train --gpus 16"),
        ("See why it is where it is:", "runs --local fleet.db explain train"),
    ),
)


def main() -> NoReturn:
    """The console script, also as `kubectl runs`."""
    name = os.path.basename(sys.argv[0]).removesuffix(".py")  # noqa: PTH119 - a Path costs an import
    root.main(prog_name="kubectl runs" if name.startswith("kubectl") else "runs")


if __name__ == "__main__":
    main()

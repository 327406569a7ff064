"""`runs demo`: a fleet, a day of work, and what a person wants to see of it."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from datetime import timedelta
from pathlib import Path
from typing import assert_never

import attrs
import click

from runs_cli import day, render
from runs_cli.actions.cluster import mend, out_of_service, status_blocks
from runs_cli.actions.explain import explain_blocks, explained
from runs_cli.actions.queue import line_table
from runs_cli.actions.top import fleet_table
from runs_cli.answer import Block, Notes, Table, answer
from runs_cli.failures import Stop
from runs_cli.options import DEMO_STATE, Output, asked
from runs_cli.session.local import Local, created
from runs_cli.words import moment, span
from runs_core.serve.views.plain import plain
from runs_core.serve.views.queue import Line, line
from runs_core.serve.views.status import status
from runs_core.serve.views.top import top
from runs_core.values.meta import Key
from runs_core.world.world import World

SHOWN = 10


def demo(state: str | None) -> None:
    path = Path(state or DEMO_STATE)
    if state is None:
        for beside in ("", "-wal", "-shm"):
            Path(f"{path}{beside}").unlink(missing_ok=True)
    elif path.exists():
        raise Stop(f"{path} exists already; name another file with --state, or remove it")
    began = time.monotonic()
    with created(attrs.evolve(asked(), local=str(path)), day.START, "demo") as session:
        on = {section.plugin for section in session.plugins.sections}
        _live(session, on)
        waiting = line(session.world, session.advice)
        _show(session, waiting, timedelta(seconds=time.monotonic() - began))
        following = _next(session, waiting, on)
        asides = list(_asides(on))
    if asked().output in (Output.TABLE, Output.WIDE):
        for words in asides:
            _aside(path, words)
        click.echo()
        render.show([Notes(title="Try next", lines=following)])


def _live(session: Local, on: AbstractSet[str]) -> None:
    """From START through LENGTH. on: the plugins that add fields."""
    session.declare_nodes(day.nodes())
    quotas, loans = "budgets" in on, "borrowing" in on
    session.declare(day.owners(quotas=quotas))
    session.settle()
    minutes = day.LENGTH // timedelta(minutes=1)
    with render.progress("a day of 64 nodes", minutes) as shown:
        for happening in day.happenings(quotas=quotas, loans=loans):
            session.advance(day.START + happening.at - session.now, lambda _: None)
            _happen(session, happening)
            session.settle()
            shown(happening.at // timedelta(minutes=1), moment(session.now))
        session.advance(day.START + day.LENGTH - session.now, lambda _: None)


def _happen(session: Local, happening: day.Happening) -> None:
    match happening:
        case day.Submit(body=body):
            session.submit(body)
        case day.Cancel(namespace=namespace, name=name):
            session.objects.edit("Run", Key(namespace, name), lambda body: body["spec"].update(canceled=True))
        case day.Lose(node=node):
            session.objects.edit("Node", Key("", node), out_of_service)
        case day.Restore(node=node):
            session.objects.edit("Node", Key("", node), mend)
        case _:
            assert_never(happening)


def _show(session: Local, waiting: Line, took: timedelta) -> None:
    found = status(session.world)
    fleet = top(session.world, session.advice)
    answer(
        session.asked,
        plain=lambda: {
            "queue": plain(waiting),
            "status": plain(found),
            "top": plain(fleet),
        },
        names=lambda: [str(session.asked.local)],
        blocks=lambda: [
            Notes(title=f"A day of 64 nodes, 512 GPUs and three teams, in {took.total_seconds():.0f} s.", lines=()),
            *status_blocks(found, head=False),
            _head(session, waiting),
            fleet_table(fleet, "The fleet (`runs top`)"),
            *_why(session, waiting),
        ],
    )


def _head(session: Local, waiting: Line) -> Table:
    first = attrs.evolve(waiting, items=waiting.items[:SHOWN])
    title = f"First in line (`runs queue`): {len(first.items)} of {len(waiting.items)}"
    return line_table(session, first, title)


def _why(session: Local, waiting: Line) -> list[Block]:
    if not waiting.items:
        return []
    run = session.run_named(str(waiting.items[0].run))
    title = Notes(title=f"Why does {run.key} wait? (`runs explain {run.key}`)", lines=())
    return [title, *explain_blocks(session, run, explained(session, run))]


def _asides(on: AbstractSet[str]) -> Iterator[Sequence[str]]:
    """What other commands have to say of the day: a promise that was kept, and whatever plugins know."""
    yield "explain", "vision/preview"
    if "budgets" in on:
        yield "budgets", "tree"
    if "borrowing" in on:
        yield "who-pays", "language/encode"
        yield "loans", "--lender", "org:vision"


def _aside(path: Path, words: Sequence[str]) -> None:
    """Run another command on what the day left."""
    from runs_cli.main import root  # noqa: PLC0415 - the root imports this

    config = asked().config
    given = ["--local", str(path), *(("--config", config) if config else ()), *words]
    click.echo()
    render.show([Notes(title=f"`runs {' '.join(words)}`", lines=())])
    with root.make_context("runs", given) as context:
        root.invoke(context)


def _recalled(world: World) -> Key | None:
    """Who was cut for the lab."""
    found = [one for one in world.resolutions() if one.spec.beneficiary and one.spec.beneficiary.namespace == "lab"]
    return found[0].spec.cuts[0].run if found else None


def _next(session: Local, waiting: Line, on: AbstractSet[str]) -> list[str]:
    runs = f"runs --local {shlex.quote(str(session.asked.local))}"
    first = str(waiting.items[0].run) if waiting.items else "language/pretrain-2"
    since = span(session.now - day.START - timedelta(hours=11))
    return [
        f"{runs} get -A",
        f"{runs} explain {first} --history",
        f"{runs} explain language/too-wide",
        f"{runs} leases -A --node {day.LOST_NODE} --since {since}",
        f"{runs} plan {first}",
        f"{runs} submit mine -n vision --gpus 16 --gpus-per-pod 8 --flavor A100-80GB --simulated-duration 30m",
        *([f"{runs} resolve list"] if session.world.resolutions() else []),
        *([f"{runs} explain {cut} --history"] if (cut := _recalled(session.world)) else []),
        *([f"{runs} budgets request vision --envelope h100 --gpus 160"] if "budgets" in on else []),
        f"{runs} cluster advance 3h",
        f"{runs} cluster lose h100-000",
    ]

"""`runs cluster`: the embedded cluster's fleet and clock."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime

import attrs
import click

from runs_cli import render
from runs_cli.answer import Block, Column, Fields, Notes, Table, answer
from runs_cli.failures import Stop
from runs_cli.intake import read_fleet
from runs_cli.options import asked
from runs_cli.session import embedded
from runs_cli.session.local import NODE_PODS, READY, Local, created
from runs_cli.words import duration, instant, moment, span
from runs_core.errors import InvalidInput, Problem
from runs_core.schema.convert import Object
from runs_core.schema.say import spelling
from runs_core.serve.views.plain import plain
from runs_core.serve.views.status import Status
from runs_core.serve.views.status import status as view
from runs_core.values.meta import LABEL_VALUE, Key
from runs_core.values.node import OUT_OF_SERVICE, Domain, MalformedNode, Node
from runs_core.values.quantity import counted, parse_count, parse_milli

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(9000, 1, 1, tzinfo=UTC)
"""Where the clock may be: the longest durations, from there on, end before the dates do."""


def init(
    *, nodes: int, gpus: int, domains: int, flavor: str, cpu: str, memory: str, start: str | None, seed: str | None
) -> None:
    said = asked()
    if nodes and domains > nodes:
        raise click.UsageError(f"--domains {domains} is more than --nodes {nodes}", click.get_current_context())
    if re.fullmatch(LABEL_VALUE, flavor) is None or not flavor:
        raise InvalidInput([Problem("--flavor", f"got {flavor!r}, want {spelling(LABEL_VALUE)}")])
    begins = instant(start, "--at", datetime.now(UTC)) if start else None
    if begins is not None and not EARLIEST <= begins <= LATEST:
        wanted = f"want a time from {moment(EARLIEST)} to {moment(LATEST)}"
        raise InvalidInput([Problem("--at", f"got {start!r}, {wanted}")])
    try:
        shape = Node(
            name="node",
            flavor=flavor,
            gpus=gpus,
            cpu_milli=parse_milli(cpu),
            memory_bytes=parse_count(memory),
            pods=NODE_PODS,
        )
    except ValueError as error:
        raise click.UsageError(f"--cpu, --memory: {error}", click.get_current_context()) from error
    with created(said, begins, seed) as session:
        session.declare_nodes(fleet(shape, nodes, domains))
        session.settle()
        size = f"{counted(nodes, 'node')} and {counted(nodes * gpus, 'GPU')}"
        _answer_status(session, [f"{said.local} holds a cluster of {size}."])


def fleet(shape: Node, nodes: int, domains: int, prefix: str = "node") -> list[Node]:
    """Nodes like `shape`, in equal stretches of domains."""
    width = max(3, len(str(nodes - 1)))
    return [
        attrs.evolve(
            shape,
            name=f"{prefix}-{index:0{width}}",
            domain=Domain(name=f"domain-{index * domains // nodes}") if domains > 1 else shape.domain,
        )
        for index in range(nodes)
    ]


def apply(filename: str) -> None:
    said = asked()
    with embedded(said) as session:
        done = session.declare(read_fleet(session, filename))
        session.settle()
        answer(
            said,
            plain=lambda: {"items": [{"kind": kind, "name": name, "outcome": outcome} for kind, name, outcome in done]},
            names=lambda: [f"{kind.lower()}/{name}" for kind, name, _ in done],
            blocks=lambda: [Fields(pairs=[(f"{kind.lower()}/{name}", outcome) for kind, name, outcome in done])],
        )


def delete(kind: str, name: str) -> None:
    with embedded(asked()) as session:
        session.delete(kind.capitalize(), name)
        session.settle()
        _answer_status(session, [f"{kind.lower()}/{name} is deleted."])


def advance(length: str) -> None:
    step = duration(length, "DURATION")
    with embedded(asked()) as session:
        start = session.now
        if start + step >= LATEST:
            what = f"want the clock, now at {moment(start)}, to stay before {moment(LATEST)}"
            raise InvalidInput([Problem("DURATION", f"got {length!r}, {what}")])
        with render.progress(f"advancing {span(step)}", max(1, int(step.total_seconds()))) as shown:
            session.advance(step, lambda now: shown(int((now - start).total_seconds()), moment(now)))
        _answer_status(session, [])


def lose(node: str) -> None:
    _change(node, "is lost", out_of_service)


def restore(node: str) -> None:
    _change(node, "is in service", mend)


def cordon(node: str) -> None:
    _change(node, "is cordoned", lambda body: body["spec"].update(unschedulable=True))


def uncordon(node: str) -> None:
    _change(node, "takes new work", lambda body: body["spec"].pop("unschedulable", None))


def out_of_service(body: Object) -> None:
    """As Kubernetes marks a node on which nothing runs any more."""
    mend(body)
    out = {"key": OUT_OF_SERVICE, "value": "nodeshutdown", "effect": "NoExecute"}
    body["spec"]["taints"] = [*body["spec"].get("taints", ()), out]


def mend(body: Object) -> None:
    """The taint goes, and the node reports for service."""
    sound = [taint for taint in body["spec"].pop("taints", ()) if taint["key"] != OUT_OF_SERVICE]
    if sound:
        body["spec"]["taints"] = sound
    body.setdefault("status", {})["conditions"] = READY


def _change(name: str, done: str, edit: Callable[[Object], object]) -> None:
    with embedded(asked()) as session:
        known = session.world.node(session.node_named(name))
        if isinstance(known, MalformedNode):
            raise Stop(f"node {name} is set aside ({known.why}): declare it anew with `cluster apply -f`")

        def change(body: Object) -> None:
            body.setdefault("spec", {})
            edit(body)

        session.objects.edit("Node", Key("", name), change)
        session.settle()
        _answer_status(session, [f"node {name} {done}."])


def status() -> None:
    with embedded(asked()) as session:
        _answer_status(session, [], head=True)


def _answer_status(session: Local, lines: list[str], *, head: bool = False) -> None:
    found = view(session.world)
    answer(
        session.asked,
        plain=lambda: plain(found),
        names=lambda: [str(session.asked.local)],
        blocks=lambda: [*([Notes(title=line, lines=()) for line in lines]), *status_blocks(found, head=head)],
    )


def status_blocks(found: Status, *, head: bool) -> list[Block]:
    """For a person. head: with the ledger's."""
    nodes = {name: count for name, count in attrs.asdict(found.nodes).items() if count}
    runs = {phase: count for phase, count in found.runs.items() if count}
    blocks: list[Block] = [
        Fields(
            pairs=[
                ("Now", moment(found.now)),
                ("Nodes", ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in nodes.items()) or "none"),
                ("Runs", ", ".join(f"{count} {phase}" for phase, count in runs.items()) or "none"),
                *([("Ledger", found.head)] if head else []),
            ]
        )
    ]
    if found.aside:
        rows = [[node.node, node.why] for node in found.aside]
        blocks.append(Table(columns=[Column("SET ASIDE"), Column("WHY")], rows=rows))
    return blocks

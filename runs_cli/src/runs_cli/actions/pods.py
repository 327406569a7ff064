"""`runs pods`: the ranks of a run."""

from __future__ import annotations

from runs_cli.answer import Column, Table, answer, listed
from runs_cli.options import asked
from runs_cli.session import opened
from runs_cli.session.port import PODS
from runs_cli.words import NONE
from runs_core.values.pod import Pod


def pods(name: str) -> None:
    with opened(asked(), PODS, (name,)) as session:
        run = session.run_named(name)
        found = sorted(session.world.pods_of(run.key), key=order)
        answer(
            session.asked,
            plain=lambda: listed([session.stored("Pod", pod.key) for pod in found], one=False),
            names=lambda: [str(pod.key) for pod in found],
            blocks=lambda: [_table(found, f"{run.key} has no pods: it is {run.status.phase}.")],
        )


def order(pod: Pod) -> tuple[int, int, int, str]:
    """The latest attempt first, then by rank."""
    rank = pod.rank
    return (-rank.attempt, -rank.retry, rank.rank, pod.name) if rank else (0, 0, 0, pod.name)


def _table(found: list[Pod], empty: str) -> Table:
    columns = [
        Column("NAME"),
        Column("RANK", right=True),
        Column("GROUP", right=True),
        Column("ATTEMPT", right=True),
        Column("GPUS", right=True),
        Column("NODE"),
        Column("PHASE", state=True),
        Column("MESSAGE"),
    ]
    rows = [
        [
            pod.name,
            str(pod.rank.rank) if pod.rank else NONE,
            str(pod.rank.group) if pod.rank else NONE,
            str(pod.rank.attempt) if pod.rank else NONE,
            str(pod.gpus),
            pod.node or NONE,
            "Terminating" if pod.deleting and not pod.phase.ended else str(pod.phase),
            pod.message or NONE,
        ]
        for pod in found
    ]
    return Table(columns=columns, rows=rows, empty=empty)

"""The embedded cluster as one process of several sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import timedelta
from pathlib import Path

import pytest

from runs_core.cluster.local import LocalCluster, Objects, Store
from runs_core.schema.convert import to_object
from runs_core.schema.nodes import node_to_object
from runs_core.serve.drive import advance
from runs_core.serve.loop import Loop
from runs_core.settings import Settings
from runs_core.testing.builders import A_MONDAY, NAMESPACE, a_node, a_run, lasting
from runs_core.values.lease import Closed
from runs_core.values.meta import Key
from runs_core.values.quantity import format_time
from runs_core.values.run import Phase

Opens = Callable[[], "Process"]


class Process:
    """A loop on the file."""

    def __init__(self, store: Store) -> None:
        self.cluster = LocalCluster(store, Settings())
        self.objects = Objects(self.cluster)
        self.loop = Loop(self.cluster, Settings())

    def pass_time(self, seconds: float) -> None:
        advance(self.loop, self.cluster, self.cluster.now + timedelta(seconds=seconds), lambda _: None)

    def node(self) -> None:
        self.objects.create(node_to_object(a_node("a1"), Settings().fleet))


@pytest.fixture
def opens(tmp_path: Path) -> Iterator[Opens]:
    path = tmp_path / "cluster.db"
    Store.create(path, format_time(A_MONDAY)).close()
    with ExitStack() as opened:
        yield lambda: Process(opened.enter_context(closing(Store.open(path))))


def test_what_another_opened_and_closed_meanwhile_is_in_the_ledgers_head(opens: Opens) -> None:
    first, second = opens(), opens()
    first.node()
    first.pass_time(0)
    second.objects.create(to_object(lasting(a_run("x", gpus=8), timedelta(seconds=10))))
    second.pass_time(60)
    first.pass_time(0)
    assert first.loop.world.ledger.head == second.loop.world.ledger.head != 0
    assert not first.loop.world.ledger.open


def test_a_node_that_was_deleted_and_made_again_between_two_looks_is_lost(opens: Opens) -> None:
    process = opens()
    process.node()
    process.objects.create(to_object(a_run("x", gpus=8)))
    process.pass_time(60)
    process.objects.delete("Node", Key("", "a1"))
    process.node()
    process.pass_time(60)
    ends = [lease["status"].get("closureReason") for lease in process.objects.find("GPULease")]
    assert ends == [Closed.NODE_LOST, None]


def broken(process: Process, how: object) -> None:
    """The stored run asks for GPUs in a way that nobody reads."""
    (body,) = process.objects.find("Run")
    body["spec"]["resources"]["gpus"] = how
    with process.cluster.store.writing():
        process.cluster.store.put("Run", body)


def open_leases(process: Process) -> int:
    return sum(not lease["status"].get("closed") for lease in process.objects.find("GPULease"))


def test_a_run_that_cannot_be_read_keeps_what_it_holds_until_it_is_mended_or_deleted(opens: Opens) -> None:
    process = opens()
    process.node()
    process.objects.create(to_object(a_run("x", gpus=8)))
    process.pass_time(60)
    assert open_leases(process) == 1
    broken(process, "many")
    anew = opens()
    anew.pass_time(60)
    assert open_leases(anew) == 1
    assert not anew.loop.world.runs()
    (told,) = [one for one in anew.cluster.store.events("Run", NAMESPACE, "x") if one["reason"] == "SetAside"]
    assert "got 'many', want int" in told["message"]
    broken(anew, 8)
    anew.pass_time(60)
    assert [run.status.phase for run in anew.loop.world.runs()] == [Phase.RUNNING]
    broken(anew, "many")
    again = opens()
    again.pass_time(60)
    again.objects.delete("Run", Key(NAMESPACE, "x"))
    again.pass_time(60)
    assert open_leases(again) == 0

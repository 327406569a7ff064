"""What commands need of a cluster, whichever it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

import attrs

from runs_cli.options import Asked
from runs_core.decide.manual import Foreseen
from runs_core.decide.odds import Prospect
from runs_core.hooks.ask import PluginAdvice
from runs_core.hooks.registry import Registry
from runs_core.schema.convert import Object
from runs_core.serve.views.plan import Remedy
from runs_core.settings import Settings
from runs_core.values.budget import Budget
from runs_core.values.decision import Held, Starts, Waits
from runs_core.values.lease import Lease
from runs_core.values.meta import Key
from runs_core.values.request import Request
from runs_core.values.reservation import Reservation
from runs_core.values.resolution import Resolution
from runs_core.values.run import Run
from runs_core.world.world import World

NOTHING: tuple[str, ...] = ()
RUNS = ("Run",)
PAID = ("Namespace", "Budget", "Run", "GPULease")
PODS = ("Run", "Pod")
LEDGER = ("Run", "GPULease")
STORAGE = ("StorageClass", "PersistentVolume", "PersistentVolumeClaim")
CUTS = ("Resolution",)
FLEET = ("Namespace", "Budget", "Node", *STORAGE, "Run", "GPULease", "Reservation", "Pod")
"""Kinds that a command looks at. With Node among them it is about the whole cluster, else about its namespace."""


@attrs.frozen(kw_only=True)
class History:
    """What was decided for a run, oldest first, and where that is known from.

    events: its Events, where the records are something else.
    """

    title: str
    records: Sequence[Object]
    events: Sequence[Object] = ()


class Session(Protocol):
    """One command's look at a cluster.

    asked: what the command line says, with the namespace that counts. at_once: what a command asks for is decided
    before it answers.
    """

    @property
    def asked(self) -> Asked: ...
    @property
    def settings(self) -> Settings: ...
    @property
    def plugins(self) -> Registry: ...
    @property
    def advice(self) -> PluginAdvice: ...
    @property
    def world(self) -> World: ...
    @property
    def now(self) -> datetime: ...
    @property
    def at_once(self) -> bool: ...

    def settle(self) -> None:
        """Take up what happened since."""
        ...

    def follow(self, namespaces: Sequence[str] | None) -> None:
        """From now on `settle` takes up runs of these namespaces as they change. None: of all."""
        ...

    def pause(self, seconds: float) -> None:
        """Until something changes, or so long."""
        ...

    def stalled(self) -> str | None:
        """Why waiting would never end: a sentence's end; None: it may."""
        ...

    # -- reading ------------------------------------------------------------------------------------------------------

    def runs_in(self, namespace: str | None) -> list[Run]:
        """By key. None: every namespace."""
        ...

    def find_run(self, key: Key) -> Run | None:
        """None: it is not there."""
        ...

    def run_named(self, text: str) -> Run:
        """Stop names what is near to a name that is not there."""
        ...

    def runs_named(self, texts: Sequence[str]) -> list[Run]:
        """In the order given, each once."""
        ...

    def budget_named(self, name: str) -> Budget:
        """Stop names what is near to a Budget that is not there."""
        ...

    def budget_read(self, body: Object) -> Budget:
        """What a Budget of a manifest says. InvalidInput: all that is wrong with it, or with changing to it."""
        ...

    def node_named(self, name: str) -> str:
        """The name itself. Stop names what is near to a node that is not there."""
        ...

    def flavors(self) -> list[str]:
        """Of the fleet's nodes, sorted."""
        ...

    def no_namespace(self, name: str) -> str | None:
        """What to say where there is no such namespace; None: there is, or nobody can tell."""
        ...

    def stored(self, kind: str, key: Key) -> Object:
        """The object as the cluster has it."""
        ...

    def leases(self) -> list[Lease]:
        """Open and closed ones."""
        ...

    def reservations(self, run: Run) -> list[Reservation]:
        """The run's, the first one first: those that are over as well, as long as they are kept."""
        ...

    def resolution_named(self, text: str) -> Resolution:
        """By name or number. Stop names what is near to one that is not there."""
        ...

    def evidence(self, resolution: Resolution) -> str:
        """The text of its evidence, put together. Stop: a part of it cannot be had."""
        ...

    def first_commitment(self, home: str) -> str | None:
        """What bound the first resolution's nonce; None: that cannot be seen from here. home: the scheduler's place."""
        ...

    def history(self, run: Run) -> History:
        """What was decided for it so far."""
        ...

    def logs(self, pod: Key, *, container: str | None, follow: bool) -> Iterator[bytes]:
        """What it wrote, line by line. Stop: there is nothing to be had."""
        ...

    # -- what if ------------------------------------------------------------------------------------------------------

    def consider(self, run: Run) -> Held | Waits | Starts:
        """What would be decided now for this run, which has not started."""
        ...

    def foreseen(self, run: Run, outcome: Held | Waits | Starts) -> Prospect | None:
        """Who would be cut for it now, and how likely each. None: nobody, whatever there is."""
        ...

    def remedies(self, run: Run) -> tuple[Remedy, ...]:
        """Changes after which it would start now."""
        ...

    def said_by_plugins(self, run: Run) -> Sequence[tuple[str, str]]:
        """(plugin, line)."""
        ...

    def foresee(self, request: Request) -> Foreseen:
        """Who may be cut for it."""
        ...

    # -- writing ------------------------------------------------------------------------------------------------------

    def submit(self, body: Object, *, dry_run: bool = False) -> tuple[Object, str]:
        """Create or update a run: as it then is, and `created`, `configured` or `unchanged`.

        dry_run: the cluster says what it would do, and does nothing.
        """
        ...

    def amend(self, run: Key, change: Mapping[str, object], version: str = "") -> None:
        """Change these fields of its spec, as a JSON merge patch. version: the resourceVersion that it must have."""
        ...

    def ask(self, node: str, text: str | None) -> None:
        """Ask something of the scheduler, on a node. None: no more."""
        ...

    def answer_to(self, uid: str) -> Resolution | None:
        """The resolution that answers the request; None: there is none so far."""
        ...


def key_in(body: Object) -> Key:
    """Who an object of a manifest is."""
    return Key(body["metadata"].get("namespace", ""), body["metadata"]["name"])

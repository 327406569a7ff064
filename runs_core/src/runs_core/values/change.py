"""All that the scheduler can learn. `World.apply` is the only reader, and every change has an exact inverse."""

from __future__ import annotations

from datetime import datetime

import attrs

from runs_core.values.budget import Budget, Namespace
from runs_core.values.funding import Pledge
from runs_core.values.lease import Lease
from runs_core.values.meta import Key
from runs_core.values.node import MalformedNode, Node
from runs_core.values.nonces import Chain, Nonces
from runs_core.values.pod import Pod
from runs_core.values.reservation import Reservation
from runs_core.values.resolution import Resolution
from runs_core.values.run import Run
from runs_core.values.storage import Storage


@attrs.frozen
class NodeSeen:
    """A node as it is now, in place of what was known of that name."""

    node: Node | MalformedNode


@attrs.frozen
class NodeGone:
    """The node object was deleted (not merely: has not been seen yet)."""

    name: str


@attrs.frozen
class RunSeen:
    """A run as it is now."""

    run: Run


@attrs.frozen
class RunGone:
    """The run object was deleted."""

    key: Key


@attrs.frozen
class RunUnread:
    """A run is there that runs cannot read, and why; None: it can, or the run is gone, which is told by itself.

    What was known of it counts until then.
    """

    run: Key
    why: str | None


@attrs.frozen
class BudgetSeen:
    """A budget as it is now."""

    budget: Budget


@attrs.frozen
class BudgetGone:
    """The budget object was deleted."""

    name: str


@attrs.frozen
class NamespaceSeen:
    """A namespace as it is now."""

    namespace: Namespace


@attrs.frozen
class NamespaceGone:
    """The namespace was deleted."""

    name: str


@attrs.frozen
class LeaseSeen:
    """A lease as it is now, open or closed."""

    lease: Lease


@attrs.frozen
class LeaseGone:
    """A lease's record was removed; only a closed one may be."""

    key: Key


@attrs.frozen
class PodSeen:
    """A pod as it is now."""

    pod: Pod


@attrs.frozen
class PodGone:
    """The pod object was deleted."""

    key: Key


@attrs.frozen(kw_only=True)
class Refusal:
    """The cluster would not make what a start needs.

    count: starts refused in a row; until: not tried again before (UTC).
    """

    message: str
    count: int
    until: datetime


@attrs.frozen
class StartRefused:
    """The last start of this run was refused; None: it was not, after all, or a later one was not."""

    run: Key
    refusal: Refusal | None


@attrs.frozen
class PledgeSeen:
    """Places and quota are bound to a run that cannot take them yet."""

    pledge: Pledge


@attrs.frozen
class PledgeGone:
    """What was bound to this run is bound no more: it has started, or will not."""

    run: Key


@attrs.frozen
class ReservationSeen:
    """A reservation as it is now."""

    reservation: Reservation


@attrs.frozen
class ReservationGone:
    """A reservation's record was removed."""

    key: Key


@attrs.frozen
class ResolutionSeen:
    """A resolution as it is now."""

    resolution: Resolution


@attrs.frozen
class ResolutionGone:
    """A resolution's record was removed."""

    name: str


@attrs.frozen
class ChainSeen:
    """The last resolution and what it bound, as a cluster kept it of those whose records are gone."""

    chain: Chain


@attrs.frozen
class NoncesSeen:
    """What draws are made from; None: who looks here decides nothing, and may not know it."""

    nonces: Nonces | None


@attrs.frozen
class HeadSeen:
    """The ledger's head is this number: what a cluster kept of the leases whose records are gone."""

    head: int


@attrs.frozen
class TimePassed:
    """It is now this late (UTC). Time never runs backwards: an earlier moment than the known one changes nothing."""

    now: datetime


@attrs.frozen
class StorageSeen:
    """A claim, a volume or a class of volumes as it is now."""

    storage: Storage


@attrs.frozen
class StorageGone:
    """It was deleted. kind: as Kubernetes names it."""

    kind: str
    key: Key


Change = (
    NodeSeen
    | NodeGone
    | RunSeen
    | RunGone
    | RunUnread
    | BudgetSeen
    | BudgetGone
    | NamespaceSeen
    | NamespaceGone
    | LeaseSeen
    | LeaseGone
    | PodSeen
    | PodGone
    | StorageSeen
    | StorageGone
    | StartRefused
    | PledgeSeen
    | PledgeGone
    | ReservationSeen
    | ReservationGone
    | ResolutionSeen
    | ResolutionGone
    | ChainSeen
    | NoncesSeen
    | HeadSeen
    | TimePassed
)

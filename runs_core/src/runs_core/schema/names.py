"""What things are called in manifests: fields in camelCase, kinds with their group, plural and short name."""

from __future__ import annotations

import attrs

from runs_core.values.budget import Budget, BudgetSpec, BudgetStatus
from runs_core.values.fields import Fact
from runs_core.values.lease import Lease, LeaseSpec, LeaseStatus
from runs_core.values.reservation import Reservation, ReservationSpec, ReservationStatus
from runs_core.values.resolution import Resolution, ResolutionSpec, ResolutionStatus
from runs_core.values.run import Run, RunSpec, RunStatus

GROUP = "runs.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
_CAPITALS = {"gpu": "GPU", "gpus": "GPUs"}


@attrs.frozen(kw_only=True)
class Kind:
    """A kind of ours. columns: name, type and JSONPath of what `kubectl get` prints, each filled in every phase.

    status_apart: the status is written by itself. Else one write may change the status together with all else.
    as_it_comes: the parts that the scheduler alone writes, and often, which the API server does not hold against a
    schema.
    """

    name: str
    plural: str
    short: str
    namespaced: bool
    doc: str
    value: type
    spec: type
    status: type
    columns: tuple[tuple[str, str, str], ...]
    status_apart: bool = True
    as_it_comes: tuple[str, ...] = ()


_AGE = ("Age", "date", ".metadata.creationTimestamp")
RUN = Kind(
    name="Run",
    plural="runs",
    short="rn",
    namespaced=True,
    doc="A gang of GPUs wanted, with its pod template.",
    value=Run,
    spec=RunSpec,
    status=RunStatus,
    columns=(
        ("Phase", "string", ".status.phase"),
        ("Reason", "string", ".status.reason"),
        ("GPUs", "integer", ".spec.resources.gpus"),
        ("Flavor", "string", ".spec.resources.flavor"),
        ("Width", "integer", ".status.width"),
        _AGE,
    ),
    as_it_comes=("status",),
)
BUDGET = Kind(
    name="Budget",
    plural="budgets",
    short="bgt",
    namespaced=False,
    doc="Who an owner is, and which namespaces spend for it.",
    value=Budget,
    spec=BudgetSpec,
    status=BudgetStatus,
    columns=(("Owner", "string", ".spec.owner"), _AGE),
)
LEASE = Kind(
    name="GPULease",
    plural="gpuleases",
    short="gl",
    namespaced=True,
    doc="The immutable fact: these GPU slots, this run, this payer, from then to then.",
    value=Lease,
    spec=LeaseSpec,
    status=LeaseStatus,
    columns=(
        ("Run", "string", ".spec.runRef.name"),
        ("Role", "string", ".spec.role"),
        ("Group", "integer", ".spec.group"),
        ("Slots", "string", ".spec.slots"),
        ("Reason", "string", ".spec.reason"),
        ("Loan", "boolean", ".spec.loan"),
        ("Start", "date", ".spec.start"),
        ("Closed", "boolean", ".status.closed"),
        _AGE,
    ),
    status_apart=False,  # nobody but the scheduler writes a lease, and it closes one and lets it go in one write
    as_it_comes=("spec", "status"),
)
RESERVATION = Kind(
    name="Reservation",
    plural="reservations",
    short="rsv",
    namespaced=True,
    doc="The promise of a later start: when, where, on what grounds.",
    value=Reservation,
    spec=ReservationSpec,
    status=ReservationStatus,
    columns=(
        ("Run", "string", ".spec.runRef.name"),
        ("GPUs", "integer", ".spec.gpus"),
        ("Flavor", "string", ".spec.flavor"),
        ("Start", "string", ".status.earliestStart"),
        ("Latest", "string", ".status.latest"),
        ("Basis", "string", ".status.basis"),
        ("Missing", "integer", ".status.deficitGPUs"),
        ("Of", "string", ".status.shortOf"),
        ("Phase", "string", ".status.phase"),
        ("Reason", "string", ".status.reason"),
        _AGE,
    ),
)
RESOLUTION = Kind(
    name="Resolution",
    plural="resolutions",
    short="rsl",
    namespaced=False,
    doc="The audit of one taking-back: need, candidates, seed, draws, cuts.",
    value=Resolution,
    spec=ResolutionSpec,
    status=ResolutionStatus,
    columns=(
        ("Trigger", "string", ".spec.trigger"),
        ("Namespace", "string", ".spec.beneficiary.namespace"),
        ("For", "string", ".spec.beneficiary.name"),
        ("Flavor", "string", ".spec.need.flavor"),
        ("Short", "integer", ".spec.deficitGPUs"),
        ("Cut", "integer", ".spec.cutGPUs"),
        ("Phase", "string", ".status.phase"),
        ("Reason", "string", ".status.reason"),
        _AGE,
    ),
)
KINDS = {kind.name: kind for kind in (RUN, BUDGET, LEASE, RESERVATION, RESOLUTION)}


def camel(name: str) -> str:
    """group_gpus → groupGPUs, gpus_per_pod → gpusPerPod."""
    first, *rest = name.split("_")
    return first + "".join(_CAPITALS.get(word, word.capitalize()) for word in rest)


def manifest_name(attribute: str, fact: Fact) -> str:
    """What the field is called in manifests."""
    return fact.name or camel(attribute)

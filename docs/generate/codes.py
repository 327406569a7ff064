"""What each reason, phase and condition means; and the check that every one in the decisions has its line here."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from pathlib import Path

import runs_core.decide
import runs_core.hooks.ask
from runs_core.cluster.kube.steps import REFUSED
from runs_core.decide.match import WAIT_CODES
from runs_core.values.lease import Closed, Opened
from runs_core.values.run import Phase

HOLDS = {
    "Suspended": "`spec.suspend` is true. `runs resume` puts it in line again, at a new place.",
    "OwnerUnknown": "`spec.owner` names an owner that the namespace may not spend for.",
    "OwnerAmbiguous": "Several Budgets list the namespace and `spec.owner` picks none of their owners.",
    "Unbudgeted": "No Budget lists the namespace, and the setting `unbudgeted` is `Deny`.",
    "UpstreamMissing": "A run that it waits for (`spec.after`) does not exist.",
    "UpstreamUnfinished": "A run that it waits for has not succeeded yet.",
    "UpstreamFailed": "A run that it waits for failed. With `afterFailure.policy: Wait` it may be submitted again "
    "within `afterFailure.grace`; then, and with `Fail` at once, this run fails with the same reason.",
    "UpstreamCycle": "It waits for itself, by way of the runs that the message names.",
    "WaitingForPods": "It has no template, and not all pods that somebody else makes for it are there. "
    "Where pods are simulated it waits for none.",
    "PodMismatch": "Its template, or a pod that somebody else made for it, asks for another number of GPUs than "
    "`resources.gpusPerPod`, or for GPUs of another flavor.",
    "ClaimMissing": "A PersistentVolumeClaim that its template uses does not exist, or is being deleted.",
    "ClaimUnbound": "A PersistentVolumeClaim that its template uses is not bound yet, and its storage class does not "
    "wait for the first pod.",
    "VolumeMissing": "A PersistentVolumeClaim that its template uses is bound to a volume that does not exist.",
    "NameInUse": "Pods of an earlier run of the same name have not ended yet.",
    "StartBackOff": "Its last start did not come up within `spec.startTimeout`. "
    "The next follows after a pause that doubles.",
    "StartRefused": "The cluster refused its last start. The next follows after a pause.",
    "PluginFailed": "A plugin failed to say whether the run may start. "
    "It is asked again after the setting `hooks.recheck`.",
}
WAITS = {
    "FlavorUnknown": "No node of the fleet has the flavor that it names.",
    "FlavorAmbiguous": "It names no flavor, and the fleet has several.",
    "NeverFits": "The present fleet could not take it even if nothing ran on it. Another node may change that.",
    "NoSuchLocation": "No healthy node of the flavor has the labels of `topology.selector`.",
    "NoNodeAllowed": "The template's node rules and the nodes' taints leave no node.",
    "VolumesElsewhere": "No node that would do otherwise reaches all the volumes that its template uses.",
    "NotEnoughGPUs": "Fewer GPUs are free than it wants.",
    "NoRoomForPod": "Enough GPUs are free, "
    "but too few where a whole pod has room: GPUs, CPU, memory, storage, pod count.",
    "OutOfQuota": "Somebody decides who pays, and nobody pays for all of it. The message says who was asked, what "
    "they have and why they give no more.",
    "Fragmented": "Enough nodes have room for a pod, but the groups do not fit into the domains.",
}
STANDING = {
    "Submitted": "Nobody has looked at it yet.",
    "Admitted": "It is no longer held and stands in line.",
    "Activating": "GPUs were taken back for it; it starts once who has them has gone.",
    "Started": "It holds its GPUs, and waits for all of its pods to run.",
    "PodsReady": "All of its pods run.",
    "Retrying": "A rank failed; the gang is made anew on the same GPUs (`onPodFailure.policy: Retry`).",
}
ENDS = {
    "Succeeded": "All ranks succeeded, or have ended where `onPodFailure.policy` is `Ignore`.",
    "PodFailed": "A rank failed, and `onPodFailure` leaves no retry.",
    "StartTimeout": "Not all pods ran within `spec.startTimeout`. "
    "The setting `starts.tries` says how often it is tried again.",
    "NodeLost": "A node that it ran on was lost. It stands in line again, or fails, by `spec.onNodeLoss`.",
    "Evicted": "Somebody else ended a pod of it. The same ranks start again; where their node takes nothing new, the "
    "whole gang stands in line again.",
    "Preempted": "Its GPUs were taken back for another; the message names the Resolution. It stands in line again, "
    "or fails, by `spec.onPreemption`.",
    "Canceled": "`spec.canceled` is true: it ends for ever.",
    "Deleted": "The object was deleted; it goes once nothing of it is held.",
}
ELSEWHERE = {
    "RanksEnded": (
        "history",
        "Ranks that have ended before others are written down: they do not run again though their pods go.",
    ),
    "Retried": ("history", "The pods of a retry were made."),
    "Repaid": (
        "history and event",
        "It ran without a payer and has one now; its leases were opened again, in their places.",
    ),
    "Reclassed": ("history and event", "What it holds is of another class than before; the message says of which."),
    "LatePods": ("history", "A pod came late, for an attempt that is over, and was told to go."),
    "ResolutionCanceled": (
        "history and event",
        "What was taken back for the run will not be given to it; others may have it.",
    ),
    "Freed": ("status of a Resolution", "All that was taken back by hand has gone."),
    "Reserved": ("history and event", "It was told when it will start, and places are kept for it from then on."),
    "PromiseOverdue": (
        "history and event",
        "Its time is past by more than patience and nothing says another: no places are kept for it any more.",
    ),
    "PromiseMoved": ("history and event", "It is to start earlier or later than it was told; the message says why."),
    "RemediesFound": ("history", "What would start it is written in its Reservation."),
    "PlacesMoved": ("history", "Other places are kept for it; its time stays."),
    "PromiseKept": ("history", "A run that was promised a start has started; the Reservation says how far off it was."),
    "ReservationCanceled": ("history and event", "Its promise stands no more, and its places are anybody's."),
    "Unreserved": ("history", "Its status told of a Reservation that does not stand."),
    "Edited": ("status of a Reservation", "The run wants something else now."),
    "NodeGone": ("status of a Resolution", "A node whose places were bound takes nothing new."),
    "StartedOtherwise": ("status of a Resolution", "The run has started elsewhere."),
    "Late": (
        "status of a Resolution",
        "Its writer had been replaced by another scheduler when it arrived; nobody is cut by it.",
    ),
    "Unfundable": ("status of a Resolution", "Its payers would not pay any more as they did when it was decided."),
    "Retention": ("history", "A finished run was removed; its time in the setting `retention.runs` was over."),
    "SetAside": (
        "event of a Node",
        "The node cannot be read, or offers fewer GPUs than its leases hold; it takes nothing.",
    ),
    "WriteRefused": (
        "event",
        "The cluster refuses what is to be written for a run, such as the end of a pod; it is tried again.",
    ),
    "PluginMissing": (
        "condition of a Budget",
        "`Ready` is False: the budgets plugin, which reads envelopes, is not installed. Owner and namespaces count.",
    ),
    "NotHeld": ("condition of a Run", "`Held` is False."),
    "Invalid": ("`plan`", "The manifest would be refused."),
}
PHASES = {
    Phase.HELD: "Not in line. Something must happen first; `reason` says what.",
    Phase.QUEUED: "In line for GPUs.",
    Phase.RESERVED: "It stands in line, is told when it will start, and places are kept for it from then on.",
    Phase.STARTING: "Holds its GPUs; not all pods run yet.",
    Phase.RUNNING: "All pods run.",
    Phase.SUCCEEDED: "Over; nothing is held.",
    Phase.FAILED: "Over; nothing is held. Also the end of a canceled run.",
}
CONDITIONS = {
    "Admitted": "It stands in line, or has stood there, and is not held now.",
    "Held": "It is `Held`.",
    "PodsReady": "All pods run, or have succeeded, and the attempt is not being undone.",
    "Finished": "It is `Succeeded` or `Failed`.",
}
OPENED = {
    Opened.START: "The run's first start.",
    Opened.REQUEUE: "A later start, after it lost its GPUs.",
    Opened.REPAID: "The run had no payer for these places, and has one now.",
}
CLOSED = {
    Closed.SUCCEEDED: "The run succeeded.",
    Closed.RUN_FAILED: "The run failed.",
    Closed.START_FAILED: "A start did not come up: not all its pods ran in time, or the cluster would not make them.",
    Closed.CANCELED: "The run was canceled.",
    Closed.DELETED: "The run was deleted.",
    Closed.SUSPENDED: "The run was suspended.",
    Closed.NODE_LOST: "A node of the run was lost.",
    Closed.EVICTED: "A pod was ended by somebody else, and its node takes nothing new; or the audit found the run in a "
    "place that another had before it, or leases of it missing.",
    Closed.REPAID: "The run got a payer for these places: another lease holds them from now on.",
    Closed.UNFUNDED_RECLAIMED: "Nobody paid for the run, and somebody who pays needed its GPUs.",
    Closed.PREEMPTED: "Somebody was paid for by right, had waited long enough, and the lot fell on the run.",
    Closed.SLICE_RECLAIMED: "The run was in places that were promised to another, and their time had come.",
}
NO_CODES = frozenset({"False", "Finished", "Held", "Node", "Normal", "Ready", "Run", "True", "Warning"})
"""Capitalised words in the decisions that are no reasons: kinds, condition types, and what Kubernetes says itself."""
_WORD = re.compile(r"([A-Z][a-z]+)+[A-Za-z]*")


def documented() -> frozenset[str]:
    """Every reason that has a line."""
    return frozenset({*HOLDS, *WAITS, *STANDING, *ENDS, *ELSEWHERE})


def words(source: str) -> frozenset[str]:
    """The texts of a module that look like a reason: one word with a capital in front."""
    texts = (node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant))
    return frozenset(text for text in texts if isinstance(text, str) and _WORD.fullmatch(text)) - NO_CODES


def decided() -> frozenset[str]:
    """Every reason that a decision, a failing plugin or `plan` can give."""
    decide = sorted(Path(runs_core.decide.__path__[0]).glob("*.py"))
    found: frozenset[str] = frozenset().union(*(words(path.read_text(encoding="utf-8")) for path in decide))
    return found | {runs_core.hooks.ask.FAILED, "Invalid", "Submitted", REFUSED}


def complete(lines: Iterable[str], known: Iterable[str]) -> None:
    """LookupError: one of the known has no line, or a line is of nothing that is known."""
    lacks, idle = sorted({*known} - {*lines}), sorted({*lines} - {*known})
    if lacks or idle:
        raise LookupError(f"docs/generate/codes.py: no line for {lacks}, lines for nothing {idle}")


def checked() -> None:
    """LookupError: a reason, phase or closure has no line, or a line has none."""
    complete(documented(), decided())
    complete(WAITS, WAIT_CODES)
    complete(PHASES, Phase)
    complete(OPENED, Opened)
    complete(CLOSED, Closed)

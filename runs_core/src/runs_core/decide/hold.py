"""Why a run must not stand in line: core's reasons and the plugins'. All are found, not only the first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from runs_core.decide.advice import Advice
from runs_core.decide.claimed import misfits, waits_for
from runs_core.decide.standing import joined, stand
from runs_core.settings import Unbudgeted
from runs_core.values.decision import Decision, Held, Hold, Reason
from runs_core.values.effect import Emit, SetRunStatus
from runs_core.values.meta import Key
from runs_core.values.quantity import format_duration
from runs_core.values.run import OnUpstreamFailure, Phase, Run
from runs_core.values.storage import VolumeClaim
from runs_core.world.world import World

CORE = "core"


def holds(world: World, run: Run, advice: Advice) -> Held | None:
    """Every reason, or None. `until` is the earliest moment at which time alone may lift or harden one of them."""
    found = [(CORE, hold) for hold in core_holds(world, run)]
    found += advice.holds(run, world, world.now)
    if not found:
        return None
    times = [hold.until for _, hold in found if hold.until is not None and hold.until > world.now]
    if any(by != CORE and hold.until is None for by, hold in found):
        times.append(world.now + world.settings.hooks.recheck)
    reasons = tuple(Reason(by, hold.code, hold.message) for by, hold in found)
    return Held(reasons=reasons, until=min(times, default=None))


def core_holds(world: World, run: Run) -> list[Hold]:
    """Core's own reasons."""
    found: list[Hold] = []
    if run.spec.suspend:
        found.append(Hold("Suspended", f"suspended; `runs resume {run.meta.name}` puts it back in line"))
    found += _owner(world, run)
    found += _upstreams(world, run)
    found += _pods(world, run)
    found += _template(world, run)
    found += _volumes(world, run)
    if run.status.attempt == 0 and (world.leases_of(run.key) or world.gangs.live.get(run.key)):
        found.append(Hold("NameInUse", "pods of an earlier run of this name still end; starts once they are gone"))
    not_before = run.status.not_before
    if not_before is not None and not_before > world.now:
        limit = format_duration(run.spec.start_timeout)
        message = f"start {run.status.start_timeouts} did not come up in {limit}; tried again later"
        found.append(Hold("StartBackOff", message, not_before))
    refusal = world.refusal(run.key)
    if refusal is not None and refusal.until > world.now:
        message = f"the cluster refused the last start: {refusal.message}; tried again later"
        found.append(Hold("StartRefused", message, refusal.until))
    return found


def _pods(world: World, run: Run) -> Sequence[Hold]:
    """Without a template somebody else makes the pods: the gang waits until all of them are there."""
    if run.spec.template is not None or world.plays_pods:
        return ()
    there, wrong = world.gangs.claiming(run.key), misfits(world, run)
    if wrong is not None:
        return [Hold("PodMismatch", wrong)]
    pods = world.wanted(run) // run.spec.resources.gpus_per_pod
    if len(there) < pods:
        return [Hold("WaitingForPods", f"{len(there)} of {waits_for(run, pods)} are there")]
    return ()


def _template(world: World, run: Run) -> list[Hold]:
    """A template that places the GPUs itself places those that the run holds, as many and of that kind."""
    template = run.spec.template
    if template is None or not template.extended:
        return []
    fleet, per_pod = world.settings.fleet, run.spec.resources.gpus_per_pod
    held = fleet.resource_of(run.spec.resources.flavor or world.sole_flavor() or "")
    wrong = [
        (name, amount)
        for name, amount in template.extended
        if name in fleet.known and amount and (name, amount) != (held, per_pod)
    ]
    return [Hold("PodMismatch", _asks(name, amount, held, per_pod)) for name, amount in wrong]


def _asks(name: str, amount: int, held: str, per_pod: int) -> str:
    return (
        f"its template asks for {amount} {name} a pod, the run for {per_pod} {held}: "
        "submit it again with a template that leaves GPUs out, or asks for as many"
    )


def _volumes(world: World, run: Run) -> list[Hold]:
    """Claims that no pod could start with, one after the other."""
    found: list[Hold] = []
    for name in world.template(run).claims:
        claim = world.volumes.claim(Key(run.key.namespace, name))
        told = f"waits for PersistentVolumeClaim {name}, which"
        if claim is None:
            found.append(Hold("ClaimMissing", f"{told} does not exist; create it"))
        elif claim.deleting:
            found.append(Hold("ClaimMissing", f"{told} is being deleted; create it again"))
        elif claim.lost or (claim.volume is not None and world.volumes.volume(claim.volume) is None):
            what = f"volume {claim.volume}" if claim.volume else "the volume"
            found.append(Hold("VolumeMissing", f"{told} is bound, but {what} does not exist; restore it"))
        elif claim.volume is None and not world.volumes.waits(claim):
            found.append(Hold("ClaimUnbound", f"{told} is not bound yet, and {_class(world, claim)}"))
    return found


def _class(world: World, claim: VolumeClaim) -> str:
    """Why no start would bind it."""
    if not claim.storage_class:
        return "names no storage class: a volume must be made for it by hand"
    if world.volumes.storage_class(claim.storage_class) is None:
        return f"its storage class {claim.storage_class} does not exist: create it, or make a volume by hand"
    return f"its storage class {claim.storage_class} binds it before any pod starts: see why it does not"


def _owner(world: World, run: Run) -> Sequence[Hold]:
    owners, wanted, namespace = world.owners(run.key.namespace), run.spec.owner, run.key.namespace
    if wanted is not None and wanted not in owners:
        can = f"it may spend for {', '.join(owners)}" if owners else "no Budget lists it"
        return [Hold("OwnerUnknown", f"namespace {namespace} may not spend for {wanted}: {can}")]
    if wanted is None and len(owners) > 1:
        return [Hold("OwnerAmbiguous", f"set spec.owner to one of {', '.join(owners)}")]
    if not owners and world.settings.unbudgeted is Unbudgeted.DENY:
        return [Hold("Unbudgeted", f"no Budget lists namespace {namespace}, and runs without an owner are denied")]
    return ()


def _upstreams(world: World, run: Run) -> list[Hold]:
    found: list[Hold] = []
    for name in run.spec.after:
        upstream = world.run(Key(run.key.namespace, name))
        if upstream is None:
            found.append(Hold("UpstreamMissing", f"waits for run {name}, which does not exist; submit it"))
        elif upstream.status.phase is Phase.FAILED:
            found.append(_after_failure(run, upstream))
        elif upstream.status.phase is not Phase.SUCCEEDED:
            found.append(Hold("UpstreamUnfinished", f"waits for run {name}, which is {upstream.status.phase}"))
    if run.spec.after and (cycle := _cycle(world, run)):
        path = " -> ".join(cycle)
        found.append(Hold("UpstreamCycle", f"waits for itself: {path}; cancel one of them"))
    return found


def _after_failure(run: Run, upstream: Run) -> Hold:
    until = given_up_at(run, upstream)
    name = upstream.meta.name
    return Hold("UpstreamFailed", f"run {name} failed; submit it again under that name, or this one fails too", until)


def given_up_at(run: Run, upstream: Run) -> datetime | None:
    """When this run fails because its upstream did; None: that one does not say since when it has failed."""
    policy = run.spec.after_failure
    failed = upstream.status.finished_at
    if failed is None:
        return None
    return failed + (policy.grace if policy.policy is OnUpstreamFailure.WAIT else timedelta())


def failed_upstream(world: World, run: Run) -> Run | None:
    """The first upstream whose failure this run does not survive any longer."""
    for name in run.spec.after:
        upstream = world.run(Key(run.key.namespace, name))
        if upstream is None or upstream.status.phase is not Phase.FAILED:
            continue
        due = given_up_at(run, upstream)
        if due is not None and due <= world.now:
            return upstream
    return None


def _cycle(world: World, run: Run) -> list[str]:
    """A way from the run back to itself, by names; empty if there is none. Depth first, in the listed order."""
    path = [run.meta.name]
    stack = [iter(run.spec.after)]
    seen: set[str] = set()
    while stack:
        name = next(stack[-1], None)
        if name is None:
            stack.pop()
            path.pop()
        elif name == run.meta.name:
            return [*path, name]
        elif name not in seen:
            seen.add(name)
            upstream = world.run(Key(run.key.namespace, name))
            if upstream is not None and not upstream.status.phase.terminal:
                path.append(name)
                stack.append(iter(upstream.spec.after))
    return []


def hold(world: World, run: Run, held: Held) -> Decision | None:
    """Out of the line; None where its status says so already."""
    if held.until is not None:
        world.wake_at(held.until, run.key)
    suspended = run.spec.suspend
    stands = stand(
        run,
        world.now,
        phase=Phase.HELD,
        reason=held.reasons[0].code,
        message=joined(held.reasons),
        pending_gpus=world.wanted(run),
        admitted_at=None if suspended else run.status.admitted_at,
        queued_since=None,
    )
    if stands == run:
        return None
    emit = Emit("Run", run.key, held.reasons[0].code, joined(held.reasons), world.now)
    return Decision(run=run.key, uid=run.uid, outcome=held, effects=(SetRunStatus(stands), emit))

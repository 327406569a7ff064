from __future__ import annotations

from datetime import timedelta

import attrs
import pytest

from runs_core.decide.advice import Silent
from runs_core.decide.cycle import attend, cycle
from runs_core.testing.builders import A_MONDAY, a_lease, a_node, a_pod, a_run, a_world, lasting
from runs_core.testing.harness import Harness
from runs_core.values.change import NodeGone, NodeSeen, PodSeen, StorageSeen
from runs_core.values.decision import Ends, Released, Removed, Starts
from runs_core.values.effect import EndPod, SelectNode
from runs_core.values.lease import Closed, Lease
from runs_core.values.meta import SIMULATED, pairs
from runs_core.values.node import Taint
from runs_core.values.pod import Pod, PodPhase
from runs_core.values.run import OnLoss, OnPodFailure, Phase, PodFailure, Run
from runs_core.values.storage import StorageClass, VolumeClaim
from runs_core.values.template import PodTemplate

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


def failing(name: str, policy: OnPodFailure, *, gpus: int = 2, limit: int = 3, **said: str) -> Run:
    """Its pods run a minute; a retry waits 10 s."""
    run = lasting(a_run(name, gpus=gpus), timedelta(minutes=1), **said)
    return attrs.evolve(run, spec=attrs.evolve(run.spec, on_pod_failure=PodFailure(policy=policy, limit=limit)))


def closures(stage: Harness) -> list[tuple[Closed | None, str]]:
    return [
        (lease.status.closure_reason, lease.status.closure_detail)
        for _, lease in sorted(stage.witness.closed.items(), key=lambda item: item[1].status.end or A_MONDAY)
    ]


# -- coming up and ending ----------------------------------------------------------------------------------------------


def test_a_gang_runs_once_all_its_pods_run_and_succeeds_once_all_have_ended() -> None:
    stage = Harness(a_node("n1"), lasting(a_run("train"), HOUR))
    stage.settle()
    assert stage.phase("train") is Phase.STARTING
    stage.advance(2)
    assert stage.phase("train") is Phase.RUNNING
    stage.advance_until_quiet()
    assert stage.phase("train") is Phase.SUCCEEDED
    assert stage.run("train").status.finished_at == A_MONDAY + HOUR + 2 * SECOND
    assert closures(stage) == [(Closed.SUCCEEDED, "all ranks succeeded")]


def test_a_start_that_never_comes_up_is_tried_four_times_with_a_doubling_pause_and_then_fails() -> None:
    stage = Harness(a_node("n1"), lasting(a_run("stuck"), HOUR, start="Never"), oracles=True)
    stage.advance_until_quiet()
    starts = [record.at - A_MONDAY for record in stage.records if isinstance(record.outcome, Starts)]
    minutes = timedelta(minutes=1)
    # each start has 15 minutes; the pauses after them are 1, 2 and 4 minutes
    assert starts == [0 * minutes, 16 * minutes, 33 * minutes, 52 * minutes]
    assert (stage.phase("stuck"), stage.run("stuck").status.reason) == (Phase.FAILED, "StartTimeout")
    assert stage.run("stuck").status.finished_at == A_MONDAY + 67 * minutes + SECOND


def test_while_it_backs_off_a_run_is_held_and_keeps_its_admission_time() -> None:
    stage = Harness(a_node("n1"), lasting(a_run("stuck"), HOUR, start="Never"))
    stage.advance(15 * 60 + 1)
    status = stage.run("stuck").status
    assert (status.phase, status.reason, status.start_timeouts) == (Phase.HELD, "StartBackOff", 1)
    assert (status.admitted_at, status.not_before) == (A_MONDAY, A_MONDAY + timedelta(minutes=16))


def test_the_status_says_of_which_spec_it_is_also_where_an_edit_gives_nothing_to_do() -> None:
    stage = Harness(a_node("n1"), lasting(a_run("a"), HOUR), a_run("b", after=("none",)))

    def edited(name: str, expected: timedelta) -> None:
        before = stage.run(name).status
        runtime = attrs.evolve(stage.run(name).spec.runtime, expected_duration=expected)
        stage.edit(name, lambda run: attrs.evolve(run, spec=attrs.evolve(run.spec, runtime=runtime)))
        stage.settle()
        assert stage.run(name).status == attrs.evolve(before, observed_generation=before.observed_generation + 1)

    for at, phase in enumerate((Phase.RUNNING, Phase.SUCCEEDED)):
        stage.advance(hours=at, seconds=10)
        assert (stage.phase("a"), stage.phase("b")) == (phase, Phase.HELD)
        for name in "ab":
            edited(name, (at + 2) * HOUR)


# -- pods that fail ----------------------------------------------------------------------------------------------------


def test_a_failed_rank_fails_its_gang() -> None:
    stage = Harness(a_node("n1"), failing("train", OnPodFailure.FAIL, failing_ranks="1"))
    stage.advance_until_quiet()
    status = stage.run("train").status
    assert (status.phase, status.reason, status.message) == (Phase.FAILED, "PodFailed", "rank 1 failed: exit code 1")
    assert closures(stage) == [(Closed.RUN_FAILED, "rank 1 failed: exit code 1")]


def test_failed_ranks_are_told_in_the_order_of_their_numbers() -> None:
    stage = Harness(a_node("n1", gpus=12), failing("train", OnPodFailure.FAIL, gpus=12, failing_ranks="2,10"))
    stage.advance_until_quiet()
    assert stage.run("train").status.message == "ranks 2, 10 failed: exit code 1"


def test_a_retry_restarts_the_whole_gang_on_the_same_slots_after_its_backoff() -> None:
    stage = Harness(a_node("n1"), failing("train", OnPodFailure.RETRY, failing_ranks="0", failures="1"), oracles=True)
    stage.settle()
    [lease] = stage.world.leases_of(stage.run("train").key)
    stage.advance(62)
    assert (stage.phase("train"), stage.run("train").status.reason) == (Phase.STARTING, "Retrying")
    stage.advance(10)
    assert list(stage.world.leases_of(stage.run("train").key)) == [lease]
    assert [pod.created for pod in stage.pods("train")][-2:] == [A_MONDAY + timedelta(seconds=72)] * 2
    stage.advance_until_quiet()
    assert stage.phase("train") is Phase.SUCCEEDED
    assert stage.run("train").status.attempt == 1


def test_retries_end_at_their_limit() -> None:
    stage = Harness(a_node("n1"), failing("train", OnPodFailure.RETRY, limit=2, failing_ranks="0"))
    stage.advance_until_quiet()
    assert stage.run("train").status.message == "rank 0 failed: exit code 1 after 2 retries"
    assert len(stage.pods("train")) == 3 * 2


def test_a_retry_has_its_time_to_come_up_from_when_its_pods_are_made_not_from_when_it_was_due() -> None:
    run = lasting(a_run("train", gpus=2), HOUR, shutdown="5m", start="1m")
    patient = attrs.evolve(run.spec.runtime, checkpoint_grace=timedelta(minutes=5))
    retries = PodFailure(policy=OnPodFailure.RETRY)
    spec = attrs.evolve(run.spec, on_pod_failure=retries, start_timeout=timedelta(minutes=2), runtime=patient)
    stage = Harness(a_node("n1"), attrs.evolve(run, spec=spec), oracles=True)
    stage.advance(120)
    stage.add(attrs.evolve(stage.pods("train")[1], phase=PodPhase.FAILED))
    stage.advance(5 * 60)
    stage.advance(60)  # the other rank took all its grace, and longer than the start may take
    status = stage.run("train").status
    assert (status.phase, status.attempt, status.retries) == (Phase.RUNNING, 1, 1)
    assert stage.now == A_MONDAY + timedelta(minutes=8)


def undone_after(stage: Harness, seconds: int) -> str:
    """Why it is, so much later and not a second before."""
    stage.advance(seconds - 1)
    assert stage.run("train").status.ending is None
    stage.advance(1)
    ending = stage.run("train").status.ending
    assert ending is not None
    return ending.detail


def test_a_retry_that_does_not_come_up_is_undone_in_its_time() -> None:
    run = lasting(a_run("train", gpus=2), HOUR, shutdown="5m", start="3m")
    patient = attrs.evolve(run.spec.runtime, checkpoint_grace=timedelta(minutes=5))
    retries = PodFailure(policy=OnPodFailure.RETRY)
    spec = attrs.evolve(run.spec, on_pod_failure=retries, start_timeout=timedelta(minutes=4), runtime=patient)
    stage = Harness(a_node("n1"), attrs.evolve(run, spec=spec), oracles=True)
    stage.advance(4 * 60)
    stage.edit("train", lambda one: attrs.evolve(one, spec=attrs.evolve(one.spec, start_timeout=2 * 60 * SECOND)))
    stage.add(attrs.evolve(stage.pods("train")[1], phase=PodPhase.FAILED))
    assert undone_after(stage, 5 * 60 + 2 * 60) == "not all pods ran within 2m of the start (start 1)"


def test_pods_whose_making_lies_in_the_future_do_not_put_off_the_time_to_come_up() -> None:
    """The clock that says when they were made may be ahead of the scheduler's."""
    run = lasting(a_run("train", gpus=2), HOUR, start="3h")
    stage = Harness(a_node("n1"), run, oracles=True)
    stage.settle()
    for pod in stage.pods("train"):
        stage.add(attrs.evolve(pod, created=stage.now + timedelta(days=300)))
    assert undone_after(stage, 15 * 60) == "not all pods ran within 15m of the start (start 1)"


def test_an_ignored_failure_counts_as_ended_and_the_run_is_done_with_its_last_rank() -> None:
    stage = Harness(a_node("n1"), failing("sweep", OnPodFailure.IGNORE, failing_ranks="0"))
    stage.advance_until_quiet()
    assert stage.phase("sweep") is Phase.SUCCEEDED
    assert stage.run("sweep").status.message == "1 of 2 ranks failed and was ignored"


# -- evictions ---------------------------------------------------------------------------------------------------------


def test_an_evicted_rank_starts_again_on_its_node_while_the_others_run_on() -> None:
    stage = Harness(a_node("n1"), lasting(a_run("train", gpus=2), HOUR), oracles=True)
    stage.advance(10)
    evicted, other = stage.pods("train")
    stage.evict(evicted)
    stage.advance(10)
    assert stage.phase("train") is Phase.RUNNING
    assert [pod.created for pod in stage.pods("train")] == [A_MONDAY + 11 * SECOND, other.created]


def test_while_an_evicted_rank_comes_up_its_gang_does_not_say_that_all_pods_run() -> None:
    stage = Harness(a_node("n1"), lasting(a_run("train", gpus=2), HOUR), oracles=True)
    stage.advance(10)
    stage.evict(stage.pods("train")[1], at_once=True)
    stage.advance(1)
    status = stage.run("train").status
    assert (status.phase, status.reason, status.message) == (
        Phase.STARTING,
        "Evicted",
        "rank 1 was evicted and starts again",
    )
    assert [one.status for one in status.conditions if one.type == "PodsReady"] == ["False"]
    assert (status.started_at, status.width) == (A_MONDAY, 2)
    stage.advance(2)
    assert stage.phase("train") is Phase.RUNNING


def of_two(policy: OnPodFailure = OnPodFailure.FAIL) -> tuple[Harness, Pod]:
    """A gang that runs, and the pod of its first rank."""
    run = lasting(a_run("train", gpus=2), HOUR)
    spec = attrs.evolve(run.spec, on_pod_failure=PodFailure(policy=policy))
    stage = Harness(a_node("n1"), attrs.evolve(run, spec=spec), oracles=True)
    stage.advance(10)
    return stage, stage.pods("train")[0]


def test_a_rank_that_is_done_and_whose_pod_is_removed_in_the_same_minute_is_noted_then_and_does_not_run_again() -> None:
    stage, first = of_two()
    stage.add(attrs.evolve(first, phase=PodPhase.SUCCEEDED))
    stage.settle()
    assert stage.run("train").status.ended_ranks == ()
    stage.evict(first, at_once=True)
    stage.settle()
    assert (stage.run("train").status.ended_ranks, len(stage.pods("train"))) == ((0,), 1)
    stage.advance_until_quiet()
    assert closures(stage) == [(Closed.SUCCEEDED, "all ranks succeeded")]


def test_one_whose_pod_is_removed_while_nobody_sees_it_runs_again() -> None:
    stage, first = of_two()
    stage.add(attrs.evolve(first, phase=PodPhase.SUCCEEDED))
    stage.settle()
    stage.restart(lambda known: [one for one in known if not (isinstance(one, PodSeen) and one.pod.key == first.key)])
    stage.settle()
    assert stage.run("train").status.message == "rank 0 was evicted and starts again"


@pytest.mark.parametrize("policy", [OnPodFailure.FAIL, OnPodFailure.IGNORE])
@pytest.mark.parametrize("gone", [2, 1])
def test_a_gang_of_which_leases_and_pods_were_taken_away_has_not_succeeded(gone: int, policy: OnPodFailure) -> None:
    """Nothing says that those ranks have ended; the audit sends a run with too few leases back into line."""
    run = a_run("train", gpus=2, phase=Phase.RUNNING)
    spec = attrs.evolve(run.spec, on_pod_failure=PodFailure(policy=policy))
    run = attrs.evolve(run, spec=spec, status=attrs.evolve(run.status, attempt=1, width=2))
    leases = [a_lease(run, {"n1": (rank,)}, group=rank) for rank in range(gone, 2)]
    parts: list[Lease | Pod] = [attrs.evolve(one, spec=attrs.evolve(one.spec, ranks=(1,))) for one in leases]
    parts += [attrs.evolve(a_pod(run, 1, node="n1"), phase=PodPhase.SUCCEEDED) for _ in leases]
    decision = attend(a_world(a_node("n1"), run, *parts), run.key, Silent())
    assert decision is None or not isinstance(decision.outcome, Released)


@pytest.mark.parametrize(
    ("policy", "noted"), [(OnPodFailure.FAIL, ()), (OnPodFailure.RETRY, ()), (OnPodFailure.IGNORE, (0,))]
)
def test_a_rank_that_failed_and_is_gone_at_once_is_done_only_where_that_is_ignored(
    policy: OnPodFailure, noted: tuple[int, ...]
) -> None:
    stage, first = of_two(policy)
    stage.add(attrs.evolve(first, phase=PodPhase.FAILED))
    stage.evict(first, at_once=True)
    stage.settle()
    assert stage.run("train").status.ended_ranks == noted
    assert len(stage.pods("train")) == 2 - len(noted)


def test_a_rank_that_ends_well_because_it_was_asked_to_go_runs_again() -> None:
    stage, first = of_two()
    going = attrs.evolve(first, deleting=stage.now, grace=30 * SECOND)
    stage.add(going)
    stage.settle()
    stage.add(attrs.evolve(going, phase=PodPhase.SUCCEEDED))
    stage.evict(first, at_once=True)
    stage.settle()
    assert (stage.run("train").status.ended_ranks, stage.run("train").status.reason) == ((), "Evicted")


def test_a_gang_whose_evicted_rank_does_not_come_up_again_is_undone_and_stands_in_line() -> None:
    stage = Harness(a_node("n1"), lasting(a_run("train", gpus=2), 2 * HOUR), oracles=True)
    stage.advance(60 * 60)
    evicted = stage.pods("train")[1]
    never = pairs({**dict(evicted.annotations), f"{SIMULATED}start": "Never"})
    stage.evict(evicted, at_once=True)
    stage.settle()
    stage.add(attrs.evolve(stage.pods("train")[1], annotations=never))
    stage.advance(15 * 60 - 1)
    assert (stage.phase("train"), stage.run("train").status.ending) == (Phase.STARTING, None)
    stage.advance(10)
    status = stage.run("train").status
    assert (status.phase, status.reason, status.start_timeouts) == (Phase.HELD, "StartBackOff", 1)
    assert closures(stage) == [(Closed.START_FAILED, "not all pods ran within 15m of the start (start 1)")]


def test_a_rank_evicted_from_a_cordoned_node_takes_its_gang_elsewhere() -> None:
    stage = Harness(a_node("n1", gpus=2), a_node("n2", gpus=2), lasting(a_run("train", gpus=2), HOUR))
    stage.advance(10)
    stage.cordon("n1")
    stage.advance(10)
    assert stage.placed("train") == {"n1": 2}
    stage.evict(stage.pods("train")[0])
    stage.advance(10)
    assert stage.placed("train") == {"n2": 2}
    assert closures(stage) == [(Closed.EVICTED, "rank 0 was evicted, and node n1 takes nothing new")]


def test_a_rank_evicted_by_a_taint_does_not_come_back_to_it() -> None:
    stage = Harness(a_node("n1", gpus=2), a_node("n2", gpus=2), lasting(a_run("train", gpus=1), HOUR))
    stage.advance(10)
    stage.node(a_node("n1", gpus=2, taints=(Taint(key="fault", effect="NoExecute"),)))
    stage.evict(stage.pods("train")[0], at_once=True)
    stage.settle()
    assert stage.placed("train") == {"n2": 1}


def test_a_retried_run_too_leaves_a_node_that_is_drained() -> None:
    stage = Harness(a_node("n1"), failing("train", OnPodFailure.RETRY, gpus=1, failures="1"))
    stage.advance(80)
    assert stage.run("train").status.retries == 1
    stage.add(a_node("n2"))
    stage.cordon("n1")
    stage.evict(stage.pods("train")[-1])
    stage.advance(5)
    assert stage.placed("train") == {"n2": 1}


def test_a_retry_does_not_start_on_a_node_that_was_cordoned_meanwhile() -> None:
    stage = Harness(a_node("n1"), failing("train", OnPodFailure.RETRY, gpus=1, failures="1"))
    stage.advance(65)
    stage.add(a_node("n2"))
    stage.cordon("n1")
    stage.advance(10)
    assert stage.placed("train") == {"n2": 1}


# -- nodes that are lost -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("taint", [True, False], ids=["out of service", "deleted"])
def test_a_lost_node_sends_the_whole_gang_back_to_the_line_at_its_admission_time(taint: bool) -> None:
    stage = Harness(a_node("n1", gpus=4), a_node("n2", gpus=4), lasting(a_run("train"), HOUR), oracles=True)
    stage.advance(10)
    stage.lose("n1", taint=taint)
    stage.advance(1)
    assert stage.phase("train") is Phase.QUEUED
    assert stage.run("train").status.admitted_at == A_MONDAY
    assert closures(stage) == [(Closed.NODE_LOST, "lost node n1")]
    stage.restore("n1")
    stage.advance_until_quiet()
    assert (stage.phase("train"), stage.run("train").status.attempt) == (Phase.SUCCEEDED, 2)


@pytest.mark.parametrize(("uid", "ends"), [("uid-of-n1", []), ("another", [(Closed.NODE_LOST, "lost node n1")])])
def test_a_node_that_came_back_between_two_looks_is_lost_if_it_is_another(uid: str, ends: list[object]) -> None:
    stage = Harness(a_node("n1"), lasting(a_run("train"), HOUR))
    stage.advance(10)
    stage.lose("n1")
    stage.add(attrs.evolve(a_node("n1"), uid=uid))
    stage.advance(10)
    assert closures(stage) == ends


def test_what_is_supposed_of_a_node_strands_nobody() -> None:
    stage = Harness(a_node("n1"), lasting(a_run("train"), HOUR), oracles=True)
    stage.advance(10)
    (lease,) = stage.world.leases_of(stage.run("train").key)
    with stage.world.supposing([NodeGone("n1"), NodeSeen(attrs.evolve(a_node("n1"), uid="another"))]):
        assert stage.world.replaced(lease, "n1")
    assert not stage.world.replaced(lease, "n1")
    stage.advance(10)
    assert closures(stage) == []


def test_a_start_that_was_left_half_done_asks_for_its_volume_again() -> None:
    """Its lease is open, and whoever opened it came no further."""
    template = PodTemplate(text='{"spec":{"containers":[{"name":"main"}]}}', claims=("data",))
    run = a_run("train", gpus=2)
    run = attrs.evolve(run, spec=attrs.evolve(run.spec, template=template))
    world = a_world(a_node("n1"), run, a_lease(run, {"n1": (0, 1)}, attempt=1))
    claim = VolumeClaim(namespace=run.key.namespace, name="data", uid="1", storage_class="local")
    for thing in (claim, StorageClass(name="local", waits=True)):
        world.apply(StorageSeen(thing))
    effects = [effect for decision in cycle(world, Silent(), float).decisions for effect in decision.effects]
    assert [type(effect).__name__ for effect in effects] == ["SelectNode", "MakePod", "MakePod", "SetRunStatus"]
    assert effects[0] == SelectNode(run.key, attrs.evolve(claim, node="n1"))


def told_to_go(phase: Phase, *, attempt: int, leased: bool = False) -> list[str]:
    """Of a pod of attempt 1, where the run's status says that it is in that phase of that attempt."""
    run = a_run("train", gpus=2, phase=phase)
    run = attrs.evolve(run, status=attrs.evolve(run.status, attempt=attempt, finished_at=A_MONDAY))
    pods = [a_pod(run, rank, node="n1", attempt=attempt) for rank in (range(2) if leased else ())]
    held = [a_lease(run, {"n1": (0, 1)}, attempt=attempt)] if leased else []
    batch = cycle(a_world(a_node("n1", gpus=2), run, *held, *pods, a_pod(run, node="n1", attempt=1)), Silent(), float)
    effects = [effect for decision in batch.decisions for effect in decision.effects]
    return [effect.pod.name for effect in effects if isinstance(effect, EndPod)]


@pytest.mark.parametrize("phase", [Phase.SUCCEEDED, Phase.FAILED])
def test_a_pod_of_a_run_that_has_ended_goes_at_once(phase: Phase) -> None:
    assert told_to_go(phase, attempt=1) == ["train-1-0"]


def test_a_pod_of_an_attempt_that_is_over_goes_at_once() -> None:
    assert told_to_go(Phase.QUEUED, attempt=1) == ["train-1-0"]
    assert told_to_go(Phase.RUNNING, attempt=2, leased=True) == ["train-1-0"]


def test_two_nodes_lost_at_once_are_one_loss() -> None:
    stage = Harness(a_node("n1", gpus=4), a_node("n2", gpus=4), lasting(a_run("train"), HOUR))
    stage.advance(10)
    stage.lose("n1")
    stage.lose("n2")
    stage.settle()
    assert closures(stage) == [(Closed.NODE_LOST, "lost nodes n1, n2")]


def test_a_run_that_wants_it_fails_with_its_node() -> None:
    run = lasting(a_run("train"), HOUR)
    stage = Harness(a_node("n1"), attrs.evolve(run, spec=attrs.evolve(run.spec, on_node_loss=OnLoss.FAIL)))
    stage.advance(10)
    stage.lose("n1")
    stage.settle()
    assert (stage.phase("train"), stage.run("train").status.reason) == (Phase.FAILED, "NodeLost")


def test_a_node_that_is_cordoned_not_ready_or_set_aside_is_not_lost() -> None:
    nodes = [a_node(name, gpus=2) for name in ("n1", "n2", "n3")]
    stage = Harness(*nodes, lasting(a_run("train", gpus=6), HOUR))
    stage.advance(10)
    stage.cordon("n1")
    stage.node(attrs.evolve(nodes[1], ready=False))
    stage.set_aside("n3")
    stage.advance_until_quiet()
    assert (stage.phase("train"), stage.run("train").status.attempt) == (Phase.SUCCEEDED, 1)


# -- people ------------------------------------------------------------------------------------------------------------


def test_a_suspended_run_gives_its_gpus_back_and_resumes_at_a_new_place_in_line() -> None:
    stage = Harness(a_node("n1"), lasting(a_run("train"), HOUR), oracles=True)
    stage.advance(10)
    stage.suspend("train")
    stage.advance(10)
    assert (stage.phase("train"), stage.placed("train")) == (Phase.HELD, {})
    assert closures(stage)[0][0] is Closed.SUSPENDED
    stage.resume("train")
    stage.advance(10)
    assert stage.phase("train") is Phase.RUNNING
    assert stage.run("train").status.admitted_at == A_MONDAY + 20 * SECOND


def test_a_canceled_run_ends_and_keeps_its_record() -> None:
    stage = Harness(a_node("n1"), lasting(a_run("train"), HOUR))
    stage.advance(10)
    stage.cancel("train")
    stage.advance(10)
    assert (stage.phase("train"), stage.run("train").status.reason) == (Phase.FAILED, "Canceled")
    assert closures(stage) == [(Closed.CANCELED, "the run was canceled")]


def test_a_deleted_run_goes_once_its_pods_are_gone() -> None:
    stage = Harness(a_node("n1"), lasting(a_run("train"), HOUR, shutdown="20s"))
    stage.advance(10)
    stage.delete("train")
    stage.advance(19)
    assert stage.placed("train") == {"n1": 8}
    stage.advance(1)
    assert stage.world.run(stage.records[0].run) is None
    assert closures(stage) == [(Closed.DELETED, "the run was deleted")]
    assert not stage.pods("train")


@pytest.mark.parametrize("how", ["cancel", "delete"])
def test_a_requeue_that_is_under_way_ends_where_somebody_asked_for_the_end_meanwhile(how: str) -> None:
    stage = Harness(a_node("n1", gpus=4), a_node("n2", gpus=4), lasting(a_run("train"), HOUR, shutdown="20s"))
    stage.advance(10)
    stage.lose("n1")
    stage.advance(5)
    getattr(stage, how)("train")
    stage.advance(30)
    ended = stage.records_of("train")[-1].outcome
    assert isinstance(ended, Released)
    assert ended.then is Phase.FAILED


@pytest.mark.parametrize("asked", ["suspend", "lose"])
def test_a_run_canceled_while_it_gave_its_gpus_back_says_no_more_that_it_comes_back(asked: str) -> None:
    stage = Harness(a_node("n1", gpus=4), a_node("n2", gpus=4), lasting(a_run("train"), HOUR, shutdown="20s"))
    stage.advance(10)
    if asked == "suspend":
        stage.suspend("train")
        before = (Closed.SUSPENDED, "suspended; `runs resume train` puts it back in line")
    else:
        stage.lose("n1")
        before = (Closed.NODE_LOST, "lost node n1")
    stage.advance(5)
    stage.cancel("train")
    stage.advance(1)
    assert stage.run("train").status.message == "ending: the run was canceled"
    stage.advance(30)
    status = stage.run("train").status
    assert (status.phase, status.reason, status.message) == (Phase.FAILED, "Canceled", "the run was canceled")
    assert closures(stage) == [before]


def test_a_run_taken_away_by_force_leaves_nothing_behind() -> None:
    stage = Harness(a_node("n1"), lasting(a_run("train"), HOUR, shutdown="20s"))
    stage.advance(10)
    stage.vanish("train")
    stage.advance(19)
    assert stage.placed("train") == {"n1": 8}
    stage.advance(1)
    assert (stage.placed("train"), list(stage.pods("train"))) == ({}, [])
    assert [type(record.outcome) for record in stage.records_of("train")[-2:]] == [Ends, Released]


def test_the_pods_of_a_run_that_is_gone_have_the_grace_that_it_gave_them() -> None:
    """They need 45 s and may take 60, more than the half minute that pods have without a word."""
    run = lasting(a_run("train"), HOUR, shutdown="45s")
    patient = attrs.evolve(run.spec.runtime, checkpoint_grace=timedelta(seconds=60))
    stage = Harness(a_node("n1"), attrs.evolve(run, spec=attrs.evolve(run.spec, runtime=patient)))
    stage.advance(10)
    stage.vanish("train")
    stage.advance(44)
    assert stage.placed("train") == {"n1": 8}
    stage.advance(1)
    assert stage.placed("train") == {}


def test_a_run_of_the_same_name_starts_once_the_pods_of_the_vanished_one_are_gone() -> None:
    stage = Harness(a_node("n1"), a_node("n2"), lasting(a_run("train"), HOUR, shutdown="20s"), oracles=True)
    stage.advance(10)
    stage.vanish("train")
    stage.submit(lasting(a_run("train"), HOUR))
    stage.advance(19)
    assert (stage.phase("train"), stage.run("train").status.reason) == (Phase.HELD, "NameInUse")
    stage.advance(3)
    assert stage.phase("train") is Phase.RUNNING
    stage.advance_until_quiet()
    assert stage.phase("train") is Phase.SUCCEEDED


# -- afterwards --------------------------------------------------------------------------------------------------------


def test_a_finished_run_is_forgotten_after_a_week() -> None:
    stage = Harness(a_node("n1"), lasting(a_run("train"), HOUR))
    stage.advance(days=7)
    assert stage.phase("train") is Phase.SUCCEEDED
    stage.advance(hours=2)
    assert not stage.world.runs()
    assert not stage.world.gangs.pods
    [forgotten] = stage.records_of("train")[-1:]
    assert (forgotten.outcome, forgotten.phase) == (Removed(reason="Retention", phase=Phase.SUCCEEDED), Phase.SUCCEEDED)


def test_a_finished_run_is_kept_as_long_as_another_waits_for_it_and_no_longer() -> None:
    after = lasting(a_run("second", after=("first",)), timedelta(days=10))
    stage = Harness(a_node("n1"), lasting(a_run("first"), HOUR), after)
    stage.advance(days=10)
    assert stage.phase("first") is Phase.SUCCEEDED
    stage.advance(days=1)
    assert [run.meta.name for run in stage.world.runs()] == ["second"]


def test_a_release_keeps_the_slots_until_the_last_pod_is_gone() -> None:
    stage = Harness(a_node("n1"), lasting(a_run("train"), HOUR, shutdown="20s"), a_run("waits"))
    stage.advance(10)
    stage.cancel("train")
    stage.advance(19)
    assert stage.placed("train") == {"n1": 8}
    stage.advance(1)
    assert (stage.placed("train"), stage.placed("waits")) == ({}, {"n1": 8})


@pytest.mark.parametrize("how", ["cancel", "suspend", "lose"])
def test_a_gang_that_is_being_undone_does_not_say_that_its_pods_are_ready(how: str) -> None:
    stage = Harness(a_node("n1", gpus=4), a_node("n2", gpus=4), lasting(a_run("train"), HOUR, shutdown="20s"))
    stage.advance(10)
    ready = [one.status for one in stage.run("train").status.conditions if one.type == "PodsReady"]
    assert ready == ["True"]
    getattr(stage, how)("n1" if how == "lose" else "train")
    stage.advance(5)
    status = stage.run("train").status
    assert status.ending is not None
    assert [one.status for one in status.conditions if one.type == "PodsReady"] == ["False"]


def test_nothing_is_waited_for_on_a_lost_node() -> None:
    stage = Harness(a_node("n1"), lasting(a_run("train"), HOUR, shutdown="20s"))
    stage.advance(10)
    stage.lose("n1")
    stage.settle()
    assert (stage.phase("train"), stage.placed("train"), list(stage.pods("train"))) == (Phase.QUEUED, {}, [])

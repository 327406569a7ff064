"""What counts of each object, while our own writes and the watches tell of it in any order."""

from __future__ import annotations

import attrs
import pytest

from runs_core.cluster.kube.mirror import Mirror
from runs_core.cluster.seen import Name
from runs_core.testing.builders import A_MONDAY, a_lease, a_node, a_pod, a_run
from runs_core.values.change import LeaseSeen, PodGone, PodSeen, RunGone, RunSeen
from runs_core.values.effect import CloseLease, EndPod, MakePod, RemovePod, RemoveRun, SetRunStatus
from runs_core.values.lease import Closed, LeaseStatus
from runs_core.values.meta import Key
from runs_core.values.node import MalformedNode, Node
from runs_core.values.pod import Pod
from runs_core.values.run import Phase, Run

RUN = a_run("x")


def known(*things: Run | Pod) -> Mirror:
    """Each as of version 1."""
    mirror = Mirror()
    for thing in things:
        list(mirror.saw(name(thing), 1, thing))
    return mirror


def name(thing: Run | Pod) -> Name:
    return ("Run" if isinstance(thing, Run) else "Pod", thing.key)


def removed(mirror: Mirror, thing: Run | Pod, *, written: bool = True) -> list[object]:
    """What the world is told once the write is over."""
    effect = RemoveRun(thing.key, thing.uid) if isinstance(thing, Run) else RemovePod(thing.key)
    mirror.assume([effect])
    return list(mirror.settled(effect, written=written))


def test_what_was_taken_away_is_gone_before_the_watch_says_so() -> None:
    run, pod = RUN, a_pod(RUN, node="a1")
    mirror = known(run, pod)
    assert removed(mirror, run) == [RunGone(run.key)]
    assert removed(mirror, pod) == [PodGone(pod.key)]


def test_a_late_word_of_what_was_taken_away_does_not_bring_it_back() -> None:
    pod = a_pod(RUN, node="a1")
    mirror = known(pod)
    removed(mirror, pod)
    assert list(mirror.saw(name(pod), 2, pod)) == []
    assert mirror.get(name(pod)) is None


def test_another_of_its_name_counts() -> None:
    mirror = known(RUN)
    removed(mirror, RUN)
    other = attrs.evolve(RUN, meta=attrs.evolve(RUN.meta, uid="another"))
    assert list(mirror.saw(name(RUN), 2, other)) == [RunSeen(other)]


def test_what_could_not_be_taken_away_counts_again() -> None:
    pod = a_pod(RUN, node="a1")
    assert removed(known(pod), pod, written=False) == [PodSeen(pod)]


def test_what_was_written_without_an_answer_counts_as_it_was_meant_until_the_watch_tells() -> None:
    """A place must not seem held again: whoever is let onto it next would be forgotten with the late closure."""
    lease = a_lease(RUN, {"a1": (0, 1)})
    status = LeaseStatus(closed=True, end=A_MONDAY, closure_reason=Closed.SUCCEEDED)
    closed = CloseLease(attrs.evolve(lease, status=status))
    mirror = Mirror()
    list(mirror.saw(("GPULease", lease.key), 1, lease))
    mirror.assume([closed])
    mirror.done(closed)
    assert list(mirror.settled(closed, written=True)) == [LeaseSeen(closed.lease)]
    assert list(mirror.saw(("GPULease", lease.key), 2, closed.lease)) == [LeaseSeen(closed.lease)]


def test_what_is_gone_does_not_come_back_with_the_end_of_a_write() -> None:
    status = SetRunStatus(RUN)
    mirror = Mirror()
    mirror.assume([status])
    mirror.done(status)
    assert mirror.get(name(RUN)) is None


@pytest.mark.parametrize("thing", [RUN, a_pod(RUN, node="a1")], ids=["run", "pod"])
def test_what_is_written_of_one_that_is_gone_is_not_said_of_another_of_its_name(thing: Run | Pod) -> None:
    meant = ended(thing)
    mirror = known(thing)
    mirror.assume([meant])
    list(mirror.saw(name(thing), 2, None))
    other = renewed(thing)
    list(mirror.saw(name(thing), 3, other))
    assert mirror.get(name(thing)) == other
    mirror.done(meant)
    assert mirror.get(name(thing)) == other


@pytest.mark.parametrize("thing", [RUN, a_pod(RUN, node="a1")], ids=["run", "pod"])
def test_another_that_was_made_before_the_removal_was_answered_stays(thing: Run | Pod) -> None:
    """The first answer was lost, and the second try finds another of the name."""
    removal = RemoveRun(thing.key, thing.uid) if isinstance(thing, Run) else RemovePod(thing.key)
    mirror = known(thing)
    mirror.assume([removal])
    list(mirror.saw(name(thing), 2, None))
    list(mirror.saw(name(thing), 3, renewed(thing)))
    list(mirror.settled(removal, written=True))
    assert mirror.get(name(thing)) == renewed(thing)


def ended(thing: Run | Pod) -> SetRunStatus | EndPod:
    if isinstance(thing, Pod):
        return EndPod(attrs.evolve(thing, deleting=A_MONDAY))
    return SetRunStatus(attrs.evolve(thing, status=attrs.evolve(thing.status, phase=Phase.SUCCEEDED)))


def renewed(thing: Run | Pod) -> Run | Pod:
    if isinstance(thing, Pod):
        return attrs.evolve(thing, uid="another")
    return attrs.evolve(thing, meta=attrs.evolve(thing.meta, uid="another"))


def test_what_a_list_lacks_is_gone_once_the_write_of_it_is_over() -> None:
    """The watch begins with that list, and nobody tells of the end of what went before."""
    pod = a_pod(RUN, node="a1")
    ends = EndPod(attrs.evolve(pod, deleting=A_MONDAY))
    mirror = known(pod)
    mirror.assume([ends])
    assert list(mirror.vanished(name(pod), 2)) == []
    mirror.done(ends)
    assert list(mirror.settled(ends, written=True)) == [PodGone(pod.key)]


def test_what_was_made_after_the_list_that_lacks_it_stays() -> None:
    pod = a_pod(RUN, node="a1")
    makes = MakePod(pod, "{}")
    mirror = Mirror()
    mirror.assume([makes])
    list(mirror.vanished(name(pod), 2))
    list(mirror.saw(name(pod), 3, pod))
    assert list(mirror.settled(makes, written=True)) == [PodSeen(pod)]


def test_what_was_made_before_the_list_that_lacks_it_is_gone() -> None:
    """The answer to its creation comes after the list."""
    pod = a_pod(RUN, node="a1")
    makes = MakePod(pod, "{}")
    mirror = known(pod)
    mirror.assume([makes])
    list(mirror.vanished(name(pod), 4))
    list(mirror.saw(name(pod), 3, pod))
    assert list(mirror.settled(makes, written=True)) == [PodGone(pod.key)]


def told(mirror: Mirror, version: int, name: str, node: Node | MalformedNode | None) -> tuple[str, ...]:
    """Which flavors there are once that is so."""
    list(mirror.saw(("Node", Key("", name)), version, node))
    return mirror.flavors()


def test_flavors_are_those_of_the_present_nodes_with_gpus() -> None:
    mirror = Mirror()
    assert told(mirror, 1, "n1", a_node("n1", gpus=8, flavor="B")) == ("B",)
    assert told(mirror, 2, "n2", a_node("n2", gpus=8, flavor="A")) == ("A", "B")
    assert told(mirror, 3, "n3", a_node("n3", gpus=8, flavor="A")) == ("A", "B")
    assert told(mirror, 4, "n1", a_node("n1", gpus=8, flavor="C")) == ("A", "C")
    assert told(mirror, 5, "n1", a_node("n1", gpus=0, flavor="C")) == ("A",)
    assert told(mirror, 6, "n2", MalformedNode(name="n2", why="gpus")) == ("A",)
    assert told(mirror, 7, "n3", None) == ()

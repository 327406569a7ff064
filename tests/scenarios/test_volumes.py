"""What pods keep their data on says where they can run."""

from __future__ import annotations

from tests.scenarios.manifests import mounting
from tests.scenarios.play import Play

HOST = "kubernetes.io/hostname"
DOMAIN = "runs.dev/fabric-domain"
WAIT, AT_ONCE = "WaitForFirstConsumer", "Immediate"


def two_nodes(play: Play) -> None:
    """8 GPUs each, in a domain each. Without a volume everything that fits both goes to a1."""
    for name in ("a1", "b1"):
        play.node(name, 8, labels={HOST: name})


def test_a_bound_local_volume_pins_its_run(play: Play) -> None:
    """x goes to b1, where its volume is. y, of 8, has 4 left there, and waits, though a1 is idle."""
    two_nodes(play)
    play.volume("disk", HOST, "b1")
    play.claim("data", "disk")
    play.submit("x", gpus=4, pod=mounting("data"))
    play.wait()
    play.submit("y", gpus=8, pod=mounting("data"))
    play.wait()
    assert play.places("x") == {"b1": [0, 1, 2, 3]}
    assert (play.phase("y"), play.codes("y")) == ("Queued", ["NotEnoughGPUs"])
    assert play.match("y") == [(2, 16), (2, 12), (2, 12), (2, 12), (1, 4), (1, 4), (1, 4)]
    play.cancel("x")
    play.wait(60)
    assert play.places("y") == {"b1": list(range(8))}


def test_a_run_without_volumes_has_no_such_step(play: Play) -> None:
    two_nodes(play)
    play.submit("x", gpus=17)
    play.wait()
    assert len(play.match("x")) == 6


def test_two_volumes_that_no_node_reaches_both_never_fit(play: Play) -> None:
    """One in each domain: of the two nodes that would do, none is left."""
    two_nodes(play)
    for volume, domain in (("left", "a"), ("right", "b")):
        play.volume(volume, DOMAIN, domain)
        play.claim(volume, volume)
    play.submit("x", gpus=1, pod=mounting("left", "right"))
    play.wait()
    assert play.codes("x") == ["NeverFits", "VolumesElsewhere", "NotEnoughGPUs"]
    assert "none of the 2 nodes that will do reaches all of its volumes" in play.message("x")
    assert play.match("x") == [(2, 16), (2, 16), (2, 16), (2, 16), (0, 0), (0, 0), (0, 0)]


def test_a_volume_that_waits_for_its_first_pod_is_made_for_that_pods_node(play: Play) -> None:
    """x starts on a1, and its volume is made there. When it comes back at 20, w has a1, and b1 would not do."""
    two_nodes(play)
    play.storage_class("local", WAIT)
    play.claim("data", storage_class="local")
    play.submit("x", gpus=8, per_pod=8, pod=mounting("data"))
    play.wait(10)
    assert (play.places("x"), play.selected("data")) == ({"a1": list(range(8))}, "a1")
    play.suspend("x")
    play.until(20)
    play.submit("w", gpus=8, lasts="38s")
    play.wait()
    play.resume("x")
    play.wait(10)
    assert (play.places("w"), play.phase("x")) == ({"a1": list(range(8))}, "Queued")
    play.until(100)
    assert (play.at("x", "startedAt"), play.places("x")) == (60, {"a1": list(range(8))})


def test_a_volume_for_several_pods_is_made_for_the_node_of_the_first(play: Play) -> None:
    """Two pods on two nodes. That it was asked for on a1 does not keep the gang from both nodes the next time."""
    two_nodes(play)
    play.storage_class("shared", WAIT)
    play.claim("data", storage_class="shared")
    play.submit("x", gpus=16, per_pod=8, pod=mounting("data"))
    play.wait(10)
    assert (play.ranks("x"), play.selected("data")) == (["a1", "b1"], "a1")
    play.suspend("x")
    play.wait(40)
    play.resume("x")
    play.wait(10)
    assert play.ranks("x") == ["a1", "b1"]


def test_a_run_waits_for_a_claim_that_is_not_there(play: Play) -> None:
    """It comes at 10."""
    two_nodes(play)
    play.submit("x", gpus=8, pod=mounting("data"))
    play.until(10)
    assert (play.phase("x"), play.codes("x")) == ("Held", ["ClaimMissing"])
    assert play.message("x") == "waits for PersistentVolumeClaim data, which does not exist; create it"
    play.volume("disk", HOST, "b1")
    play.claim("data", "disk")
    play.wait(10)
    assert (play.at("x", "startedAt"), play.places("x")) == (10, {"b1": list(range(8))})


def test_a_run_waits_for_a_claim_that_is_bound_before_any_pod_starts(play: Play) -> None:
    """Its class binds at once; until 10 nobody has."""
    two_nodes(play)
    play.storage_class("fast", AT_ONCE)
    play.claim("data", storage_class="fast")
    play.submit("x", gpus=8, pod=mounting("data"))
    play.until(10)
    assert (play.phase("x"), play.codes("x"), play.selected("data")) == ("Held", ["ClaimUnbound"], None)
    play.volume("disk", HOST, "b1")
    play.claim("data", "disk", storage_class="fast")
    play.wait(10)
    assert (play.at("x", "startedAt"), play.places("x")) == (10, {"b1": list(range(8))})


def test_a_claim_whose_class_is_not_there_holds_its_run_and_so_does_a_volume_that_is_gone(play: Play) -> None:
    two_nodes(play)
    play.claim("one", storage_class="nowhere")
    play.claim("two", "nothing")
    play.submit("x", gpus=8, pod=mounting("one", "two"))
    play.wait()
    assert play.codes("x") == ["ClaimUnbound", "VolumeMissing"]
    assert "storage class nowhere does not exist" in play.message("x")
    assert "volume nothing does not exist" in play.message("x")


def test_a_claim_that_comes_too_late_for_its_run_changes_nothing_for_it(play: Play) -> None:
    """x runs on a1; that its volume turns out to be at b1 moves nobody who runs."""
    two_nodes(play)
    play.storage_class("local", WAIT)
    play.claim("data", storage_class="local")
    play.submit("x", gpus=8, per_pod=8, pod=mounting("data"))
    play.wait(10)
    play.volume("disk", HOST, "b1")
    play.claim("data", "disk", storage_class="local")
    play.wait(10)
    assert (play.phase("x"), play.places("x")) == ("Running", {"a1": list(range(8))})

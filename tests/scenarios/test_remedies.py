"""What would start a run that waits stands in its reservation, and does it. Seconds and GPUs; domain a has node a1."""

from __future__ import annotations

from tests.scenarios.play import Play


def submit(play: Play, name: str, gpus: int, said: str, lasts: str, **more: object) -> None:
    play.submit(name, gpus=gpus, lasts=lasts, runtime={"expectedDuration": said}, **more)


def six_taken(play: Play, **wanted: object) -> None:
    """x has 6 of 8 until 600; y comes at 10, wants 8 for 10 minutes, and is promised 600."""
    play.fleet(a1=8)
    submit(play, "x", 6, "10m", "598s")
    play.until(10)
    submit(play, "y", 8, "10m", "598s", **wanted)
    play.wait()
    assert play.promised("y") == ("Pending", 600, "Ends")


def test_who_asks_for_less_starts_at_once(play: Play) -> None:
    six_taken(play)
    assert play.remedies("y") == [(10, "ask for 2 GPUs instead of 8")]
    play.cancel("y")
    submit(play, "y-2", 2, "10m", "598s")
    play.wait()
    assert play.at("y-2", "startedAt") == 10


def test_who_comes_between_takes_what_was_told(play: Play) -> None:
    """z (1) is there before the change is made at 30: what it leaves is 1, and who asks for 2 waits."""
    six_taken(play)
    play.until(20)
    submit(play, "z", 1, "5m", "298s")
    play.until(30)
    assert play.at("z", "startedAt") == 20
    play.cancel("y")
    submit(play, "y-2", 2, "10m", "598s")
    play.wait()
    assert play.at("y-2", "startedAt") is None


def test_who_would_have_its_places_before_is_thought_of(play: Play) -> None:
    """z (2, an hour) waits for what is kept for y, and has it once y goes: nothing would be left for a narrower y."""
    play.fleet(a1=8)
    submit(play, "x", 6, "10m", "598s")
    play.until(10)
    submit(play, "y", 8, "10m", "598s")
    submit(play, "z", 2, "1h", "3598s")
    play.wait()
    assert play.remedies("y") == []
    play.until(20)
    play.cancel("y")
    submit(play, "y-2", 2, "10m", "598s")
    play.wait()
    assert [play.at(name, "startedAt") for name in ("z", "y-2")] == [20, None]


def test_smaller_groups_start_at_once(play: Play) -> None:
    """4 are free in each of a and b, none has 8: groups of 4 do."""
    play.fleet(a1=8, b1=8)
    for name in "ab":
        submit(play, f"x{name}", 4, "10m", "598s", selector={"runs.dev/fabric-domain": name})
    play.until(10)
    submit(play, "y", 8, "5m", "298s", group=8)
    play.wait()
    assert play.remedies("y") == [
        (10, "ask for 4 GPUs instead of 8"),
        (10, "take groups of 4 GPUs instead of 8 (topology.groupGPUs)"),
    ]
    play.cancel("y")
    submit(play, "y-2", 8, "5m", "298s", group=4)
    play.wait()
    assert (play.at("y-2", "startedAt"), play.places("y-2")) == (10, {"a1": [4, 5, 6, 7], "b1": [4, 5, 6, 7]})


def test_several_domains_start_it_at_once(play: Play) -> None:
    play.fleet(a1=8, b1=8)
    for name in "ab":
        submit(play, f"x{name}", 4, "10m", "598s", selector={"runs.dev/fabric-domain": name})
    play.until(10)
    submit(play, "y", 8, "5m", "298s", spread="SingleDomain")
    play.wait()
    assert play.remedies("y")[1:] == [(10, "let it lie in several domains (topology.spread: Allowed)")]
    play.cancel("y")
    submit(play, "y-2", 8, "5m", "298s")
    play.wait()
    assert play.at("y-2", "startedAt") == 10


def test_another_domain_starts_it_at_once(play: Play) -> None:
    play.fleet(a1=8, b1=8)
    submit(play, "x", 8, "10m", "598s", selector={"runs.dev/fabric-domain": "a"})
    play.until(10)
    submit(play, "y", 8, "5m", "298s", selector={"runs.dev/fabric-domain": "a"})
    play.wait()
    assert play.remedies("y") == [(10, "drop topology.selector")]
    play.cancel("y")
    submit(play, "y-2", 8, "5m", "298s")
    play.wait()
    assert (play.at("y-2", "startedAt"), list(play.places("y-2"))) == (10, ["b1"])


def test_another_flavor_starts_it_at_once(play: Play) -> None:
    play.node("a1", 8, flavor="H100")
    play.node("b1", 8, flavor="L40S")
    submit(play, "x", 8, "10m", "598s", flavor="H100")
    play.until(10)
    submit(play, "y", 8, "5m", "298s", flavor="H100")
    play.wait()
    assert play.remedies("y") == [(10, "take the flavor L40S")]
    play.cancel("y")
    submit(play, "y-2", 8, "5m", "298s", flavor="L40S")
    play.wait()
    assert (play.at("y-2", "startedAt"), list(play.places("y-2"))) == (10, ["b1"])


def test_who_says_that_it_is_over_before_others_need_the_places_starts_at_once(play: Play) -> None:
    """y is promised all 8 at 600, 580 from now. w wants 2 for an hour: 9 whole minutes would do, and do."""
    six_taken(play)
    play.until(20)
    submit(play, "w", 2, "1h", "538s")
    play.wait()
    assert play.remedies("w") == [(20, "expect it to be over within 9m (runtime.expectedDuration)")]
    play.edit("w", runtime={"expectedDuration": "9m"})
    play.until(700)
    assert (play.at("w", "startedAt"), play.at("y", "startedAt")) == (20, 600)


def test_nothing_is_told_where_nothing_helps(play: Play) -> None:
    play.fleet(a1=8)
    submit(play, "x", 8, "10m", "598s")
    play.until(10)
    submit(play, "y", 8, "10m", "598s")
    play.wait()
    assert (play.promised("y"), play.remedies("y")) == (("Pending", 600, "Ends"), [])


def test_a_new_promise_comes_with_what_would_help_then(play: Play) -> None:
    """a1 goes at 290: y is promised 1800 in place of 600, and 4 GPUs that came meanwhile would do for 4."""
    play.fleet(a1=8, b1=8)
    submit(play, "u", 8, "20m", "1198s", selector={"runs.dev/fabric-domain": "b"})
    submit(play, "x", 8, "10m", "598s")
    play.until(10)
    submit(play, "y", 8, "10m", "598s")
    play.until(250)
    assert play.remedies("y") == []
    play.node("c1", 4)
    play.lose("a1")
    play.until(310)
    assert (play.promised("y"), play.remedies("y")) == (
        ("Pending", 1800, "Ends"),
        [(300, "ask for 4 GPUs instead of 8")],
    )

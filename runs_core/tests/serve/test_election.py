from __future__ import annotations

from datetime import timedelta

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st

from runs_core.cluster.kube.api import Api, Object, Refused
from runs_core.cluster.kube.election import Claim, Election, LeaseLock
from runs_core.errors import Conflict, Unavailable
from runs_core.settings import ElectionSettings

TIMES = ElectionSettings()
LEASE, RENEW = 15.0, 10.0


class Time:
    """Of the whole world; each candidate's clock may be ahead of it or behind."""

    def __init__(self) -> None:
        self.seconds = 1000.0


class Stored:
    """The Lease in the API server. down: it does not answer; deaf: it does as told, and its answer is lost.

    busy: it asks for a pause of so many seconds.
    """

    def __init__(self) -> None:
        self.claim: Claim | None = None
        self.version = 0
        self.down = self.deaf = False
        self.busy: float | None = None

    def read(self) -> Claim | None:
        if self.busy is not None:
            raise Refused(429, "TooManyRequests", "busy", retry_after=self.busy)
        if self.down:
            raise Unavailable("down")
        return self.claim

    def write(self, claim: Claim) -> Claim:
        if self.down:
            raise Unavailable("down")
        if claim.version != (self.claim.version if self.claim else ""):
            raise Conflict("changed")
        self.version += 1
        self.claim = attrs.evolve(claim, version=str(self.version))
        if self.deaf:
            raise Unavailable("no answer")
        return self.claim


def candidate(lock: Stored, time: Time, name: str, *, ahead: float = 0.0) -> Election:
    """ahead: of its clock, seconds; its time stamps are wrong by as much."""
    return Election(lock, name, TIMES, clock=lambda: time.seconds + ahead, stamp=lambda: f"{time.seconds + ahead:.3f}")


def test_the_first_candidate_leads_at_once() -> None:
    first = candidate(Stored(), Time(), "a")
    assert first.term() is None
    first.step()
    assert first.term() == 1
    assert first.holds(1)


def test_another_waits_for_as_long_as_it_has_itself_seen_no_change_whatever_the_clocks_say() -> None:
    lock, time = Stored(), Time()
    first = candidate(lock, time, "a", ahead=-86_400)
    second = candidate(lock, time, "b", ahead=86_400)
    first.step()
    time.seconds += 12
    second.step()
    time.seconds += LEASE - 1
    second.step()
    assert second.term() is None
    time.seconds += 1
    second.step()
    assert second.term() == 1
    assert lock.claim is not None
    assert lock.claim.transitions == 1


def test_a_lease_is_never_written_down_as_shorter_than_its_holder_counts() -> None:
    """Its object has whole seconds."""
    lease, renew, retry = (timedelta(milliseconds=millis) for millis in (1400, 1300, 1000))
    times = ElectionSettings(lease_duration=lease, renew_deadline=renew, retry_period=retry)
    lock, time = Stored(), Time()
    first, second = (Election(lock, name, times, clock=lambda: time.seconds, stamp=lambda: "") for name in "ab")
    first.step()
    second.step()
    time.seconds += 1.2
    second.step()
    assert (first.holds(1), second.term()) == (True, None)


def test_a_holder_that_renews_is_never_replaced() -> None:
    lock, time = Stored(), Time()
    first, second = candidate(lock, time, "a"), candidate(lock, time, "b")
    for _ in range(50):
        first.step()
        second.step()
        time.seconds += 2
    assert (first.term(), second.term()) == (1, None)


def test_who_cannot_renew_stops_before_anybody_else_may_begin() -> None:
    lock, time = Stored(), Time()
    first = candidate(lock, time, "a")
    first.step()
    lock.down = True
    time.seconds += RENEW - 0.1
    first.step()
    assert (first.term(), first.failing) == (1, "down")
    time.seconds += 0.1
    assert first.term() is None
    assert RENEW < LEASE


def test_a_term_that_lapsed_for_a_moment_never_comes_back() -> None:
    lock, time = Stored(), Time()
    first = candidate(lock, time, "a")
    first.step()
    time.seconds += RENEW + 1
    first.step()
    assert not first.holds(1)
    assert first.term() == 2


def test_a_released_lease_is_taken_with_the_next_step() -> None:
    lock, time = Stored(), Time()
    first, second = candidate(lock, time, "a"), candidate(lock, time, "b")
    first.step()
    second.step()
    first.release()
    second.step()
    assert (first.term(), second.term()) == (None, 1)


def test_a_holder_whose_answers_are_lost_finds_its_own_renewal_and_goes_on() -> None:
    lock, time = Stored(), Time()
    first = candidate(lock, time, "a")
    first.step()
    lock.deaf = True
    time.seconds += 2
    first.step()
    lock.deaf = False
    time.seconds += 2
    first.step()
    assert first.holds(1)


def test_who_finds_another_in_its_place_leads_no_more() -> None:
    lock, time = Stored(), Time()
    first = candidate(lock, time, "a")
    first.step()
    assert lock.claim is not None
    lock.claim = attrs.evolve(lock.claim, holder="b", version="99")
    first.step()
    assert first.term() is None
    assert first.holder == "b"


def test_a_lease_that_somebody_deleted_is_made_again() -> None:
    lock, time = Stored(), Time()
    first = candidate(lock, time, "a")
    first.step()
    lock.claim = None
    time.seconds += 2
    first.step()
    assert first.holds(1)


def test_a_busy_server_is_asked_no_sooner_than_it_says_by_who_does_not_lead() -> None:
    lock, time = Stored(), Time()
    standby = candidate(lock, time, "a")
    lock.busy = 5.0
    standby.step()
    assert standby.pause() == 5.0
    lock.busy = None
    standby.step()
    assert standby.pause() == TIMES.retry_period.total_seconds()


def test_who_leads_asks_a_busy_server_once_more_before_its_term_runs_out() -> None:
    lock, time = Stored(), Time()
    first = candidate(lock, time, "a")
    first.step()
    for busy, pause in ((5.0, 5.0), (30.0, RENEW - 2), (1.0, 2.0)):
        lock.busy = busy
        first.step()
        assert first.pause() == pause
    time.seconds += RENEW - 1
    first.step()
    assert first.pause() == 2.0


STEPS = st.lists(
    st.tuples(st.integers(0, 2), st.floats(0.0, 7.0), st.sampled_from(["up", "up", "up", "down", "deaf"])),
    min_size=20,
    max_size=120,
)


@given(STEPS, st.tuples(*[st.floats(-1e6, 1e6)] * 3))
@settings(max_examples=150, deadline=None)
def test_no_two_lead_at_once_however_they_are_scheduled_and_whatever_fails(
    steps: list[tuple[int, float, str]], ahead: tuple[float, float, float]
) -> None:
    lock, time = Stored(), Time()
    each = [candidate(lock, time, name, ahead=off) for name, off in zip("abc", ahead, strict=True)]
    for who, seconds, state in steps:
        time.seconds += seconds
        lock.down, lock.deaf = state == "down", state == "deaf"
        each[who].step()
        assert sum(one.term() is not None for one in each) <= 1


def test_a_namespace_that_is_not_there_is_said_and_no_conflict() -> None:
    class Nowhere(Api):
        def __init__(self) -> None:
            """Goes nowhere."""

        def call(self, method: str, path: str, *_: object, **__: object) -> tuple[int, Object]:
            raise Refused(404, "NotFound", 'namespaces "runs-system" not found')

    election = Election(LeaseLock(Nowhere(), "runs-system", seconds=1.0), "a", TIMES)
    election.step()
    assert "runs-system" in (election.failing or "")

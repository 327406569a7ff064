from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta

import attrs
import pytest

from runs_core.cluster.kube.api import Refused
from runs_core.cluster.kube.election import Claim, Election
from runs_core.cluster.kube.sweep import Swept
from runs_core.errors import Conflict, Deposed, Unavailable
from runs_core.serve.health import Health
from runs_core.serve.loop import Loop
from runs_core.serve.process import (
    FIRST_LISTS_SECONDS,
    RETRY_SECONDS,
    STANDBY_SECONDS,
    LiveCluster,
    Parts,
    Process,
    unlisted,
)
from runs_core.serve.reload import Reload
from runs_core.serve.signals import Stopping
from runs_core.settings import ElectionSettings, Settings
from runs_core.testing.builders import A_MONDAY, a_node, a_run, seen
from runs_core.testing.stage import Stage
from runs_core.values.change import Change
from runs_core.values.effect import Effect, Emit, OpenLease
from runs_core.values.lease import Lease
from runs_core.values.meta import Key
from runs_core.values.record import Record

MOST_WAITS = 200


class Room:
    """One API server with its Lease and its journal, the time, and what happens at the n-th wait of the process.

    busy: the next who take over are asked for pauses of so many seconds. asked: when somebody wanted to take over.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.waits = 0
        self.claim: Claim | None = None
        self.term = 0
        self.down = False
        self.unread_journal: list[str] = []
        self.hidden: list[str] = []
        self.busy: list[float] = []
        self.asked: list[float] = []
        self.at: dict[int, Callable[[], None]] = {}
        self.written: list[tuple[int, Effect]] = []
        self.clusters: list[FakeCluster] = []

    def read(self) -> Claim | None:
        if self.down:
            raise Unavailable("down")
        return self.claim

    def write(self, claim: Claim) -> Claim:
        if self.down:
            raise Unavailable("down")
        if self.claim is not None and claim.version != self.claim.version:
            raise Conflict("changed")
        self.claim = attrs.evolve(claim, version=str(self.seconds))
        return self.claim

    def taken(self) -> None:
        """Another process has the Lease and the journal."""
        self.term += 1
        self.claim = Claim(holder="other", seconds=15, version="other")


class FakeCluster:
    """Of a room: one node, and one run that fits."""

    plays_pods = True
    outlives = True

    def __init__(self, room: Room, wait: Callable[[float], None]) -> None:
        self.stage = Stage(Settings(), A_MONDAY)
        self.room = room
        self.lingering: dict[Key, Lease] = {}
        self.doomed: dict[Key, str] = {}
        self.unread_journal = room.unread_journal
        self.hidden = room.hidden
        self.stopped: list[float] = []
        self.tidied: list[Key] = []
        self.swept = 0
        self.wait = wait
        self._mine = 0
        self._allowed: Callable[[], bool] = lambda: True
        self._lists = [seen(a_node("n1")), seen(a_run("train"))]

    def now(self) -> datetime:
        return self.stage.now

    def observe(self) -> tuple[datetime, Sequence[Change]]:
        return self.stage.observe()

    def start(self) -> None:
        self.room.clusters.append(self)

    def missing(self, seconds: float) -> list[str]:
        return ["Run: down"] if self.room.down else []

    def stale(self, seconds: float) -> list[str]:
        return []

    def lead(self, holder: str) -> int:
        self.room.asked.append(self.room.seconds)
        if self.room.down:
            raise Unavailable("down")
        if self.room.busy:
            raise Refused(429, "TooManyRequests", "busy", retry_after=self.room.busy.pop(0))
        self.room.term += 1
        self._mine = self.room.term
        for change in self._lists:
            self.stage.inject(change)
        return self._mine

    def allow(self, allowed: Callable[[], bool]) -> None:
        self._allowed = allowed

    def take(self, settings: Settings) -> None:
        raise AssertionError("nothing changed")

    def wake(self) -> None:
        """Whoever waits here wakes by itself."""

    def busy(self, run: Key) -> bool:
        return False

    def services(self, seconds: float) -> list[tuple[Key, str]]:
        return []

    def untold(self) -> int:
        return 0

    def tidy(self, leases: Sequence[Lease], services: Sequence[Key]) -> None:
        self.tidied += [*(lease.key for lease in leases), *services]

    def sweep(self) -> Swept:
        self.swept += 1
        return Swept()

    def stop(self, seconds: float) -> bool:
        self.stopped.append(seconds)
        return True

    def commit(self, effects: Sequence[Effect], records: Sequence[Record]) -> None:
        if self.room.down:
            raise Unavailable("down")
        if self._mine != self.room.term:
            raise Deposed("another scheduler has taken over")
        assert self._allowed()
        self.room.written += [(self._mine, effect) for effect in effects]
        self.stage.commit(effects, records)


class Standing:
    """Steps of the election happen while the process waits."""

    def __init__(self, election: Election, told: Callable[[], None]) -> None:
        self.election = election
        self.running = False

    def run(self, *, running: bool) -> None:
        self.running = running

    def stop(self) -> None:
        self.election.release()


@pytest.fixture(autouse=True)
def _memory() -> Iterator[None]:
    """The process under test tells the collector that all of memory is its own."""
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


@pytest.fixture
def room() -> Room:
    return Room()


@pytest.fixture
def process(room: Room, monkeypatch: pytest.MonkeyPatch) -> Iterator[Process]:
    stop = Stopping()
    election = Election(room, "me", ElectionSettings(), clock=lambda: room.seconds, stamp=lambda: "")
    standing: list[Standing] = []

    def campaign(election: Election, told: Callable[[], None]) -> Standing:
        standing.append(Standing(election, told))
        return standing[0]

    def wait(seconds: float) -> None:
        room.waits += 1
        assert room.waits < MOST_WAITS, "it never stops"
        while seconds > 0:
            room.seconds += min(seconds, 2.0)
            seconds -= 2.0
            if standing[0].running:
                election.step()
        room.at.pop(room.waits, lambda: None)()

    def loop(cluster: LiveCluster) -> Loop:
        return Loop(cluster, Settings())

    monkeypatch.setattr(stop, "rest", wait)
    made = Process(
        Parts(
            cluster=lambda: FakeCluster(room, wait),
            loop=loop,
            election=election,
            stop=stop,
            health=Health(lambda: room.seconds),
            reload=Reload(None, Settings, Settings()),
            journal=Key("runs-system", "runs-journal"),
            campaign=campaign,
            clock=lambda: room.seconds,
        )
    )
    room.at[100] = stop.ask
    yield made
    assert stop.asked


def opened(room: Room) -> list[int]:
    """By which terms leases were opened."""
    return [term for term, effect in room.written if isinstance(effect, OpenLease)]


def test_who_is_elected_decides_and_whoever_is_asked_to_stop_lets_go(process: Process, room: Room) -> None:
    process.run()
    assert (process.led, opened(room)) == (1, [1])
    assert room.claim is not None
    assert room.claim.holder == ""
    assert [cluster.stopped for cluster in room.clusters] == [[20.0]]
    assert room.clusters[0].swept


def test_a_standby_decides_nothing_and_is_ready(process: Process, room: Room) -> None:
    room.claim = Claim(holder="other", seconds=10_000, version="1")
    answers: list[list[str]] = []
    room.at[50] = lambda: answers.append(process._parts.health.ready())
    process.run()
    assert (process.led, room.written, answers) == (0, [], [[]])
    assert room.clusters[0].swept == 0
    assert room.claim.holder == "other"


def test_a_standby_takes_over_once_the_leader_was_silent_for_too_long(process: Process, room: Room) -> None:
    room.claim = Claim(holder="other", seconds=15, version="1")
    process.run()
    assert opened(room) == [1]


def test_who_is_stopped_while_it_takes_over_has_not_led(
    process: Process, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    def not_now(_: FakeCluster, __: str) -> int:
        process._parts.stop.ask()
        raise Unavailable("down")

    monkeypatch.setattr(FakeCluster, "lead", not_now)
    process.run()
    assert (process.led, room.written) == (0, [])


def test_nobody_stands_for_election_before_everything_is_listed(process: Process, room: Room) -> None:
    room.down = True
    room.at[10] = lambda: setattr(room, "down", False)
    process.run()
    assert process.led == 1


def test_a_cluster_that_cannot_be_seen_from_the_beginning_is_told_and_ends_the_process(
    process: Process, room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    room.down = True
    with pytest.raises(Unavailable, match="cannot list Run: down"):
        process.run()
    assert 0 < caplog.messages.count("cannot list Run: down") < FIRST_LISTS_SECONDS / STANDBY_SECONDS
    process._parts.stop.ask()


def test_kinds_that_one_thing_keeps_from_being_listed_are_told_together() -> None:
    missing = ["Run: no route: 7", "Node: forbidden", "Pod: no route: 7"]
    assert unlisted(missing) == "Node: forbidden; Run, Pod: no route: 7"


def test_who_is_deposed_stops_at_once_forgets_everything_and_stands_by(process: Process, room: Room) -> None:
    room.at[5] = room.taken
    process.run()
    assert process.led == 2
    assert opened(room) == [1, 3]  # of the other's term nothing, of its own later one what a world without news needs
    assert len({id(cluster) for cluster in room.clusters}) == 2
    assert room.clusters[0].stopped == [0.0]


def test_who_takes_over_a_journal_that_is_not_whole_says_so_and_leads(
    process: Process, room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    room.unread_journal = ["the journal cannot be read: head is 'x'"]
    process.run()
    events = [effect for _, effect in room.written if isinstance(effect, Emit) and effect.reason == "JournalUnread"]
    (event,) = events
    assert (event.kind, event.key, event.warning) == ("ConfigMap", Key("runs-system", "runs-journal"), True)
    assert caplog.messages.count(event.message) == 1
    assert (process.led, opened(room)) == (1, [1])


def test_who_leads_says_which_leases_cannot_be_read(
    process: Process, room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    """Once each, however often they are looked at."""
    room.hidden = ["GPULease research/train-1-0 cannot be read: role"]

    def later() -> None:
        room.clusters[0].stage.now += timedelta(hours=1)

    def another() -> None:
        room.hidden.append("GPULease research/train-2-0 cannot be read: slots")
        later()

    room.at |= {70: later, 80: another, 90: later}
    process.run()
    told = [record.message for record in caplog.records if "cannot be read" in record.message]
    assert room.clusters[0].swept == 4
    assert told == [
        f"GPULease research/train-{which} cannot be read: {why}; its run is left as it is until it can, or is gone"
        for which, why in (("1-0", "role"), ("2-0", "slots"))
    ]


def test_a_busy_api_server_has_the_pause_that_it_asks_for(process: Process, room: Room) -> None:
    room.busy = [5.0, 12.0]
    process.run()
    first, second, third = room.asked
    assert (second - first >= 5.0, third - second >= 12.0, process.led) == (True, True, 1)


def test_an_api_server_that_takes_nothing_is_not_asked_again_with_each_event(
    process: Process, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_over = FakeCluster.lead

    def lead(cluster: FakeCluster, holder: str) -> int:
        if len(room.asked) == 4:
            cluster.wait = wait[0]
            return take_over(cluster, holder)
        room.asked.append(room.seconds)
        wait.append(cluster.wait)
        cluster.wait = lambda _: None  # there is always something new
        raise Unavailable("down")

    wait: list[Callable[[float], None]] = []
    monkeypatch.setattr(FakeCluster, "lead", lead)
    process.run()
    assert process.led == 1
    assert room.asked[3] - room.asked[0] >= sum(RETRY_SECONDS[:3])


def test_who_sees_nothing_new_of_a_kind_says_so(
    process: Process, room: Room, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A watch that is refused stops nobody who leads, and `/readyz` may be asked by nobody."""
    monkeypatch.setattr(FakeCluster, "stale", lambda *_: ["Pod: nothing heard for over 180 s (Forbidden: no)"])
    process.run()
    told = "nothing new is seen of a part of the cluster: Pod: nothing heard for over 180 s (Forbidden: no)"
    assert told in caplog.messages


def test_who_always_hears_something_waits_between_its_batches_all_the_same(
    process: Process, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that what comes meanwhile shares the next write of the journal."""
    observe, commit = FakeCluster.observe, FakeCluster.commit
    coming, batches = [seen(a_run(f"more-{number}")) for number in range(5)], list[int]()

    def hears(cluster: FakeCluster) -> tuple[datetime, Sequence[Change]]:
        if process.led and coming:
            cluster.stage.inject(coming.pop())
        return observe(cluster)

    def commits(cluster: FakeCluster, effects: Sequence[Effect], records: Sequence[Record]) -> None:
        if process.led:
            batches.append(room.waits)
        commit(cluster, effects, records)

    monkeypatch.setattr(FakeCluster, "observe", hears)
    monkeypatch.setattr(FakeCluster, "commit", commits)
    process.run()
    assert len(batches) == len(set(batches)) == 5


def test_an_api_server_that_is_away_for_a_moment_deposes_nobody(process: Process, room: Room) -> None:
    room.at[5] = lambda: setattr(room, "down", True)
    room.at[6] = lambda: setattr(room, "down", False)
    process.run()
    assert process.led == 1


def test_an_api_server_that_is_away_for_long_ends_the_term_before_another_may_begin(
    process: Process, room: Room
) -> None:
    room.at[5] = lambda: setattr(room, "down", True)
    room.at[20] = lambda: setattr(room, "down", False)
    process.run()
    assert process.led == 2

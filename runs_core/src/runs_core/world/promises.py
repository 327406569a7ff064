"""The reservations that stand, and the places that each keeps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, assert_never

from runs_core.values.change import ReservationGone, ReservationSeen
from runs_core.values.lease import mask_of
from runs_core.values.meta import Key
from runs_core.values.reservation import Reservation, ReservationPhase
from runs_core.values.run import Run

Promised = ReservationSeen | ReservationGone


class Standing(NamedTuple):
    """When a run is to have which places; end None: for good. masks: by node."""

    start: datetime
    end: datetime | None
    masks: Mapping[str, int]


class Stood(NamedTuple):
    """What was worked out of that run at that moment."""

    run: Run
    now: datetime
    standing: Standing


class Promises:
    """One for each run at most; what is over is forgotten. by_run: those that stand.

    masks: places kept, by node and run; kept: by run and node. standing: what is to be left to a run, as far as it was
    asked for. stirred: something that promises rest on may be otherwise since they were last worked out; due: when
    they are to be worked out anew. begun: they have been, since this process began.
    """

    def __init__(self) -> None:
        self.by_run: dict[Key, Reservation] = {}
        self.masks: dict[str, dict[Key, int]] = {}
        self.kept: dict[Key, Mapping[str, int]] = {}
        self.standing: dict[Key, Stood] = {}
        self.stirred = True
        self.due: datetime | None = None
        self.begun = False
        self._by_key: dict[Key, Reservation] = {}

    def all(self) -> Sequence[Reservation]:
        """By key."""
        return [self._by_key[key] for key in sorted(self._by_key)]

    def mask(self, node: str) -> int:
        """Of the places kept there, for whomever."""
        found = 0
        for mask in self.masks.get(node, {}).values():
            found |= mask
        return found

    def inverse(self, change: Promised) -> Promised | None:
        """What undoes it; None: it changes nothing."""
        match change:
            case ReservationSeen(reservation):
                old = self._by_key.get(reservation.key)
                if old == reservation or (old is None and reservation.status.phase.over):
                    return None
                return ReservationGone(reservation.key) if old is None else ReservationSeen(old)
            case ReservationGone(key):
                return ReservationSeen(old) if (old := self._by_key.get(key)) is not None else None
            case _:
                assert_never(change)

    def put(self, change: Promised) -> tuple[Key, Iterable[str]]:
        """Take it up; returns the run that it is about, and the nodes where other places are kept now."""
        match change:
            case ReservationSeen(reservation):
                new = None if reservation.status.phase.over else reservation
                return self._replace(reservation.key, new)
            case ReservationGone(key):
                return self._replace(key, None)
            case _:
                assert_never(change)

    def _replace(self, key: Key, new: Reservation | None) -> tuple[Key, Iterable[str]]:
        old = self._by_key.pop(key, None)
        known = old or new
        assert known is not None
        run = known.run
        nodes: dict[str, None] = {}
        if old is not None:
            self.by_run.pop(run, None)
            self.standing.pop(run, None)
            for node in self.kept.pop(run):
                nodes[node] = None
                masks = self.masks[node]
                del masks[run]
                if not masks:
                    del self.masks[node]
        if new is not None:
            self._by_key[key] = new
            self.by_run[run] = new
            self.kept[run] = kept(new)
            for node, mask in self.kept[run].items():
                nodes[node] = None
                self.masks.setdefault(node, {})[run] = mask
        return run, nodes

    def everything(self) -> Iterator[Promised]:
        """Changes that would build it from nothing."""
        yield from (ReservationSeen(reservation) for reservation in self.all())


def kept(reservation: Reservation) -> Mapping[str, int]:
    """Masks of the places that it keeps, by node: none once who is there has been told to go."""
    found: dict[str, int] = {}
    if reservation.status.phase is ReservationPhase.PENDING:
        for one in reservation.status.places:
            found[one.node] = found.get(one.node, 0) | mask_of(one.ordinals)
    return found

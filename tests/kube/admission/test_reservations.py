"""Reservations on a real API server, written with the scheduler's own rights and no others."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import attrs
import pytest
from tests.kube.admission.conftest import HOME, ours, refusal

from runs_core.cluster.kube.api import APPLY, MERGE, Api, Refused
from runs_core.cluster.kube.writes import Writes
from runs_core.schema.convert import reservation_from_object, to_object
from runs_core.testing.builders import A_MONDAY
from runs_core.values.effect import PutReservation, SetReservationStatus
from runs_core.values.lease import RunRef
from runs_core.values.meta import Meta
from runs_core.values.reservation import (
    Basis,
    Promise,
    Reservation,
    ReservationPhase,
    ReservationSpec,
    ReservationStatus,
    ShortOf,
    reservation_name,
)
from runs_core.values.resolution import Bound

if TYPE_CHECKING:
    from tests.kube.admission.conftest import Guarded

LATER = A_MONDAY + timedelta(hours=1)


def reservation(run: str) -> Reservation:
    """Eight GPUs of one node in an hour, by declared ends."""
    spec = ReservationSpec(run_ref=RunRef(name=run, uid=f"uid-of-{run}"), flavor="h100", gpus=8, at=A_MONDAY)
    status = ReservationStatus(
        message="starts about then by expected ends",
        basis=Basis.ENDS,
        earliest_start=LATER,
        latest=LATER,
        deficit_gpus=8,
        short_of=ShortOf.CAPACITY,
        blocked_by=("team-a/other",),
        places=(Bound(group=0, domain="default/default/d1", node="n1", ordinals=tuple(range(8))),),
        promises=(Promise(at=A_MONDAY, basis=Basis.ENDS, earliest_start=LATER),),
    )
    meta = Meta(name=reservation_name(run, A_MONDAY), namespace="team-a", created=A_MONDAY)
    return Reservation(meta=meta, spec=spec, status=status)


def writes(api: Api) -> Writes:
    return Writes(api, lambda _: None, lambda _: None, (), HOME)


def path_of(one: Reservation) -> str:
    return f"{ours('reservations')}/{one.meta.name}"


def stored(guarded: Guarded, one: Reservation) -> Reservation:
    """As whoever runs something there may read it."""
    return reservation_from_object(guarded.alice.call("GET", path_of(one))[1])


def released(one: Reservation) -> Reservation:
    promises = tuple(attrs.evolve(promise, error_seconds=7) for promise in one.status.promises)
    status = attrs.evolve(
        one.status,
        phase=ReservationPhase.RELEASED,
        reason="Started",
        promises=promises,
        places=(),
        end=LATER,
    )
    return attrs.evolve(one, status=status)


def test_the_scheduler_makes_one_twice_the_same_and_closes_it_once(guarded: Guarded) -> None:
    one, scheduler = reservation("train"), writes(guarded.scheduler)
    for _ in range(2):
        scheduler.write(PutReservation(one))
    found = stored(guarded, one)
    assert (found.spec, found.status) == (one.spec, one.status)
    scheduler.write(SetReservationStatus(released(one)))
    assert stored(guarded, one).status == released(one).status
    with pytest.raises(Refused, match="it is over"):
        scheduler.write(SetReservationStatus(one))


def test_whoever_has_the_rights_still_may_not_make_or_change_one(guarded: Guarded) -> None:
    one = reservation("mine")
    body = {**to_object(one), "metadata": {"name": one.meta.name}}
    assert "written by the scheduler only" in (refusal(guarded.meddler, ours("reservations"), body) or "")
    writes(guarded.scheduler).write(PutReservation(one))
    for path, change in (
        (f"{path_of(one)}/status", {"status": {"earliestStart": "2026-01-01T00:00:00Z"}}),
        (path_of(one), {"spec": {"gpus": 1}}),
        (path_of(one), {"metadata": {"labels": {"a": "b"}}}),
    ):
        with pytest.raises(Refused, match=r"written by the scheduler only|want no change"):
            guarded.meddler.call("PATCH", path, change, content=MERGE)
    assert (stored(guarded, one).spec, stored(guarded, one).status) == (one.spec, one.status)


def test_who_runs_something_may_look_and_no_more(guarded: Guarded) -> None:
    one = reservation("seen")
    writes(guarded.scheduler).write(PutReservation(one))
    assert stored(guarded, one).spec == one.spec
    for verb in ("DELETE", "PATCH"):
        with pytest.raises(Refused, match=r"cannot (delete|patch) resource"):
            guarded.alice.call(verb, path_of(one), {"metadata": {"name": one.meta.name}}, content=MERGE)


def test_not_even_the_scheduler_may_promise_the_same_reservation_to_another(guarded: Guarded) -> None:
    one = reservation("first")
    writes(guarded.scheduler).write(PutReservation(one))
    other = {**to_object(one), "metadata": {"name": one.meta.name}}
    other["spec"]["runRef"] = {"name": "second", "uid": "uid-of-second"}
    with pytest.raises(Refused):
        guarded.scheduler.call("PATCH", path_of(one), other, content=APPLY, query={"fieldManager": "runs"})
    assert stored(guarded, one).spec == one.spec

"""What is asked of the API server of a promise and of a resolution, and of what belongs to one."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

from runs_core.cluster.kube import paths
from runs_core.cluster.kube.api import MERGE, Api, Object, Refused
from runs_core.cluster.kube.evidence import divided, names, owned
from runs_core.schema.convert import to_object
from runs_core.schema.names import API_VERSION
from runs_core.values import effect as e
from runs_core.values.reservation import Reservation
from runs_core.values.resolution import Resolution


class ResolutionWrites:
    """home: the scheduler's own namespace, where long evidence is kept. From any thread."""

    def __init__(self, api: Api, home: str) -> None:
        self._api = api
        self._home = home

    def write(self, effect: e.Promised | e.PutResolution | e.SetResolutionStatus) -> Object | None:
        match effect:
            case e.PutReservation(reservation):
                self._reserve(reservation)
                return self._told(reservation)
            case e.PutResolution(resolution):
                return self._keep(resolution)
            case e.SetReservationStatus(reservation):
                return self._told(reservation)
            case e.SetResolutionStatus(resolution):
                return self._told(resolution)

    def _keep(self, resolution: Resolution) -> Object:
        """Long evidence first, so that where the resolution is, all of it is. There already: adopted if it is equal."""
        body, parts = divided(resolution, self._home)
        for part in parts:
            self._create_part(part)
        try:
            _, stored = self._api.call("POST", paths.collection("Resolution"), body)
        except Refused as error:
            if error.reason != "AlreadyExists":
                raise
            _, stored = self._api.call("GET", paths.one("Resolution", resolution.meta.key))
            if stored["spec"]["digest"] != resolution.spec.digest:
                raise Refused(409, "AlreadyExists", f"{resolution.name} is another one") from error
        for part in parts:
            self._api.apply(*owned(part, stored))
        return stored

    def _create_part(self, part: Object) -> None:
        """Its name has the digest of what it holds: one that is there holds the same."""
        try:
            self._api.call("POST", paths.collection("ConfigMap", self._home), part)
        except Refused as error:
            if error.reason != "AlreadyExists":
                raise

    def own(self, resolution: Resolution, made: Sequence[str] = ()) -> None:
        """Its evidence goes with it, also where whoever kept it was killed before that was said.

        made: parts that were to be made for its number. Of a number there is one resolution: what others had made for
        it, who were killed before they kept theirs, is nobody's, and goes with it as well. It may not be there.
        """
        stored = to_object(resolution)
        mine = names(resolution.name, resolution.spec.evidence, resolution.spec.evidence.parts)
        for part in mine:
            home = resolution.spec.evidence.namespace
            self._api.apply(*owned({"metadata": {"name": part, "namespace": home}}, stored))
        for part in sorted(set(made) - set(mine)):
            path, body = owned({"metadata": {"name": part, "namespace": self._home}}, stored)
            try:
                self._api.call("PATCH", path, body, content=MERGE)
            except Refused as error:
                if error.status != HTTPStatus.NOT_FOUND:
                    raise

    def _reserve(self, reservation: Reservation) -> None:
        """There already: of the same run, it is the one that a second try meets."""
        body = to_object(reservation)
        body.pop("status")
        try:
            self._api.call("POST", paths.collection("Reservation", reservation.key.namespace), body)
        except Refused as error:
            if error.reason != "AlreadyExists":
                raise
            _, stored = self._api.call("GET", paths.one("Reservation", reservation.key))
            if stored["spec"]["runRef"]["uid"] != reservation.spec.run_ref.uid:
                raise Refused(409, "AlreadyExists", f"reservation {reservation.key} is another one") from error

    def _told(self, one: Reservation | Resolution) -> Object | None:
        """Its status; None: it is gone."""
        written, known = to_object(one), one.meta
        parts = {"name": known.name, "namespace": known.namespace, "uid": known.uid}
        metadata = {name: part for name, part in parts.items() if part}
        body: Object = {"apiVersion": API_VERSION, "kind": written["kind"], "metadata": metadata}
        body["status"] = written.get("status", {})
        try:
            return self._api.apply(f"{paths.one(written['kind'], known.key)}/status", body)[1]
        except Refused as error:
            if error.status == HTTPStatus.NOT_FOUND or error.another:
                return None
            raise

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import attrs
import pytest

from runs_core.cluster.local import LocalCluster, Store
from runs_core.errors import Conflict
from runs_core.schema.convert import resolution_from_object
from runs_core.settings import RetentionSettings, Settings
from runs_core.testing.builders import A_MONDAY
from runs_core.testing.resolutions import NONCES, numbered
from runs_core.values.change import ChainSeen, NoncesSeen, ResolutionGone, ResolutionSeen
from runs_core.values.effect import PutResolution, SetResolutionStatus
from runs_core.values.nonces import Chain
from runs_core.values.quantity import format_time
from runs_core.values.resolution import ResolutionPhase, ResolutionStatus
from runs_core.world.world import World


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cluster.db"


@pytest.fixture
def cluster(path: Path) -> Iterator[LocalCluster]:
    store = Store.create(path, format_time(A_MONDAY), NONCES)
    made = LocalCluster(store, Settings())
    made.observe()
    yield made
    store.close()


def world_of(path: Path) -> World:
    """As another process sees it."""
    store, world = Store.open(path), World()
    for change in LocalCluster(store, Settings()).observe()[1]:
        world.apply(change)
    store.close()
    return world


def test_a_new_cluster_has_secret_nonces_of_its_own(tmp_path: Path) -> None:
    worlds = []
    for name in "ab":
        Store.create(tmp_path / name, format_time(A_MONDAY)).close()
        worlds.append(world_of(tmp_path / name))
    roots = {world.nonces.root for world in worlds if world.nonces is not None}
    assert len(roots) == 2
    assert all(world.nonces and world.chain == Chain(commitment=world.nonces.commitment(1)) for world in worlds)


def test_a_resolution_is_kept_with_all_of_its_evidence(cluster: LocalCluster, path: Path) -> None:
    one = numbered(1)
    cluster.commit([PutResolution(one)], [])
    world = world_of(path)
    stored = world.resolution(one.name)
    assert stored is not None
    assert stored.spec == one.spec
    assert world.chain == Chain(number=1, commitment=one.spec.next_commitment)


def test_a_number_is_given_once(cluster: LocalCluster, path: Path) -> None:
    one = numbered(1)
    cluster.commit([PutResolution(one)], [])
    other = LocalCluster(Store.open(path), Settings())
    other.observe()
    with pytest.raises(Conflict, match="resolution-1 exists already"):
        other.commit([PutResolution(one)], [])
    other.store.close()


def test_the_number_and_what_was_bound_outlive_the_record(cluster: LocalCluster, path: Path) -> None:
    one = numbered(1)
    cluster.commit([PutResolution(one)], [])
    with cluster.store.writing():
        cluster.store.remove("Resolution", "", one.name)
    changes = cluster.observe()[1]
    assert changes == [ResolutionGone(one.name), ChainSeen(Chain(number=1, commitment=one.spec.next_commitment))]
    assert world_of(path).chain.number == 1


def test_one_that_is_over_goes_with_the_leases_of_its_time(cluster: LocalCluster, path: Path) -> None:
    first, second = numbered(1), numbered(2)
    cluster.commit([PutResolution(first), PutResolution(second)], [])
    over = ResolutionStatus(phase=ResolutionPhase.RELEASED, reason="Started", end=A_MONDAY)
    cluster.commit([SetResolutionStatus(attrs.evolve(first, status=over))], [])
    assert [one.status.phase for one in world_of(path).resolutions()] == ["Released", "Activating"]
    cluster.advance_to(A_MONDAY + Settings().retention.leases + timedelta(days=1))
    cluster.commit([], [])
    assert [one.name for one in world_of(path).resolutions()] == [second.name]


def test_an_archive_takes_what_goes(path: Path, tmp_path: Path) -> None:
    keeping = Settings(retention=RetentionSettings(archive=str(tmp_path / "old")))
    store, one = Store.create(path, format_time(A_MONDAY), NONCES), numbered(1)
    cluster = LocalCluster(store, keeping)
    cluster.observe()
    over = ResolutionStatus(phase=ResolutionPhase.CANCELED, reason="Gone", end=A_MONDAY)
    cluster.commit([PutResolution(one), SetResolutionStatus(attrs.evolve(one, status=over))], [])
    cluster.advance_to(A_MONDAY + keeping.retention.leases + timedelta(days=1))
    cluster.commit([], [])
    store.close()
    (line,) = (tmp_path / "old" / "resolutions.jsonl").read_text().splitlines()
    assert resolution_from_object(json.loads(line)).spec == one.spec
    assert not (tmp_path / "old" / "leases.jsonl").exists()


def test_who_looks_at_everything_anew_is_told_it_in_order(cluster: LocalCluster, path: Path) -> None:
    cluster.commit([PutResolution(numbered(1))], [])
    store = Store.open(path)
    kinds = [type(change) for change in LocalCluster(store, Settings()).observe()[1]]
    store.close()
    assert kinds.index(ResolutionSeen) < kinds.index(ChainSeen) < kinds.index(NoncesSeen)

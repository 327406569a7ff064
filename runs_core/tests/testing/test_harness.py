from __future__ import annotations

import pytest

from runs_core.cluster.trace.cluster import NONCES
from runs_core.testing.harness import Harness
from runs_core.testing.resolutions import some_resolution
from runs_core.values.effect import PutResolution
from runs_core.values.nonces import Chain


def test_a_resolution_that_does_not_verify_is_a_breach() -> None:
    """The one of the kit is bound to other nonces than the stage's."""
    stage = Harness()
    one = next(one for seed in range(100) if (one := some_resolution(seed)) is not None)
    stage.stage.commit([PutResolution(one)], [])
    with pytest.raises(AssertionError, match=f"invariant 7: {one.name}: spec.seed.commitment"):
        stage.check()


def test_a_stage_begins_with_the_nonces_of_simulations() -> None:
    stage = Harness()
    stage.settle()
    assert stage.world.nonces == NONCES
    assert stage.world.chain == Chain(commitment=NONCES.commitment(1))
    stage.restart()
    assert stage.world.chain == Chain(commitment=NONCES.commitment(1))

"""When the GPUs of a node come free for a run that has to leave all of them to another for a while."""

from __future__ import annotations

from math import inf

from hypothesis import given
from hypothesis import strategies as st

from runs_core.world.hours import but_between

moments = st.integers(0, 9).map(float)


@given(st.lists(moments), moments | st.just(-inf), moments | st.just(inf), moments)
def test_what_cannot_be_had_meanwhile_comes_when_the_other_has_gone(
    free: list[float], begin: float, end: float, floor: float
) -> None:
    each = [end if begin < max(when, floor) < end else when for when in free]
    assert but_between(tuple(sorted(free)), begin, end, floor) == tuple(sorted(at for at in each if at < inf))

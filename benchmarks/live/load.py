"""The load of Kueue's own scheduler harness: three classes of runs for each owner, submitted side by side."""

from __future__ import annotations

from collections.abc import Sequence

import attrs


@attrs.frozen(kw_only=True)
class Class:
    """count runs of so many GPUs for each owner, one every so many milliseconds, each running so long."""

    name: str
    gpus: int
    count: int
    every_milliseconds: int
    milliseconds: int

    @staticmethod
    def of(share: float) -> Sequence[Class]:
        """The three classes. share: of their counts, for a short look."""
        return [attrs.evolve(cls, count=max(1, round(cls.count * share))) for cls in CLASSES]


CLASSES = (
    Class(name="small", gpus=1, count=350, every_milliseconds=100, milliseconds=200),
    Class(name="medium", gpus=5, count=100, every_milliseconds=500, milliseconds=500),
    Class(name="large", gpus=20, count=50, every_milliseconds=1200, milliseconds=1000),
)
GPUS = 600
OWNERS = 30


def namespace_of(owner: int) -> str:
    return f"owner-{owner:02}"


def name_of(cls: Class, number: int) -> str:
    return f"{cls.name}-{number:03}"

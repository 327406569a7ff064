"""How wide a run may be now: what a plugin says of it beyond its spec."""

from __future__ import annotations

from collections.abc import Iterator

import attrs


@attrs.frozen(kw_only=True)
class Demand:
    """GPUs: at least so many, at most so many, and between them whole steps beyond the least."""

    least: int
    most: int
    step: int

    def at_most(self, gpus: int) -> int | None:
        """The widest that so many allow; None: not even the least."""
        room = min(gpus, self.most) - self.least
        return self.least + room - room % self.step if room >= 0 else None

    def widths(self, gpus: int) -> Iterator[int]:
        """Every width that so many allow, the widest first."""
        widest = self.at_most(gpus)
        yield from range(widest, self.least - 1, -self.step) if widest is not None else ()

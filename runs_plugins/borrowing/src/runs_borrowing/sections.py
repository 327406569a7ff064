"""What borrowing adds to a Run: whom it asks beyond its family, and for how much at most."""

from __future__ import annotations

import attrs

from runs_core import Fact, field

MOST_GPUS = 10_000_000


@attrs.frozen(kw_only=True)
class Borrowing:
    """spec.funding of a Run, as far as borrowing reads it."""

    allow_borrow: bool = field(
        Fact(doc="Whether its sponsors are asked for what its owner and the family do not pay."), default=False
    )
    max_borrow_gpus: int | None = field(
        Fact(doc="GPUs that all its sponsors together pay for, at most.", minimum=1, maximum=MOST_GPUS), default=None
    )
    sponsors: tuple[str, ...] = field(
        Fact(
            doc="Owners that it asks to lend, in this order.",
            pattern=r".+",
            max_length=253,
            max_items=32,
            unique=True,
        ),
        default=(),
    )


NOTHING = Borrowing()
